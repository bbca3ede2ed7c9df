/* Conversations, read from submission.script, each run whole and byte by byte, with answers at
 * once and late: every reply and effect must be the same. And what no conversation shows: the
 * size of an idle machine, wiped secrets, deadlines. */
#include "../check.h"
#include "submission_driver.h"

/* One "== name" of the script. */
struct conversation {
    slice name;
    slice text; /* its lines */
};

static slice script;

static char *read_script(const char *path)
{
    FILE *f = fopen(path, "r");
    if (!f)
        fail_msg("%s: cannot be read", path);
    char *text = xcalloc(1, 1 << 20);
    size_t n = fread(text, 1, (1 << 20) - 1, f);
    fclose(f);
    assert_true(n > 0);
    return text;
}

static bool next_conversation(slice *rest, struct conversation *c)
{
    slice line;
    while (slice_split(rest, '\n', &line)) {
        if (!slice_starts(line, SLICE("== ")))
            continue;
        c->name = slice_from(line, 3);
        ptrdiff_t end = slice_search(*rest, SLICE("\n== "));
        c->text = end < 0 ? *rest : slice_to(*rest, (size_t)end + 1);
        *rest = slice_from(*rest, c->text.len);
        return true;
    }
    return false;
}

/* "\r", "\n", "\b", "\0", "\\", and "\*N:c" for N times c. */
static void append_raw(struct buf *out, slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] != '\\') {
            buf_byte(out, s.ptr[i]);
            continue;
        }
        char c = s.ptr[++i];
        if (c != '*') {
            buf_byte(out, c == 'r'   ? '\r'
                          : c == 'n' ? '\n'
                          : c == 'b' ? '\b'
                          : c == '0' ? '\0'
                                     : c);
            continue;
        }
        char *end;
        unsigned long n = strtoul(s.ptr + i + 1, &end, 10);
        while (n-- > 0)
            buf_byte(out, end[1]);
        i = (size_t)(end + 1 - s.ptr);
    }
}

static void set(struct driver *d, slice key, slice value, struct account *account)
{
    uint64_t n = 0;
    bool is_number = slice_to_u64(value, &n);
    if (slice_eq(key, SLICE("account"))) {
        assert_true(driver_find(value, account));
        d->peer.account = account;
    } else if (slice_eq(key, SLICE("tls"))) {
        d->config.tls = (enum submission_tls)n;
        d->peer.tls = n == SUBMISSION_TLS_IMPLICIT;
    } else if (slice_eq(key, SLICE("plaintext_auth"))) {
        d->config.plaintext_auth = n;
    } else if (slice_eq(key, SLICE("needs_tls"))) {
        d->config.needs_tls = n;
    } else if (slice_eq(key, SLICE("local"))) {
        d->config.is_local_door = n;
    } else if (slice_eq(key, SLICE("max_size"))) {
        d->config.max_size = n;
    } else if (slice_eq(key, SLICE("max_line"))) {
        d->config.max_line = (uint32_t)n;
    } else if (slice_eq(key, SLICE("max_errors"))) {
        d->config.max_errors = (uint32_t)n;
    } else if (slice_eq(key, SLICE("max_messages"))) {
        d->config.max_messages = (uint32_t)n;
    } else if (slice_eq(key, SLICE("trace"))) {
        d->config.trace = (enum trace_detail)n;
    } else if (slice_eq(key, SLICE("tls_fails"))) {
        d->tls_fails = n;
    } else if (slice_eq(key, SLICE("body_err"))) {
        d->body_err = -(int)n;
    } else if (slice_eq(key, SLICE("commit_err"))) {
        d->commit_err = -(int)n;
    } else if (slice_eq(key, SLICE("open"))) {
        d->open_refusal = (struct reply){(uint16_t)n, {4, 3, 1}, SLICE("No room")};
    } else if (slice_eq(key, SLICE("commit"))) {
        d->commit_refusal = (struct reply){(uint16_t)n, {4, 7, 1}, SLICE("Does not fit")};
    } else {
        is_number = false;
    }
    if (!is_number && !slice_eq(key, SLICE("account")))
        fail_msg("set %.*s: not known", SLICE_ARG(key));
}

