/* rule: lines that are right come back as they were; lines that are wrong name the word. */
#include "policy/rule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const struct {
    const char *line;
    struct rule rule;
    const char *canonical; /* NULL: as the line */
} good[] = {
    {"message recipients 100 defer",
     {RULE_MESSAGE, RULE_RECIPIENTS, 100, 0, false, RULE_DEFER, 0},
     NULL},
    {"account recipients 1000/24h attempts defer",
     {RULE_ACCOUNT, RULE_RECIPIENTS, 1000, SPAN_DAY, true, RULE_DEFER, 0},
     "account recipients 1000/1d attempts defer"},
    {"account messages 500/30m lock",
     {RULE_ACCOUNT, RULE_MESSAGES, 500, 30 * SPAN_MINUTE, false, RULE_LOCK, 0},
     NULL},
    {"  account\trefusals  2000/7d   lock 24h ",
     {RULE_ACCOUNT, RULE_REFUSALS, 2000, 7 * SPAN_DAY, false, RULE_LOCK, SPAN_DAY},
     "account refusals 2000/7d lock 1d"},
    {"account bytes 500MB/month suspend",
     {RULE_ACCOUNT, RULE_BYTES, 500000000, RULE_PERIOD, false, RULE_SUSPEND, 0},
     NULL},
    {"sender-domain new-recipients 0/31d notify",
     {RULE_SENDER_DOMAIN, RULE_NEW_RECIPIENTS, 0, 31 * SPAN_DAY, false, RULE_NOTIFY, 0},
     NULL},
    {"message bytes 90MB reject",
     {RULE_MESSAGE, RULE_BYTES, 90000000, 0, false, RULE_REJECT, 0},
     NULL},
    {"host messages 1/1s pace",
     {RULE_HOST, RULE_MESSAGES, 1, SPAN_SECOND, false, RULE_PACE, 0},
     NULL},
};

static const struct {
    const char *line;
    const char *word;
    const char *error; /* a part of it */
} bad[] = {
    {"", "", "scope"},
    {"everyone recipients 1/1h defer", "everyone", "scope"},
    {"account mails 1/1h defer", "mails", "unit"},
    {"account messages", "", "maximum is missing"},
    {"account messages many/1h defer", "many", "whole number"},
    {"account messages -1/1h defer", "-1", "whole number"},
    {"account messages 100 defer", "100", "window is missing"},
    {"account messages 1/0s defer", "0s", "between 1s and 31d"},
    {"account messages 1/32d defer", "32d", "between 1s and 31d"},
    {"account messages 1/1w defer", "1w", "between 1s and 31d"},
    {"account messages 1/ defer", "", "between 1s and 31d"},
    {"message recipients 100/1h defer", "1h", "no window"},
    {"account bytes 500/1h defer", "500", "size"},
    {"account bytes 99999999999999999999GB/1h defer", "99999999999999999999GB", "size"},
    {"account messages 1/1h refuse", "refuse", "action"},
    {"account messages 1/1h lock soon", "soon", "duration"},
    {"account messages 1/1h lock 1h 2h", "2h", "nothing may follow"},
    {"account messages 1/1h defer attempts", "attempts", "nothing may follow"},
    {"message recipients 10 pace", "", "pace needs a window"},
};

static void good_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        struct rule r = {0};
        const char *error;
        slice word;
        struct buf text = BUF_INIT;
        assert_true(rule_parse(slice_of(good[i].line), &r, &error, &word));
        assert_memory_equal(&r.max, &good[i].rule.max, sizeof(r.max));
        assert_true(rule_replaces(&r, &good[i].rule));
        assert_int_equal(r.attempts, good[i].rule.attempts);
        assert_int_equal(r.action, good[i].rule.action);
        assert_int_equal(r.lock_for, good[i].rule.lock_for);
        rule_format(&r, &text);
        buf_byte(&text, '\0');
        assert_string_equal(text.ptr, good[i].canonical ? good[i].canonical : good[i].line);
        struct rule again = {0};
        assert_true(rule_parse(slice_of(text.ptr), &again, &error, &word));
        assert_true(rule_replaces(&r, &again) && again.max == r.max);
        buf_fini(&text);
    }
}

static void bad_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct rule r = {.max = 77};
        const char *error = NULL;
        slice word = SLICE("?");
        if (rule_parse(slice_of(bad[i].line), &r, &error, &word))
            fail_msg("accepted: %s", bad[i].line);
        if (!slice_eq(word, slice_of(bad[i].word)) || !strstr(error, bad[i].error))
            fail_msg("%s: \"%.*s\": %s", bad[i].line, SLICE_ARG(word), error);
        assert_int_equal(r.max, 77);
    }
}

static void lines_without_effect(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const char *error; /* NULL: it has one */
    } rows[] = {
        {"account bounces 100/1d lock", NULL},
        {"customer bounces 100/1d defer", NULL},
        {"credential refusals 100/1d notify", NULL},
        {"host recipients 100/1d pace", NULL},
        {"account complaints 5/1d lock", "complaints are not counted yet"},
        {"message bounces 5 reject", "not of one message"},
        {"host bounces 5/1d lock", "for credentials, accounts and customers"},
        {"sender-domain refusals 5/1d lock", "for credentials, accounts and customers"},
        {"account bounces 5/1d pace", "not pace"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct rule r;
        const char *error;
        slice word;
        assert_true(rule_parse(slice_of(rows[i].line), &r, &error, &word));
        bool has_effect = rule_has_effect(&r, &error);
        if (has_effect != !rows[i].error || (error && !strstr(error, rows[i].error)))
            fail_msg("%s: %s", rows[i].line, error ? error : "has an effect");
    }
}

static void count_rule(void *ctx, const struct rule *r)
{
    unsigned *sum = ctx;
    *sum += (unsigned)r->max;
}

static void files(void **state)
{
    (void)state;
    unsigned sum = 0;
    const char *error;
    slice word;
    slice text =
        SLICE("# comment\r\n\r\n  account messages 1/1h defer\r\nmessage recipients 2 defer");
    assert_int_equal(rule_parse_file(text, count_rule, &sum, &error, &word), 0);
    assert_int_equal(sum, 3);
    text = SLICE("account messages 1/1h defer\n\naccount messages 1/1h never\n");
    assert_int_equal(rule_parse_file(text, count_rule, &sum, &error, &word), 3);
    assert_true(slice_eq(word, SLICE("never")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_lines),
        cmocka_unit_test(bad_lines),
        cmocka_unit_test(lines_without_effect),
        cmocka_unit_test(files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
