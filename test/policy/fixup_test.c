/* What fix-up makes of a header, and what it refuses. What trace_received writes is tested with
 * codec/trace: here the fields that we add are letters. */
#include "policy/submission_fixup.h"

#include "../check.h"

#include <errno.h>

static const slice domains[] = {SLICE_INIT("x.test")};
static const struct account accounts[] = {
    [SENDERS_ANY] = {.right = SENDERS_ANY},
    [SENDERS_DOMAINS] = {.right = SENDERS_DOMAINS, .senders = domains, .sender_count = 1},
};

#define ANY SENDERS_ANY
#define DOM SENDERS_DOMAINS
#define DATED "Date: Sun, 22 Nov 2026 01:02:03 +0000\r\nMessage-ID: <1@x.test>\r\n"

static const struct row {
    const char *name;
    enum sender_right right;
    const char *header;
    enum fixup_result result;
    const char *added; /* letters of the fields that are ours */
    const char *out;   /* the fields behind them, or the offender */
} rows[] = {
    /* what is added and removed */
    {"nothing missing", DOM, DATED "From: a@x.test\r\n\r\n", FIXUP_OK, "R",
     DATED "From: a@x.test\r\n\r\n"},
    {"Date and Message-ID missing", DOM, "From: a@x.test\r\n\r\n", FIXUP_OK, "RDM",
     "From: a@x.test\r\n\r\n"},
    {"Date missing", DOM, "Message-ID: <1@x.test>\r\nFrom: a@x.test\r\n\r\n", FIXUP_OK, "RD",
     "Message-ID: <1@x.test>\r\nFrom: a@x.test\r\n\r\n"},
    {"no empty line", DOM, DATED "From: a@x.test\r\n", FIXUP_OK, "R",
     DATED "From: a@x.test\r\n"},
    {"names in any case", DOM, "dATE: x\r\nmessage-id: <1>\r\nFROM: a@x.test\r\n\r\n", FIXUP_OK,
     "R", "dATE: x\r\nmessage-id: <1>\r\nFROM: a@x.test\r\n\r\n"},
    {"Bcc goes, first", DOM, "Bcc: b@b.test\r\n" DATED "From: a@x.test\r\n\r\n", FIXUP_OK, "R",
     DATED "From: a@x.test\r\n\r\n"},
    {"Bcc goes, in the middle, folded, twice", DOM,
     DATED "bcc: b@b.test,\r\n\tc@c.test\r\nX: 1\r\nBCC: d@d.test\r\nFrom: a@x.test\r\n\r\n",
     FIXUP_OK, "R", DATED "X: 1\r\nFrom: a@x.test\r\n\r\n"},
    {"Bcc goes, last", DOM, DATED "From: a@x.test\r\nBcc: b@b.test\r\n\r\n", FIXUP_OK, "R",
     DATED "From: a@x.test\r\n\r\n"},
    {"Bcc goes, last without an empty line", DOM, DATED "From: a@x.test\r\nBcc: b@b.test\r\n",
     FIXUP_OK, "R", DATED "From: a@x.test\r\n"},
    {"Bcc goes, empty", DOM, DATED "Bcc:\r\nFrom: a@x.test\r\n\r\n", FIXUP_OK, "R",
     DATED "From: a@x.test\r\n\r\n"},
    {"Bcc with a blank before the colon goes", DOM,
     DATED "Bcc : b@b.test\r\nFrom: a@x.test\r\n\r\n", FIXUP_OK, "R",
     DATED "From: a@x.test\r\n\r\n"},
    {"Resent-Bcc and Return-Path go", DOM,
     "Return-Path: <a@x.test>\r\n" DATED "From: a@x.test\r\nResent-Bcc: b@b.test\r\n\r\n",
     FIXUP_OK, "R", DATED "From: a@x.test\r\n\r\n"},
    {"what is like Bcc stays", DOM, DATED "X-Bcc: 1\r\nBccx: 2\r\nFrom: a@x.test\r\n\r\n",
     FIXUP_OK, "R", DATED "X-Bcc: 1\r\nBccx: 2\r\nFrom: a@x.test\r\n\r\n"},
    {"unknown fields twice, and odd blanks, stay as they are", DOM,
     DATED "X:  1 \r\nX:2\r\n 3\r\nFrom:\ta@x.test \r\n\r\n", FIXUP_OK, "R",
     DATED "X:  1 \r\nX:2\r\n 3\r\nFrom:\ta@x.test \r\n\r\n"},

    /* From */
    {"no From, any sender", ANY, DATED "\r\n", FIXUP_OK, "R", DATED "\r\n"},
    {"nothing at all, any sender", ANY, "", FIXUP_OK, "RDM", ""},
    {"an empty line only, any sender", ANY, "\r\n", FIXUP_OK, "RDM", "\r\n"},
    {"no From", DOM, DATED "\r\n", FIXUP_FROM_MISSING, "", ""},
    {"nothing at all", DOM, "", FIXUP_FROM_MISSING, "", ""},
    {"From with a name", DOM, DATED "From: \"A, B\" <a@x.test>\r\n\r\n", FIXUP_OK, "R",
     DATED "From: \"A, B\" <a@x.test>\r\n\r\n"},
    {"From with an address in a quoted name", DOM,
     DATED "From: \"b@b.test, <b@b.test>\" <a@x.test>\r\n\r\n", FIXUP_OK, "R",
     DATED "From: \"b@b.test, <b@b.test>\" <a@x.test>\r\n\r\n"},
    {"From with an address in a comment", DOM, DATED "From: a@x.test (b@b.test)\r\n\r\n",
     FIXUP_OK, "R", DATED "From: a@x.test (b@b.test)\r\n\r\n"},
    {"two permitted in From", DOM, DATED "From: a@x.test, B <b@X.test>\r\n\r\n", FIXUP_OK, "R",
     DATED "From: a@x.test, B <b@X.test>\r\n\r\n"},
    {"From of another", DOM, "From: b@b.test\r\n\r\n", FIXUP_FROM_DENIED, "", "b@b.test"},
    {"From of another, any sender", ANY, DATED "From: b@b.test\r\n\r\n", FIXUP_OK, "R",
     DATED "From: b@b.test\r\n\r\n"},
    {"one permitted, one not", DOM, "From: a@x.test, b@b.test\r\n\r\n", FIXUP_FROM_DENIED, "",
     "b@b.test"},
    {"one not in a fold", DOM, "From: a@x.test,\r\n b@b.test\r\n\r\n", FIXUP_FROM_DENIED, "",
     "b@b.test"},
    {"one not in a group", DOM, "From: g: a@x.test, b@b.test;\r\n\r\n", FIXUP_FROM_DENIED, "",
     "b@b.test"},
    {"two From fields", DOM, "From: a@x.test\r\nX: 1\r\nFrom: a@x.test\r\n\r\n",
     FIXUP_FROM_TWICE, "", "From"},
    {"two From fields, any sender", ANY, "From: a@x.test\r\nfrom: b@b.test\r\n\r\n",
     FIXUP_FROM_TWICE, "", "From"},
    {"a second From with a blank before its colon", DOM,
     "From: a@x.test\r\nFrom : b@b.test\r\n\r\n", FIXUP_FROM_TWICE, "", "From"},
    {"a From with a blank before its colon, of another", DOM, "From : b@b.test\r\n\r\n",
     FIXUP_FROM_DENIED, "", "b@b.test"},
    {"an empty From", DOM, "From:\r\n\r\n", FIXUP_FROM_SYNTAX, "", ""},
    {"an empty From, any sender", ANY, "From: \r\n\r\n", FIXUP_FROM_SYNTAX, "", ""},
    {"a From of nobody", DOM, "From: undisclosed:;\r\n\r\n", FIXUP_FROM_SYNTAX, "",
     "undisclosed:;"},
    {"a From without a domain", ANY, "From: root\r\n\r\n", FIXUP_FROM_SYNTAX, "", "root"},
    {"two addresses in one mailbox", DOM, "From: a@x.test <b@b.test>\r\n\r\n",
     FIXUP_FROM_SYNTAX, "", "a@x.test <b@b.test>"},
    {"two angle addresses", DOM, "From: <b@b.test> <a@x.test>\r\n\r\n", FIXUP_FROM_SYNTAX, "",
     "<b@b.test> <a@x.test>"},
    {"an obsolete route", DOM, "From: <@b.test:a@x.test>\r\n\r\n", FIXUP_FROM_SYNTAX, "",
     "<@b.test:a@x.test>"},
    {"a quote that does not end", DOM, "From: \"b@b.test <a@x.test>\r\n\r\n", FIXUP_FROM_SYNTAX,
     "", "\"b@b.test <a@x.test>"},
    {"8 bits outside UTF-8", ANY, "From: \xff <a@x.test>\r\n\r\n", FIXUP_FROM_SYNTAX, "",
     "\xff <a@x.test>"},

    /* Sender */
    {"a Sender", DOM, DATED "From: a@x.test\r\nSender: b@x.test\r\n\r\n", FIXUP_OK, "R",
     DATED "From: a@x.test\r\nSender: b@x.test\r\n\r\n"},
    {"a Sender of another", DOM, "From: a@x.test\r\nSender: b@b.test\r\n\r\n",
     FIXUP_SENDER_DENIED, "", "b@b.test"},
    {"a Sender of two", DOM, "From: a@x.test\r\nSender: a@x.test, b@x.test\r\n\r\n",
     FIXUP_SENDER_SYNTAX, "", "a@x.test, b@x.test"},
    {"a Sender of two, any sender", ANY, "Sender: a@x.test, b@x.test\r\n\r\n",
     FIXUP_SENDER_SYNTAX, "", "a@x.test, b@x.test"},
    {"two Sender fields", DOM, "From: a@x.test\r\nSender: a@x.test\r\nSender: a@x.test\r\n\r\n",
     FIXUP_SENDER_SYNTAX, "", "Sender"},
    {"an empty Sender", DOM, "From: a@x.test\r\nSender:\r\n\r\n", FIXUP_SENDER_SYNTAX, "", ""},

    /* fields that may stand once */
    {"two Date fields", ANY, "Date: 1\r\nDate: 2\r\n\r\n", FIXUP_DUPLICATE, "", "Date"},
    {"two Message-ID fields", ANY, "Message-ID: <1>\r\nMessage-Id: <2>\r\n\r\n",
     FIXUP_DUPLICATE, "", "Message-ID"},
    {"two Subject fields", ANY, "Subject: 1\r\nSubject: 2\r\n\r\n", FIXUP_DUPLICATE, "",
     "Subject"},
    {"two To fields", ANY, "To: 1\r\nTo: 2\r\n\r\n", FIXUP_DUPLICATE, "", "To"},
    {"two Cc fields", ANY, "Cc: 1\r\nCc: 2\r\n\r\n", FIXUP_DUPLICATE, "", "Cc"},
    {"two Reply-To fields", ANY, "Reply-To: 1\r\nReply-To: 2\r\n\r\n", FIXUP_DUPLICATE, "",
     "Reply-To"},
    {"two In-Reply-To fields", ANY, "In-Reply-To: 1\r\nIn-Reply-To: 2\r\n\r\n", FIXUP_DUPLICATE,
     "", "In-Reply-To"},
    {"two References fields", ANY, "References: 1\r\nReferences: 2\r\n\r\n", FIXUP_DUPLICATE,
     "", "References"},

    /* loops */
    {"as many Received fields as may be", ANY, "Received: 1\r\nReceived: 2\r\n" DATED "\r\n",
     FIXUP_OK, "R", "Received: 1\r\nReceived: 2\r\n" DATED "\r\n"},
    {"one more", ANY, "Received: 1\r\nReceived: 2\r\nreceived: 3\r\n\r\n", FIXUP_LOOP, "", ""},

    /* what is no header */
    {"text", ANY, "Hello, world\r\n", FIXUP_BAD_HEADER, "", "Hello, world"},
    {"text behind fields", ANY, "Subject: 1\r\nHello\r\nFrom: a@x.test\r\n\r\n",
     FIXUP_BAD_HEADER, "", "Hello"},
    {"a mailbox's From line", ANY, "From a@x.test Sun Nov 22\r\nFrom: a@x.test\r\n\r\n",
     FIXUP_BAD_HEADER, "", "From a@x.test Sun Nov 22"},
    {"a continuation of nothing", ANY, " From: a@x.test\r\n\r\n", FIXUP_BAD_HEADER, "",
     "From: a@x.test"},
    {"a last line without CRLF", ANY, "Subject: 1", FIXUP_BAD_HEADER, "", "Subject: 1"},
};

