/* sendmail_input: what a program writes to sendmail, as a message with CRLF line ends.
 *
 * Programs end lines with LF, CRLF, or both in one message, leave out the header, begin with an
 * mbox "From " line, or end with a dot on a line of its own. What comes out has CRLF and
 * nothing else: no bare CR, no bare LF. The header is kept in memory and bounded; the body
 * passes through. Pure but for its memory: the same bytes give the same message however they
 * arrive. */
#ifndef TOOL_SENDMAIL_INPUT_H
#define TOOL_SENDMAIL_INPUT_H

#include "base/buf.h"

enum { SENDMAIL_HEADER_MAX = 1024 * 1024 };

struct sendmail_input {
    /* what the caller reads */
    struct buf header;        /* whole CRLF lines, each a field or its continuation */
    bool is_over;             /* the lone dot was seen: nothing that follows is taken */
    bool has_8bit;            /* octets over 127 in header or body */
    bool has_nul;             /* no mail can carry it */
    bool is_header_too_large; /* over SENDMAIL_HEADER_MAX; or no memory for it */
    /* its own */
    bool ends_at_dot;
    bool in_body;
    bool has_begun;
    struct buf line; /* the unfinished line of the header */
    bool at_line_start;
    bool is_line_open; /* what was put out does not end in CRLF */
    bool holds_dot;    /* the line is "." so far */
    unsigned crs;      /* CRs whose meaning depends on what follows */
};

/* ends_at_dot: a line that is only a dot ends the message (without -i). */
void sendmail_input_init(struct sendmail_input *i, bool ends_at_dot) NONNULL(1);
void sendmail_input_fini(struct sendmail_input *i) NONNULL(1);

/* Takes all of `in`; appends what of it is body. A CR or two before a LF belong to the line's
 * end. Any other CR ends a line in the body and becomes a blank in the header, so that it
 * cannot begin a field that the program did not see. The header ends at the first line that is
 * neither a field nor a continuation; a line that is not empty belongs to the body then. */
void sendmail_input_feed(struct sendmail_input *i, slice in, struct buf *body) NONNULL(1, 3);
/* The input has ended: gives the last line its end. */
void sendmail_input_end(struct sendmail_input *i, struct buf *body) NONNULL(1, 2);

#endif
