#include "base/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { SMALLEST = 256 };

void buf_fini(struct buf *b)
{
    free(b->ptr);
    *b = (struct buf){.max = b->max};
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    b->error = 0;
}

/* Room for n bytes and `spare` ones that the bound does not count. */
static int grow(struct buf *b, size_t n, size_t spare)
{
    if (b->error)
        return b->error;
    if (n > SIZE_MAX / 4 || (b->max && (b->len > b->max || n > b->max - b->len)))
        return b->error = -EMSGSIZE;
    if (b->cap - b->len >= n + spare)
        return 0;
    size_t cap = b->cap ? b->cap : SMALLEST;
    while (cap - b->len < n + spare)
        cap *= 2;
    char *ptr = realloc(b->ptr, cap);
    if (!ptr)
        return b->error = -ENOMEM;
    b->ptr = ptr;
    b->cap = cap;
    return 0;
}

int buf_reserve(struct buf *b, size_t n)
{
    return grow(b, n, 0);
}

void buf_append(struct buf *b, slice s)
{
    if (s.len == 0 || buf_reserve(b, s.len) < 0)
        return;
    memcpy(b->ptr + b->len, s.ptr, s.len);
    b->len += s.len;
}

void buf_byte(struct buf *b, char c)
{
    buf_append(b, (slice){&c, 1});
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char small[512];
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(small, sizeof(small), fmt, args);
    va_end(args);
    INVARIANT(n >= 0);
    if ((size_t)n < sizeof(small)) {
        buf_append(b, (slice){small, (size_t)n});
    } else if (grow(b, (size_t)n, 1) == 0) { /* vsnprintf ends with a NUL */
        vsnprintf(b->ptr + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
}

void buf_consume(struct buf *b, size_t n)
{
    INVARIANT(n <= b->len);
    if (n == 0)
        return;
    memmove(b->ptr, b->ptr + n, b->len - n);
    b->len -= n;
}