static const struct trace_facts facts = {
    .by = SLICE_INIT("mx.test"),
    .protocol = SLICE_INIT("ESMTPSA"),
    .id = 77,
    .at = 1795309323 * SPAN_SECOND,
};

static void write_added(const char *letters, struct buf *want)
{
    for (; *letters; letters++) {
        if (*letters == 'R')
            trace_received(want, &facts);
        else if (*letters == 'D')
            trace_date(want, facts.at);
        else
            trace_message_id(want, facts.id, facts.by);
    }
}

static void check_row(const struct row *r)
{
    struct arena a = ARENA_INIT;
    struct buf out = BUF_INIT;
    struct buf want = BUF_INIT;
    struct fixup_answer answer = {0};
    struct fixup_request q = {.account = &accounts[r->right], .trace = &facts, .hops_max = 2};
    buf_append(&out, SLICE("before"));
    buf_append(&want, SLICE("before"));
    enum fixup_result result = submission_fixup(&a, &q, slice_of(r->header), &out, &answer);
    check_int(r->name, result, r->result);
    if (result == FIXUP_OK) {
        write_added(r->added, &want);
        buf_append(&want, slice_of(r->out));
    } else {
        check_slice(r->name, answer.offender, slice_of(r->out));
    }
    check_slice(r->name, buf_slice(&out), buf_slice(&want));
    buf_fini(&out);
    buf_fini(&want);
    arena_fini(&a);
}

