/* field: header fields, written: folded where a line is long enough (RFC 5322 section 2.2.3),
 * with encoded words where the text needs them (RFC 2047). */
#ifndef CODEC_FIELD_H
#define CODEC_FIELD_H

#include "base/buf.h"

/* Octets of a line after which it is folded, where it can be. */
enum { FIELD_LINE_WANTED = 76 };

/* A field being written: how far its line has come. */
struct field_fold {
    struct buf *out;
    size_t column;
};

/* "Name:" */
struct field_fold field_begin(struct buf *out, slice name) NONNULL(1);
/* Its CRLF. */
void field_end(struct field_fold *f) NONNULL(1);
/* A blank, or a new line when what comes is too wide for this one. */
void field_put_blank(struct field_fold *f, size_t width) NONNULL(1);
/* The text as it is: no line end may be in it. */
void field_put_text(struct field_fold *f, slice text) NONNULL(1);
/* Words as they are, or encoded words when there is more than printable ASCII in them. */
void field_put_unstructured(struct field_fold *f, slice text) NONNULL(1);
/* A display name: words, a quoted string, or encoded words. */
void field_put_phrase(struct field_fold *f, slice name) NONNULL(1);

/* A whole unstructured field. */
void field_write(struct buf *out, slice name, slice text) NONNULL(1);

/* Can the text stand in a field as it is, in words of a bearable length? */
bool field_is_plain(slice text);

#endif
