/* story: common traces, and answers of `queue why`, as golden texts (story.golden beside this
 * file). With STORY_GOLDEN=FILE in the environment the texts are written there, to be read and
 * kept. */
#include "control/story.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const stamp noon = 20000 * SPAN_DAY + 12 * SPAN_HOUR;

static struct ledger_message message_of(const struct ledger_recipient *list, size_t count)
{
    return (struct ledger_message){
        .id = 0x1234567890abcdef >> 4,
        .at = noon,
        .account = 1,
        .login = SLICE("anna@shop.example"),
        .client = SLICE("192.0.2.7"),
        .helo = SLICE("laptop"),
        .protocol = SLICE("ESMTPSA"),
        .tls = SLICE("TLSv1.3 TLS_AES_256_GCM_SHA384"),
        .reverse_path = SLICE("anna@shop.example"),
        .message_id = SLICE("<1@shop.example>"),
        .octets = 10234,
        .recipient_count = count,
        .recipients = list,
        .count = count,
    };
}

static const slice mx = SLICE_INIT("mx.bo.example [198.51.100.25]:25");

static struct ledger_attempt try_of(unsigned minutes, enum outcome_kind outcome,
                                    enum relay_stage stage, uint32_t code, const char *enhanced,
                                    const char *reply)
{
    return (struct ledger_attempt){
        .number = 1,
        .at = noon + minutes * SPAN_MINUTE + SPAN_SECOND,
        .outcome = outcome,
        .stage = stage,
        .code = code,
        .enhanced = slice_of(enhanced),
        .reply = slice_of(reply),
        .remote = mx,
    };
}

static struct ledger_recipient to_bo(uint32_t state, const struct ledger_attempt *tries,
                                     size_t count)
{
    return (struct ledger_recipient){
        .address = SLICE("bo@bo.example"),
        .state = state,
        .attempts = (uint32_t)count,
        .tries = tries,
        .try_count = count,
    };
}

static void write_one(struct buf *out, const struct ledger_recipient *to, size_t count,
                      span later)
{
    struct ledger_message m = message_of(to, count);
    story_write(out, &m, noon + later);
}

static void delivered(struct buf *out)
{
    struct ledger_attempt t =
        try_of(0, OUTCOME_DELIVERED, STAGE_END, 250, "2.0.0", "2.0.0 Ok: queued as 4XYZ");
    t.tls = SLICE("TLSv1.3 TLS_AES_128_GCM_SHA256");
    struct ledger_recipient to = to_bo(OUTCOME_DELIVERED, &t, 1);
    write_one(out, &to, 1, SPAN_HOUR);
}

static void just_accepted(struct buf *out)
{
    struct ledger_recipient to = to_bo(LEDGER_QUEUED, NULL, 0);
    write_one(out, &to, 1, SPAN_SECOND);
}

static void host_is_down(struct buf *out)
{
    struct ledger_recipient to = to_bo(LEDGER_QUEUED, NULL, 0);
    to.trouble = SLICE(
        "connection refused or host unreachable (while connecting, relay [192.0.2.1]:25)");
    to.next = noon + 10 * SPAN_MINUTE;
    write_one(out, &to, 1, 3 * SPAN_MINUTE);
}

static void greylisted(struct buf *out)
{
    struct ledger_attempt t =
        try_of(0, OUTCOME_RETRY, STAGE_RCPT, 451, "4.7.1", "Greylisted, come back later");
    struct ledger_recipient to = to_bo(LEDGER_QUEUED, &t, 1);
    to.next = noon + 5 * SPAN_MINUTE;
    write_one(out, &to, 1, SPAN_MINUTE);
}

static void no_such_user(struct buf *out)
{
    struct ledger_attempt t = try_of(0, OUTCOME_FAILED, STAGE_RCPT, 550, "5.1.1",
                                     "5.1.1 <bo@bo.example>: unknown user");
    struct ledger_recipient to = to_bo(OUTCOME_FAILED, &t, 1);
    write_one(out, &to, 1, SPAN_MINUTE);
}

static void mailbox_full(struct buf *out)
{
    struct ledger_attempt t[] = {
        try_of(0, OUTCOME_RETRY, STAGE_RCPT, 452, "4.2.2", "mailbox full"),
        try_of(5, OUTCOME_RETRY, STAGE_RCPT, 452, "4.2.2", "mailbox full"),
    };
    struct ledger_recipient to = to_bo(LEDGER_QUEUED, t, 2);
    to.next = noon + 4 * SPAN_HOUR;
    write_one(out, &to, 1, 6 * SPAN_MINUTE);
}