static void test_rows(void **state UNUSED)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        check_row(&rows[i]);
}

static slice message_id_of(struct arena *a, const char *header)
{
    struct buf out = BUF_INIT;
    struct fixup_answer answer = {0};
    struct fixup_request q = {.account = &accounts[ANY], .trace = &facts, .hops_max = 2};
    assert_int_equal(submission_fixup(a, &q, slice_of(header), &out, &answer), FIXUP_OK);
    buf_fini(&out);
    return answer.message_id;
}

/* The value lives in the arena, whether it was there or added. */
static void test_message_id(void **state UNUSED)
{
    struct arena a = ARENA_INIT;
    check_slice("given", message_id_of(&a, "Message-ID: <1@x.test> \r\n\r\n"),
                SLICE("<1@x.test>"));
    check_slice("folded", message_id_of(&a, "Message-ID:\r\n <1@x.test>\r\n\r\n"),
                SLICE("<1@x.test>"));
    slice added = message_id_of(&a, "\r\n");
    assert_true(slice_starts(added, SLICE("<")) && slice_ends(added, SLICE("@mx.test>")));
    arena_fini(&a);
}

static void test_offender_is_cut(void **state UNUSED)
{
    struct arena a = ARENA_INIT;
    struct buf header = BUF_INIT;
    struct buf out = BUF_INIT;
    struct fixup_answer answer = {0};
    struct fixup_request q = {.account = &accounts[ANY], .trace = &facts, .hops_max = 2};
    for (int i = 0; i < 5000; i++)
        buf_append(&header, SLICE("long "));
    buf_append(&header, SLICE("\r\n\r\n"));
    assert_int_equal(submission_fixup(&a, &q, buf_slice(&header), &out, &answer),
                     FIXUP_BAD_HEADER);
    assert_true(answer.offender.len > 0 && answer.offender.len <= 120);
    buf_fini(&header);
    buf_fini(&out);
    arena_fini(&a);
}

