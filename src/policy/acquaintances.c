#include "policy/acquaintances.h"

#include "base/arena.h"
#include "base/map.h"

#include <errno.h>
#include <stdlib.h>

/* An entry: 48 bits of the hash, then the hour, by 16 bits; 0 is free. Open addressing, at most
 * half full. Nothing is removed one by one: what is old goes when there is no room. */
enum { HOUR_BITS = 16, SMALLEST = 1024, LARGEST = 2 * ACQUAINTANCES_MAX };

struct acquaintances {
    uint64_t seed[2];
    uint64_t *slots;
    size_t cap;
    size_t count;
};

struct acquaintances *acquaintances_new(const uint64_t seed[2])
{
    struct acquaintances *a = xcalloc(1, sizeof(*a));
    a->seed[0] = seed[0];
    a->seed[1] = seed[1];
    return a;
}

void acquaintances_free(struct acquaintances **a)
{
    if (!*a)
        return;
    free((*a)->slots);
    free(*a);
    *a = NULL;
}

static uint64_t hash(const struct acquaintances *a, uint64_t account, slice address)
{
    const uint64_t seed[2] = {a->seed[0] ^ account, a->seed[1]};
    return siphash13(seed, address) | (uint64_t)1 << HOUR_BITS; /* never 0 */
}

static uint16_t hour_of(stamp at)
{
    return (uint16_t)(at / SPAN_HOUR);
}

/* An hour that seems to lie ahead is one of a clock that was behind: young. */
static bool is_young(uint64_t entry, stamp now)
{
    uint16_t age = (uint16_t)(hour_of(now) - (uint16_t)entry);
    return age <= ACQUAINTANCES_AGE / SPAN_HOUR || age > UINT16_MAX / 2;
}

/* The entry of that hash, or the free one where it would be. */
static uint64_t *slot_of(uint64_t *slots, size_t cap, uint64_t key)
{
    size_t at = (size_t)(key >> HOUR_BITS) & (cap - 1);
    while (slots[at] != 0 && slots[at] >> HOUR_BITS != key >> HOUR_BITS)
        at = (at + 1) & (cap - 1);
    return &slots[at];
}

bool acquaintances_knows(const struct acquaintances *a, uint64_t account, slice address,
                         stamp now)
{
    if (a->cap == 0)
        return false;
    uint64_t entry = *slot_of(a->slots, a->cap, hash(a, account, address));
    return entry != 0 && is_young(entry, now);
}

/* Makes the table anew, without what is old. */
static int rebuild(struct acquaintances *a, stamp now)
{
    size_t young = 0;
    for (size_t i = 0; i < a->cap; i++)
        young += a->slots[i] != 0 && is_young(a->slots[i], now);
    size_t cap = SMALLEST;
    while (cap < LARGEST && cap < 4 * (young + 1))
        cap *= 2;
    if (young >= ACQUAINTANCES_MAX)
        return -ENOSPC;
    uint64_t *slots = calloc(cap, sizeof(*slots));
    if (!slots)
        return -ENOMEM;
    for (size_t i = 0; i < a->cap; i++) {
        if (a->slots[i] != 0 && is_young(a->slots[i], now))
            *slot_of(slots, cap, a->slots[i]) = a->slots[i];
    }
    free(a->slots);
    a->slots = slots;
    a->cap = cap;
    a->count = young;
    return 0;
}

int acquaintances_add(struct acquaintances *a, uint64_t account, slice address, stamp at)
{
    uint64_t key = hash(a, account, address);
    uint64_t *slot = a->cap ? slot_of(a->slots, a->cap, key) : NULL;
    if (!slot || (*slot == 0 && a->count >= a->cap / 2)) {
        int err = rebuild(a, at);
        if (err < 0)
            return err;
        slot = slot_of(a->slots, a->cap, key);
    }
    a->count += *slot == 0;
    *slot = (key >> HOUR_BITS << HOUR_BITS) | hour_of(at);
    return 0;
}

size_t acquaintances_count(const struct acquaintances *a)
{
    return a->count;
}

void acquaintances_save(const struct acquaintances *a, struct buf *out)
{
    uint64_t len = sizeof(a->seed) + a->count * sizeof(*a->slots);
    buf_append(out, slice_make(&len, sizeof(len)));
    buf_append(out, slice_make(a->seed, sizeof(a->seed)));
    for (size_t i = 0; i < a->cap; i++) {
        if (a->slots[i] != 0)
            buf_append(out, slice_make(&a->slots[i], sizeof(a->slots[i])));
    }
}

int acquaintances_load(struct acquaintances *a, slice *in)
{
    uint64_t len;
    struct acquaintances loaded = {0};
    if (in->len < sizeof(len))
        return -EBADMSG;
    memcpy(&len, in->ptr, sizeof(len));
    slice rest = slice_from(*in, sizeof(len));
    size_t most = sizeof(loaded.seed) + (size_t)ACQUAINTANCES_MAX * sizeof(uint64_t);
    if (len < sizeof(loaded.seed) || len > rest.len || len > most || len % 8 != 0)
        return -EBADMSG;
    memcpy(loaded.seed, rest.ptr, sizeof(loaded.seed));
    slice entries = slice_from(slice_to(rest, (size_t)len), sizeof(loaded.seed));
    loaded.cap = SMALLEST;
    while (loaded.cap < 2 * (entries.len / 8) && loaded.cap < LARGEST)
        loaded.cap *= 2;
    loaded.slots = calloc(loaded.cap, sizeof(*loaded.slots));
    if (!loaded.slots)
        return -ENOMEM;
    for (; entries.len > 0; entries = slice_from(entries, 8)) {
        uint64_t entry;
        memcpy(&entry, entries.ptr, sizeof(entry));
        uint64_t *slot = slot_of(loaded.slots, loaded.cap, entry);
        loaded.count += *slot == 0 && entry != 0;
        *slot = entry;
    }
    free(a->slots);
    *a = loaded;
    *in = slice_from(rest, (size_t)len);
    return 0;
}
