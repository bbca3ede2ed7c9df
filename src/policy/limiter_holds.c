#include "policy/limiter_internal.h"

#include <errno.h>
#include <stdlib.h>

/* Holds are made on one thread and end on another: memory that the limiter keeps goes round
 * without the C library having to carry it from thread to thread. */
enum { LEAST = 8, KEPT_CAP = 32, KEPT = 256 };

/* What was room for holds. */
struct limiter_spare {
    struct limiter_spare *next;
    uint32_t cap;
};

int holds_make_room(struct limiter *l, struct limiter_reservation *r, size_t count)
{
    if (r->cap - r->count >= count)
        return 0;
    struct limiter_spare *spare = l->spares;
    if (!r->holds && spare && spare->cap >= count) {
        l->spares = spare->next;
        l->spare_count--;
        r->cap = spare->cap;
        r->holds = (struct limiter_hold *)(void *)spare;
        return 0;
    }
    size_t cap = r->count + count > LEAST ? r->count + count : LEAST;
    struct limiter_hold *holds = reallocarray(r->holds, cap, sizeof(*holds));
    if (!holds)
        return -ENOMEM;
    r->holds = holds;
    r->cap = (uint32_t)cap;
    return 0;
}

void holds_give(struct limiter *l, struct limiter_reservation *r)
{
    struct limiter_spare *spare = (struct limiter_spare *)(void *)r->holds;
    if (spare && r->cap <= KEPT_CAP && l->spare_count < KEPT) {
        spare->cap = r->cap;
        spare->next = l->spares;
        l->spares = spare;
        l->spare_count++;
    } else {
        free(spare);
    }
    *r = (struct limiter_reservation){0};
}

void holds_free_spares(struct limiter *l)
{
    while (l->spares) {
        struct limiter_spare *spare = l->spares;
        l->spares = spare->next;
        free(spare);
    }
    l->spare_count = 0;
}
