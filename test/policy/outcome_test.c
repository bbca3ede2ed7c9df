/* The whole table of outcomes, cell by cell, and what must hold for every cell. */
#include "policy/outcome.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* A cell: next (Continue, Address, Retry, Fail), scope (site, message, recipient), whether the
 * connection closes (!), the status. */
static const char *cell_of(struct outcome o, char text[32])
{
    snprintf(text, 32, "%c%c%c%u.%u.%u", "CARFP"[o.next], "rms"[o.scope], o.close ? '!' : '-',
             o.status.class, o.status.subject, o.status.detail);
    return text;
}

enum { REPLIES = 5, COLUMNS = REPLIES + FAULT_COUNT - 1 };
static const uint16_t reply_columns[REPLIES] = {220, 354, 421, 450, 550};

/* Columns: 2xx, 3xx, 421, 4xx, 5xx; then the faults in their order:
 * timeout, closed, refused, garbage, tls, no tls, no auth, capability, local, no host, dns. */
static const char *const grid[STAGE_COUNT][COLUMNS] = {
    [STAGE_RESOLVE] = {"Rs-4.4.3", "Rs-4.4.3", "Rs-4.4.3", "Rs-4.4.3", "Rs-4.4.3", "Rs-4.4.3",
                       "Rs-4.4.3", "Rs-4.4.3", "Rs-4.4.3", "Rs-4.4.3", "Rs-4.4.3", "Rs-4.4.3",
                       "Fm-5.6.3", "Rs!4.3.0", "Fs-5.1.2", "Rs-4.4.3"},
    [STAGE_CONNECT] = {"As!4.4.1", "As!4.4.1", "As!4.4.1", "As!4.4.1", "As!4.4.1", "As!4.4.1",
                       "As!4.4.1", "As!4.4.1", "As!4.4.1", "As!4.4.1", "As!4.4.1", "As!4.4.1",
                       "Fm-5.6.3", "Rs!4.3.0", "As!4.4.3", "As!4.4.3"},
    [STAGE_GREETING] = {"Cm-2.0.0", "As!4.5.0", "As!4.3.2", "As!4.3.2", "As!4.3.2", "As!4.4.2",
                        "As!4.4.2", "As!4.4.2", "As!4.5.0", "As!4.7.5", "As!4.7.10", "Rs!4.7.0",
                        "Fm-5.6.3", "Rs!4.3.0", "Rm!4.0.0", "Rm!4.0.0"},
    [STAGE_EHLO] = {"Cm-2.0.0", "As!4.5.0", "As!4.3.2", "As!4.3.2", "As!4.3.2", "As!4.4.2",
                    "As!4.4.2", "As!4.4.2", "As!4.5.0", "As!4.7.5", "As!4.7.10", "Rs!4.7.0",
                    "Fm-5.6.3", "Rs!4.3.0", "Rm!4.0.0", "Rm!4.0.0"},
    [STAGE_STARTTLS] = {"Cm-2.0.0", "As!4.5.0", "As!4.3.2", "As!4.7.0", "As!4.7.0", "As!4.4.2",
                        "As!4.4.2", "As!4.4.2", "As!4.5.0", "As!4.7.5", "As!4.7.10", "Rs!4.7.0",
                        "Fm-5.6.3", "Rs!4.3.0", "Rm!4.0.0", "Rm!4.0.0"},
    [STAGE_TLS] = {"As!4.5.0", "As!4.5.0", "As!4.3.2", "Rm!4.0.0", "Rm!4.0.0", "As!4.4.2",
                   "As!4.4.2", "As!4.4.2", "As!4.5.0", "As!4.7.5", "As!4.7.10", "Rs!4.7.0",
                   "Fm-5.6.3", "Rs!4.3.0", "Rm!4.0.0", "Rm!4.0.0"},
    [STAGE_AUTH] = {"Cm-2.0.0", "Cm-2.0.0", "As!4.3.2", "As!4.7.0", "Rs!4.7.8", "As!4.4.2",
                    "As!4.4.2", "As!4.4.2", "As!4.5.0", "As!4.7.5", "As!4.7.10", "Rs!4.7.0",
                    "Fm-5.6.3", "Rs!4.3.0", "Rm!4.0.0", "Rm!4.0.0"},
    [STAGE_MAIL] = {"Cm-2.0.0", "As!4.5.0", "As!4.3.2", "Rm-4.0.0", "Fm-5.0.0", "As!4.4.2",
                    "As!4.4.2", "As!4.4.2", "As!4.5.0", "As!4.4.2", "Rm!4.0.0", "Rm!4.0.0",
                    "Fm-5.6.3", "Rm!4.3.0", "Rm!4.0.0", "Rm!4.0.0"},
    [STAGE_RCPT] = {"Cr-2.1.5", "As!4.5.0", "As!4.3.2", "Rr-4.0.0", "Fr-5.0.0", "As!4.4.2",
                    "As!4.4.2", "As!4.4.2", "As!4.5.0", "As!4.4.2", "Rm!4.0.0", "Rm!4.0.0",
                    "Fm-5.6.3", "Rm!4.3.0", "Rm!4.0.0", "Rm!4.0.0"},
    [STAGE_DATA] = {"As!4.5.0", "Cm-2.0.0", "As!4.3.2", "Rm-4.0.0", "Fm-5.0.0", "As!4.4.2",
                    "As!4.4.2", "As!4.4.2", "As!4.5.0", "As!4.4.2", "Rm!4.0.0", "Rm!4.0.0",
                    "Fm-5.6.3", "Rm!4.3.0", "Rm!4.0.0", "Rm!4.0.0"},
    [STAGE_BODY] = {"Rm!4.5.0", "Rm!4.5.0", "Rm!4.3.2", "Rm!4.0.0", "Fm!5.0.0", "Rm!4.4.2",
                    "Rm!4.4.2", "Rm!4.4.2", "Rm!4.5.0", "Rm!4.4.2", "Rm!4.0.0", "Rm!4.0.0",
                    "Fm-5.6.3", "Rm!4.3.0", "Rm!4.0.0", "Rm!4.0.0"},
    [STAGE_END] = {"Cm-2.0.0", "Rm!4.5.0", "Rm!4.3.2", "Rm-4.0.0", "Fm-5.0.0", "Rm!4.4.2",
                   "Rm!4.4.2", "Rm!4.4.2", "Rm!4.5.0", "Rm!4.4.2", "Rm!4.0.0", "Rm!4.0.0",
                   "Fm-5.6.3", "Rm!4.3.0", "Rm!4.0.0", "Rm!4.0.0"},
    [STAGE_LOCAL] = {"Rm-4.0.0", "Rm-4.0.0", "Rm-4.0.0", "Rm-4.0.0", "Rm-4.0.0", "Rm-4.0.0",
                     "Rm-4.0.0", "Rm-4.0.0", "Rm-4.0.0", "Rm-4.0.0", "Rm-4.0.0", "Rm-4.0.0",
                     "Fm-5.6.3", "Rm-4.3.0", "Rm-4.0.0", "Rm-4.0.0"},
};

