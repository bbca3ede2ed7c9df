/* heap: a binary min-heap of intrusive nodes ordered by a 64-bit key (a due time, say). Nodes
 * belong to the caller. Not thread-safe. */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include "base/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {
    int64_t key;
    uint32_t index; /* position + 1; 0 when in no heap */
};

struct heap {
    struct heap_node **nodes;
    uint32_t count;
    uint32_t cap;
};

/* Its array; the nodes are the caller's. */
void heap_fini(struct heap *h) NONNULL(1);
/* Inserts, or moves a node that is already in this heap to its new key. */
void heap_set(struct heap *h, struct heap_node *n, int64_t key) NONNULL(1, 2);
/* Harmless when the node is in no heap. */
void heap_remove(struct heap *h, struct heap_node *n) NONNULL(1, 2);
/* The node with the smallest key, left in place, or NULL. */
struct heap_node *heap_peek(const struct heap *h) NONNULL(1);

static inline bool heap_has(const struct heap_node *n)
{
    return n->index != 0;
}

#endif
