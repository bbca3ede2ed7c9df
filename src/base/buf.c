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

int buf_reserve(struct buf *b, size_t n)
{
    if (b->error)
        return b->error;
    if (b->cap - b->len >= n)
        return 0;
    if (n > SIZE_MAX / 4 || (b->max && (n > b->max || b->len > b->max - n)))
        return b->error = -EMSGSIZE;
    size_t cap = b->cap ? b->cap : SMALLEST;
    while (cap - b->len < n)
        cap *= 2;
    char *ptr = realloc(b->ptr, cap);
    if (!ptr)
        return b->error = -ENOMEM;
    b->ptr = ptr;
    b->cap = cap;
    return 0;
}

void buf_append(struct buf *b, slice s)
{
    if (s.len == 0 || buf_reserve(b, s.len) < 0)
        return;
    if (b->max && b->len + s.len > b->max) {
        b->error = -EMSGSIZE;
        return;
    }
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
    } else if (buf_reserve(b, (size_t)n + 1) == 0) {
        vsnprintf(b->ptr + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
}

void buf_consume(struct buf *b, size_t n)
{
    INVARIANT(n <= b->len);
    memmove(b->ptr, b->ptr + n, b->len - n);
    b->len -= n;
}
