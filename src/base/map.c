#include "base/map.h"

#include "base/arena.h"

#include <stdlib.h>

enum { SMALLEST = 16 };

/* SipHash-1-3 (Aumasson, Bernstein: "SipHash: a fast short-input PRF", with 1 and 3 rounds). */
static uint64_t rotl(uint64_t x, int by)
{
    return (x << by) | (x >> (64 - by));
}

static ALWAYS_INLINE void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotl(v[1], 13) ^ v[0];
    v[3] = rotl(v[3], 16) ^ v[2];
    v[0] = rotl(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotl(v[1], 17) ^ v[2];
    v[3] = rotl(v[3], 21) ^ v[0];
    v[2] = rotl(v[2], 32);
}

uint64_t siphash13(const uint64_t seed[2], slice data)
{
    uint64_t v[4] = {seed[0] ^ 0x736f6d6570736575u, seed[1] ^ 0x646f72616e646f6du,
                     seed[0] ^ 0x6c7967656e657261u, seed[1] ^ 0x7465646279746573u};
    size_t i = 0;
    for (; i + 8 <= data.len; i += 8) {
        uint64_t word;
        memcpy(&word, data.ptr + i, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    uint64_t last = (uint64_t)data.len << 56;
    for (int shift = 0; i < data.len; i++, shift += 8)
        last |= (uint64_t)(unsigned char)data.ptr[i] << shift;
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for (int round = 0; round < 3; round++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void map_init(struct map *m, const uint64_t seed[2])
{
    *m = (struct map){.seed = {seed[0], seed[1]}};
}

void map_fini(struct map *m)
{
    free(m->entries);
    m->entries = NULL;
    m->cap = m->count = m->used = 0;
}

/* A deleted entry keeps a key pointer that cannot be a real one, so that probing goes on. */
static const char deleted[1];

static bool is_free(const struct map_entry *e)
{
    return !e->value && e->key.ptr != deleted;
}

static struct map_entry *find(const struct map *m, slice key, uint64_t hash)
{
    if (m->cap == 0)
        return NULL;
    for (size_t i = (size_t)hash & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
        struct map_entry *e = &m->entries[i];
        if (is_free(e))
            return NULL;
        if (e->value && e->hash == hash && slice_eq(e->key, key))
            return e;
    }
}

uint64_t map_hash(const struct map *m, slice key)
{
    return siphash13(m->seed, key);
}

void map_fetch_place(const struct map *m, uint64_t hash)
{
    if (m->cap > 0)
        __builtin_prefetch(&m->entries[(size_t)hash & (m->cap - 1)]);
}

void map_fetch_value(const struct map *m, uint64_t hash, size_t len)
{
    enum { LINE = 64, PROBES = 4 };
    for (size_t probe = 0; m->cap > 0 && probe < PROBES; probe++) {
        const struct map_entry *e = &m->entries[((size_t)hash + probe) & (m->cap - 1)];
        if (is_free(e))
            return;
        if (!e->value || e->hash != hash)
            continue;
        for (size_t at = 0; at < len; at += LINE)
            __builtin_prefetch((const char *)e->value + at);
        return;
    }
}

static void insert(struct map *m, struct map_entry entry)
{
    size_t i = (size_t)entry.hash & (m->cap - 1);
    while (m->entries[i].value)
        i = (i + 1) & (m->cap - 1);
    if (is_free(&m->entries[i]))
        m->used++;
    m->entries[i] = entry;
    m->count++;
}

static void resize(struct map *m)
{
    struct map old = *m;
    size_t cap = SMALLEST;
    while (cap < (m->count + 1) * 2)
        cap *= 2;
    m->entries = xcalloc(cap, sizeof(struct map_entry));
    m->cap = cap;
    m->count = m->used = 0;
    for (size_t i = 0; i < old.cap; i++)
        if (old.entries[i].value)
            insert(m, old.entries[i]);
    free(old.entries);
}

void *map_get(const struct map *m, slice key)
{
    return map_get_hashed(m, key, map_hash(m, key));
}

void *map_get_hashed(const struct map *m, slice key, uint64_t hash)
{
    struct map_entry *e = find(m, key, hash);
    return e ? e->value : NULL;
}

void *map_put(struct map *m, slice key, void *value)
{
    uint64_t hash = siphash13(m->seed, key);
    struct map_entry *e = find(m, key, hash);
    if (e) {
        void *old = e->value;
        e->key = key;
        e->value = value;
        return old;
    }
    if ((m->used + 1) * 4 > m->cap * 3)
        resize(m);
    insert(m, (struct map_entry){key, value, hash});
    return NULL;
}

void *map_remove(struct map *m, slice key)
{
    struct map_entry *e = find(m, key, siphash13(m->seed, key));
    if (!e)
        return NULL;
    void *old = e->value;
    *e = (struct map_entry){.key = {deleted, 0}};
    m->count--;
    return old;
}

bool map_next(const struct map *m, size_t *at, slice *key, void **value)
{
    while (*at < m->cap) {
        const struct map_entry *e = &m->entries[(*at)++];
        if (!e->value)
            continue;
        if (key)
            *key = e->key;
        if (value)
            *value = e->value;
        return true;
    }
    return false;
}