static void whole_table(void **state)
{
    (void)state;
    unsigned wrong = 0;
    for (unsigned stage = 0; stage < STAGE_COUNT; stage++)
        for (unsigned column = 0; column < COLUMNS; column++) {
            struct reply reply = {.code = column < REPLIES ? reply_columns[column] : 0};
            enum relay_fault fault = column < REPLIES ? FAULT_NONE : column - REPLIES + 1;
            char text[32];
            cell_of(outcome_of(stage, column < REPLIES ? &reply : NULL, fault), text);
            if (strcmp(text, grid[stage][column]) != 0) {
                print_error("%s, column %u: %s, not %s\n", stage_name(stage), column, text,
                            grid[stage][column]);
                wrong++;
            }
        }
    assert_int_equal(wrong, 0);
}

/* Replies that are more than their class: the readings, and whose status is reported. */
static const struct {
    const char *name;
    enum relay_stage stage;
    struct reply reply;
    const char *cell;
} replies[] = {
    {"554 greeting", STAGE_GREETING, {554, {5, 7, 1}}, "As!4.7.1"},
    {"521 greeting", STAGE_GREETING, {521, {0}}, "As!4.3.2"},
    {"EHLO refused by policy", STAGE_EHLO, {550, {5, 7, 1}}, "As!4.7.1"},
    {"TLS not now", STAGE_STARTTLS, {454, {4, 7, 0}}, "As!4.7.0"},
    {"wrong credential", STAGE_AUTH, {535, {5, 7, 8}}, "Rs!4.7.8"},
    {"mechanism too weak", STAGE_AUTH, {534, {5, 7, 9}}, "Rs!4.7.9"},
    {"authentication not now", STAGE_AUTH, {454, {4, 7, 0}}, "As!4.7.0"},
    {"MAIL without AUTH", STAGE_MAIL, {530, {5, 7, 0}}, "Rs!4.7.0"},
    {"MAIL without TLS, bare", STAGE_MAIL, {530, {0}}, "Rs!4.7.0"},
    {"RCPT without AUTH", STAGE_RCPT, {530, {5, 7, 0}}, "Rs!4.7.0"},
    {"no reverse DNS at MAIL", STAGE_MAIL, {550, {5, 7, 25}}, "Rs!4.7.25"},
    {"no reverse DNS at RCPT", STAGE_RCPT, {550, {5, 7, 25}}, "Rs!4.7.25"},
    {"no reverse DNS at the end", STAGE_END, {550, {5, 7, 25}}, "Rs!4.7.25"},
    {"flood at RCPT", STAGE_RCPT, {550, {5, 7, 28}}, "Rs!4.7.28"},
    {"blocked at MAIL", STAGE_MAIL, {550, {5, 7, 1}}, "Rm-4.7.1"},
    {"blocked at MAIL, 554", STAGE_MAIL, {554, {5, 7, 1}}, "Rm-4.7.1"},
    {"sender not permitted", STAGE_MAIL, {553, {5, 7, 1}}, "Fm-5.7.1"},
    {"bad sender", STAGE_MAIL, {553, {0}}, "Fm-5.1.3"},
    {"too large", STAGE_MAIL, {552, {5, 3, 4}}, "Fm-5.3.4"},
    {"no room", STAGE_MAIL, {452, {0}}, "Rm-4.3.1"},
    {"no such user", STAGE_RCPT, {550, {5, 1, 1}}, "Fr-5.1.1"},
    {"our address is listed, as Postfix says it",
     STAGE_RCPT,
     {554,
      {5, 7, 1},
      SLICE_INIT("Service unavailable; Client host [192.0.2.1] blocked using "
                 "zen.spamhaus.org")},
     "Rr-4.7.1"},
    {"our address is listed, without a code",
     STAGE_RCPT,
     {550, {0}, SLICE_INIT("Your IP is on our blocklist")},
     "Rr-4.7.1"},
    {"our network is listed, as Microsoft says it",
     STAGE_MAIL,
     {550, {5, 7, 1}, SLICE_INIT("part of their network is on our block list (S3140)")},
     "Rm-4.7.1"},
    {"our address is listed, at the end",
     STAGE_END,
     {554, {5, 7, 1}, SLICE_INIT("rejected: connecting IP has a bad record")},
     "Rm-4.7.1"},
    {"a sender's domain is listed",
     STAGE_RCPT,
     {554,
      {5, 7, 1},
      SLICE_INIT("Service unavailable; Sender address [a@x.test] blocked using "
                 "dbl.spamhaus.org; your IP is fine")},
     "Fr-5.7.1"},
    {"a link is listed",
     STAGE_END,
     {554, {5, 7, 1}, SLICE_INIT("a URL in it is on our block list")},
     "Fm-5.7.1"},
    {"another code is what it says",
     STAGE_RCPT,
     {550, {5, 1, 1}, SLICE_INIT("<rbl@y.test>: no such user at client host")},
     "Fr-5.1.1"},
    {"words inside of words are none",
     STAGE_RCPT,
     {550, {5, 7, 1}, SLICE_INIT("marbles and hairbl cannot come in")},
     "Fr-5.7.1"},
    {"relaying denied", STAGE_RCPT, {554, {5, 7, 1}}, "Fr-5.7.1"},
    {"greylisted", STAGE_RCPT, {450, {4, 2, 0}}, "Rr-4.2.0"},
    {"too many recipients, 452", STAGE_RCPT, {452, {4, 5, 3}}, "Rr-4.5.3"},
    {"too many recipients, bare 552", STAGE_RCPT, {552, {0}}, "Rr-4.0.0"},
    {"too many recipients, 552 5.5.3", STAGE_RCPT, {552, {5, 5, 3}}, "Rr-4.5.3"},
    {"mailbox full, 552 5.2.2", STAGE_RCPT, {552, {5, 2, 2}}, "Fr-5.2.2"},
    {"552 at the end is the message", STAGE_END, {552, {0}}, "Fm-5.0.0"},
    {"moved", STAGE_RCPT, {551, {0}}, "Fr-5.1.6"},
    {"will forward", STAGE_RCPT, {251, {0}}, "Cr-2.1.5"},
    {"will try", STAGE_RCPT, {252, {2, 0, 0}}, "Cr-2.0.0"},
    {"the code counts, not its status", STAGE_RCPT, {550, {4, 2, 2}}, "Fr-5.2.2"},
    {"nor the other way", STAGE_RCPT, {450, {5, 2, 2}}, "Rr-4.2.2"},
    {"no valid recipients", STAGE_DATA, {503, {5, 5, 1}}, "Fm-5.5.1"},
    {"2xx to DATA", STAGE_DATA, {250, {2, 0, 0}}, "As!4.0.0"},
    {"spam", STAGE_END, {554, {5, 7, 1}}, "Fm-5.7.1"},
    {"421 at the end", STAGE_END, {421, {4, 7, 0}}, "Rm!4.7.0"},
    {"early 552", STAGE_BODY, {552, {5, 3, 4}}, "Fm!5.3.4"},
    {"early 250", STAGE_BODY, {250, {2, 0, 0}}, "Rm!4.0.0"},
    {"queued", STAGE_END, {250, {2, 0, 0}}, "Cm-2.0.0"},
};