static void change_account(struct driver *d, slice login)
{
    struct account account;
    bool found = driver_find(login, &account);
    submission_account_changed(d->s, found ? &account : NULL);
}

static void act(struct driver *d, slice what)
{
    slice verb;
    slice_split(&what, ' ', &verb);
    if (slice_eq(verb, SLICE("timeout")))
        submission_timeout(d->s);
    else if (slice_eq(verb, SLICE("shutdown")))
        submission_shutdown(d->s);
    else if (slice_eq(verb, SLICE("gone")))
        submission_gone(d->s);
    else if (slice_eq(verb, SLICE("become")))
        change_account(d, what);
    else if (!slice_eq(verb, SLICE("read"))) /* what came so far was one read */
        fail_msg("do %.*s: not known", SLICE_ARG(verb));
    driver_settle(d);
}

struct expectation {
    struct buf said;
    struct buf done;
    struct buf body;
    bool has_done;
    bool has_body;
};

/* Greeted and, with a login, signed in over TLS; what was said and done so far is dropped. */
static void begin(struct driver *d, slice login)
{
    static const slice hello = SLICE_INIT("EHLO c.test\r\n");
    struct arena a = ARENA_INIT;
    if (login.len && d->config.tls != SUBMISSION_TLS_NONE && !d->config.plaintext_auth)
        d->peer.tls = true;
    driver_start(d);
    driver_give(d, hello);
    if (login.len) {
        slice plain = arena_printf(&a, "%c%.*s%csecret", 0, SLICE_ARG(login), 0);
        slice auth =
            arena_printf(&a, "AUTH PLAIN %.*s\r\n", SLICE_ARG(base64_encode(&a, plain)));
        driver_give(d, auth);
        assert_int_equal(d->s->state, STATE_READY);
    }
    arena_fini(&a);
    buf_clear(&d->said);
    buf_clear(&d->done);
}

static void run(const struct conversation *c, size_t step, bool late)
{
    struct driver d;
    struct account account;
    struct buf input = BUF_INIT;
    struct expectation want = {0};
    slice rest = c->text;
    slice line;
    char where[200];
    snprintf(where, sizeof(where), "%.*s (step %zu%s)", SLICE_ARG(c->name), step,
             late ? ", late" : "");
    driver_init(&d);
    d.answers_late = late;
    while (slice_split(&rest, '\n', &line)) {
        slice tag;
        if (!slice_split(&line, ' ', &tag) || tag.ptr[0] == '#')
            continue;
        slice key;
        if (slice_eq(tag, SLICE("set"))) {
            slice_split(&line, ' ', &key);
            set(&d, key, line, &account);
            continue;
        }
        if (slice_eq(tag, SLICE("begin"))) {
            begin(&d, line);
            continue;
        }
        if (!d.s)
            driver_start(&d);
        if (slice_eq(tag, SLICE("C:"))) {
            buf_append(&input, line);
            buf_append(&input, SLICE("\r\n"));
        } else if (slice_eq(tag, SLICE("R:"))) {
            append_raw(&input, line);
        } else if (slice_eq(tag, SLICE("S:"))) {
            buf_append(&want.said, line);
            buf_append(&want.said, SLICE("\r\n"));
        } else if (slice_eq(tag, SLICE("B:"))) {
            buf_append(&want.body, line);
            buf_append(&want.body, SLICE("\r\n"));
            want.has_body = true;
        } else if (slice_eq(tag, SLICE("E:"))) {
            buf_append(&want.done, line);
            buf_byte(&want.done, ' ');
            want.has_done = true;
        } else if (slice_eq(tag, SLICE("do"))) {
            driver_feed(&d, buf_slice(&input), step);
            buf_clear(&input);
            act(&d, line);
        } else {
            fail_msg("%s: %.*s: not known", where, SLICE_ARG(tag));
        }
    }
    driver_feed(&d, buf_slice(&input), step);
    driver_settle(&d);
    check_slice(where, buf_slice(&d.said), buf_slice(&want.said));
    if (want.has_done)
        check_slice(where, buf_slice(&d.done), buf_slice(&want.done));
    buf_byte(&want.body, '\n');
    if (want.has_body && !slice_ends(buf_slice(&d.committed), buf_slice(&want.body)))
        check_slice(where, buf_slice(&d.committed), buf_slice(&want.body));
    driver_fini(&d);
    buf_fini(&input);
    buf_fini(&want.said);
    buf_fini(&want.done);
    buf_fini(&want.body);
}

