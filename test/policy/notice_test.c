/* The mails that tell people of locks: in their language, whole, and nothing of others in a
 * header. */
#include "policy/notice.h"

#include "../check.h"
#include "base/arena.h"
#include "zones.h"

static const stamp at = 20000 * SPAN_DAY + 12 * SPAN_HOUR; /* 2024-10-04 12:00 UTC */

static struct zone central;

static struct notice a_lock(void)
{
    central = zone_of(SLICE(RULE_OSLO));
    struct notice n = {
        .kind = NOTICE_LOCKED,
        .reader = NOTICE_TO_ACCOUNT,
        .zone = &central,
        .from = SLICE("postmaster@h.test"),
        .to = SLICE("anna@y.test"),
        .host = SLICE("h.test"),
        .name = SLICE("anna@x.test"),
        .at = at,
        .until = STAMP_NEVER,
        .has_rule = true,
        .rule = {.scope = RULE_ACCOUNT,
                 .unit = RULE_MESSAGES,
                 .max = 500,
                 .window = 30 * SPAN_MINUTE,
                 .action = RULE_LOCK},
        .used = 501,
        .max = 500,
        .id = SLICE("0000000000009"),
        .details = SLICE("The evidence.\n"),
    };
    return n;
}

static slice compose(struct arena *a, const struct notice *n)
{
    struct buf out = BUF_INIT;
    notice_compose(&out, n);
    assert_int_equal(0, out.error);
    slice text = arena_dup(a, buf_slice(&out));
    buf_fini(&out);
    return text;
}

static void assert_has(slice text, const char *part)
{
    if (slice_search(text, slice_of(part)) < 0)
        fail_msg("\"%s\" is not in\n%.*s", part, SLICE_ARG(text));
}

static void assert_lacks(slice text, const char *part)
{
    if (slice_search(text, slice_of(part)) >= 0)
        fail_msg("\"%s\" is in\n%.*s", part, SLICE_ARG(text));
}

static void english_stands_alone(void **state)
{
    struct arena a = ARENA_INIT;
    struct notice n = a_lock();
    (void)state;
    slice text = compose(&a, &n);
    assert_true(slice_starts(
        text, SLICE("From: <postmaster@h.test>\r\nTo: <anna@y.test>\r\n"
                    "Subject: Sending is locked: anna@x.test\r\n"
                    "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
                    "Content-Type: text/plain; charset=utf-8\r\n"
                    "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
                    "Sending mail has been locked.\r\n\r\nAccount: anna@x.test\r\n"
                    "Since: 2024-10-04 14:00:00 CEST\r\nUntil: somebody lifts it\r\n"
                    "Why: 501 messages in 30 minutes, and at most 500 are allowed\r\n"
                    "Lock: 0000000000009\r\n")));
    assert_has(text, "If you have not sent this mail yourself");
    assert_lacks(text, "English");
    assert_lacks(text, "The evidence");
    assert_has(text, "\r\n--=20\r\nh.test\r\n");
    arena_fini(&a);
}

