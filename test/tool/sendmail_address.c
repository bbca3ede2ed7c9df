#include "../check.h"

#include "tool/sendmail_address.h"

/* want: the addresses, separated by '|'; each with "+" before it when it was bare. */
static const struct {
    const char *list;
    const char *want; /* NULL: refused */
    const char *bad;
} rows[] = {
    {"", "", 0},
    {"  \t", "", 0},
    {"bo@example.net", "bo@example.net", 0},
    {" bo@example.net , cy@example.net ", "bo@example.net|cy@example.net", 0},
    {"bo@example.net,,cy@example.net,", "bo@example.net|cy@example.net", 0},
    {"bo@example.net; cy@example.net;", "bo@example.net|cy@example.net", 0},
    {"bo@example.net,\r\n\tcy@example.net", "bo@example.net|cy@example.net", 0},
    {"Bo <bo@example.net>", "bo@example.net", 0},
    {"<bo@example.net>", "bo@example.net", 0},
    {"Bo B. Bo <bo@example.net>, cy@example.net", "bo@example.net|cy@example.net", 0},
    {"\"Bo, the <first>\" <bo@example.net>", "bo@example.net", 0},
    {"\"a \\\" , b\" <bo@example.net>", "bo@example.net", 0},
    {"=?utf-8?q?B=C3=B6?= <bo@example.net>", "bo@example.net", 0},
    {"bo@example.net (Bo, \"the\" <first>)", "bo@example.net", 0},
    {"(a (nested \\) one)) bo@example.net", "bo@example.net", 0},
    {"bo@example.net <cy@example.net>", "cy@example.net", 0},
    {"Bo @ Work <bo@example.net>", "bo@example.net", 0},
    {"bo @ example . net", "bo@example.net", 0},
    {"bo(comment)@(another)example.net", "bo@example.net", 0},
    {"\"b o\"@example.net", "\"b o\"@example.net", 0},
    {"\"b@o\"@example.net", "\"b@o\"@example.net", 0},
    {"bo@[192.0.2.1]", "bo@[192.0.2.1]", 0},
    {"bo@[IPv6:2001:db8::1]", "bo@[IPv6:2001:db8::1]", 0},
    {"<@a.example,@b.example:bo@example.net>", "bo@example.net", 0},
    {"undisclosed-recipients:;", "", 0},
    {"Undisclosed recipients: ;", "", 0},
    {"Friends: bo@example.net, Cy <cy@example.net>;, di@example.net",
     "bo@example.net|cy@example.net|di@example.net", 0},
    {"b\xc3\xb6@example.net", "b\xc3\xb6@example.net", 0},
    {"root", "+root@host.example", 0},
    {"root, bo@example.net, www-data",
     "+root@host.example|bo@example.net|+www-data@host.example", 0},
    {"root (Cron Daemon)", "+root@host.example", 0},
    {"Cron Daemon <root>", "+root@host.example", 0},
    {"\"the root\"", "+\"the root\"@host.example", 0},

    {"John Smith", NULL, "John Smith"},
    {"bo@example.net cy@example.net", NULL, "bo@example.net cy@example.net"},
    {"ok@example.net, Bo bo@example.net , x", NULL, "Bo bo@example.net"},
    {"bo@", NULL, "bo@"},
    {"@example.net", NULL, "@example.net"},
    {"bo@@example.net", NULL, "bo@@example.net"},
    {"bo@exa mple.net", NULL, "bo@exa mple.net"},
    {"bo@-example.net", NULL, "bo@-example.net"},
    {"<>", NULL, "<>"},
    {"Bo <>", NULL, "Bo <>"},
    {"<bo@example.net", NULL, "<bo@example.net"},
    {"bo@example.net>", NULL, "bo@example.net>"},
    {"<<bo@example.net>>", NULL, "<<bo@example.net>>"},
    {"<bo@example.net> <cy@example.net>", NULL, "<bo@example.net> <cy@example.net>"},
    {"<bo@example.net> x", NULL, "<bo@example.net> x"},
    {"<bo@example.net;cy@example.net>", NULL, "<bo@example.net;cy@example.net>"},
    {"<bo@example.net,cy@example.net>", NULL, "<bo@example.net"},
    {"bo@example.net:cy@example.net", NULL, "bo@example.net:cy@example.net"},
    {":bo@example.net", NULL, ":bo@example.net"},
    {"<x:bo@example.net>", NULL, "<x:bo@example.net>"},
    {"\"bo@example.net", NULL, "\"bo@example.net"},
    {"(bo@example.net", NULL, "(bo@example.net"},
    {"bo@[192.0.2.1", NULL, "bo@[192.0.2.1"},
    {"bo\x01@example.net", NULL, "bo\x01@example.net"},
    {"bo\\@example.net", NULL, "bo\\@example.net"},
    {"\xff@example.net", NULL, "\xff@example.net"},
};

