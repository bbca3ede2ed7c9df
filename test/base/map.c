#include "../check.h"

#include "base/map.h"

static const uint64_t seed[2] = {1, 2};

/* SipHash-1-3 under the zero key, as Python 3.11 gives it for hash(b"…") with
 * PYTHONHASHSEED=0. */
static const struct {
    const char *text;
    uint64_t hash;
} vectors[] = {
    {"a", 0x407448d2b89b1813},
    {"abc", 0xc03bc3a0042630f2},
    {"abcdefgh", 0x3f7b849c0b8e35ea},
    {"abcdefghiabcdefghiabcdefghi", 0x03df0f60e8cfc8eb},
};

static void hashes(void **state)
{
    (void)state;
    static const uint64_t zero[2];
    for (size_t i = 0; i < COUNT_OF(vectors); i++)
        CHECK(vectors[i].text, siphash13(zero, slice_of(vectors[i].text)) == vectors[i].hash);
    assert_true(siphash13(seed, SLICE("a")) != siphash13(zero, SLICE("a")));
}

static void puts_gets_and_removes(void **state)
{
    (void)state;
    struct map m;
    int one = 1;
    int two = 2;
    map_init(&m, seed);
    assert_null(map_get(&m, SLICE("a")));
    assert_null(map_remove(&m, SLICE("a")));
    assert_null(map_put(&m, SLICE("a"), &one));
    assert_ptr_equal(map_put(&m, SLICE("a"), &two), &one);
    assert_ptr_equal(map_get(&m, SLICE("a")), &two);
    assert_null(map_put(&m, SLICE(""), &one));
    assert_ptr_equal(map_get(&m, SLICE("")), &one);
    assert_int_equal(m.count, 2);
    assert_ptr_equal(map_remove(&m, SLICE("a")), &two);
    assert_null(map_get(&m, SLICE("a")));
    assert_int_equal(m.count, 1);
    map_fini(&m);
    assert_null(map_get(&m, SLICE("")));
}

enum { NUMBERS = 2000 };

/* Against an array, over many random steps; deleted places do not pile up. */
static void agrees_with_an_array(void **state)
{
    (void)state;
    static uint32_t keys[NUMBERS];
    static bool there[NUMBERS];
    struct map m;
    uint64_t random = 42;
    size_t count = 0;
    map_init(&m, seed);
    for (uint32_t i = 0; i < NUMBERS; i++)
        keys[i] = i;
    for (int step = 0; step < 200000; step++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        size_t i = random >> 33 & (step % 2 ? 63 : 1023);
        bool put = random >> 62 & 1;
        void *old =
            put ? map_put(&m, MAP_KEY(keys[i]), &keys[i]) : map_remove(&m, MAP_KEY(keys[i]));
        assert_ptr_equal(old, there[i] ? &keys[i] : NULL);
        if (put != there[i])
            count = put ? count + 1 : count - 1;
        there[i] = put;
        assert_int_equal(m.count, count);
    }
    for (size_t i = 0; i < NUMBERS; i++)
        assert_ptr_equal(map_get(&m, MAP_KEY(keys[i])), there[i] ? &keys[i] : NULL);
    assert_true(m.cap <= 8192);
    map_fini(&m);
}

static void walks(void **state)
{
    (void)state;
    static uint32_t keys[100];
    bool seen[100] = {false};
    struct map m;
    map_init(&m, seed);
    size_t at = 0;
    assert_false(map_next(&m, &at, NULL, NULL));
    for (uint32_t i = 0; i < 100; i++) {
        keys[i] = i;
        map_put(&m, MAP_KEY(keys[i]), &keys[i]);
    }
    slice key;
    void *value;
    at = 0;
    while (map_next(&m, &at, &key, &value)) {
        uint32_t n = *(uint32_t *)value;
        assert_false(seen[n]);
        seen[n] = true;
        assert_ptr_equal(key.ptr, value);
        assert_ptr_equal(map_remove(&m, key), value);
    }
    for (int i = 0; i < 100; i++)
        assert_true(seen[i]);
    assert_int_equal(m.count, 0);
    map_fini(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes),
        cmocka_unit_test(puts_gets_and_removes),
        cmocka_unit_test(agrees_with_an_array),
        cmocka_unit_test(walks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