static void other_languages_have_english_below(void **state)
{
    static const struct {
        enum wording_language language;
        const char *why;
    } rows[] = {
        {WORDING_SV, "Varf=C3=B6r: 501 meddelanden p=C3=A5 30 minuter, och h=C3=B6gst 500"},
        {WORDING_NB, "Hvorfor: 501 meldinger p=C3=A5 30 minutter, og h=C3=B8yst 500"},
        {WORDING_DE, "Grund: 501 Nachrichten in 30 Minuten, und h=C3=B6chstens 500"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arena a = ARENA_INIT;
        struct notice n = a_lock();
        n.language = rows[i].language;
        slice text = compose(&a, &n);
        assert_has(text, rows[i].why);
        assert_has(text, "-------- English --------\r\n\r\nSending mail has been locked.");
        assert_has(text, "Subject: ");
        arena_fini(&a);
    }
}

/* Every text of every language is there, with every reader and unit; all of it is ASCII in
 * short lines that end as they must. */
static void all_of_them_are_whole(void **state)
{
    (void)state;
    for (int language = 0; language < WORDING_LANGUAGES; language++) {
        for (int kind = NOTICE_LOCKED; kind < NOTICE_KINDS; kind++) {
            for (int unit = 0; unit < RULE_UNIT_COUNT; unit++) {
                struct arena a = ARENA_INIT;
                struct notice n = a_lock();
                n.language = (enum wording_language)language;
                n.kind = (enum notice_kind)kind;
                n.reader = (enum notice_reader)(1 + unit % 3);
                n.rule.unit = (enum rule_unit)unit;
                n.rule.window = unit % 2 ? RULE_PERIOD : 7 * SPAN_DAY;
                n.is_customer = unit % 2;
                slice rest = compose(&a, &n);
                assert_lacks(rest, "{}");
                assert_lacks(rest, "(null)");
                slice line;
                while (slice_split(&rest, '\n', &line)) {
                    assert_true(slice_ends(line, SLICE("\r")) && line.len <= 77);
                    for (size_t i = 0; i + 1 < line.len; i++)
                        assert_true(line.ptr[i] >= ' ' && line.ptr[i] <= '~');
                }
                arena_fini(&a);
            }
        }
    }
}

static void nothing_of_others_is_a_line(void **state)
{
    struct arena a = ARENA_INIT;
    struct notice n = a_lock();
    (void)state;
    n.name = SLICE("x\r\nBcc: evil@e.test\r\n\r\nboo");
    n.has_rule = false;
    n.reason = SLICE("why\r\n.\r\n\x1b[2J\xff");
    slice text = compose(&a, &n);
    assert_lacks(text, "\nBcc:");
    assert_lacks(text, "\n.\r");
    assert_has(text, "Why: why??.???[2J?\r\n");
    arena_fini(&a);
}

static void readers_get_what_is_theirs(void **state)
{
    struct arena a = ARENA_INIT;
    struct notice n = a_lock();
    (void)state;
    n.reader = NOTICE_TO_OPERATOR;
    n.customer = SLICE("Blue Web AB");
    slice text = compose(&a, &n);
    assert_has(text, "\r\n--------\r\n\r\nThe evidence.\r\n");
    assert_has(text, "Customer: Blue Web AB\r\n");
    assert_lacks(text, "If you have not sent");
    n.reader = NOTICE_TO_CUSTOMER;
    n.is_customer = true;
    n.name = SLICE("Blue Web AB");
    n.customer = (slice){0};
    n.until = at + SPAN_DAY;
    text = compose(&a, &n);
    assert_has(text, "All accounts of: Blue Web AB\r\n");
    assert_has(text, "Until: 2024-10-05 14:00:00 CEST\r\n");
    assert_lacks(text, "The evidence");
    arena_fini(&a);
}

static void ends_and_reasons_are_told(void **state)
{
    struct arena a = ARENA_INIT;
    struct notice n = a_lock();
    (void)state;
    n.has_rule = false;
    n.reason = SLICE("hijacked");
    assert_has(compose(&a, &n), "Why: hijacked\r\n");
    n.kind = NOTICE_UNLOCKED;
    assert_has(compose(&a, &n), "Why: it was lifted\r\n");
    n.is_in_time = true;
    assert_has(compose(&a, &n), "Why: the time of the lock was over\r\n");
    n = a_lock();
    n.kind = NOTICE_SUSPENDED;
    n.rule.unit = RULE_BYTES;
    n.rule.window = RULE_PERIOD;
    n.used = 500040000;
    n.max = 500000000;
    assert_has(compose(&a, &n),
               "Why: 500.0 MB of mail in the period of the plan, and at most 500.0 MB ");
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(english_stands_alone),
        cmocka_unit_test(other_languages_have_english_below),
        cmocka_unit_test(all_of_them_are_whole),
        cmocka_unit_test(nothing_of_others_is_a_line),
        cmocka_unit_test(readers_get_what_is_theirs),
        cmocka_unit_test(ends_and_reasons_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
