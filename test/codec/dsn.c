/* dsn: what is written, piece by piece; test/wire/dsn_test.py has other programs read it. */
#include "codec/dsn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static const stamp AT = 1790000000 * SPAN_SECOND;

static struct dsn_facts facts(const struct dsn_recipient *recipients, size_t count)
{
    return (struct dsn_facts){
        .reporting_mta = SLICE("out.example.com"),
        .to = SLICE("anna@example.com"),
        .id = 0x123456789,
        .original_id = 0x987654321,
        .subject = SLICE("Lunch"),
        .arrived = AT,
        .at = AT + SPAN_DAY,
        .recipients = recipients,
        .recipient_count = count,
        .original = SLICE("Subject: Lunch\r\nFrom: anna@example.com\r\n"),
    };
}

static const char *written(struct buf *out, const struct dsn_facts *f)
{
    buf_clear(out);
    dsn_write(out, f);
    assert_int_equal(out->error, 0);
    buf_byte(out, '\0');
    return out->ptr;
}

static void has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("missing: %s\nin:\n%s", part, text);
}

static void each_action(void **state)
{
    (void)state;
    static const struct {
        enum dsn_action action;
        const char *subject, *action_field, *status, *words;
    } rows[] = {
        {DSN_FAILED, "Subject: Your mail could not be delivered\r\n", "Action: failed\r\n",
         "Status: 5.1.1\r\n", "It could NOT be delivered to:"},
        {DSN_DELAYED, "Subject: Your mail is delayed\r\n", "Action: delayed\r\n",
         "Status: 5.1.1\r\n", "We go on trying until Wed, 23 Sep 2026"},
        {DSN_DELIVERED, "Subject: Your mail was delivered\r\n", "Action: delivered\r\n",
         "Status: 5.1.1\r\n", "It was delivered to:"},
        {DSN_RELAYED, "Subject: Your mail was passed on\r\n", "Action: relayed\r\n",
         "Status: 5.1.1\r\n", "does not report delivery"},
    };
    struct buf out = BUF_INIT;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct dsn_recipient r = {.address = SLICE("bo@example.net"),
                                  .action = rows[i].action,
                                  .status = {5, 1, 1},
                                  .remote = SLICE("mx.example.net"),
                                  .diagnostic = SLICE("550 5.1.1 no such user\nreally"),
                                  .last_attempt = AT,
                                  .retry_until = AT + 2 * SPAN_DAY};
        struct dsn_facts f = facts(&r, 1);
        const char *text = written(&out, &f);
        has(text, rows[i].subject);
        has(text, rows[i].action_field);
        has(text, rows[i].status);
        has(text, rows[i].words);
        has(text, "To: <anna@example.com>\r\n");
        has(text, "Auto-Submitted: auto-replied\r\n");
        has(text, "Final-Recipient: rfc822; bo@example.net\r\n");
        has(text, "Remote-MTA: dns; mx.example.net\r\n");
        has(text, "Diagnostic-Code: smtp; 550 5.1.1 no such user really\r\n");
        has(text, "Content-Type: text/rfc822-headers\r\n\r\nSubject: Lunch\r\n");
    }
    buf_fini(&out);
}

static void what_peers_write_is_harmless(void **state)
{
    (void)state;
    struct dsn_recipient r = {.address = SLICE("bo@example.net"),
                              .remote = SLICE("mx\xff.example.net"),
                              .orcpt = SLICE("rfc822;b\xc3\xb6@x\r\nEvil: yes"),
                              .diagnostic = SLICE("550 n\xc3\xb8\xff\x1b[2J\nEvil: yes")};
    struct dsn_facts f = facts(&r, 1);
    struct buf out = BUF_INIT;
    f.envid = SLICE("e\r\nEvil: yes");
    f.subject = SLICE("caf\xc3\xa9 \xff");
    const char *text = written(&out, &f);
    assert_null(strstr(text, "\nEvil:"));
    assert_null(strchr(text, '\x1b'));
    has(text, "Remote-MTA: dns; mx?.example.net\r\n");
    has(text, "Original-Recipient: rfc822;b??@x  Evil: yes\r\n");
    has(text, "Diagnostic-Code: smtp; 550 n????[2J Evil: yes\r\n");
    has(text, "550 n=C3=B8??[2J");
    has(text, "\"caf=C3=A9 ?\"");
    r.remote = (slice){0};
    has(written(&out, &f), "Diagnostic-Code: X-Utpost; 550");
    buf_fini(&out);
}