static void refused_by_policy(struct buf *out)
{
    struct ledger_attempt t =
        try_of(0, OUTCOME_FAILED, STAGE_END, 554, "5.7.1",
               "5.7.1 Spam message rejected\nsee https://bo.example/why\x1b[31m");
    struct ledger_recipient to = to_bo(OUTCOME_FAILED, &t, 1);
    write_one(out, &to, 1, SPAN_MINUTE);
}

static void tried_for_too_long(struct buf *out)
{
    struct ledger_attempt t[12];
    for (unsigned i = 0; i < 12; i++)
        t[i] = try_of(i * 600, i == 11 ? OUTCOME_EXPIRED : OUTCOME_RETRY, STAGE_CONNECT, 0,
                      "4.4.1", "no answer in time while connecting");
    struct ledger_recipient to = to_bo(OUTCOME_EXPIRED, t, 12);
    write_one(out, &to, 1, 6 * SPAN_DAY);
}

static void three_fates(struct buf *out)
{
    struct ledger_attempt good =
        try_of(0, OUTCOME_DELIVERED, STAGE_END, 250, "2.0.0", "2.0.0 Ok");
    struct ledger_attempt bad =
        try_of(0, OUTCOME_FAILED, STAGE_RESOLVE, 0, "5.1.2", "the host does not exist");
    struct ledger_recipient to[] = {
        to_bo(OUTCOME_DELIVERED, &good, 1),
        to_bo(OUTCOME_FAILED, &bad, 1),
        to_bo(OUTCOME_REMOVED, NULL, 0),
    };
    bad.remote = (slice){0};
    to[1].address = SLICE("cy@exmaple.test");
    to[2].address = SLICE("di@bo.example");
    write_one(out, to, 3, SPAN_HOUR);
}

static void captured(struct buf *out)
{
    struct ledger_attempt t =
        try_of(0, OUTCOME_DELIVERED, STAGE_LOCAL, 0, "2.0.0", "written to the Maildir");
    t.remote = SLICE("capture");
    struct ledger_recipient to = to_bo(OUTCOME_DELIVERED, &t, 1);
    struct ledger_message m = message_of(&to, 1);
    m.client = SLICE("uid=1000");
    m.tls = m.helo = m.reverse_path = (slice){0};
    m.octets = 25 * 1024 * 1024;
    story_write(out, &m, noon);
}

static void the_sender_was_told(struct buf *out)
{
    struct ledger_attempt t[] = {
        try_of(0, OUTCOME_RETRY, STAGE_RCPT, 450, "4.2.0", "not now"),
        try_of(300, OUTCOME_FAILED, STAGE_RCPT, 550, "5.1.1", "unknown user"),
    };
    const struct ledger_report reports[] = {
        {REPORT_DELAYED, noon + 4 * SPAN_HOUR, 0x0234567890abcde0},
        {REPORT_FAILED, noon + 300 * SPAN_MINUTE + 2 * SPAN_SECOND, 0x0234567890bbcde0},
    };
    struct ledger_recipient to = to_bo(OUTCOME_FAILED, t, 2);
    to.reports = reports;
    to.report_count = 2;
    write_one(out, &to, 1, SPAN_DAY);
}

static void nobody_was_told(struct buf *out)
{
    struct ledger_attempt t =
        try_of(0, OUTCOME_FAILED, STAGE_RCPT, 550, "5.1.1", "unknown user");
    const struct ledger_report report = {REPORT_UNWANTED, noon + 2 * SPAN_SECOND, 0};
    struct ledger_recipient to = to_bo(OUTCOME_FAILED, &t, 1);
    to.reports = &report;
    to.report_count = 1;
    write_one(out, &to, 1, SPAN_HOUR);
}

static void a_notification(struct buf *out)
{
    struct ledger_attempt t =
        try_of(0, OUTCOME_FAILED, STAGE_RCPT, 550, "5.1.1", "unknown user");
    const struct ledger_report report = {REPORT_IMPOSSIBLE, noon + 2 * SPAN_SECOND, 0};
    struct ledger_recipient to = to_bo(OUTCOME_FAILED, &t, 1);
    to.reports = &report;
    to.report_count = 1;
    struct ledger_message m = message_of(&to, 1);
    struct id_source own;
    id_source_init(&own, 0, ID_DELIVERY);
    m.id = id_next(&own, noon);
    m.login = m.client = m.helo = m.tls = m.reverse_path = (slice){0};
    story_write(out, &m, noon + SPAN_HOUR);
}

/* ---- what makes it wait ---- */

static struct ledger_recipient waits(enum ledger_live live)
{
    struct ledger_recipient to = to_bo(LEDGER_QUEUED, NULL, 0);
    to.live = live;
    return to;
}

static void being_sent(struct buf *out)
{
    struct ledger_recipient to = waits(LIVE_SENDING);
    write_one(out, &to, 1, SPAN_SECOND);
}

