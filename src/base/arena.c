#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST_CHUNK = 256, LARGEST_STEP = 64 * 1024 };

struct arena_chunk {
    struct arena_chunk *next;
    size_t size;
    alignas(max_align_t) char data[];
};

NORETURN void invariant_failed(const char *claim, const char *file, int line)
{
    fprintf(stderr, "level=error event=bug claim=\"%s\" file=%s line=%d\n", claim, file, line);
    abort();
}

static NORETURN void out_of_memory(size_t size)
{
    fprintf(stderr, "level=error event=out-of-memory size=%zu\n", size);
    abort();
}

static size_t aligned(size_t size)
{
    size_t mask = alignof(max_align_t) - 1;
    return (size + mask) & ~mask;
}

void arena_fini(struct arena *a)
{
    struct arena_chunk *c = a->chunk;
    while (c) {
        struct arena_chunk *next = c->next;
        free(c);
        c = next;
    }
    *a = ARENA_INIT;
}

void arena_reset(struct arena *a)
{
    struct arena_chunk *keep = a->chunk;
    if (!keep)
        return;
    if (keep->size > LARGEST_STEP) {
        arena_fini(a);
        return;
    }
    struct arena older = {.chunk = keep->next};
    arena_fini(&older);
    keep->next = NULL;
    a->used = 0;
    a->total = keep->size;
}

static void add_chunk(struct arena *a, size_t need)
{
    size_t size = a->chunk ? a->chunk->size * 2 : FIRST_CHUNK;
    if (size > LARGEST_STEP)
        size = LARGEST_STEP;
    if (size < need)
        size = need;
    struct arena_chunk *c = malloc(sizeof(*c) + size);
    if (!c)
        out_of_memory(size);
    c->next = a->chunk;
    c->size = size;
    a->chunk = c;
    a->used = 0;
    a->total += size;
}

void *arena_alloc(struct arena *a, size_t size)
{
    INVARIANT(size < SIZE_MAX / 4);
    size = aligned(size ? size : 1);
    if (!a->chunk || a->chunk->size - a->used < size)
        add_chunk(a, size);
    void *p = a->chunk->data + a->used;
    a->used += size;
    return memset(p, 0, size);
}

void *arena_calloc(struct arena *a, size_t count, size_t size)
{
    size_t bytes;
    INVARIANT(!__builtin_mul_overflow(count, size, &bytes));
    return arena_alloc(a, bytes);
}

char *arena_cstr(struct arena *a, slice s)
{
    char *copy = arena_alloc(a, s.len + 1);
    if (s.len)
        memcpy(copy, s.ptr, s.len);
    return copy;
}

slice arena_dup(struct arena *a, slice s)
{
    return (slice){arena_cstr(a, s), s.len};
}

slice arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list args;
    va_list again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    INVARIANT(n >= 0);
    char *text = arena_alloc(a, (size_t)n + 1);
    vsnprintf(text, (size_t)n + 1, fmt, again);
    va_end(again);
    return (slice){text, (size_t)n};
}

slice arena_lower(struct arena *a, slice s)
{
    char *copy = arena_cstr(a, s);
    for (size_t i = 0; i < s.len; i++)
        copy[i] = ascii_lower(copy[i]);
    return (slice){copy, s.len};
}

void *xcalloc(size_t count, size_t size)
{
    void *p = calloc(count ? count : 1, size ? size : 1);
    if (!p)
        out_of_memory(size);
    return p;
}

void *xrealloc(void *ptr, size_t count, size_t size)
{
    void *p = reallocarray(ptr, count ? count : 1, size ? size : 1);
    if (!p)
        out_of_memory(size);
    return p;
}

char *xstrdup(const char *s)
{
    char *copy = strdup(s);
    if (!copy)
        out_of_memory(strlen(s));
    return copy;
}
