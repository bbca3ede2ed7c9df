#include "delivery/dane.h"

#include <stdlib.h>

struct dane *dane_new(const struct route_dane *says)
{
    if (!says)
        return NULL;
    struct dane *d = xcalloc(1, sizeof(*d));
    d->refs = 1;
    d->base = arena_cstr(&d->arena, says->base);
    d->says = (struct route_dane){.base = slice_of(d->base), .count = says->count};
    d->says.list = arena_array(&d->arena, struct dns_tlsa, says->count);
    for (size_t i = 0; i < says->count; i++) {
        d->says.list[i] = says->list[i];
        d->says.list[i].data = arena_dup(&d->arena, says->list[i].data);
    }
    return d;
}

struct dane *dane_ref(struct dane *d)
{
    if (d)
        d->refs++;
    return d;
}

void dane_unref(struct dane **at)
{
    struct dane *d = *at;
    *at = NULL;
    if (!d || --d->refs > 0)
        return;
    arena_fini(&d->arena);
    free(d);
}