static void paced(struct buf *out)
{
    struct ledger_recipient to = waits(LIVE_PACED);
    to.next = noon + 3 * SPAN_HOUR;
    write_one(out, &to, 1, SPAN_HOUR);
}

static void held_by_hand(struct buf *out)
{
    struct ledger_recipient to = waits(LIVE_HELD);
    write_one(out, &to, 1, SPAN_HOUR);
}

static void held_by_domain(struct buf *out)
{
    struct ledger_recipient to = waits(LIVE_HELD_DOMAIN);
    write_one(out, &to, 1, SPAN_HOUR);
}

static void left_frozen(struct buf *out)
{
    struct ledger_attempt t =
        try_of(0, OUTCOME_RETRY, STAGE_RCPT, 451, "4.7.1", "Greylisted, come back later");
    struct ledger_recipient to = to_bo(LEDGER_QUEUED, &t, 1);
    to.live = LIVE_HELD_LOCK;
    write_one(out, &to, 1, SPAN_HOUR);
}

static void locked_by_a_rule(struct buf *out)
{
    struct ledger_recipient to = waits(LIVE_STOPPED_LOCK);
    to.until = noon + SPAN_DAY;
    write_one(out, &to, 1, SPAN_HOUR);
}

static void locked_by_an_operator(struct buf *out)
{
    struct ledger_recipient to = waits(LIVE_STOPPED_OPERATOR);
    write_one(out, &to, 1, SPAN_HOUR);
}

static void customer_locked(struct buf *out)
{
    struct ledger_recipient to = waits(LIVE_STOPPED_OPERATOR);
    to.of_customer = true;
    write_one(out, &to, 1, SPAN_HOUR);
}

static void account_held(struct buf *out)
{
    struct ledger_recipient to = waits(LIVE_STOPPED_HOLD);
    write_one(out, &to, 1, SPAN_HOUR);
}

static void removed_by_root(struct buf *out)
{
    struct ledger_attempt t = try_of(9, OUTCOME_REMOVED, STAGE_LOCAL, 0, "",
                                     "removed by uid=0 when the lock was lifted");
    struct ledger_recipient to = to_bo(OUTCOME_REMOVED, &t, 1);
    write_one(out, &to, 1, SPAN_HOUR);
}

/* ---- why ---- */

static void why_one(struct buf *out, const struct ledger_recipient *to, size_t count,
                    span later)
{
    struct ledger_message m = message_of(to, count);
    story_why(out, &m, noon + later);
}

static void why_greylisted(struct buf *out)
{
    struct ledger_attempt t[] = {
        try_of(0, OUTCOME_RETRY, STAGE_RCPT, 451, "4.7.1", "Greylisted, come back later"),
        try_of(5, OUTCOME_RETRY, STAGE_RCPT, 451, "4.7.1", "Greylisted, come back later"),
    };
    struct ledger_recipient to = to_bo(LEDGER_QUEUED, t, 2);
    to.next = noon + 20 * SPAN_MINUTE;
    why_one(out, &to, 1, 6 * SPAN_MINUTE);
}

static void why_some_wait(struct buf *out)
{
    struct ledger_attempt good =
        try_of(0, OUTCOME_DELIVERED, STAGE_END, 250, "2.0.0", "2.0.0 Ok");
    struct ledger_recipient to[] = {
        to_bo(OUTCOME_DELIVERED, &good, 1),
        to_bo(OUTCOME_DELIVERED, &good, 1),
        waits(LIVE_STOPPED_LOCK),
    };
    why_one(out, to, 3, SPAN_HOUR);
}

static void why_not_any_more(struct buf *out)
{
    struct ledger_attempt good =
        try_of(0, OUTCOME_DELIVERED, STAGE_END, 250, "2.0.0", "2.0.0 Ok");
    struct ledger_recipient to = to_bo(OUTCOME_DELIVERED, &good, 1);
    why_one(out, &to, 1, SPAN_HOUR);
}