static void particular_replies(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(replies); i++) {
        char text[32];
        cell_of(outcome_of(replies[i].stage, &replies[i].reply, FAULT_NONE), text);
        if (strcmp(text, replies[i].cell) != 0)
            fail_msg("%s: %s, not %s", replies[i].name, text, replies[i].cell);
    }
}

static void check_cell(enum relay_stage stage, const struct reply *reply,
                       enum relay_fault fault)
{
    struct outcome o = outcome_of(stage, reply, fault);
    unsigned digit = reply ? reply->code / 100u : 0;
    bool has_seen_mail = stage >= STAGE_MAIL && stage <= STAGE_END;
    assert_true(o.next != NEXT_PLAIN);
    assert_int_equal(o.status.class, o.next == NEXT_CONTINUE ? 2 : o.next == NEXT_FAIL ? 5 : 4);
    /* Nobody fails but by a 5xx to the mail, or what can be known without a reply. */
    if (o.next == NEXT_FAIL)
        assert_true((has_seen_mail && digit == 5) || fault == FAULT_CAPABILITY ||
                    fault == FAULT_NO_HOST);
    /* Nothing goes on but by what the stage hopes for. */
    if (o.next == NEXT_CONTINUE)
        assert_true(digit == (stage == STAGE_DATA ? 3 : 2) ||
                    (stage == STAGE_AUTH && digit == 3));
    if (stage == STAGE_END && o.next == NEXT_CONTINUE)
        assert_int_equal(digit, 2);
    /* A site that is given up has no use for its connection. */
    if (o.scope == SCOPE_SITE && stage > STAGE_CONNECT)
        assert_true(o.close);
    if (o.scope == SCOPE_RECIPIENT)
        assert_true(stage == STAGE_RCPT && reply);
    if (reply && reply->code == 421 && stage >= STAGE_GREETING && stage <= STAGE_END)
        assert_true(o.close && o.next != NEXT_FAIL && o.next != NEXT_CONTINUE);
}

