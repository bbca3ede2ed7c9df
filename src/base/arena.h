/* arena: memory that is given back all at once.
 *
 * One arena per session, per transaction, per job; what a function allocates in the arena that
 * it was given lives until that arena is reset. An empty arena owns no memory. Allocation never
 * fails: callers bound every size that a peer controls before they take it, and a process that
 * cannot get a small block ends (its role is restarted; nothing acknowledged is lost). Memory
 * whose size a peer controls comes from malloc and its failure is answered with 4xx. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/attr.h"
#include "base/slice.h"

struct arena_chunk;

struct arena {
    struct arena_chunk *chunk; /* newest first */
    size_t used;               /* bytes used of the newest chunk */
    size_t total;              /* bytes taken from the heap */
};

#define ARENA_INIT ((struct arena){0})

/* Frees everything; the arena is empty and may be used again. */
void arena_fini(struct arena *a) NONNULL(1);
/* Forgets everything but keeps one chunk of ordinary size for reuse. */
void arena_reset(struct arena *a) NONNULL(1);

/* size bytes, zeroed, aligned for any type. */
void *arena_alloc(struct arena *a, size_t size) NONNULL(1);
#define arena_new(a, type) ((type *)arena_alloc((a), sizeof(type)))
#define arena_array(a, type, count) ((type *)arena_calloc((a), (count), sizeof(type)))
/* count * size bytes, zeroed; an overflowing product is a bug. */
void *arena_calloc(struct arena *a, size_t count, size_t size) NONNULL(1);

/* A copy that lives in the arena, with a NUL behind it that is not counted. */
slice arena_dup(struct arena *a, slice s) NONNULL(1);
/* A NUL-terminated copy, for the border to libraries. */
char *arena_cstr(struct arena *a, slice s) NONNULL(1);
slice arena_printf(struct arena *a, const char *fmt, ...) NONNULL(1, 2) PRINTF_LIKE(2, 3);
/* ASCII letters in lower case. */
slice arena_lower(struct arena *a, slice s) NONNULL(1);

/* malloc that ends the process instead of returning NULL: for small, bounded, long-lived
 * structures that no arena owns. Release with free(). */
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *ptr, size_t count, size_t size);
char *xstrdup(const char *s);

#endif
