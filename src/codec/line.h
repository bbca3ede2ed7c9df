/* line: command lines out of a stream of bytes (RFC 5321 section 2.3.8: only CRLF ends one). */
#ifndef CODEC_LINE_H
#define CODEC_LINE_H

#include "base/slice.h"

enum line_result {
    LINE_MORE,     /* no whole line yet; *used = bytes that need not be offered again (0) */
    LINE_OK,       /* *line without its CRLF; *used = bytes up to and with it */
    LINE_TOO_LONG, /* over `max` octets with CRLF; *used as for the faults below */
    LINE_BARE_CR,  /* a CR without LF, a LF without CR, or a NUL inside: *used = bytes up to */
    LINE_BARE_LF,  /* the end of the offending line, or all of them when it has not ended */
    LINE_NUL,
};

/* Looks for the first line in `in`; max (at least 2) counts its CRLF (RFC 5321 4.5.3.1.4: 512;
 * more with extensions). Keeps no state. A refused line ends behind the next LF: when the bytes
 * that *used drops do not end in one, the rest is dropped by calling line_skip until it says
 * that the end was seen. The first fault by position counts, however the bytes arrive. */
enum line_result line_next(slice in, size_t max, slice *line, size_t *used) NONNULL(3, 4);
/* Bytes up to and with the next LF, or all of them; *ended tells which. */
size_t line_skip(slice in, bool *ended) NONNULL(2);

#endif