static const struct {
    const char *name;
    struct story_domain domain;
} domains[] = {
    {"a domain without mail", {.transport = SLICE_INIT("direct")}},
    {"a domain that goes well",
     {.transport = SLICE_INIT("direct"), .is_known = true, .waiting = 1200, .connections = 3}},
    {"a domain that cannot be reached",
     {.transport = SLICE_INIT("direct"),
      .is_known = true,
      .waiting = 1,
      .pause = 4 * SPAN_MINUTE,
      .failure = {.at = 20000 * SPAN_DAY,
                  .stage = STAGE_CONNECT,
                  .reply = SLICE_INIT("no answer in time while connecting"),
                  .remote = SLICE_INIT("mx.bo.example [198.51.100.25]:25")}}},
    {"a domain whose name servers are broken",
     {.transport = SLICE_INIT("direct"),
      .is_known = true,
      .waiting = 2,
      .failure = {.at = 20000 * SPAN_DAY,
                  .stage = STAGE_RESOLVE,
                  .reply = SLICE_INIT("DNS does not answer: SERVFAIL")}}},
    {"a relay that is down",
     {.transport = SLICE_INIT("smarthost"),
      .relay = SLICE_INIT("relay.example"),
      .is_known = true,
      .waiting = 17,
      .pause = 90 * SPAN_SECOND,
      .failure = {.at = 20000 * SPAN_DAY,
                  .stage = STAGE_AUTH,
                  .reply = SLICE_INIT("535 5.7.8 wrong password"),
                  .remote = SLICE_INIT("relay.example [192.0.2.1]:587")}}},
    {"a domain that is held", {.transport = SLICE_INIT("direct"), .is_domain_held = true}},
    {"everything is held", {.transport = SLICE_INIT("direct"), .is_held = true}},
    {"nothing is sent at all", {.transport = SLICE_INIT("capture")}},
};

static const struct {
    const char *name;
    void (*write)(struct buf *out);
} stories[] = {
    {"delivered", delivered},
    {"just accepted", just_accepted},
    {"the next host is down", host_is_down},
    {"greylisted", greylisted},
    {"no such user", no_such_user},
    {"mailbox full", mailbox_full},
    {"refused by policy", refused_by_policy},
    {"tried for too long", tried_for_too_long},
    {"three recipients, three fates", three_fates},
    {"captured", captured},
    {"the sender was told", the_sender_was_told},
    {"nobody was told", nobody_was_told},
    {"a notification", a_notification},
    {"being sent", being_sent},
    {"paced", paced},
    {"held by an operator", held_by_hand},
    {"its domain is held", held_by_domain},
    {"left frozen after a lock", left_frozen},
    {"locked by a rule, for a time", locked_by_a_rule},
    {"locked by an operator", locked_by_an_operator},
    {"its customer is locked", customer_locked},
    {"its account is held", account_held},
    {"removed", removed_by_root},
    {"why: greylisted", why_greylisted},
    {"why: one of three waits", why_some_wait},
    {"why: not any more", why_not_any_more},
};

static void all_stories(struct buf *out)
{
    for (size_t i = 0; i < COUNT_OF(stories); i++) {
        buf_printf(out, "=== %s\n", stories[i].name);
        stories[i].write(out);
    }
    for (size_t i = 0; i < COUNT_OF(domains); i++) {
        struct story_domain d = domains[i].domain;
        d.domain = SLICE("bo.example");
        buf_printf(out, "=== why: %s\n", domains[i].name);
        story_why_domain(out, &d, noon);
    }
}

static void stories_are_golden(void **state)
{
    struct buf have = BUF_INIT;
    struct buf want = BUF_INIT;
    const char *to = getenv("STORY_GOLDEN");
    char chunk[4096];
    size_t n;
    (void)state;
    all_stories(&have);
    FILE *f = fopen(to ? to : GOLDEN, to ? "w" : "r");
    assert_non_null(f);
    if (to)
        fwrite(have.ptr, 1, have.len, f);
    while (!to && (n = fread(chunk, 1, sizeof(chunk), f)) > 0)
        buf_append(&want, slice_make(chunk, n));
    fclose(f);
    buf_byte(&have, '\0');
    buf_byte(&want, '\0');
    if (!to)
        assert_string_equal(have.ptr, want.ptr);
    buf_fini(&have);
    buf_fini(&want);
}

static void a_block_of_our_address_is_told_from_a_refusal(void **state)
{
    (void)state;
    struct ledger_attempt waits = try_of(0, OUTCOME_RETRY, STAGE_RCPT, 554, "4.7.1", "x");
    struct ledger_attempt fails = try_of(0, OUTCOME_FAILED, STAGE_RCPT, 554, "5.7.1", "x");
    assert_non_null(strstr(story_meaning(&waits), "takes no mail from this server's network"));
    assert_non_null(strstr(story_meaning(&fails), "refuses the message by its own rules"));
}

static void every_failure_has_a_meaning(void **state)
{
    static const uint32_t codes[] = {0, 250, 421, 450, 550};
    (void)state;
    for (unsigned stage = 0; stage < STAGE_COUNT; stage++)
        for (size_t c = 0; c < COUNT_OF(codes); c++) {
            struct ledger_attempt a = {
                .stage = stage, .code = codes[c], .enhanced = SLICE("9.9.9")};
            assert_true(story_meaning(&a)[0] && story_advice(&a)[0]);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stories_are_golden),
        cmocka_unit_test(a_block_of_our_address_is_told_from_a_refusal),
        cmocka_unit_test(every_failure_has_a_meaning),
    };
    return cmocka_run_group_tests_name("control/story", tests, NULL, NULL);
}
