/* queue_command: what control writes is what delivery reads. */
#include "model/queue_command.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint64_t two[] = {17, 18};

static const struct {
    const char *name;
    struct queue_command command;
    int result;
    bool is_standing;
} rows[] = {
    {"ids", {.verb = QUEUE_HOLD, .ids = two, .id_count = 2}, 0, false},
    {"account", {.verb = QUEUE_HOLD, .account = 3}, 0, true},
    {"customer", {.verb = QUEUE_RELEASE, .customer = 4}, 0, true},
    {"domain", {.verb = QUEUE_RETRY, .domain = SLICE_INIT("y.test")}, 0, true},
    {"domain of an account",
     {.verb = QUEUE_HOLD, .account = 3, .domain = SLICE_INIT("y.test")},
     0,
     false},
    {"age", {.verb = QUEUE_REMOVE, .before = 5 * SPAN_DAY}, 0, false},
    {"old ones of an account",
     {.verb = QUEUE_HOLD, .account = 3, .before = 5 * SPAN_DAY},
     0,
     false},
    {"all", {.verb = QUEUE_HOLD, .is_all = true}, 0, false},
    {"nothing", {.verb = QUEUE_REMOVE}, -EBADMSG, false},
    {"thaw", {.verb = QUEUE_THAW, .account = 3, .version = 9}, 0, true},
    {"thaw without a version", {.verb = QUEUE_THAW, .account = 3}, -EBADMSG, true},
    {"purge of nobody", {.verb = QUEUE_PURGE, .version = 9}, -EBADMSG, false},
    {"purge of two",
     {.verb = QUEUE_PURGE, .account = 3, .customer = 4, .version = 9},
     -EBADMSG,
     false},
};

static void assert_same(const struct queue_command *have, const struct queue_command *want)
{
    assert_int_equal(have->verb, want->verb);
    assert_int_equal(have->token, 77);
    assert_true(slice_eq(have->by, SLICE("root")));
    assert_int_equal(have->id_count, want->id_count);
    if (want->id_count > 0)
        assert_memory_equal(have->ids, want->ids, want->id_count * sizeof(uint64_t));
    assert_int_equal(have->account, want->account);
    assert_int_equal(have->customer, want->customer);
    assert_true(slice_eq(have->domain, want->domain));
    assert_int_equal(have->before, want->before);
    assert_int_equal(have->is_all, want->is_all);
    assert_int_equal(have->version, want->version);
}

static void commands_are_read_as_they_were_written(void **state)
{
    uint64_t ids[QUEUE_COMMAND_IDS_MAX];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf fields = BUF_INIT;
        struct queue_command want = rows[i].command;
        struct queue_command have;
        want.token = 77;
        want.by = SLICE("root");
        queue_command_put(&fields, &want);
        int rc = queue_command_read(buf_slice(&fields), ids, &have);
        if (rc != rows[i].result)
            fail_msg("%s: %d", rows[i].name, rc);
        if (rc == 0)
            assert_same(&have, &want);
        if (queue_command_is_standing(&want) != rows[i].is_standing)
            fail_msg("%s: standing", rows[i].name);
        buf_fini(&fields);
    }
}

static void others_are_told_apart(void **state)
{
    uint64_t ids[QUEUE_COMMAND_IDS_MAX];
    struct queue_command have;
    struct buf fields = BUF_INIT;
    (void)state;
    record_put(&fields, TAG_VERB, SLICE("redirect"));
    assert_int_equal(queue_command_read(buf_slice(&fields), ids, &have), -ENOENT);
    buf_clear(&fields);
    record_put(&fields, TAG_VERB, SLICE("queue-mangle"));
    record_put_u64(&fields, TAG_OF_ALL, 1);
    assert_int_equal(queue_command_read(buf_slice(&fields), ids, &have), -ENOENT);
    buf_clear(&fields);
    record_put(&fields, TAG_VERB, SLICE("queue-hold"));
    for (uint64_t i = 0; i <= QUEUE_COMMAND_IDS_MAX; i++)
        record_put_u64(&fields, TAG_ID, i + 1);
    assert_int_equal(queue_command_read(buf_slice(&fields), ids, &have), -EBADMSG);
    fields.len--; /* torn */
    assert_int_equal(queue_command_read(buf_slice(&fields), ids, &have), -EBADMSG);
    buf_fini(&fields);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_are_read_as_they_were_written),
        cmocka_unit_test(others_are_told_apart),
    };
    return cmocka_run_group_tests_name("model/queue_command", tests, NULL, NULL);
}
