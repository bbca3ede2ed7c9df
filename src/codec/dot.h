/* dot: the transparency procedure of DATA, both ways (RFC 5321 section 4.5.2).
 *
 * Decoding is strict: the message ends at CRLF "." CRLF and nowhere else. A bare CR, a bare LF
 * or a NUL makes the message bad for good, but reading goes on to the real end, so that what
 * follows is never taken for commands. */
#ifndef CODEC_DOT_H
#define CODEC_DOT_H

#include "base/buf.h"

enum dot_fault { DOT_FINE, DOT_BARE_CR, DOT_BARE_LF, DOT_NUL, DOT_LINE_TOO_LONG };

struct dot_decoder {
    uint8_t state;
    enum dot_fault fault; /* the first one */
    size_t line_len;      /* octets of the current line */
    size_t line_max;      /* octets with CRLF after which a line is a fault; 0: no limit */
};

/* line_max: see struct dot_decoder. */
void dot_decoder_init(struct dot_decoder *d, size_t line_max) NONNULL(1);
/* Takes bytes off *in up to and with the end of data. Gives in *out the next run of decoded
 * bytes, which point into *in's memory (empty runs are possible). True when the end was seen;
 * else call again until *in is empty. */
bool dot_decode(struct dot_decoder *d, slice *in, slice *out) NONNULL(1, 2, 3);

/* The rules for content alone, where a dot means nothing (chunk.h): notes faults and line
 * lengths in *d; *after_cr says on both sides whether the bytes before end in CR. */
void dot_check_content(struct dot_decoder *d, bool *after_cr, slice in) NONNULL(1, 2);

/* Encoding: appends `in` to out with dots doubled at line starts; `at_line_start` is carried
 * between calls (true at first). Lines end in CRLF already. */
void dot_encode(struct buf *out, slice in, bool *at_line_start) NONNULL(1, 3);
/* ".\r\n", with a CRLF before it when the body does not end in one. */
void dot_finish(struct buf *out, bool at_line_start) NONNULL(1);

#endif
