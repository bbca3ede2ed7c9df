/* The state × verb matrix: each verb, and what is worth more than one row of it, in each state
 * in which a client can speak; the reply codes and the state after it, compared with
 * matrix.golden. Read the difference, and write the file anew with GOLDEN=write. */
#include "../check.h"
#include "submission_driver.h"

#define EHLO "EHLO c.test\r\n"
#define SIGN_IN "AUTH PLAIN AGFueQBzZWNyZXQ=\r\n" /* any, secret */
#define TRANSACTION "MAIL FROM:<a@a.test>\r\nRCPT TO:<b@b.test>\r\n"

/* How a state is reached; before: what the client says. */
static const struct start {
    const char *name;
    const char *before;
    bool by_address; /* signed in by where it comes from */
    bool is_tls;
} starts[] = {
    {"connected", "", false, false},
    {"connected, by address", "", true, false},
    {"greeted", EHLO, false, false},
    {"greeted, TLS", EHLO, false, true},
    {"sasl", EHLO "AUTH LOGIN\r\n", false, false},
    {"ready", EHLO SIGN_IN, false, false},
    {"ready, TLS", EHLO SIGN_IN, false, true},
    {"ready, by address", EHLO, true, false},
    {"mail", EHLO SIGN_IN "MAIL FROM:<a@a.test>\r\n", false, false},
    {"mail, one refused", EHLO SIGN_IN "MAIL FROM:<a@a.test>\r\nRCPT TO:<never@b.test>\r\n",
     false, false},
    {"rcpt", EHLO SIGN_IN TRANSACTION, false, false},
    {"chunks", EHLO SIGN_IN TRANSACTION "BDAT 6\r\nA: b\r\n", false, false},
    {"after a refused end of data", EHLO SIGN_IN TRANSACTION "DATA\r\nA: b\n.\r\n.\r\n", false,
     false},
    {"after a refused chunk", EHLO SIGN_IN TRANSACTION "BDAT 6\r\nA: \rb\n", false, false},
    {"after a message", EHLO SIGN_IN TRANSACTION "DATA\r\nA: b\r\n.\r\n", false, false},
    {"after RSET in chunks", EHLO SIGN_IN TRANSACTION "BDAT 6\r\nA: b\r\nRSET\r\n", false,
     false},
};

/* What is said; `then` in a read of its own, if the machine still listens. */
static const struct input {
    const char *name;
    const char *said;
    const char *then;
} inputs[] = {
    {"EHLO", EHLO, NULL},
    {"EHLO without a name", "EHLO\r\n", NULL},
    {"HELO", "HELO c.test\r\n", NULL},
    {"MAIL", "MAIL FROM:<a@a.test>\r\n", NULL},
    {"MAIL, DSN", "MAIL FROM:<a@a.test> RET=HDRS ENVID=x+2By\r\n", NULL},
    {"MAIL, bad RET", "MAIL FROM:<a@a.test> RET=ALL\r\n", NULL},
    {"MAIL, bad path", "MAIL FROM:a\r\n", NULL},
    {"RCPT", "RCPT TO:<b@b.test>\r\n", NULL},
    {"RCPT, DSN", "RCPT TO:<b@b.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b@b.test\r\n", NULL},
    {"RCPT, bad NOTIFY", "RCPT TO:<b@b.test> NOTIFY=NEVER,DELAY\r\n", NULL},
    {"RCPT, refused", "RCPT TO:<never@b.test>\r\n", NULL},
    {"DATA", "DATA\r\n", NULL},
    {"DATA, a message, NOOP", "DATA\r\n", "A: b\r\n.\r\nNOOP\r\n"},
    {"DATA, a bad message, RCPT", "DATA\r\n", "A: b\n.\r\n.\r\nRCPT TO:<b@b.test>\r\n"},
    {"BDAT", "BDAT 6\r\nA: b\r\n", NULL},
    {"BDAT, half a chunk", "BDAT 6\r\nA: ", NULL},
    {"BDAT LAST", "BDAT 6 LAST\r\nA: b\r\n", NULL},
    {"BDAT 0 LAST", "BDAT 0 LAST\r\n", NULL},
    {"BDAT, chunk of a command", "BDAT 6\r\nQUIT\r\n", NULL},
    {"BDAT, bad content, BDAT", "BDAT 2\r\n\rxBDAT 6 LAST\r\nQUIT\r\n", NULL},
    {"BDAT, bad content, DATA", "BDAT 2\r\n\rxDATA\r\n", NULL},
    {"BDAT -1, NOOP", "BDAT -1\r\nNOOP\r\n", NULL},
    {"BDAT 2^64-1, NOOP", "BDAT 18446744073709551615\r\nNOOP\r\n", NULL},
    {"BDAT without a size, NOOP", "BDAT\r\nNOOP\r\n", NULL},
    {"RSET", "RSET\r\n", NULL},
    {"NOOP", "NOOP\r\n", NULL},
    {"QUIT, NOOP", "QUIT\r\nNOOP\r\n", NULL},
    {"VRFY", "VRFY a\r\n", NULL},
    {"EXPN", "EXPN a\r\n", NULL},
    {"HELP", "HELP\r\n", NULL},
    {"AUTH", "AUTH PLAIN\r\n", NULL},
    {"AUTH, right", SIGN_IN, NULL},
    {"AUTH, wrong", "AUTH PLAIN AGFueQB3cm9uZw==\r\n", NULL},
    {"AUTH, cancelled", "AUTH PLAIN\r\n*\r\n", NULL},
    {"AUTH twice", SIGN_IN SIGN_IN, NULL},
    {"STARTTLS", "STARTTLS\r\n", NULL},
    {"STARTTLS, EHLO in one read", "STARTTLS\r\n" EHLO, NULL},
    {"STARTTLS, EHLO in two reads", "STARTTLS\r\n", EHLO},
    {"STARTTLS, MAIL in two reads", "STARTTLS\r\n", "MAIL FROM:<a@a.test>\r\n"},
    {"an unknown verb", "FOO\r\n", NULL},
    {"bare LF", "NOOP\n", NULL},
};

