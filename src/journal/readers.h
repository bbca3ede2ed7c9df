/* readers: how far the readers of a journal have come, by their snapshots. */
#ifndef JOURNAL_READERS_H
#define JOURNAL_READERS_H

#include "journal/writer.h"

struct readers_floor {
    uint64_t read;   /* every reader goes on at or behind this position; 0 when one has no
                      * (readable) snapshot, or there is no reader */
    uint64_t needed; /* no reader needs a byte before this position */
    uint64_t
        proven;    /* the furthest that any reader has come, or the watermark: it was synced */
    size_t holder; /* index of the reader that `needed` is of */
};

/* The paths of the snapshots of everybody who reads a journal: the one list of them. */
const char *const *journal_readers(enum id_writer journal, size_t *count) NONNULL(2);

/* Reads the heads of all snapshots in the configuration; damaged ones count as none. */
struct readers_floor readers_floor(const struct journal_config *config) NONNULL(1);
/* Makes the snapshots that were read durable under their names. 0 or -errno. */
int readers_sync(const struct journal_config *config) MUST_USE NONNULL(1);

#endif