static void test_conversations(void **state UNUSED)
{
    static const size_t steps[] = {1 << 20, 1, 2, 7, 61};
    slice rest = script;
    struct conversation c;
    unsigned count = 0;
    while (next_conversation(&rest, &c)) {
        count++;
        for (size_t i = 0; i < COUNT_OF(steps); i++) {
            /* bytes behind STARTTLS are a matter of what came in one read */
            if (i > 0 && slice_starts(c.name, SLICE("whole: ")))
                continue;
            run(&c, steps[i], false);
            run(&c, steps[i], true);
        }
    }
    assert_true(count > 60);
}

/* Every phrase stands in some conversation: no refusal without a test of its code and text. */
static void test_every_phrase(void **state UNUSED)
{
    for (enum phrase p = PHRASE_NONE + 1; p < PHRASE_COUNT; p++) {
        struct buf text = BUF_INIT;
        submission_render(&text, p, SLICE("\1"), SLICE("\1"));
        /* up to the first argument or line break */
        slice head = buf_slice(&text);
        ptrdiff_t mark = slice_find(head, '?');
        ptrdiff_t cr = slice_find(head, '\r');
        head = slice_to(head, (size_t)(mark >= 0 && mark < cr ? mark : cr));
        struct buf wanted = BUF_INIT;
        buf_append(&wanted, SLICE("S: "));
        buf_append(&wanted, head);
        if (slice_search(script, buf_slice(&wanted)) < 0)
            fail_msg("%s: no conversation has \"%.*s\"", phrase_name(p), SLICE_ARG(head));
        buf_fini(&text);
        buf_fini(&wanted);
    }
}

static void test_idle_memory(void **state UNUSED)
{
    assert_true(sizeof(struct submission) <= 1536);
    struct driver d;
    driver_init(&d);
    d.peer.tls = true;
    begin(&d, SLICE("anna"));
    driver_feed(&d,
                SLICE("MAIL FROM:<anna@x.test>\r\nRCPT TO:<b@b.test>\r\nDATA\r\n"
                      "From: anna@x.test\r\n\r\nbody\r\n.\r\n"),
                4096);
    assert_int_equal(d.commits, 1);
    assert_int_equal(d.s->tx_arena.total, 0);
    assert_int_equal(d.s->header.cap, 0);
    assert_int_equal(d.s->mended.cap, 0);
    assert_null(d.s->recipients);
    driver_fini(&d);
}

/* A million refused recipients take no memory. */
static void test_refused_recipients(void **state UNUSED)
{
    struct driver d;
    driver_init(&d);
    d.peer.tls = true;
    begin(&d, SLICE("any"));
    driver_give(&d, SLICE("MAIL FROM:<a@a.test>\r\n"));
    for (unsigned i = 0; i < 10000; i++) {
        driver_give(&d, SLICE("RCPT TO:<never@b.test>\r\n"));
        buf_clear(&d.said);
        buf_clear(&d.done);
    }
    assert_true(d.s->tx_arena.total + d.s->scratch.total <= 4096);
    assert_true(d.s->recipient_room <= 4);
    driver_fini(&d);
}

static void test_secret_is_wiped(void **state UNUSED)
{
    struct driver d;
    struct effect e;
    driver_init(&d);
    d.peer.tls = true;
    begin(&d, (slice){0});
    /* \0anna\0secret */
    submission_input(d.s, SLICE("AUTH PLAIN AGFubmEAc2VjcmV0\r\n"));
    assert_true(submission_effect(d.s, &e) && e.kind == EFFECT_VERIFY);
    check_slice("secret", e.verify.identity.secret, SLICE("secret"));
    assert_ptr_equal(e.verify.identity.authcid.ptr, d.s->secret.ptr + 1);
    assert_int_equal(submission_waits(d.s), SUBMISSION_WAIT_ANSWER);
    submission_gone(d.s);
    assert_int_equal(d.s->secret.len, 0);
    assert_int_equal(d.s->scratch.total, 0);
    submission_verified(d.s, NULL, NULL); /* too late: nobody listens */
    assert_int_equal(submission_waits(d.s), SUBMISSION_CLOSED);
    driver_fini(&d);
}

