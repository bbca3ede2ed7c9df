/* chunk: BDAT's argument, and the checks on its octets (RFC 3030). */
#ifndef CODEC_CHUNK_H
#define CODEC_CHUNK_H

#include "codec/dot.h"

enum { CHUNK_DIGITS_MAX = 19 };

/* "size" or "size LAST"; false on anything else: signs, empty, over 2^63-1. */
bool chunk_parse(slice argument, uint64_t *size, bool *is_last) NONNULL(2, 3);

/* The content rules of dot_decoder without the dots: CR and LF only as CRLF, no NUL, line
 * length. State is carried over chunk borders. */
struct content_check {
    enum dot_fault fault;
    bool after_cr;
    size_t line_len;
    size_t line_max;
};
/* line_max: octets with CRLF after which a line is a fault; 0: no limit. */
void content_check_init(struct content_check *c, size_t line_max) NONNULL(1);
/* The next octets, in pieces of any size; the first fault stays in c->fault. */
void content_check_feed(struct content_check *c, slice in) NONNULL(1);
/* At the end of the message: a CR still waiting for its LF is a fault. */
void content_check_end(struct content_check *c) NONNULL(1);

#endif
