/* buf: a growable run of bytes that owns its memory, with a bound.
 *
 * Appending never returns an error: a buffer that could not grow (out of memory, or over its
 * bound) remembers it in `error`, keeps what it had and takes nothing more, so that a caller
 * checks once, before it uses the contents. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/attr.h"
#include "base/slice.h"

struct buf {
    char *ptr;
    size_t len;
    size_t cap;
    size_t max; /* 0: no bound */
    int error;  /* 0, -ENOMEM or -EMSGSIZE; sticky until buf_clear */
};

#define BUF_INIT ((struct buf){0})
#define BUF_BOUNDED(limit) ((struct buf){.max = (limit)})

void buf_fini(struct buf *b) NONNULL(1);
/* Empties it and keeps the memory. */
void buf_clear(struct buf *b) NONNULL(1);

void buf_append(struct buf *b, slice s) NONNULL(1);
void buf_byte(struct buf *b, char c) NONNULL(1);
void buf_printf(struct buf *b, const char *fmt, ...) NONNULL(1, 2) PRINTF_LIKE(2, 3);
/* Removes the first n bytes (n <= len). */
void buf_consume(struct buf *b, size_t n) NONNULL(1);
/* Room for n more bytes: 0, -ENOMEM or -EMSGSIZE. Write at ptr + len, then add to len. */
int buf_reserve(struct buf *b, size_t n) NONNULL(1);

static inline slice buf_slice(const struct buf *b)
{
    return (slice){b->ptr, b->len};
}

#endif
