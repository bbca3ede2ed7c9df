/* utf8: well-formed UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing over U+10FFFF.
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/slice.h"

/* Octets of the well-formed sequence at the start of s: 1 to 4, 0 when there is none. */
size_t utf8_sequence(slice s);
/* All of it; the empty text is both. */
bool utf8_is_valid(slice s);
bool utf8_is_ascii(slice s);
/* The longest prefix of at most max octets that splits no sequence. */
slice utf8_cut(slice s, size_t max);

#endif