/* No memory for the result: said by the buffer. */
static void test_no_memory(void **state UNUSED)
{
    struct arena a = ARENA_INIT;
    struct buf out = BUF_BOUNDED(100);
    struct fixup_answer answer = {0};
    struct fixup_request q = {.account = &accounts[ANY], .trace = &facts, .hops_max = 2};
    assert_int_equal(submission_fixup(&a, &q, SLICE("Subject: 1\r\n\r\n"), &out, &answer),
                     FIXUP_OK);
    assert_int_equal(out.error, -EMSGSIZE);
    buf_fini(&out);
    arena_fini(&a);
}

static void the_subject_is_kept_to_its_bound(void **state)
{
    static const struct {
        const char *name;
        const char *header;
        size_t repeat; /* of "å" behind the header */
        const char *subject;
        size_t len;
    } subjects[] = {
        {"none", "From: a@x.test\r\n", 0, "", 0},
        {"plain", "Subject: Win now\r\n", 0, "Win now", 7},
        {"folded", "Subject: Win\r\n\tnow \r\n", 0, "Win now", 7},
        {"encoded words stay", "subject: =?utf-8?q?a?=\r\n", 0, "=?utf-8?q?a?=", 13},
        {"long, cut between characters", "Subject: x", 200, "x", 249},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(subjects); i++) {
        struct arena a = ARENA_INIT;
        struct buf header = BUF_INIT, out = BUF_INIT;
        struct trace_facts trace = {.by = SLICE("h.test")};
        struct fixup_request q = {.account = &accounts[ANY], .trace = &trace, .hops_max = 50};
        struct fixup_answer answer;
        buf_append(&header, slice_of(subjects[i].header));
        for (size_t n = 0; n < subjects[i].repeat; n++)
            buf_append(&header, SLICE("å"));
        if (subjects[i].repeat > 0)
            buf_append(&header, SLICE("\r\n"));
        assert_int_equal(FIXUP_OK, submission_fixup(&a, &q, buf_slice(&header), &out, &answer));
        if (answer.subject.len != subjects[i].len ||
            !slice_starts(answer.subject, slice_of(subjects[i].subject)))
            fail_msg("%s: %zu: %.*s", subjects[i].name, answer.subject.len,
                     SLICE_ARG(answer.subject));
        buf_fini(&header);
        buf_fini(&out);
        arena_fini(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_subject_is_kept_to_its_bound),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_message_id),
        cmocka_unit_test(test_offender_is_cut),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
