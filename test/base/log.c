#include "../check.h"

#include "base/id.h"
#include "base/log.h"

#include <errno.h>
#include <unistd.h>

static const struct {
    const char *name;
    slice value;
    const char *logfmt;
    const char *json; /* with its quotes */
} values[] = {
    {"plain", SLICE_INIT("a@b.example"), "a@b.example", "\"a@b.example\""},
    {"empty", SLICE_INIT(""), "\"\"", "\"\""},
    {"blank", SLICE_INIT("a b"), "\"a b\"", "\"a b\""},
    {"forged field", SLICE_INIT("x level=error"), "\"x level=error\"", "\"x level=error\""},
    {"equals", SLICE_INIT("a=b"), "\"a=b\"", "\"a=b\""},
    {"quote", SLICE_INIT("a\"b"), "\"a\\\"b\"", "\"a\\\"b\""},
    {"backslash", SLICE_INIT("a\\"), "\"a\\\\\"", "\"a\\\\\""},
    {"forged line", SLICE_INIT("a\nlevel=error"), "\"a\\x0alevel=error\"",
     "\"a\\u000alevel=error\""},
    {"CR, NUL, DEL", SLICE_INIT("\r\0\x7f"), "\"\\x0d\\x00\\x7f\"",
     "\"\\u000d\\u0000\\u007f\""},
    {"escape sequence", SLICE_INIT("\x1b[2J"), "\"\\x1b[2J\"", "\"\\u001b[2J\""},
    {"C1 control",
     SLICE_INIT("\xc2\x9b"
                "2J"),
     "\"\\xc2\\x9b2J\"", "\"\\u00c2\\u009b2J\""},
    {"UTF-8", SLICE_INIT("\xc3\xbc"), "\"\xc3\xbc\"", "\"\xc3\xbc\""},
    {"not UTF-8",
     SLICE_INIT("\xfc"
                "b\xc3"),
     "\"\\xfcb\\xc3\"", "\"\\u00fcb\\u00c3\""},
};

static slice format(char *line, size_t size, const struct log_field *fields, size_t count)
{
    return (slice){line, log_format_line(line, size, LOG_INFO, "test", fields, count)};
}

static void escapes_hostile_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        const struct log_field fields[] = {LOG_S("v", values[i].value), LOG_I("n", -5)};
        char line[256];
        char want[256];
        log_setup("smtpd", LOG_LOGFMT, LOG_INFO);
        snprintf(want, sizeof(want), "level=info role=smtpd event=test v=%s n=-5",
                 values[i].logfmt);
        check_slice(values[i].name, format(line, sizeof(line), fields, 2), slice_of(want));
        log_setup("smtpd", LOG_JSON, LOG_INFO);
        snprintf(want, sizeof(want),
                 "{\"level\":\"info\",\"role\":\"smtpd\",\"event\":\"test\",\"v\":%s,\"n\":-5}",
                 values[i].json);
        check_slice(values[i].name, format(line, sizeof(line), fields, 2), slice_of(want));
    }
}

static void knows_ids_and_errors(void **state)
{
    (void)state;
    const struct log_field fields[] = {LOG_ID("id", 31), LOG_E("error", -ENOENT),
                                       LOG_E("error", ENOENT), LOG_C("c", NULL)};
    char line[256];
    log_setup("smtpd", LOG_LOGFMT, LOG_INFO);
    check_slice("logfmt", format(line, sizeof(line), fields, 4),
                SLICE("level=info role=smtpd event=test id=000000000000z "
                      "error=\"No such file or directory\" error=\"No such file or directory\" "
                      "c=\"\""));
}

/* Whatever the size, a line holds whole fields only, and JSON is closed. */
static void leaves_out_what_does_not_fit(void **state)
{
    (void)state;
    char big[300];
    char line[400];
    memset(big, '"', sizeof(big));
    const struct log_field fields[] = {LOG_I("a", 1), LOG_S("big", ((slice){big, sizeof(big)})),
                                       LOG_I("b", 2)};
    log_setup("smtpd", LOG_LOGFMT, LOG_INFO);
    check_slice("logfmt", format(line, sizeof(line), fields, 3),
                SLICE("level=info role=smtpd event=test a=1 b=2"));
    log_setup("smtpd", LOG_JSON, LOG_INFO);
    check_slice(
        "JSON", format(line, sizeof(line), fields, 3),
        SLICE("{\"level\":\"info\",\"role\":\"smtpd\",\"event\":\"test\",\"a\":1,\"b\":2}"));
    for (size_t size = 60; size < sizeof(line); size++) {
        slice got = format(line, size, fields, 3);
        assert_true(got.len <= size && slice_ends(got, SLICE("}")));
        assert_true(slice_search(got, SLICE("\"big\"")) < 0);
    }
}

static void holds_long_event_names(void **state)
{
    (void)state;
    char line[400];
    const char *event =
        "an-event-with-a-very-long-name-that-goes-on-and-on-and-on-and-on-and-on";
    log_setup("delivery", LOG_JSON, LOG_INFO);
    slice got = {line, log_format_line(line, sizeof(line), LOG_WARNING, event, NULL, 0)};
    assert_true(slice_search(got, slice_of(event)) > 0);
    assert_true(slice_ends(got, SLICE("\"}")));
}

/* What log_write puts on standard error. */
static size_t written(enum log_format f, enum log_level level, char *out, size_t size)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    int saved = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    log_setup("smtpd", f, LOG_INFO);
    errno = EPIPE;
    log_write(level, "test", LOG_FIELDS(LOG_I("n", 1)), 1);
    assert_int_equal(errno, EPIPE);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(ends[1]);
    ssize_t n = read(ends[0], out, size);
    close(ends[0]);
    assert_true(n >= 0);
    return (size_t)n;
}

static void writes_whole_lines(void **state)
{
    (void)state;
    char line[512];
    slice got = {line, written(LOG_LOGFMT, LOG_INFO, line, sizeof(line))};
    assert_true(slice_starts(got, SLICE("time=20")));
    assert_true(slice_ends(got, SLICE("Z level=info role=smtpd event=test n=1\n")));
    got.len = written(LOG_JSON, LOG_ERROR, line, sizeof(line));
    assert_true(slice_starts(got, SLICE("{\"time\":\"20")));
    assert_true(slice_ends(
        got,
        SLICE("Z\",\"level\":\"error\",\"role\":\"smtpd\",\"event\":\"test\",\"n\":1}\n")));
    assert_int_equal(written(LOG_LOGFMT, LOG_DEBUG, line, sizeof(line)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escapes_hostile_values),
        cmocka_unit_test(knows_ids_and_errors),
        cmocka_unit_test(leaves_out_what_does_not_fit),
        cmocka_unit_test(holds_long_event_names),
        cmocka_unit_test(writes_whole_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
