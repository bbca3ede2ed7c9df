/* Who may use which address. */
#include "policy/sender.h"

#include "../check.h"

static const slice domains[] = {SLICE_INIT("x.test"), SLICE_INIT("xn--bcher-kva.test")};
static const slice addresses[] = {SLICE_INIT("anna@x.test"), SLICE_INIT("Bo@Y.test")};

static const struct row {
    const char *name;
    enum sender_right right;
    slice address;
    bool may;
} rows[] = {
    {"any: an address", SENDERS_ANY, SLICE_INIT("a@b.test"), true},
    {"any: the null reverse-path", SENDERS_ANY, SLICE_INIT(""), true},

    {"domain: listed", SENDERS_DOMAINS, SLICE_INIT("a@x.test"), true},
    {"domain: in capitals", SENDERS_DOMAINS, SLICE_INIT("a@X.TEST"), true},
    {"domain: the second", SENDERS_DOMAINS, SLICE_INIT("a@xn--bcher-kva.test"), true},
    {"domain: a quoted local part", SENDERS_DOMAINS, SLICE_INIT("\"a@b\"@x.test"), true},
    {"domain: other", SENDERS_DOMAINS, SLICE_INIT("a@y.test"), false},
    {"domain: below a listed one", SENDERS_DOMAINS, SLICE_INIT("a@sub.x.test"), false},
    {"domain: with a listed one at its end", SENDERS_DOMAINS, SLICE_INIT("a@ax.test"), false},
    {"domain: with a listed one at its start", SENDERS_DOMAINS, SLICE_INIT("a@x.test.b"),
     false},
    {"domain: in the local part only", SENDERS_DOMAINS, SLICE_INIT("\"a@x.test\"@b.test"),
     false},
    {"domain: no local part", SENDERS_DOMAINS, SLICE_INIT("@x.test"), false},
    {"domain: no @", SENDERS_DOMAINS, SLICE_INIT("x.test"), false},
    {"domain: empty", SENDERS_DOMAINS, SLICE_INIT(""), false},

    {"exact: listed", SENDERS_EXACT, SLICE_INIT("anna@x.test"), true},
    {"exact: case does not matter", SENDERS_EXACT, SLICE_INIT("ANNA@X.test"), true},
    {"exact: nor in the list", SENDERS_EXACT, SLICE_INIT("bo@y.test"), true},
    {"exact: other local part", SENDERS_EXACT, SLICE_INIT("anna2@x.test"), false},
    {"exact: a part of one", SENDERS_EXACT, SLICE_INIT("nna@x.test"), false},
    {"exact: with a tag", SENDERS_EXACT, SLICE_INIT("anna+tag@x.test"), false},
    {"exact: other domain", SENDERS_EXACT, SLICE_INIT("anna@y.test"), false},
    {"exact: the null reverse-path", SENDERS_EXACT, SLICE_INIT(""), false},
};

static void test_rows(void **state UNUSED)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct row *r = &rows[i];
        bool by_domain = r->right == SENDERS_DOMAINS;
        struct account account = {
            .right = r->right,
            .senders = by_domain ? domains : addresses,
            .sender_count = 2,
        };
        check_int(r->name, sender_may_use(&account, r->address), r->may);
    }
}

static void test_nobody_listed(void **state UNUSED)
{
    for (enum sender_right right = SENDERS_DOMAINS; right <= SENDERS_EXACT; right++) {
        struct account account = {.right = right};
        assert_false(sender_may_use(&account, SLICE("a@b.test")));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows),
                                       cmocka_unit_test(test_nobody_listed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
