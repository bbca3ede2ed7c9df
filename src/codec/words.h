/* words: encoded words (RFC 2047): text of a header field beyond ASCII, for people to read, and
 * written by us. */
#ifndef CODEC_WORDS_H
#define CODEC_WORDS_H

#include "base/arena.h"
#include "base/buf.h"

/* An unfolded value with its encoded words read: UTF-8, US-ASCII, ISO-8859-1, ISO-8859-15 and
 * windows-1252 in B or Q become UTF-8; blanks between two of them go (section 6.2). A word that
 * is anything else, or not well formed, stays as it was written. At most three times as long as
 * the value; what is not UTF-8 besides stays, too. Never fails. */
slice words_decode(struct arena *a, slice value) NONNULL(1);

/* Appends UTF-8 text as the body of an unstructured field: as it is when it is printable ASCII
 * that nobody could take for an encoded word, else as encoded words in UTF-8 and B, folded,
 * each of at most 75 octets. `column`: how long the line is already. Controls become blanks;
 * what is not UTF-8 becomes '?'. */
void words_encode(struct buf *out, slice text, size_t column) NONNULL(1);

#endif