static void both_languages(void **state)
{
    (void)state;
    static const struct {
        slice language;
        const char *subject, *words;
    } rows[] = {
        {SLICE_INIT("sv"), "Subject: Ditt brev kunde inte levereras\r\n",
         "INTE levereras till:"},
        {SLICE_INIT("nb"), "Subject: E-posten din kunne ikke leveres\r\n", "IKKE leveres til:"},
        {SLICE_INIT("de"), "Subject: Ihre E-Mail konnte nicht zugestellt werden\r\n",
         "NICHT zugestellt werden an:"},
    };
    struct buf out = BUF_INIT;
    struct dsn_recipient r = {.address = SLICE("bo@example.net")};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct dsn_facts f = facts(&r, 1);
        f.language = rows[i].language;
        const char *text = written(&out, &f);
        has(text, rows[i].subject);
        has(text, rows[i].words);
        has(text, "-- English --");
        has(text, "It could NOT be delivered to:");
    }
    struct dsn_facts f = facts(&r, 1);
    f.language = SLICE("xx");
    assert_null(strstr(written(&out, &f), "-- English --"));
    buf_fini(&out);
}

static void many_are_counted(void **state)
{
    (void)state;
    enum { MANY = 5000 };
    struct dsn_recipient *r = calloc(MANY, sizeof(*r));
    for (int i = 0; i < MANY; i++)
        r[i].address = SLICE("bo@example.net");
    struct buf out = BUF_INIT;
    struct dsn_facts f = facts(r, MANY);
    const char *text = written(&out, &f);
    has(text, "and 4980 more; the attached report names all of them.");
    size_t fields = 0;
    for (const char *p = text; (p = strstr(p, "Final-Recipient:")); p++)
        fields++;
    assert_int_equal(fields, MANY);
    buf_fini(&out);
    free(r);
}

/* What a remote host says can add no line, no field and no part. */
static void hostile_text(void **state)
{
    (void)state;
    struct dsn_recipient r = {.address = SLICE("bo@example.net"),
                              .remote = SLICE("mx\r\nBcc: x"),
                              .orcpt = SLICE("rfc822;a\r\nX: y"),
                              .diagnostic = SLICE("550 no\r\n\r\n--=_00000\r\nX-Evil: 1")};
    struct buf out = BUF_INIT;
    struct dsn_facts f = facts(&r, 1);
    f.subject = SLICE("a\r\nX-Evil: 1");
    const char *text = written(&out, &f);
    assert_null(strstr(text, "\nX-Evil"));
    assert_null(strstr(text, "\nBcc:"));
    assert_null(strstr(text, "\nX: y"));
    for (const char *p = text; *p; p++) {
        if (*p == '\n')
            assert_true(p > text && p[-1] == '\r');
    }
    buf_fini(&out);
}

static void utf8_addresses(void **state)
{
    (void)state;
    struct dsn_recipient r = {.address = SLICE("bö@example.net")};
    struct buf out = BUF_INIT;
    struct dsn_facts f = facts(&r, 1);
    f.is_whole = true;
    const char *text = written(&out, &f);
    has(text, "Content-Type: message/global-delivery-status\r\n");
    has(text, "Final-Recipient: utf-8; bö@example.net\r\n");
    has(text, "Content-Type: message/global\r\n");
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_peers_write_is_harmless),
        cmocka_unit_test(each_action),
        cmocka_unit_test(both_languages),
        cmocka_unit_test(many_are_counted),
        cmocka_unit_test(hostile_text),
        cmocka_unit_test(utf8_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