static void test_waits(void **state UNUSED)
{
    struct driver d;
    driver_init(&d);
    d.peer.tls = true;
    begin(&d, SLICE("any"));
    assert_int_equal(submission_waits(d.s), SUBMISSION_WAIT_COMMAND);
    driver_give(&d, SLICE("MAIL FROM:<a@a.test>\r\nRCPT TO:<b@b.test>\r\nBDAT 5\r\n"));
    assert_int_equal(submission_waits(d.s), SUBMISSION_WAIT_BODY);
    driver_give(&d, SLICE("A: b\r"));
    assert_int_equal(submission_waits(d.s), SUBMISSION_WAIT_COMMAND);
    driver_give(&d, SLICE("RSET\r\nQUIT\r\n"));
    assert_int_equal(submission_waits(d.s), SUBMISSION_CLOSED);
    assert_int_equal(driver_give(&d, SLICE("NOOP\r\n")), 0);
    driver_fini(&d);
}

/* Until the machine owes a commit its answer. */
static void begin_commit(struct driver *d)
{
    struct effect e;
    driver_init(d);
    begin(d, SLICE("any"));
    driver_give(d, SLICE("MAIL FROM:<a@a.test>\r\nRCPT TO:<b@b.test>\r\nBDAT 6\r\nA: b\r\n"));
    buf_clear(&d->said);
    submission_input(d->s, SLICE("BDAT 0 LAST\r\n"));
    while (submission_effect(d->s, &e) && e.kind != EFFECT_COMMIT)
        assert_int_equal(e.kind, EFFECT_BODY);
    assert_int_equal(e.kind, EFFECT_COMMIT);
    assert_int_equal(submission_waits(d->s), SUBMISSION_WAIT_ANSWER);
    assert_false(submission_wants_input(d->s));
    assert_int_equal(submission_input(d->s, SLICE("NOOP\r\n")), 0);
}

static void test_gone_while_committing(void **state UNUSED)
{
    struct driver d;
    struct effect e;
    begin_commit(&d);
    submission_gone(d.s);
    assert_true(submission_effect(d.s, &e) && e.kind == EFFECT_CLOSE);
    submission_committed(d.s, 0, NULL);
    assert_false(submission_effect(d.s, &e));
    assert_int_equal(submission_out(d.s)->len, 0);
    driver_fini(&d);
}

/* What has been promised is said before the end. */
static void test_ends_wait_for_the_answer(void **state UNUSED)
{
    static void (*const ends[])(struct submission *) = {submission_timeout,
                                                        submission_shutdown};
    static const slice replies[] = {SLICE_INIT("421 4.4.2 "), SLICE_INIT("421 4.3.2 ")};
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        struct driver d;
        struct effect e;
        begin_commit(&d);
        ends[i](d.s);
        assert_false(submission_effect(d.s, &e));
        assert_int_equal(submission_out(d.s)->len, 0);
        submission_committed(d.s, 0, NULL);
        slice said = buf_slice(submission_out(d.s));
        slice line;
        assert_true(slice_split(&said, '\n', &line));
        assert_true(slice_starts(line, SLICE("250 2.0.0 Queued as ")));
        assert_true(slice_starts(said, replies[i]));
        assert_true(submission_effect(d.s, &e) && e.kind == EFFECT_CLOSE);
        driver_fini(&d);
    }
}

/* A connection that is refused hears why, and nothing else. */
static void test_refused_connection(void **state UNUSED)
{
    const struct reply refusal = {421, {4, 7, 0}, SLICE("Too many connections")};
    struct driver d;
    struct effect e;
    driver_init(&d);
    d.s = submission_new(&d.config, &d.peer);
    submission_start(d.s, &refusal);
    check_slice("said", buf_slice(submission_out(d.s)),
                SLICE("421 4.7.0 Too many connections\r\n"));
    assert_true(submission_effect(d.s, &e) && e.kind == EFFECT_CLOSE);
    assert_false(submission_effect(d.s, &e));
    driver_fini(&d);
}

