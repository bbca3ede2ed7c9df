/* mime_words: the words of a header field, folded and encoded (RFC 5322 2.2.3, RFC 2047). For
 * codec/mime. */
#ifndef CODEC_MIME_WORDS_H
#define CODEC_MIME_WORDS_H

#include "base/buf.h"

enum { MIME_LINE_WANTED = 76, MIME_FIELD_NAME_MAX = 76 };

/* A field being written: how far its line has come. */
struct mime_fold {
    struct buf *out;
    size_t column;
};

/* "Name:" */
struct mime_fold mime_field_begin(struct buf *out, slice name) NONNULL(1);
void mime_field_end(struct mime_fold *f) NONNULL(1);
/* A blank, or a new line when what comes is too wide for this one. */
void mime_put_blank(struct mime_fold *f, size_t width) NONNULL(1);
void mime_put_text(struct mime_fold *f, slice text) NONNULL(1);
/* Words as they are, or encoded words when there is more than printable ASCII in them. */
void mime_put_unstructured(struct mime_fold *f, slice text) NONNULL(1);
/* A display name: words, a quoted string, or encoded words. */
void mime_put_phrase(struct mime_fold *f, slice name) NONNULL(1);

/* Can the text stand in a field as it is, in words of a bearable length? */
bool mime_is_plain(slice text);
bool mime_is_letter_or_digit(unsigned char c);
/* "=C3", "%C3" */
void mime_put_hex(struct buf *out, char mark, unsigned char c) NONNULL(1);

#endif
