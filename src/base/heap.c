#include "base/heap.h"

#include "base/arena.h"

#include <stdlib.h>

void heap_fini(struct heap *h)
{
    free(h->nodes);
    *h = (struct heap){0};
}

static void place(struct heap *h, uint32_t at, struct heap_node *n)
{
    h->nodes[at] = n;
    n->index = at + 1;
}

static void sift_up(struct heap *h, uint32_t at, struct heap_node *n)
{
    while (at > 0) {
        uint32_t parent = (at - 1) / 2;
        if (h->nodes[parent]->key <= n->key)
            break;
        place(h, at, h->nodes[parent]);
        at = parent;
    }
    place(h, at, n);
}

static void sift_down(struct heap *h, uint32_t at, struct heap_node *n)
{
    for (;;) {
        uint32_t child = at * 2 + 1;
        if (child >= h->count)
            break;
        if (child + 1 < h->count && h->nodes[child + 1]->key < h->nodes[child]->key)
            child++;
        if (n->key <= h->nodes[child]->key)
            break;
        place(h, at, h->nodes[child]);
        at = child;
    }
    place(h, at, n);
}

void heap_set(struct heap *h, struct heap_node *n, int64_t key)
{
    if (n->index != 0) {
        int64_t old = n->key;
        n->key = key;
        if (key < old)
            sift_up(h, n->index - 1, n);
        else
            sift_down(h, n->index - 1, n);
        return;
    }
    if (h->count == h->cap) {
        h->cap = h->cap ? h->cap * 2 : 16;
        h->nodes = xrealloc(h->nodes, h->cap, sizeof(struct heap_node *));
    }
    n->key = key;
    h->count++;
    sift_up(h, h->count - 1, n);
}

void heap_remove(struct heap *h, struct heap_node *n)
{
    if (n->index == 0)
        return;
    uint32_t at = n->index - 1;
    n->index = 0;
    struct heap_node *last = h->nodes[--h->count];
    if (last == n)
        return;
    if (at > 0 && last->key < h->nodes[(at - 1) / 2]->key)
        sift_up(h, at, last);
    else
        sift_down(h, at, last);
}

struct heap_node *heap_peek(const struct heap *h)
{
    return h->count ? h->nodes[0] : NULL;
}
