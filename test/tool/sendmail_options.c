#include "../check.h"

#include "tool/sendmail_options.h"

#include "tool/sendmail_exit.h"

enum { WORDS_MAX = 10 };

static const struct {
    const char *words[WORDS_MAX];
    enum sendmail_mode mode;
    bool reads_recipients, dots_are_text;
    const char *sender, *full_name;
    const char *recipients; /* separated by '|' */
    bool may_wait;
} rows[] = {
    /* PHP's default, PHP with -f, cron of Debian, mailx, git send-email, nullmailer's habits */
    {{"sendmail", "-t", "-i"}, SENDMAIL_DELIVER, true, true, 0, 0, ""},
    {{"/usr/sbin/sendmail", "-ti", "-fweb@example.com"},
     SENDMAIL_DELIVER,
     true,
     true,
     "web@example.com",
     0,
     ""},
    {{"sendmail", "-t", "--queue", "-i"}, SENDMAIL_DELIVER, true, true, 0, 0, "", true},
    {{"sendmail", "-i", "-FCronDaemon", "-B8BITMIME", "-oem", "root"},
     SENDMAIL_DELIVER,
     false,
     true,
     0,
     "CronDaemon",
     "root"},
    {{"sendmail", "-FCronDaemon", "-i", "-odi", "-oem", "-oi", "-t"},
     SENDMAIL_DELIVER,
     true,
     true,
     0,
     "CronDaemon",
     ""},
    {{"sendmail", "-oi", "-oeq", "-om", "-r", "a@b", "c@d", "e@f"},
     SENDMAIL_DELIVER,
     false,
     true,
     "a@b",
     0,
     "c@d|e@f"},
    {{"sendmail", "-o", "i", "-e", "m", "-B", "7BIT", "x"},
     SENDMAIL_DELIVER,
     false,
     true,
     0,
     0,
     "x"},
    {{"sendmail", "-oFoo=bar", "-O", "QueueDirectory=/tmp", "-X/tmp/log", "-C", "/tmp/cf", "x"},
     SENDMAIL_DELIVER,
     false,
     false,
     0,
     0,
     "x"},
    {{"sendmail", "-bm", "-U", "-n", "-m", "-h", "5", "-L", "web", "x"},
     SENDMAIL_DELIVER,
     false,
     false,
     0,
     0,
     "x"},
    {{"sendmail", "x", "-f", "a@b", "y"}, SENDMAIL_DELIVER, false, false, "a@b", 0, "x|y"},
    {{"sendmail", "-i", "--", "-f", "a@b"}, SENDMAIL_DELIVER, false, true, 0, 0, "-f|a@b"},
    {{"sendmail", "-f", "", "x"}, SENDMAIL_DELIVER, false, false, "", 0, "x"},
    {{"sendmail", "-F", "Anna A", "-f", "<>", "x"},
     SENDMAIL_DELIVER,
     false,
     false,
     "<>",
     "Anna A",
     "x"},
    {{"sendmail", "-bs"}, SENDMAIL_SESSION, false, false, 0, 0, ""},
    {{"sendmail", "-bs", "-i"}, SENDMAIL_SESSION, false, true, 0, 0, ""},
    {{"sendmail", "-bp"}, SENDMAIL_QUEUE, false, false, 0, 0, ""},
    {{"/usr/bin/mailq"}, SENDMAIL_QUEUE, false, false, 0, 0, ""},
    {{"newaliases"}, SENDMAIL_ALIASES, false, false, 0, 0, ""},
    {{"sendmail", "-bi"}, SENDMAIL_ALIASES, false, false, 0, 0, ""},
    {{"sendmail", "-I"}, SENDMAIL_ALIASES, false, false, 0, 0, ""},
    {{"sendmail", "-q"}, SENDMAIL_RUN, false, false, 0, 0, ""},
    {{"sendmail", "-q30m"}, SENDMAIL_RUN, false, false, 0, 0, ""},
    {{"sendmail", "--help"}, SENDMAIL_HELP, false, false, 0, 0, ""},
    {{"sendmail", "--version"}, SENDMAIL_VERSION, false, false, 0, 0, ""},
};

static int count_words(const char *const *words, char **argv)
{
    int n = 0;
    for (; n < WORDS_MAX && words[n]; n++)
        argv[n] = (char *)(uintptr_t)words[n];
    argv[n] = NULL;
    return n;
}

static void check_text(const char *row, const char *got, const char *want)
{
    CHECK(row, !got == !want);
    check_slice(row, slice_of(got), slice_of(want));
}