static void every_cell_holds(void **state)
{
    (void)state;
    static const struct enhanced statuses[] = {
        {0}, {2, 0, 0}, {4, 2, 2}, {5, 7, 1}, {5, 5, 3}, {5, 7, 25}, {5, 7, 28}, {9, 999, 999}};
    for (unsigned stage = 0; stage < STAGE_COUNT; stage++) {
        for (unsigned code = 100; code < 1000; code++)
            for (size_t i = 0; i < COUNT_OF(statuses); i++)
                check_cell(stage, &(struct reply){(uint16_t)code, statuses[i], {0}},
                           FAULT_NONE);
        for (unsigned fault = 1; fault < FAULT_COUNT; fault++)
            check_cell(stage, NULL, fault);
    }
}

static void plain_helps_only_when_tls_failed(void **state)
{
    (void)state;
    for (unsigned stage = 0; stage < STAGE_COUNT; stage++)
        for (unsigned fault = 1; fault < FAULT_COUNT; fault++) {
            bool expected =
                (stage == STAGE_TLS &&
                 (fault == FAULT_TLS || fault == FAULT_CLOSED || fault == FAULT_TIMEOUT ||
                  fault == FAULT_GARBAGE || fault == FAULT_REFUSED)) ||
                (stage == STAGE_STARTTLS &&
                 (fault == FAULT_CLOSED || fault == FAULT_TIMEOUT || fault == FAULT_GARBAGE));
            assert_int_equal(outcome_plain_helps(stage, NULL, fault), expected);
        }
    static const struct {
        enum relay_stage stage;
        uint16_t code;
        bool helps;
    } rows[] = {
        {STAGE_STARTTLS, 454, true},  {STAGE_STARTTLS, 502, true}, {STAGE_STARTTLS, 354, true},
        {STAGE_STARTTLS, 421, false}, {STAGE_EHLO, 554, false},    {STAGE_AUTH, 535, false},
        {STAGE_MAIL, 530, false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_int_equal(
            outcome_plain_helps(rows[i].stage, &(struct reply){rows[i].code}, FAULT_NONE),
            rows[i].helps);
}

static void everything_has_a_name(void **state)
{
    (void)state;
    for (unsigned stage = 0; stage < STAGE_COUNT; stage++)
        assert_non_null(stage_name(stage));
    for (unsigned fault = 0; fault < FAULT_COUNT; fault++)
        assert_non_null(fault_name(fault));
    assert_string_equal(stage_name(STAGE_RCPT), "while sending RCPT TO");
    assert_string_equal(stage_name(STAGE_COUNT), "at an unknown stage");
    assert_string_equal(fault_name(FAULT_COUNT), "unknown fault");
    assert_string_equal(outcome_name(OUTCOME_DELIVERED), "delivered");
    assert_string_equal(outcome_name(OUTCOME_SUPPRESSED), "suppressed");
    assert_string_equal(outcome_name(0), "unknown");
    assert_string_equal(outcome_name(7), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_table),
        cmocka_unit_test(particular_replies),
        cmocka_unit_test(every_cell_holds),
        cmocka_unit_test(plain_helps_only_when_tls_failed),
        cmocka_unit_test(everything_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
