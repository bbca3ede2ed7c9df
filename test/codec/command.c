#include "../check.h"

#include "codec/command.h"

static const struct {
    const char *line;
    enum verb verb;
    const char *argument;
    bool is_malformed;
} rows[] = {
    {"EHLO client.example", VERB_EHLO, "client.example", false},
    {"helo x", VERB_HELO, "x", false},
    {"MAIL FROM:<a@b.example>", VERB_MAIL, "<a@b.example>", false},
    {"mail from: <a@b.example> SIZE=1 ", VERB_MAIL, "<a@b.example> SIZE=1", false},
    {"MAIL  FROM:<>", VERB_MAIL, "<>", false},
    {"MAIL FROM <a@b.example>", VERB_MAIL, "FROM <a@b.example>", true},
    {"MAIL TO:<a@b.example>", VERB_MAIL, "TO:<a@b.example>", true},
    {"MAIL", VERB_MAIL, "", true},
    {"RCPT TO:<c@d.example>", VERB_RCPT, "<c@d.example>", false},
    {"rcpt\tto:\t<c@d.example>\t", VERB_RCPT, "<c@d.example>", false},
    {"RCPT FROM:<c@d.example>", VERB_RCPT, "FROM:<c@d.example>", true},
    {"DATA", VERB_DATA, "", false},
    {"DATA ", VERB_DATA, "", false},
    {"BDAT 86 LAST", VERB_BDAT, "86 LAST", false},
    {"RSET", VERB_RSET, "", false},
    {"NOOP what ever", VERB_NOOP, "what ever", false},
    {"QUIT", VERB_QUIT, "", false},
    {"VRFY joe", VERB_VRFY, "joe", false},
    {"EXPN list", VERB_EXPN, "list", false},
    {"HELP", VERB_HELP, "", false},
    {"AUTH PLAIN AGEAYg==", VERB_AUTH, "PLAIN AGEAYg==", false},
    {"StartTls", VERB_STARTTLS, "", false},
    {"", VERB_UNKNOWN, "", false},
    {" ", VERB_UNKNOWN, "", false},
    {" QUIT", VERB_UNKNOWN, "QUIT", false},
    {"QUITE", VERB_UNKNOWN, "", false},
    {"QUI", VERB_UNKNOWN, "", false},
    {"unknown", VERB_UNKNOWN, "", false},
    {"GET / HTTP/1.1", VERB_UNKNOWN, "/ HTTP/1.1", false},
    {"\x16\x03\x01", VERB_UNKNOWN, "", false},
};

static void splits_verb_and_argument(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct command c;
        command_parse(slice_of(rows[i].line), &c);
        check_int(rows[i].line, c.verb, rows[i].verb);
        check_slice(rows[i].line, c.argument, slice_of(rows[i].argument));
        check_int(rows[i].line, c.is_malformed, rows[i].is_malformed);
    }
}

static void names_every_verb(void **state)
{
    (void)state;
    for (int v = 1; v < VERB_COUNT; v++) {
        struct command c;
        command_parse(slice_of(verb_name((enum verb)v)), &c);
        check_int(verb_name((enum verb)v), c.verb, v);
    }
    assert_string_equal(verb_name(VERB_UNKNOWN), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splits_verb_and_argument),
        cmocka_unit_test(names_every_verb),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