static void reads_command_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char *argv[WORDS_MAX + 1];
        int argc = count_words(rows[i].words, argv);
        char name[200] = "";
        for (int n = 0; n < argc; n++)
            snprintf(name + strlen(name), sizeof(name) - strlen(name), "%s ", argv[n]);
        struct sendmail_options o;
        struct buf why = BUF_INIT;
        CHECK(name, sendmail_options_read(&o, argc, argv, &why));
        check_int(name, o.mode, rows[i].mode);
        check_int(name, o.reads_recipients, rows[i].reads_recipients);
        check_int(name, o.dots_are_text, rows[i].dots_are_text);
        check_int(name, o.may_wait, rows[i].may_wait);
        check_text(name, o.sender, rows[i].sender);
        check_text(name, o.full_name, rows[i].full_name);
        struct buf all = BUF_INIT;
        for (size_t n = 0; n < o.recipient_count; n++)
            buf_printf(&all, "%s%s", n > 0 ? "|" : "", o.recipients[n]);
        check_slice(name, buf_slice(&all), slice_of(rows[i].recipients));
        buf_fini(&all);
        buf_fini(&why);
    }
}

static const struct {
    const char *words[WORDS_MAX];
    unsigned notify;
    enum dsn_ret ret;
    const char *envid;
} notices[] = {
    {{"sendmail", "-N", "never", "x"}, NOTIFY_NEVER, RET_NONE, 0},
    {{"sendmail", "-Nsuccess,FAILURE", "-Rhdrs", "-V", "id 1", "x"},
     NOTIFY_SUCCESS | NOTIFY_FAILURE,
     RET_HDRS,
     "id 1"},
    {{"sendmail", "-N", "delay", "-R", "full", "x"}, NOTIFY_DELAY, RET_FULL, 0},
};

static void reads_notices(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(notices); i++) {
        char *argv[WORDS_MAX + 1];
        int argc = count_words(notices[i].words, argv);
        struct sendmail_options o;
        struct buf why = BUF_INIT;
        assert_true(sendmail_options_read(&o, argc, argv, &why));
        assert_int_equal(o.notify, notices[i].notify);
        assert_int_equal(o.ret, notices[i].ret);
        check_text("envid", o.envid, notices[i].envid);
    }
}

static const struct {
    const char *words[WORDS_MAX];
    const char *why; /* how it begins */
} wrong[] = {
    {{"sendmail", "-Z"}, "-Z: there is no such option"},
    {{"sendmail", "-f"}, "-f: its value is missing"},
    {{"sendmail", "--nonsense"}, "--nonsense: there is no such option"},
    {{"sendmail", "-bd"}, "-bd is not offered"},
    {{"sendmail", "-q30m", "-bd"}, "-bd is not offered"},
    {{"sendmail", "-N", "sometimes"}, "-N sometimes: write never"},
    {{"sendmail", "-N", ""}, "-N : write never"},
    {{"sendmail", "-N", "never,delay"}, "-N never,delay: write never"},
    {{"sendmail", "-R", "half"}, "-R half: write full or hdrs"},
};

static void says_what_is_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        char *argv[WORDS_MAX + 1];
        int argc = count_words(wrong[i].words, argv);
        struct sendmail_options o;
        struct buf why = BUF_INIT;
        CHECK(wrong[i].why, !sendmail_options_read(&o, argc, argv, &why));
        check_slice(wrong[i].why, slice_to(buf_slice(&why), strlen(wrong[i].why)),
                    slice_of(wrong[i].why));
        buf_fini(&why);
    }
}

static const struct {
    struct reply reply;
    int status;
} exits[] = {
    {{421, {4, 7, 0}}, EX_TEMPFAIL},
    {{450, {4, 7, 1}}, EX_TEMPFAIL},
    {{452, {4, 5, 3}}, EX_TEMPFAIL},
    {{451, {0}}, EX_TEMPFAIL},
    {{530, {5, 7, 0}}, EX_NOPERM},
    {{535, {5, 7, 8}}, EX_NOPERM},
    {{535, {0}}, EX_NOPERM},
    {{525, {5, 7, 13}}, EX_NOPERM},
    {{550, {5, 7, 1}}, EX_NOPERM},
    {{553, {5, 7, 1}}, EX_NOPERM},
    {{554, {5, 6, 0}}, EX_DATAERR},
    {{550, {5, 6, 0}}, EX_DATAERR},
    {{552, {5, 3, 4}}, EX_DATAERR},
    {{552, {0}}, EX_DATAERR},
    {{501, {5, 1, 3}}, EX_DATAERR},
    {{501, {5, 1, 7}}, EX_DATAERR},
    {{550, {5, 1, 1}}, EX_NOUSER},
    {{550, {5, 1, 2}}, EX_NOUSER},
    {{550, {0}}, EX_UNAVAILABLE},
    {{554, {5, 4, 6}}, EX_UNAVAILABLE},
    {{503, {5, 5, 1}}, EX_UNAVAILABLE},
    {{250, {2, 0, 0}}, EX_PROTOCOL},
    {{354, {0}}, EX_PROTOCOL},
};

static void maps_replies(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(exits); i++) {
        char name[32];
        const struct reply *r = &exits[i].reply;
        snprintf(name, sizeof(name), "%u %u.%u.%u", r->code, r->enhanced.class,
                 r->enhanced.subject, r->enhanced.detail);
        check_int(name, sendmail_exit_of(r), exits[i].status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_command_lines),
        cmocka_unit_test(reads_notices),
        cmocka_unit_test(says_what_is_wrong),
        cmocka_unit_test(maps_replies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
