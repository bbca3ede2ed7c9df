/* header: the fields of a mail's header and the mailboxes in them (RFC 5322, 6532). */
#ifndef CODEC_HEADER_H
#define CODEC_HEADER_H

#include "base/arena.h"

struct header_field {
    slice name;  /* without the colon */
    slice value; /* raw: after the colon, folds and all, without the final CRLF */
    slice raw;   /* the whole field with its final CRLF */
};

enum header_result { HEADER_FIELD, HEADER_END, HEADER_BAD };

/* Takes the next field off *in, which is a header block (CRLF line ends, without or with the
 * empty line that ends it, which HEADER_END takes too). HEADER_BAD: a line that is neither
 * field nor continuation, does not end in CRLF, or has a bare CR, bare LF or NUL in it; *in is
 * left at it, or at the field that it continues. */
enum header_result header_next(slice *in, struct header_field *out) NONNULL(1, 2);

/* Where the header ends in a message: the offset behind the empty line; 0 when not seen yet.
 * `from` is how much has been searched before (give back what it had then). A body that starts
 * without an empty line is found by header_next's HEADER_BAD. */
size_t header_end(slice message, size_t from);

/* The value with folds replaced by single spaces, trimmed. */
slice header_unfold(struct arena *a, slice value) NONNULL(1);

enum mailboxes_result {
    MAILBOXES_OK,
    MAILBOXES_SYNTAX,   /* not an address list, or one that could be read in two ways */
    MAILBOXES_TOO_MANY, /* more than `max` */
};

/* The addr-specs of an address list field (From, Sender, To …): canonical "local@domain" slices
 * in the arena, in order. Groups are read through (only empty ones: OK with *count 0);
 * comments, quoted display names and encoded words are skipped whatever they contain, but for
 * an encoded word with a raw "@", quote, bracket or backslash, which is none (RFC 2047 section
 * 5). Obsolete routes and anything that two programs could read differently (two addr-specs in
 * one mailbox, stray angle brackets or "@", an address in an unquoted phrase, NUL or 8-bit
 * outside UTF-8) is MAILBOXES_SYNTAX. */
enum mailboxes_result header_mailboxes(struct arena *a, slice value, size_t max, slice **out,
                                       size_t *count) NONNULL(1, 4, 5);

#endif
