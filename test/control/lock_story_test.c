/* What a support person reads about a lock. */
#include "control/lock_story.h"

#include "../check.h"

static const stamp noon = 20000 * SPAN_DAY + 12 * SPAN_HOUR;

#define HEAD_BY_RULE                                                \
    "Lock 0000000000009 of the account anna@x.test\n\n"             \
    "  Since     2024-10-04 12:00:00 UTC, for good\n"               \
    "  Ended     no, it holds\n"                                    \
    "  Locked by a rule\n"                                          \
    "  Rule      account messages 500/30m lock\n"                   \
    "            501 messages, and 500 are allowed in 30 minutes\n" \
    "  Told      Message rate exceeded\n"

#define ADVICE                                                                                 \
    "\nWhat to do\n"                                                                           \
    "  Ask whether this is the owner's own mail. If it is not, somebody has the password or a" \
    " way into\n"                                                                              \
    "  the web site: revoke the credentials named above, have it mended, and only then "       \
    "unlock.\n"

static struct ledger_lock by_rule(void)
{
    return (struct ledger_lock){
        .id = 9,
        .kind = LOCK_BY_RULE,
        .account = 7,
        .customer = 3,
        .name = SLICE("anna@x.test"),
        .since = noon,
        .until = STAMP_NEVER,
        .rule = SLICE("account messages 500/30m lock"),
        .used = 501,
        .reason = SLICE("Message rate exceeded"),
    };
}

static void assert_story(const struct ledger_lock *k, stamp now, const char *wanted)
{
    struct buf out = BUF_INIT;
    lock_story_write(&out, k, now);
    if (!slice_eq(buf_slice(&out), slice_of(wanted)))
        fail_msg("\n%.*s\nnot\n%s", SLICE_ARG(buf_slice(&out)), wanted);
    buf_fini(&out);
}

static void a_lock_by_rule_with_evidence(void **state)
{
    (void)state;
    const struct ledger_evidence evidence[] = {
        {EVIDENCE_CLIENT, SLICE("192.0.2.1"), 480, noon - SPAN_HOUR, noon},
        {EVIDENCE_CLIENT, SLICE("uid=33"), 1, noon, noon},
        {EVIDENCE_SUBJECT, SLICE("=?utf-8?q?K=C3=B6p=1B_nu?="), 500, noon - SPAN_HOUR, noon},
        {EVIDENCE_RECIPIENT, SLICE("bo@y.test"), 2, noon, noon},
    };
    struct ledger_lock k = by_rule();
    k.gathered = noon;
    k.looked_from = noon - SPAN_HOUR;
    k.messages = 481;
    k.recipients = 900;
    k.delivered = 100;
    k.failed = 300;
    k.evidence = evidence;
    k.evidence_count = COUNT_OF(evidence);
    assert_story(
        &k, noon,
        HEAD_BY_RULE
        "\nWhat was sent before, since 2024-10-04 11:00:00\n"
        "  481 messages to 900 recipients; when it was locked, 100 were delivered and 300"
        " had failed: 75 % of those whose end was known.\n"
        "\n  Came from\n"
        "    192.0.2.1: 480 messages, 2024-10-04 11:00:00 to 2024-10-04 12:00:00\n"
        "    a program on this machine, user 33: 1 message, 2024-10-04 12:00:00\n"
        "\n  Subject\n"
        "    Köp? nu: 500 messages, 2024-10-04 11:00:00 to 2024-10-04 12:00:00\n"
        "\n  To, for example\n"
        "    bo@y.test: 2 mails, 2024-10-04 12:00:00\n" ADVICE
        "  To unlock: utpost account unlock \"anna@x.test\"\n"
        "  with --release to send the mail that it has frozen, or --purge to remove it;"
        " --revoke-credentials\n  takes all its passwords and tokens away.\n");
}

static void what_is_not_known_is_said(void **state)
{
    (void)state;
    struct ledger_lock k = by_rule();
    assert_story(
        &k, noon,
        HEAD_BY_RULE
        "\nThe evidence is being gathered.\n" ADVICE
        "  To unlock: utpost account unlock \"anna@x.test\"\n"
        "  with --release to send the mail that it has frozen, or --purge to remove it;"
        " --revoke-credentials\n  takes all its passwords and tokens away.\n");
}

static void ends_are_told(void **state)
{
    static const struct {
        enum ledger_lock_kind kind;
        stamp until;
        stamp ended;
        enum ledger_lock_end end;
        const char *by;
        const char *line;
    } rows[] = {
        {LOCK_BY_RULE, STAMP_NEVER, noon + 1, LOCK_LIFTED, "token=3",
         "  Ended     2024-10-04 12:00:00, lifted by the API token 3\n"},
        {LOCK_BY_RULE, noon + SPAN_HOUR, noon + SPAN_HOUR, LOCK_ENDED_IN_TIME, "",
         "  Ended     2024-10-04 13:00:00, as its time was over\n"},
        {LOCK_BY_OPERATOR, noon + SPAN_HOUR, 0, LOCK_HOLDS, "",
         "  Ended     2024-10-04 13:00:00, as its time was over\n"},
        {LOCK_BY_OPERATOR, STAMP_NEVER, noon, LOCK_OWNER_GONE, "uid=0",
         "  Ended     2024-10-04 12:00:00, removed by the local user 0\n"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf out = BUF_INIT;
        struct ledger_lock k = by_rule();
        k.kind = rows[i].kind;
        k.until = rows[i].until;
        k.ended = rows[i].ended;
        k.end_kind = rows[i].end;
        k.ended_by = slice_of(rows[i].by);
        lock_story_write(&out, &k, noon + SPAN_DAY);
        if (slice_search(buf_slice(&out), slice_of(rows[i].line)) < 0 ||
            slice_search(buf_slice(&out), SLICE("What to do")) >= 0)
            fail_msg("row %zu: %.*s", i, SLICE_ARG(buf_slice(&out)));
        buf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lock_by_rule_with_evidence),
        cmocka_unit_test(what_is_not_known_is_said),
        cmocka_unit_test(ends_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
