/* map: an open-addressing hash table from a run of bytes to a pointer.
 *
 * Keys are borrowed: they must live, unchanged, in the value or elsewhere as long as the entry.
 * Hashes are SipHash-1-3 with a key of the map, so that peers cannot choose collisions. Not
 * thread-safe. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/attr.h"
#include "base/slice.h"

struct map_entry {
    slice key;
    void *value; /* NULL: empty or deleted */
    uint64_t hash;
};

struct map {
    struct map_entry *entries;
    size_t cap; /* power of two, or 0 */
    size_t count;
    size_t used; /* count and deleted ones */
    uint64_t seed[2];
};

/* seed: 16 random bytes (env_random), or fixed ones in tests. */
void map_init(struct map *m, const uint64_t seed[2]) NONNULL(1, 2);
void map_fini(struct map *m) NONNULL(1);

/* The value or NULL. */
void *map_get(const struct map *m, slice key) NONNULL(1);
/* A look-up in steps, for maps far larger than a processor's caches: ask the memory for what it
 * will touch, without waiting for it (first the key's place, then so many bytes of what is
 * there), for several keys at once; then look them up. */
uint64_t map_hash(const struct map *m, slice key) NONNULL(1);
void map_fetch_place(const struct map *m, uint64_t hash) NONNULL(1);
void map_fetch_value(const struct map *m, uint64_t hash, size_t len) NONNULL(1);
void *map_get_hashed(const struct map *m, slice key, uint64_t hash) NONNULL(1);
/* Sets the value (not NULL) and returns the one that it replaces, or NULL. The entry's key is
 * then the new one. */
void *map_put(struct map *m, slice key, void *value) NONNULL(1, 3);
/* Removes and returns the value, or NULL. */
void *map_remove(struct map *m, slice key) NONNULL(1);

/* Walks all entries in no order: start with *at = 0; false at the end. Nothing may be added
 * meanwhile; removing the entry just returned is allowed. */
bool map_next(const struct map *m, size_t *at, slice *key, void **value) NONNULL(1, 2);

/* A fixed-size value as a key. The variable must live as long as the entry. */
#define MAP_KEY(lvalue) slice_make(&(lvalue), sizeof(lvalue))

/* The hash of the map (SipHash-1-3), for others that need one which peers cannot foresee. */
uint64_t siphash13(const uint64_t seed[2], slice data) NONNULL(1);

#endif
