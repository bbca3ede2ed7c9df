/* directory_limits: whose rules apply to whom. */
#include "model/directory.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const uint64_t seed[2] = {1, 2};

enum { CUSTOMER = 3, ACCOUNT = 40, CREDENTIAL = 500, RULES_MOST = 4 };

struct owner {
    const char *preset;
    const char *rules[RULES_MOST];
};

/* Rules as structs: how many. */
static size_t read_rules(const char *const *lines, struct rule rules[RULES_MOST])
{
    const char *error;
    slice word;
    size_t count = 0;
    for (; count < RULES_MOST && lines[count]; count++)
        assert_true(rule_parse(slice_of(lines[count]), &rules[count], &error, &word));
    return count;
}

static slice preset_name(const struct owner *o)
{
    return o->preset ? slice_of(o->preset) : (slice){0};
}

static void put(struct directory *d, const struct owner *customer, const struct owner *account)
{
    struct rule customers[RULES_MOST], accounts[RULES_MOST];
    struct directory_customer c = {
        .id = CUSTOMER,
        .name = SLICE("c"),
        .preset = preset_name(customer),
        .rules = customers,
        .rule_count = read_rules(customer->rules, customers),
    };
    struct directory_account a = {
        .id = ACCOUNT,
        .customer = CUSTOMER,
        .login = SLICE("a"),
        .preset = preset_name(account),
        .rules = accounts,
        .rule_count = read_rules(account->rules, accounts),
    };
    uint64_t version = directory_version(d);
    struct buf fields = BUF_INIT;
    directory_put_customer(&fields, version + 1, &c);
    assert_int_equal(1, directory_apply(d, buf_slice(&fields)));
    buf_clear(&fields);
    directory_put_account(&fields, version + 2, &a);
    assert_int_equal(1, directory_apply(d, buf_slice(&fields)));
    buf_fini(&fields);
}

/* "entity rule" lines. */
static slice limits_of(const struct directory *d, uint64_t account, uint64_t credential,
                       struct arena *a)
{
    const struct limit *limits = NULL;
    struct buf text = BUF_INIT;
    size_t count = directory_limits(d, account, credential, a, &limits);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(0, limits[i].period_start);
        assert_int_equal(0, limits[i].credit);
        buf_printf(&text, "%llu ", (unsigned long long)limits[i].entity);
        rule_format(&limits[i].rule, &text);
        buf_byte(&text, '\n');
    }
    slice copy = arena_dup(a, buf_slice(&text));
    buf_fini(&text);
    return copy;
}

static const struct {
    const char *name;
    struct owner customer;
    struct owner account;
    const char *limits;
} rows[] = {
    {"nothing", {0}, {0}, ""},
    {"the account's preset",
     {0},
     {.preset = "presumed-hijack"},
     "0 message recipients 5000 defer\n"
     "40 account messages 500/30m lock\n"},
    {"the customer's preset",
     {.preset = "web-hosting"},
     {0},
     "40 account messages 25/5m defer\n"
     "40 account recipients 250/5m defer\n"
     "40 account recipients 1000/1d defer\n"
     "40 account recipients 5000/30d defer\n"
     "3 customer messages 250/1h defer\n"
     "3 customer recipients 1500/1h defer\n"},
    {"the account's preset before the customer's",
     {.preset = "relay-plan"},
     {.preset = "presumed-hijack"},
     "0 message recipients 5000 defer\n"
     "40 account messages 500/30m lock\n"},
    {"what all accounts share stays",
     {.preset = "web-hosting", .rules = {"customer messages 300/1h defer"}},
     {.preset = "presumed-hijack"},
     "0 message recipients 5000 defer\n"
     "40 account messages 500/30m lock\n"
     "3 customer recipients 1500/1h defer\n"
     "3 customer messages 300/1h defer\n"},
    {"the same preset twice counts once",
     {.preset = "presumed-hijack"},
     {.preset = "presumed-hijack"},
     "0 message recipients 5000 defer\n"
     "40 account messages 500/30m lock\n"},
    {"the account's own rule replaces the preset's",
     {.preset = "presumed-hijack"},
     {.rules = {"account messages 900/30m defer", "account messages 10/1m defer"}},
     "0 message recipients 5000 defer\n"
     "40 account messages 900/30m defer\n"
     "40 account messages 10/1m defer\n"},
    {"another unit, scope or window replaces nothing",
     {.preset = "presumed-hijack"},
     {.rules = {"account recipients 1/30m defer", "credential messages 1/30m defer",
                "account messages 1/31m defer", "message messages 1 defer"}},
     "0 message recipients 5000 defer\n"
     "40 account messages 500/30m lock\n"
     "40 account recipients 1/30m defer\n"
     "500 credential messages 1/30m defer\n"
     "40 account messages 1/31m defer\n"
     "0 message messages 1 defer\n"},
    {"the customer's own rule replaces its preset's",
     {.preset = "relay-plan", .rules = {"message recipients 70 defer"}},
     {0},
     "40 account bytes 500MB/month suspend\n"
     "0 message recipients 70 defer\n"},
    {"the customer's rule comes on top of the account's preset and rules",
     {.rules = {"account messages 600/30m lock", "account recipients 9/1h defer"}},
     {.preset = "presumed-hijack", .rules = {"account recipients 8/1h defer"}},
     "0 message recipients 5000 defer\n"
     "40 account messages 500/30m lock\n"
     "40 account recipients 8/1h defer\n"
     "40 account messages 600/30m lock\n"
     "40 account recipients 9/1h defer\n"},
    {"the customer says what all of it may send",
     {.rules = {"customer recipients 3000/1h defer"}},
     {.preset = "web-hosting"},
     "40 account messages 25/5m defer\n"
     "40 account recipients 250/5m defer\n"
     "40 account recipients 1000/1d defer\n"
     "40 account recipients 5000/30d defer\n"
     "3 customer messages 250/1h defer\n"
     "3 customer recipients 3000/1h defer\n"},
    {"names are the caller's",
     {0},
     {.rules = {"sender-domain recipients 5/1h defer", "host messages 6/1h defer"}},
     "0 sender-domain recipients 5/1h defer\n"
     "0 host messages 6/1h defer\n"},
};