/* What a refused message had taken is given back before its end has come. */
static void test_refusal_aborts_at_once(void **state UNUSED)
{
    static const slice bad[] = {SLICE_INIT("Hello\r\n\r\n"), SLICE_INIT("A: b\n"),
                                SLICE_INIT("From: b@b.test\r\n\r\n")};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct driver d;
        driver_init(&d);
        begin(&d, SLICE("anna"));
        driver_give(&d, SLICE("MAIL FROM:<anna@x.test>\r\nRCPT TO:<b@b.test>\r\nDATA\r\n"));
        buf_clear(&d.said);
        driver_feed(&d, bad[i], 3);
        check_slice("done", buf_slice(&d.done), SLICE("RESERVE OPEN ABORT "));
        check_int("said", (long long)d.said.len, 0);
        driver_give(&d, SLICE("text\r\n"));
        check_int("header", (long long)(d.s->header.cap + d.s->mended.cap), 0);
        driver_give(&d, SLICE("\r\n.\r\n"));
        check_slice("done", buf_slice(&d.done), SLICE("RESERVE OPEN ABORT "));
        assert_true(slice_starts(buf_slice(&d.said), SLICE("55")));
        driver_fini(&d);
    }
}

/* The facts that the owner reads for the record. */
static void test_transaction(void **state UNUSED)
{
    struct driver d;
    struct effect e;
    driver_init(&d);
    d.peer.tls = true;
    d.peer.tls_text = SLICE("TLSv1.3 Y");
    begin(&d, SLICE("anna"));
    driver_give(&d, SLICE("MAIL FROM:<anna@x.test> SIZE=77 BODY=8BITMIME SMTPUTF8\r\n"
                          "RCPT TO:<\"b b\"@B.test>\r\nRCPT TO:<postmaster>\r\n"));
    submission_input(d.s, SLICE("BDAT 44 LAST\r\n"));
    assert_true(submission_effect(d.s, &e) && e.kind == EFFECT_OPEN);
    assert_int_equal(e.open.declared, 77);
    submission_opened(d.s, 5, 6, NULL);
    slice message = SLICE("From: anna@x.test\r\nMessage-ID: <i@x>\r\n\r\n.b\r\n");
    assert_int_equal(submission_input(d.s, message), message.len);
    const struct submission_transaction *t = submission_transaction(d.s);
    check_slice("reverse-path", t->reverse_path, SLICE("anna@x.test"));
    check_int("recipients", (long long)t->recipient_count, 2);
    check_slice("first", t->recipients[0].address, SLICE("\"b b\"@B.test"));
    check_slice("second", t->recipients[1].address, SLICE("postmaster@mx.test"));
    check_int("body", t->params.body, BODY_8BITMIME);
    check_int("utf8", t->params.smtputf8, true);
    check_int("id", (long long)t->id, 5);
    check_int("at", t->at, 6);
    check_int("octets", (long long)t->octets, 44);
    check_slice("message-id", t->message_id, SLICE("<i@x>"));
    check_slice("helo", t->helo, SLICE("c.test"));
    check_slice("protocol", t->protocol, SLICE("UTF8SMTPSA"));
    check_slice("tls", t->tls, SLICE("TLSv1.3 Y"));
    check_int("account", (long long)t->account->id, 3);
    /* a body that cannot be kept while its last bytes are given is not committed */
    assert_true(submission_effect(d.s, &e) && e.kind == EFFECT_BODY);
    submission_body_failed(d.s, -ENOSPC);
    assert_true(submission_effect(d.s, &e) && e.kind == EFFECT_ABORT);
    assert_false(submission_effect(d.s, &e));
    assert_true(slice_search(buf_slice(submission_out(d.s)), SLICE("452 4.3.1 ")) >= 0);
    driver_fini(&d);
}

int main(void)
{
    char *text = read_script(TEST_DIR "/submission.script");
    script = slice_of(text);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conversations),
        cmocka_unit_test(test_every_phrase),
        cmocka_unit_test(test_idle_memory),
        cmocka_unit_test(test_refused_recipients),
        cmocka_unit_test(test_secret_is_wiped),
        cmocka_unit_test(test_waits),
        cmocka_unit_test(test_transaction),
        cmocka_unit_test(test_refusal_aborts_at_once),
        cmocka_unit_test(test_gone_while_committing),
        cmocka_unit_test(test_ends_wait_for_the_answer),
        cmocka_unit_test(test_refused_connection),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(text);
    return failed;
}
