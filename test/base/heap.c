#include "../check.h"

#include "base/heap.h"

enum { NODES = 200 };

static void is_empty_at_first(void **state)
{
    (void)state;
    struct heap h = {0};
    struct heap_node n = {0};
    assert_null(heap_peek(&h));
    heap_remove(&h, &n);
    assert_false(heap_has(&n));
    heap_fini(&h);
}

/* The smallest key of those that are in, found the slow way. */
static int64_t smallest(const struct heap_node *nodes)
{
    int64_t key = INT64_MAX;
    for (int i = 0; i < NODES; i++)
        if (heap_has(&nodes[i]) && nodes[i].key < key)
            key = nodes[i].key;
    return key;
}

/* No node is below one with a larger key, and each knows its place. */
static void check_order(const struct heap *h)
{
    for (uint32_t i = 0; i < h->count; i++) {
        assert_int_equal(h->nodes[i]->index, i + 1);
        assert_true(h->nodes[(i ? i - 1 : 0) / 2]->key <= h->nodes[i]->key);
    }
}

static void gives_the_smallest_over_random_steps(void **state)
{
    (void)state;
    struct heap h = {0};
    struct heap_node nodes[NODES] = {0};
    uint64_t random = 7;
    uint32_t count = 0;
    for (int step = 0; step < 20000; step++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        struct heap_node *n = &nodes[(random >> 33) % NODES];
        if (random >> 60 < 10) {
            count += !heap_has(n);
            heap_set(&h, n, (int64_t)(random >> 20 & 0xff) - 128);
        } else {
            count -= heap_has(n);
            heap_remove(&h, n);
            assert_false(heap_has(n));
        }
        assert_int_equal(h.count, count);
        check_order(&h);
        if (count)
            assert_int_equal(heap_peek(&h)->key, smallest(nodes));
        else
            assert_null(heap_peek(&h));
    }
    heap_fini(&h);
}

static void sorts(void **state)
{
    (void)state;
    struct heap h = {0};
    struct heap_node nodes[NODES] = {0};
    for (int i = 0; i < NODES; i++)
        heap_set(&h, &nodes[i], i * 7919 % NODES);
    for (int i = 0; i < NODES; i++) {
        struct heap_node *n = heap_peek(&h);
        assert_int_equal(n->key, i);
        heap_remove(&h, n);
    }
    assert_null(heap_peek(&h));
    heap_fini(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_empty_at_first),
        cmocka_unit_test(gives_the_smallest_over_random_steps),
        cmocka_unit_test(sorts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
