#include "smtpd/limits.h"

#include "../check.h"

#include <errno.h>

struct disk {
    struct env env;
    uint64_t bytes;
    uint64_t inodes;
    int err;
    unsigned asked;
};

static int free_space(struct env *e, uint64_t *bytes, uint64_t *inodes)
{
    struct disk *d = CONTAINER_OF(e, struct disk, env);
    d->asked++;
    if (d->err < 0)
        return d->err;
    *bytes = d->bytes;
    *inodes = d->inodes;
    return 0;
}

static const struct env_ops disk_ops = {.free_space = free_space};

struct fixture {
    struct disk disk;
    struct env_test clock;
    struct conf_submission conf;
    struct limits *limits;
};

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    f->disk = (struct disk){.env.ops = &disk_ops, .bytes = 1 << 30, .inodes = 1 << 20};
    env_test_init(&f->clock, &f->disk.env, 0);
    f->conf = (struct conf_submission){
        .max_sessions = 10,
        .max_sessions_address = 3,
        .max_sessions_account = 2,
        .auth_delay = SPAN_SECOND,
        .memory = 1000,
        .min_free_space = 1000,
    };
    f->limits = limits_new(&f->clock.env, &f->conf);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    limits_free(&f->limits);
    free(f);
    return 0;
}

static struct address at(const char *text)
{
    struct address a;
    assert_true(address_parse(slice_of(text), &a));
    return a;
}

static void sessions_per_address(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *address;
        enum limits_entry want;
    } rows[] = {
        {"192.0.2.1", LIMITS_OK},
        {"192.0.2.1", LIMITS_OK},
        {"192.0.2.1", LIMITS_OK},
        {"192.0.2.1", LIMITS_ADDRESS},
        {"192.0.2.2", LIMITS_OK},
        {"2001:db8:0:1::1", LIMITS_OK},
        {"2001:db8:0:1::2", LIMITS_OK},
        {"2001:db8:0:1:ffff::", LIMITS_OK},
        {"2001:db8:0:1::3", LIMITS_ADDRESS},
        {"2001:db8:0:2::1", LIMITS_OK},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct address a = at(rows[i].address);
        check_int(rows[i].address, limits_enter(f->limits, &a), rows[i].want);
    }
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct address a = at(rows[i].address);
        limits_leave(f->limits, &a, rows[i].want);
    }
    check_int("all have gone", (long long)limits_sessions(f->limits), 0);
    struct address a = at("192.0.2.1");
    check_int("and come again", limits_enter(f->limits, &a), LIMITS_OK);
    limits_leave(f->limits, &a, LIMITS_OK);
}

static void sessions_in_all(void **state)
{
    struct fixture *f = *state;
    struct address local = {0};
    for (int i = 0; i < 10; i++)
        check_int("local has no limit per address", limits_enter(f->limits, &local), LIMITS_OK);
    for (int i = 0; i < LIMITS_REFUSALS; i++)
        check_int("refused in words", limits_enter(f->limits, &local), LIMITS_TOTAL);
    check_int("flood", limits_enter(f->limits, &local), LIMITS_FLOOD);
    for (int i = 0; i < LIMITS_REFUSALS; i++)
        limits_leave(f->limits, &local, LIMITS_TOTAL);
    check_int("still full", limits_enter(f->limits, &local), LIMITS_TOTAL);
    limits_leave(f->limits, &local, LIMITS_TOTAL);
    limits_leave(f->limits, &local, LIMITS_OK);
    check_int("one has gone", limits_enter(f->limits, &local), LIMITS_OK);
    for (int i = 0; i < 10; i++)
        limits_leave(f->limits, &local, LIMITS_OK);
}

static void sessions_per_account(void **state)
{
    struct fixture *f = *state;
    assert_true(limits_account_enter(f->limits, 5));
    assert_true(limits_account_enter(f->limits, 5));
    assert_false(limits_account_enter(f->limits, 5));
    assert_true(limits_account_enter(f->limits, 6));
    limits_account_leave(f->limits, 5);
    assert_true(limits_account_enter(f->limits, 5));
    f->conf.max_sessions_account = 0;
    limits_configure(f->limits, &f->conf);
    assert_true(limits_account_enter(f->limits, 5));
    limits_account_leave(f->limits, 6);
    for (int i = 0; i < 3; i++)
        limits_account_leave(f->limits, 5);
}

static void memory_is_bounded(void **state)
{
    struct fixture *f = *state;
    assert_true(limits_memory_take(f->limits, 600));
    assert_false(limits_memory_take(f->limits, 401));
    assert_true(limits_memory_take(f->limits, 400));
    limits_memory_give(f->limits, 600);
    check_int("used", (long long)limits_memory(f->limits), 400);
    assert_true(limits_memory_take(f->limits, 600));
}

