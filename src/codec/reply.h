/* reply: SMTP replies, written by our server and read by our client (RFC 5321 4.2, 2034, 3463).
 */
#ifndef CODEC_REPLY_H
#define CODEC_REPLY_H

#include "base/buf.h"

/* class.subject.detail; all 0 when there is none. */
struct enhanced {
    uint16_t class;
    uint16_t subject;
    uint16_t detail;
};

struct reply {
    uint16_t code; /* 0: none */
    struct enhanced enhanced;
    slice text; /* lines joined by '\n', without codes; printable, bounded by REPLY_TEXT_MAX */
};

enum { REPLY_LINE_MAX = 512, REPLY_TEXT_MAX = 1000, REPLY_LINES_MAX = 128 };

/* Writes "CODE-E.E.E text\r\n" lines, broken at '\n' and where a line would pass 512 octets
 * with its CRLF; bytes that are not printable ASCII or UTF-8 become '?'. 2xx, 4xx and 5xx
 * replies carry their enhanced code when it is set (RFC 2034). */
void reply_write(struct buf *out, unsigned code, struct enhanced e, slice text) NONNULL(1);

/* A reply being read, line by line. Bounded: a server that sends "250-" for ever gives
 * REPLY_BAD after REPLY_LINES_MAX lines; text beyond REPLY_TEXT_MAX is dropped. */
struct reply_parser {
    uint16_t code;
    uint16_t lines;
    struct enhanced enhanced;
    size_t text_len;
    char text[REPLY_TEXT_MAX];
    size_t line_len;
    char line[1024];
    bool overflow; /* the rest of an over-long line is dropped */
};

enum reply_result { REPLY_MORE, REPLY_DONE, REPLY_BAD };

/* Before the first reply; the parser is ready for the next one after each. */
void reply_parser_init(struct reply_parser *p) NONNULL(1);
/* Takes bytes off *in up to the end of one reply. On REPLY_DONE *out is set, its text borrowed
 * from the parser until the next call. Accepts bare LF from servers, as all clients do.
 * REPLY_BAD: a line that is none of a reply, or whose code differs from that of the lines
 * before it; the conversation is out of step and cannot go on. The enhanced code is the first
 * that a line gives and that fits the code's class. `on_line` (may be NULL) sees each line's
 * text as it completes, as it came but for its codes: for EHLO keywords. */
enum reply_result reply_parse(struct reply_parser *p, slice *in, struct reply *out,
                              void (*on_line)(void *ctx, slice text), void *ctx)
    NONNULL(1, 2, 3);

#endif
