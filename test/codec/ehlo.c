#include "../check.h"

#include "codec/ehlo.h"

static const struct {
    const char *line;
    struct ehlo want;
} rows[] = {
    {"PIPELINING", {.extensions = EHLO_PIPELINING}},
    {"SIZE", {.extensions = EHLO_SIZE}},
    {"SIZE 0", {.extensions = EHLO_SIZE}},
    {"size 52428800", {.extensions = EHLO_SIZE, .size = 52428800}},
    {"SIZE lots", {.extensions = EHLO_SIZE}},
    {"8BITMIME", {.extensions = EHLO_8BITMIME}},
    {"SMTPUTF8 ", {.extensions = EHLO_SMTPUTF8}},
    {"StartTLS", {.extensions = EHLO_STARTTLS}},
    {"ENHANCEDSTATUSCODES", {.extensions = EHLO_ENHANCEDSTATUSCODES}},
    {"CHUNKING", {.extensions = EHLO_CHUNKING}},
    {"DSN", {.extensions = EHLO_DSN}},
    {"XQUEUE", {.extensions = EHLO_XQUEUE}},
    {"AUTH", {.extensions = EHLO_AUTH}},
    {"AUTH PLAIN  login XOAUTH2",
     {.extensions = EHLO_AUTH, .auth = EHLO_AUTH_PLAIN | EHLO_AUTH_LOGIN}},
    {"AUTH=LOGIN PLAIN", {.extensions = EHLO_AUTH, .auth = EHLO_AUTH_PLAIN | EHLO_AUTH_LOGIN}},
    {"AUTH EXTERNAL", {.extensions = EHLO_AUTH, .auth = EHLO_AUTH_EXTERNAL}},
    {"LIMITS RCPTMAX=20 MAILMAX=5 RCPTDOMAINMAX=1",
     {.extensions = EHLO_LIMITS, .rcpt_max = 20, .mail_max = 5}},
    {"LIMITS RCPTMAX=x MAILMAX=99999999999",
     {.extensions = EHLO_LIMITS, .mail_max = UINT32_MAX}},
    {"PIPELININGS", {0}},
    {"VRFY", {0}},
    {"", {0}},
    {" ", {0}},
};

static void notes_each_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct ehlo e = {0};
        ehlo_line(&e, slice_of(rows[i].line));
        check_int(rows[i].line, e.extensions, rows[i].want.extensions);
        check_int(rows[i].line, e.auth, rows[i].want.auth);
        CHECK(rows[i].line, e.size == rows[i].want.size);
        check_int(rows[i].line, e.rcpt_max, rows[i].want.rcpt_max);
        check_int(rows[i].line, e.mail_max, rows[i].want.mail_max);
    }
}

static void gathers_lines(void **state)
{
    (void)state;
    struct ehlo e = {0};
    ehlo_line(&e, SLICE("AUTH PLAIN"));
    ehlo_line(&e, SLICE("AUTH=LOGIN"));
    ehlo_line(&e, SLICE("PIPELINING"));
    assert_int_equal(e.extensions, EHLO_AUTH | EHLO_PIPELINING);
    assert_int_equal(e.auth, EHLO_AUTH_PLAIN | EHLO_AUTH_LOGIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(notes_each_line),
        cmocka_unit_test(gathers_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
