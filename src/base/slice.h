/* slice: a borrowed run of bytes, pointer and length; never NUL-terminated by promise.
 *
 * A slice does not own what it points at. Keeping one past the call that gave it needs a copy
 * (arena_dup). The empty slice may have a NULL pointer. */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include "base/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct slice {
    const char *ptr;
    size_t len;
} slice;

/* A string literal as a slice, usable in static initialisers as SLICE_INIT. */
#define SLICE_INIT(lit)        \
    {                          \
        (lit), sizeof(lit) - 1 \
    }
#define SLICE(lit) ((slice)SLICE_INIT(lit))
/* For printf: "%.*s", SLICE_ARG(s). */
#define SLICE_ARG(s) (int)(s).len, (s).ptr ? (s).ptr : ""

static inline slice slice_make(const void *ptr, size_t len)
{
    return (slice){(const char *)ptr, len};
}

static inline slice slice_of(const char *cstr)
{
    return (slice){cstr, cstr ? strlen(cstr) : 0};
}

static inline bool slice_is_empty(slice s)
{
    return s.len == 0;
}

/* The part from `from` to the end; `from` beyond the end gives the empty slice at the end. */
static inline slice slice_from(slice s, size_t from)
{
    if (from > s.len)
        from = s.len;
    return (slice){s.ptr ? s.ptr + from : NULL, s.len - from};
}

/* The first `len` bytes, or all of it. */
static inline slice slice_to(slice s, size_t len)
{
    return (slice){s.ptr, len < s.len ? len : s.len};
}

bool slice_eq(slice a, slice b);
/* Equal when ASCII letters are compared without case (never locale-dependent). */
bool slice_ieq(slice a, slice b);
bool slice_starts(slice s, slice prefix);
bool slice_istarts(slice s, slice prefix);
bool slice_ends(slice s, slice suffix);
/* memcmp order, the shorter first when one is a prefix of the other. */
int slice_cmp(slice a, slice b);

/* Index of the byte or -1. */
ptrdiff_t slice_find(slice s, char c);
ptrdiff_t slice_rfind(slice s, char c);
/* Index of the first occurrence of `needle` or -1; the empty one is at 0. */
ptrdiff_t slice_search(slice s, slice needle);

/* Without leading and trailing SP and HTAB. */
slice slice_trim(slice s);
/* Splits off the part before `sep` into *head and leaves the part after it in *s; without a
 * separator *head is all of it and *s becomes empty. False when *s was empty. */
bool slice_split(slice *s, char sep, slice *head);

/* Decimal digits only, no sign, no space: false on anything else or overflow. */
bool slice_to_u64(slice s, uint64_t *out);

static inline bool ascii_is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
static inline char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

#endif
