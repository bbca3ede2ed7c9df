#include "../check.h"

#include "base/list.h"

struct item {
    int number;
    struct list node;
};

static void check_order(struct list *l, const char *want)
{
    char got[32];
    size_t len = 0;
    LIST_EACH (l, node)
        got[len++] = (char)('0' + LIST_ITEM(node, struct item, node)->number);
    check_slice("order", (slice){got, len}, slice_of(want));
    /* and backwards */
    for (struct list *node = l->prev; node != l; node = node->prev)
        assert_int_equal(LIST_ITEM(node, struct item, node)->number, got[--len] - '0');
}

static void pushes_and_pops_in_order(void **state)
{
    (void)state;
    struct list l;
    struct item items[4] = {{.number = 0}, {.number = 1}, {.number = 2}, {.number = 3}};
    list_init(&l);
    assert_true(list_is_empty(&l));
    assert_null(list_pop(&l));
    for (int i = 0; i < 3; i++)
        list_push(&l, &items[i].node);
    list_insert_before(&items[1].node, &items[3].node);
    check_order(&l, "0312");
    list_remove(&items[3].node);
    list_remove(&items[3].node);
    check_order(&l, "012");
    assert_ptr_equal(list_pop(&l), &items[0].node);
    assert_true(list_is_empty(&items[0].node));
    check_order(&l, "12");
}

static void removes_while_walking(void **state)
{
    (void)state;
    struct list l;
    struct item items[5];
    list_init(&l);
    for (int i = 0; i < 5; i++) {
        items[i].number = i;
        list_push(&l, &items[i].node);
    }
    LIST_EACH (&l, node)
        if (LIST_ITEM(node, struct item, node)->number % 2 == 0)
            list_remove(node);
    check_order(&l, "13");
}

static void splices(void **state)
{
    (void)state;
    struct list to;
    struct list from;
    struct item items[4] = {{.number = 0}, {.number = 1}, {.number = 2}, {.number = 3}};
    list_init(&to);
    list_init(&from);
    list_splice(&to, &from);
    assert_true(list_is_empty(&to));
    list_push(&from, &items[0].node);
    list_push(&from, &items[1].node);
    list_splice(&to, &from);
    check_order(&to, "01");
    assert_true(list_is_empty(&from));
    list_push(&from, &items[2].node);
    list_push(&from, &items[3].node);
    list_splice(&to, &from);
    check_order(&to, "0123");
    check_order(&from, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pushes_and_pops_in_order),
        cmocka_unit_test(removes_while_walking),
        cmocka_unit_test(splices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