static void space_is_asked_for_once_per_second(void **state)
{
    struct fixture *f = *state;
    assert_true(limits_has_space(f->limits));
    f->disk.bytes = 999;
    assert_true(limits_has_space(f->limits));
    check_int("asked", f->disk.asked, 1);
    static const struct {
        const char *name;
        uint64_t bytes;
        uint64_t inodes;
        int err;
        bool has;
    } rows[] = {
        {"too few bytes", 999, 1 << 20, 0, false},
        {"just enough", 1000, LIMITS_MIN_INODES, 0, true},
        {"too few inodes", 1 << 30, LIMITS_MIN_INODES - 1, 0, false},
        {"enough again", 1 << 30, 1 << 20, 0, true},
        {"the disk cannot say", 1 << 30, 1 << 20, -EIO, false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        f->disk.bytes = rows[i].bytes;
        f->disk.inodes = rows[i].inodes;
        f->disk.err = rows[i].err;
        env_test_advance(&f->clock, SPAN_SECOND);
        check_int(rows[i].name, limits_has_space(f->limits), rows[i].has);
    }
}

static void a_full_journal_refuses_mail(void **state)
{
    struct fixture *f = *state;
    _Atomic uint64_t sizes[3] = {10, 99, 0};
    limits_bound_journals(f->limits, sizes, COUNT_OF(sizes), 100);
    check_int("small ones", limits_has_space(f->limits), true);
    sizes[1] = 100; /* at once: the disk is not asked again */
    check_int("one is full", limits_has_space(f->limits), false);
    sizes[1] = 5;
    check_int("it is small again", limits_has_space(f->limits), true);
    sizes[2] = 1000;
    check_int("another is full", limits_has_space(f->limits), false);
    limits_bound_journals(f->limits, sizes, COUNT_OF(sizes), 0);
    check_int("no bound", limits_has_space(f->limits), true);
}

static void failed_sign_ins_slow_the_network(void **state)
{
    struct fixture *f = *state;
    struct address a = at("192.0.2.1");
    struct address other = at("192.0.2.2");
    static const span want[] = {1, 2, 4, 8, 16, 30, 30, 30, 30, 30};
    for (size_t i = 0; i < COUNT_OF(want); i++)
        check_int("doubles", limits_sign_in_failed(f->limits, &a), want[i] * SPAN_SECOND);
    check_int("another network", limits_sign_in_failed(f->limits, &other), SPAN_SECOND);
    env_test_advance(&f->clock, 5 * LIMITS_DECAY);
    check_int("five are forgotten", limits_sign_in_failed(f->limits, &a), 8 * SPAN_SECOND);
    env_test_advance(&f->clock, 8 * LIMITS_DECAY);
    check_int("all are forgotten", limits_sign_in_failed(f->limits, &a), SPAN_SECOND);
    struct address six = at("2001:db8::1");
    struct address same = at("2001:db8::2");
    check_int("IPv6", limits_sign_in_failed(f->limits, &six), SPAN_SECOND);
    check_int("the same /64", limits_sign_in_failed(f->limits, &same), 2 * SPAN_SECOND);
}

static void remembered_networks_are_bounded(void **state)
{
    struct fixture *f = *state;
    struct address a = at("10.0.0.0");
    for (uint32_t i = 0; i < LIMITS_FAILURES; i++) {
        a.bytes[1] = (uint8_t)(i >> 16);
        a.bytes[2] = (uint8_t)(i >> 8);
        a.bytes[3] = (uint8_t)i;
        limits_sign_in_failed(f->limits, &a);
    }
    struct address late = at("192.0.2.1");
    check_int("not remembered", limits_sign_in_failed(f->limits, &late), SPAN_SECOND);
    check_int("not remembered", limits_sign_in_failed(f->limits, &late), SPAN_SECOND);
    env_test_advance(&f->clock, LIMITS_DECAY);
    check_int("there is room", limits_sign_in_failed(f->limits, &late), SPAN_SECOND);
    check_int("remembered", limits_sign_in_failed(f->limits, &late), 2 * SPAN_SECOND);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(sessions_per_address),
        TEST(sessions_in_all),
        TEST(sessions_per_account),
        TEST(memory_is_bounded),
        TEST(space_is_asked_for_once_per_second),
        TEST(a_full_journal_refuses_mail),
        TEST(failed_sign_ins_slow_the_network),
        TEST(remembered_networks_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