/* The codes of the replies, in order: the last line of each. */
static void write_codes(slice said, struct buf *out)
{
    slice line;
    size_t before = out->len;
    while (slice_split(&said, '\n', &line)) {
        if (line.len < 4 || line.ptr[3] != ' ')
            continue;
        if (out->len > before)
            buf_byte(out, ' ');
        buf_append(out, slice_to(line, 3));
    }
    if (out->len == before)
        buf_byte(out, '-');
}

static void write_cell(const struct start *from, const struct input *in, struct buf *out)
{
    struct driver d;
    struct account account;
    driver_init(&d);
    d.config.plaintext_auth = true;
    d.peer.tls = from->is_tls;
    assert_true(driver_find(SLICE("any"), &account));
    d.peer.account = from->by_address ? &account : NULL;
    driver_start(&d);
    slice before = slice_of(from->before);
    assert_int_equal(driver_give(&d, before), before.len);
    buf_clear(&d.said);
    driver_give(&d, slice_of(in->said));
    if (in->then)
        driver_give(&d, slice_of(in->then));
    struct buf codes = BUF_INIT;
    write_codes(buf_slice(&d.said), &codes);
    buf_printf(out, "%-28s| %-28s| %-20.*s| %s\n", from->name, in->name,
               SLICE_ARG(buf_slice(&codes)), submission_state_name(d.s->state));
    buf_fini(&codes);
    driver_fini(&d);
}

static void write_matrix(struct buf *out)
{
    buf_printf(out, "%-28s| %-28s| %-20s| %s\n", "# state", "what the client says", "replies",
               "state then");
    for (size_t i = 0; i < COUNT_OF(starts); i++)
        for (size_t k = 0; k < COUNT_OF(inputs); k++)
            write_cell(&starts[i], &inputs[k], out);
}

static void compare(slice got, slice want)
{
    slice a;
    slice b;
    unsigned line = 0;
    unsigned different = 0;
    while (slice_split(&got, '\n', &a)) {
        line++;
        if (!slice_split(&want, '\n', &b))
            b = SLICE("(nothing)");
        if (!slice_eq(a, b) && different++ < 20)
            print_error("line %u: got  %.*s\n         not  %.*s\n", line, SLICE_ARG(a),
                        SLICE_ARG(b));
    }
    assert_int_equal(different, 0);
    assert_int_equal(want.len, 0);
}

static void test_matrix(void **state UNUSED)
{
    struct buf got = BUF_INIT;
    write_matrix(&got);
    const char *mode = getenv("GOLDEN");
    bool writes = mode && strcmp(mode, "write") == 0;
    FILE *f = fopen(TEST_DIR "/matrix.golden", writes ? "w" : "r");
    assert_non_null(f);
    if (writes) {
        assert_int_equal(fwrite(got.ptr, 1, got.len, f), got.len);
    } else {
        char *want = xcalloc(1, got.len * 2);
        size_t n = fread(want, 1, got.len * 2, f);
        compare(buf_slice(&got), (slice){want, n});
        free(want);
    }
    fclose(f);
    buf_fini(&got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_matrix)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