static void merges(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arena a = ARENA_INIT;
        struct directory *d = directory_new(seed);
        put(d, &rows[i].customer, &rows[i].account);
        slice got = limits_of(d, ACCOUNT, CREDENTIAL, &a);
        if (!slice_eq(got, slice_of(rows[i].limits)))
            fail_msg("%s:\n%.*s", rows[i].name, SLICE_ARG(got));
        directory_free(&d);
        arena_fini(&a);
    }
}

static void survive_a_snapshot(void **state)
{
    (void)state;
    struct arena a = ARENA_INIT;
    struct buf saved = BUF_INIT;
    struct directory *d = directory_new(seed);
    put(d, &rows[4].customer, &rows[4].account);
    directory_save(d, &saved);
    struct directory *copy = directory_new(seed);
    assert_int_equal(0, directory_load(copy, buf_slice(&saved)));
    slice got = limits_of(copy, ACCOUNT, CREDENTIAL, &a);
    assert_true(slice_eq(got, slice_of(rows[4].limits)));
    directory_free(&copy);
    directory_free(&d);
    buf_fini(&saved);
    arena_fini(&a);
}

static void leave_out_who_is_not_there(void **state)
{
    (void)state;
    struct arena a = ARENA_INIT;
    struct directory *d = directory_new(seed);
    const struct owner account = {
        .rules = {"credential messages 1/30m defer", "account messages 2/30m defer"}};
    put(d, &(struct owner){0}, &account);
    slice got = limits_of(d, ACCOUNT, 0, &a);
    assert_true(slice_eq(got, SLICE("40 account messages 2/30m defer\n")));
    assert_int_equal(0, limits_of(d, ACCOUNT + 1, CREDENTIAL, &a).len);
    directory_free(&d);
    arena_fini(&a);
}

/* A limit that cannot be read must not turn into none. */
static void refuse_nonsense(void **state)
{
    (void)state;
    static const struct {
        enum directory_entity entity;
        enum record_tag tag;
        const char *value;
        int want;
    } changes[] = {
        {ENTITY_CUSTOMER, TAG_RULE, "account messages many/30m defer", -EBADMSG},
        {ENTITY_CUSTOMER, TAG_PRESET, "no-such-preset", -EBADMSG},
        {ENTITY_CUSTOMER, TAG_PRESET, "web-hosting", 1},
        {ENTITY_ACCOUNT, TAG_RULE, "", -EBADMSG},
        {ENTITY_ACCOUNT, TAG_PRESET, "", -EBADMSG},
        {ENTITY_ACCOUNT, TAG_RULE, "account messages 5/30m defer", 1},
    };
    struct directory *d = directory_new(seed);
    put(d, &(struct owner){0}, &(struct owner){0});
    for (size_t i = 0; i < COUNT_OF(changes); i++) {
        struct buf fields = BUF_INIT;
        uint64_t version = directory_version(d) + 1;
        if (changes[i].entity == ENTITY_CUSTOMER)
            directory_put_customer(&fields, version,
                                   &(struct directory_customer){.id = 7, .name = SLICE("x")});
        else
            directory_put_account(&fields, version,
                                  &(struct directory_account){
                                      .id = 7, .customer = CUSTOMER, .login = SLICE("x")});
        record_put(&fields, changes[i].tag, slice_of(changes[i].value));
        assert_int_equal(changes[i].want, directory_apply(d, buf_slice(&fields)));
        buf_fini(&fields);
    }
    directory_free(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merges),
        cmocka_unit_test(survive_a_snapshot),
        cmocka_unit_test(leave_out_who_is_not_there),
        cmocka_unit_test(refuse_nonsense),
    };
    return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
