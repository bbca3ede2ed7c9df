#include "../check.h"

#include "tool/sendmail_header.h"

#define FROM "From: anna@example.com\r\n"
#define LONG_NAME \
    "\xc3\xa5\xc3\xa5\xc3\xa5\xc3\xa5\xc3\xa5\xc3\xa5\xc3\xa5\xc3\xa5\xc3\xa5\xc3\xa5"

static const struct {
    const char *name;
    const char *full_name;
    const char *header;
    const char *want;
    const char *from;
    const char *recipients; /* separated by '|' */
    const char *bad_field;
    const char *bad_element;
} rows[] = {
    {"all three", "",
     FROM "To: bo@example.net\r\nCC: Cy <cy@example.net>\r\nBcc: di@example.net\r\n",
     FROM "To: bo@example.net\r\nCC: Cy <cy@example.net>\r\nBcc: di@example.net\r\n",
     "anna@example.com", "bo@example.net|cy@example.net|di@example.net", "", ""},
    {"several of one", "",
     FROM "To: bo@example.net,\r\n\tcy@example.net\r\nto: di@example.net\r\n",
     FROM "To: bo@example.net,\r\n\tcy@example.net\r\nto: di@example.net\r\n",
     "anna@example.com", "bo@example.net|cy@example.net|di@example.net", "", ""},
    {"resent", "",
     FROM "Resent-To: ed@example.net\r\nResent-Bcc: fi@example.net\r\nTo: bo@example.net\r\n",
     FROM "Resent-To: ed@example.net\r\nResent-Bcc: fi@example.net\r\nTo: bo@example.net\r\n",
     "anna@example.com", "ed@example.net|fi@example.net", "", ""},
    {"nobody", "", FROM "To: undisclosed-recipients:;\r\n",
     FROM "To: undisclosed-recipients:;\r\n", "anna@example.com", "", "", ""},
    {"no From", "", "To: bo@example.net\r\n",
     "To: bo@example.net\r\nFrom: <web@host.example>\r\n", "", "bo@example.net", "", ""},
    {"no header", "", "", "From: <web@host.example>\r\n", "", "", "", ""},
    {"no From, a name", "Anna of Sales", "X: 1\r\n",
     "X: 1\r\nFrom: Anna of Sales <web@host.example>\r\n", "", "", "", ""},
    {"a name with marks", " Anna \"A\" <x>, a\\b ", "X: 1\r\n",
     "X: 1\r\nFrom: \"Anna \\\"A\\\" <x>, a\\\\b\" <web@host.example>\r\n", "", "", "", ""},
    {"a name with line ends", "Anna\r\nBcc: eve@example.net", "X: 1\r\n",
     "X: 1\r\nFrom: \"Anna  Bcc: eve@example.net\" <web@host.example>\r\n", "", "", "", ""},
    {"a name in UTF-8", "Anna \xc3\x85", "X: 1\r\n",
     "X: 1\r\nFrom: =?UTF-8?B?QW5uYSDDhQ==?= <web@host.example>\r\n", "", "", "", ""},
    {"a long name in UTF-8", LONG_NAME LONG_NAME "\xc3\xa5\xc3\xa5\xc3\xa5", "",
     "From: =?UTF-8?B?w6XDpcOlw6XDpcOlw6XDpcOlw6XDpcOlw6XDpcOlw6XDpcOlw6XDpcOlw6U=?=\r\n "
     "=?UTF-8?B?w6U=?= <web@host.example>\r\n",
     "", "", "", ""},
    {"a name in no charset", "Anna \xc5", "X: 1\r\n",
     "X: 1\r\nFrom: \"Anna ?\" <web@host.example>\r\n", "", "", "", ""},
    {"a name, but From is there", "Anna", FROM, FROM, "anna@example.com", "", "", ""},
    {"cron", "Cron Daemon",
     "From: root (Cron Daemon)\r\nTo: root\r\nSubject: Cron <root@x> x\r\n",
     "From: root@host.example (Cron Daemon)\r\nTo: root@host.example\r\n"
     "Subject: Cron <root@x> x\r\n",
     "root@host.example", "root@host.example", "", ""},
    {"bare ones everywhere", "",
     "From: Web <web>\r\nSender:\twww\r\nReply-To: a,\r\n b@example.net, c\r\nX-To: x\r\n",
     "From: Web <web@host.example>\r\nSender:\twww@host.example\r\n"
     "Reply-To: a@host.example,\r\n b@example.net, c@host.example\r\nX-To: x\r\n",
     "web@host.example", "", "", ""},
    {"the first of From", "", "From: a@example.com, b@example.com\r\n",
     "From: a@example.com, b@example.com\r\n", "a@example.com", "", "", ""},
    {"From cannot be read", "", "From: two words\r\n", "From: two words\r\n", "", "", "", ""},
    {"a blank before the colon", "", "From : anna@example.com\r\nTo : bo@example.net\r\n",
     "From : anna@example.com\r\nTo : bo@example.net\r\n", "anna@example.com", "bo@example.net",
     "", ""},
    {"To cannot be read", "", FROM "To: bo@example.net,\r\n two\r\n words\r\nCc: x x\r\n",
     FROM "To: bo@example.net,\r\n two\r\n words\r\nCc: x x\r\n", "anna@example.com", "", "To",
     "two words"},
    {"To cannot be read, but it is resent", "",
     FROM "To: two words\r\nResent-To: bo@example.net\r\n",
     FROM "To: two words\r\nResent-To: bo@example.net\r\n", "anna@example.com",
     "bo@example.net", "", ""},
    {"Reply-To cannot be read", "", FROM "Reply-To: two words\r\n",
     FROM "Reply-To: two words\r\n", "anna@example.com", "", "", ""},
};

static slice joined(struct arena *a, const slice *list, size_t count)
{
    slice all = {"", 0};
    for (size_t i = 0; i < count; i++)
        all =
            arena_printf(a, "%.*s%s%.*s", SLICE_ARG(all), i > 0 ? "|" : "", SLICE_ARG(list[i]));
    return all;
}

static void mends_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arena a = ARENA_INIT;
        struct buf out = BUF_INIT;
        struct sendmail_header h;
        struct sendmail_author author = {.address = SLICE("web@host.example"),
                                         .full_name = slice_of(rows[i].full_name),
                                         .hostname = SLICE("host.example")};
        sendmail_header_mend(&a, &author, slice_of(rows[i].header), &out, &h);
        check_slice(rows[i].name, buf_slice(&out), slice_of(rows[i].want));
        check_slice(rows[i].name, h.from, slice_of(rows[i].from));
        if (rows[i].bad_field[0] == '\0')
            check_slice(rows[i].name, joined(&a, h.recipients, h.recipient_count),
                        slice_of(rows[i].recipients));
        check_slice(rows[i].name, h.bad_field, slice_of(rows[i].bad_field));
        check_slice(rows[i].name, h.bad_element, slice_of(rows[i].bad_element));
        buf_fini(&out);
        arena_fini(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mends_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