static slice joined(struct arena *a, const struct sendmail_mailbox *boxes, size_t count)
{
    slice all = {"", 0};
    for (size_t i = 0; i < count; i++)
        all = arena_printf(a, "%.*s%s%s%.*s", SLICE_ARG(all), i > 0 ? "|" : "",
                           boxes[i].is_bare ? "+" : "", SLICE_ARG(boxes[i].address));
    return all;
}

static void reads_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const char *name = rows[i].list;
        struct arena a = ARENA_INIT;
        struct sendmail_mailbox *boxes = NULL;
        size_t count = 99;
        slice bad = {0};
        bool is_good =
            sendmail_addresses(&a, slice_of(name), SLICE("host.example"), &boxes, &count, &bad);
        check_int(name, is_good, rows[i].want != NULL);
        if (is_good)
            check_slice(name, joined(&a, boxes, count), slice_of(rows[i].want));
        else
            check_slice(name, bad, slice_of(rows[i].bad));
        if (!is_good)
            check_int(name, (long long)count, 99);
        arena_fini(&a);
    }
}

static void says_where_a_domain_is_missing(void **state)
{
    (void)state;
    static const slice list = SLICE_INIT("Cron <root> (x), \"a b\" , bo@example.net");
    struct arena a = ARENA_INIT;
    struct sendmail_mailbox *boxes;
    size_t count;
    slice bad;
    assert_true(sendmail_addresses(&a, list, SLICE("host.example"), &boxes, &count, &bad));
    assert_int_equal(count, 3);
    check_slice("first", slice_to(list, boxes[0].end), SLICE("Cron <root"));
    check_slice("second", slice_to(list, boxes[1].end), SLICE("Cron <root> (x), \"a b\""));
    arena_fini(&a);
}

static void refuses_nul(void **state)
{
    (void)state;
    struct arena a = ARENA_INIT;
    struct sendmail_mailbox *boxes;
    size_t count;
    slice bad;
    assert_false(sendmail_addresses(&a, SLICE("bo@example.net\0"), SLICE("host.example"),
                                    &boxes, &count, &bad));
    arena_fini(&a);
}

/* Every cut of every row: nothing is read beyond the end. */
static void reads_every_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t len = strlen(rows[i].list);
        for (size_t n = 0; n <= len; n++) {
            struct arena a = ARENA_INIT;
            struct sendmail_mailbox *boxes;
            size_t count;
            slice bad = {0};
            char *copy = malloc(n + 1);
            assert_non_null(copy);
            memcpy(copy, rows[i].list, n);
            slice list = {copy, n};
            if (!sendmail_addresses(&a, list, SLICE("host.example"), &boxes, &count, &bad))
                CHECK(rows[i].list, bad.ptr >= copy && bad.ptr + bad.len <= copy + n);
            free(copy);
            arena_fini(&a);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_rows),
        cmocka_unit_test(says_where_a_domain_is_missing),
        cmocka_unit_test(refuses_nul),
        cmocka_unit_test(reads_every_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
