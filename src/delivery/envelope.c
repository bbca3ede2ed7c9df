#include "delivery/envelope.h"

#include "base/arena.h"
#include "codec/path.h"

#include <stdlib.h>

void envelope_open(struct envelope *e, const struct courier *c, const struct parcel *p)
{
    *e = (struct envelope){0};
    letter_init(&e->letter, c->env, c->store);
    e->is_open = queue_is_living(c->queue, p->facts.id) &&
                 letter_open_envelope(&e->letter, &p->facts) == 0;
    e->rest = e->letter.fields;
}

void envelope_fini(struct envelope *e)
{
    letter_fini(&e->letter);
}

slice envelope_address(struct envelope *e, const struct recipient *r)
{
    struct record_field f;
    if (r->trouble && trouble_facts(r->trouble).len > 0)
        return record_get(trouble_facts(r->trouble), TAG_RECIPIENT);
    while (e->is_open && record_next(&e->rest, &f) > 0)
        if (f.tag == TAG_RECIPIENT && e->index++ == r->index)
            return f.value;
    return (slice){0};
}

bool envelope_is_at(struct arena *a, slice address, slice domain)
{
    ptrdiff_t at = slice_rfind(address, '@');
    return at >= 0 && slice_eq(path_domain(a, slice_from(address, (size_t)at + 1)), domain);
}

static int by_index(const void *a, const void *b)
{
    uint32_t x = ((const struct envelope_entry *)a)->recipient->index;
    uint32_t y = ((const struct envelope_entry *)b)->recipient->index;
    return x < y ? -1 : x > y;
}

struct envelope_entry *envelope_entries(struct parcel *p, size_t *count)
{
    size_t most = 0, n = 0;
    for (const struct parcel *also = p; also; also = queue_also(also))
        most += also->living + also->failed;
    struct envelope_entry *entries = xcalloc(most, sizeof(*entries));
    for (struct parcel *also = p; also; also = queue_also(also))
        for (uint32_t i = 0; i < also->count; i++)
            if (also->recipients[i].state != RECIPIENT_GONE)
                entries[n++] = (struct envelope_entry){also, &also->recipients[i]};
    INVARIANT(n == most);
    qsort(entries, n, sizeof(*entries), by_index);
    *count = n;
    return entries;
}
