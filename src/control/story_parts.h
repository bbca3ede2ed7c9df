/* story_parts: what texts for people are put together from. Pure. */
#ifndef CONTROL_STORY_PARTS_H
#define CONTROL_STORY_PARTS_H

#include "base/buf.h"
#include "base/stamp.h"

/* What others wrote, cut to 400 octets, without bytes that a terminal would obey; lines become
 * one. */
void story_put(struct buf *out, slice text) NONNULL(1);
void story_text(struct buf *out, const char *text) NONNULL(1, 2);
/* "2026-11-22 01:02:03", UTC. */
void story_time(struct buf *out, stamp at) NONNULL(1);
/* "1 message", "2 messages" */
void story_count(struct buf *out, uint64_t n, const char *one, const char *many)
    NONNULL(1, 3, 4);
/* "5 minutes" */
void story_span(struct buf *out, span length) NONNULL(1);

#endif
