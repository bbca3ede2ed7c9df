/* Delivery to a next host: site, sessions and settling against a server that plays by rules. */
#include "stage.h"

#include "base/log.h"

static void pump(struct office *o)
{
    (void)o;
    site_pump(on->site);
}

/* Keys of the configuration that a test wants otherwise: more lines of [delivery], [smarthost].
 */
static void open_site(const char *delivery, const char *smarthost, const char *secret)
{
    struct buf lines = BUF_INIT, errors = BUF_INIT;
    buf_printf(&lines,
               "[delivery]\ntransport = smarthost\n%s\n"
               "[smarthost]\nhost = 127.0.0.1\nport = %u\n%s\n",
               delivery, on->sink->port, smarthost);
    stage_read_conf("out.test", &lines, &errors);
    on->site = site_new(&on->office->courier, on->conf, slice_of(secret), (slice){0}, &errors);
    assert_non_null(on->site);
    stage_use(&on->site->settings, &on->site->destination, pump);
    buf_fini(&lines);
    buf_fini(&errors);
}

static bool is_closed(struct office *o)
{
    return site_is_idle(on->site) && settle_is_idle(o->courier.settle);
}

static int tear_down(void **state UNUSED)
{
    if (on->site) {
        site_close(on->site);
        stage_close(is_closed);
        site_free(&on->site);
    }
    stage_free();
    return 0;
}

static bool is_empty(struct office *o)
{
    return o->queue.living == 0;
}

static bool nothing_ready(struct office *o)
{
    return on->site->destination.ready == 0 && settle_is_idle(o->courier.settle) &&
           on->site->count == on->site->idle_count;
}

static bool has_failed_once(struct office *o)
{
    (void)o;
    return on->site->failures > 0;
}

#define PLAIN "tls = none"

static void check_text(const char *got, const char *want)
{
    assert_string_equal(got, want);
}

static void test_messages_arrive_as_they_are(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "Subject: a\r\n\r\nhello\r\n",    "Subject: dots\r\n\r\n.\r\n..\r\n.x\r\n",
        "Subject: empty body\r\n\r\n",    "Subject: no end of line\r\n\r\nx",
        "Subject: 8\r\n\r\n\xc3\xa5\r\n",
    };
    open_site("connections = 1", PLAIN, "");
    start();
    for (size_t i = 0; i < COUNT_OF(bodies); i++)
        office_post_one(on->office, "to@y.test", bodies[i]);
    office_read(on->office);
    office_run(on->office, is_empty);
    assert_int_equal(on->sink->count, COUNT_OF(bodies));
    assert_int_equal(on->sink->connections, 1);
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        struct buf *b = &on->sink->mail[i].body;
        size_t len = strlen(bodies[i]);
        assert_true(b->len >= len);
        assert_memory_equal(b->ptr, bodies[i], len);
        assert_true(b->len == len || i == 3); /* the end of line that DATA needs */
        check_text(on->sink->mail[i].to, "<to@y.test>\n");
    }
    assert_true(strncmp(on->sink->mail[0].from, "<from@x.test>", 13) == 0);
    assert_int_equal(on->office->pages.stats.delivered, COUNT_OF(bodies));
    assert_int_equal(on->office->queue.parcels, 0);
}

static void test_each_recipient_has_its_own_fate(void **state)
{
    (void)state;
    static const char *const to[] = {"a@y.test", "no@y.test", "later@y.test", "b@y.test", NULL};
    struct office_message m = {.account = 1,
                               .from = "from@x.test",
                               .to = to,
                               .body = SLICE("Subject: x\r\n\r\nx\r\n")};
    on->sink->rules[0] =
        (struct sink_rule){"RCPT TO:<no@", "550 5.1.1 nobody\r\n", 9, 0, false};
    on->sink->rules[1] =
        (struct sink_rule){"RCPT TO:<later@", "450 4.2.0 busy\r\n", 9, 0, false};
    open_site("", PLAIN, "");
    start();
    uint64_t id = office_post(on->office, &m);
    office_read(on->office);
    office_run(on->office, nothing_ready);
    assert_int_equal(on->sink->count, 1);
    check_text(on->sink->mail[0].to, "<a@y.test>\n<b@y.test>\n");
    assert_null(office_recipient(on->office, id, 0));
    assert_null(office_recipient(on->office, id, 3));
    struct recipient *no = office_recipient(on->office, id, 1);
    struct recipient *later = office_recipient(on->office, id, 2);
    assert_int_equal(no->state, RECIPIENT_FAILED);
    assert_int_equal(no->trouble->code, 550);
    assert_int_equal(no->trouble->stage, STAGE_RCPT);
    assert_true(
        slice_eq(record_get(trouble_facts(no->trouble), TAG_RECIPIENT), SLICE("no@y.test")));
    assert_int_equal(later->state, RECIPIENT_WAITING);
    assert_int_equal(later->attempts, 1);
    assert_true(slice_search(trouble_reply(later->trouble), SLICE("busy")) >= 0);
    assert_true(slice_search(trouble_remote(later->trouble), SLICE("[127.0.0.1]")) >= 0);
    struct parcel *p = queue_find(&on->office->queue, id);
    slice kept = slice_make(p->reporting->bytes, p->reporting->len);
    assert_true(slice_eq(record_get(kept, TAG_REVERSE_PATH), SLICE("from@x.test")));
}

static void test_all_refused(void **state)
{
    (void)state;
    on->sink->rules[0] = (struct sink_rule){"RCPT", "550 5.1.1 nobody\r\n", 9, 0, false};
    open_site("", PLAIN, "");
    start();
    uint64_t id = office_post_one(on->office, "a@y.test", "Subject: x\r\n\r\nx\r\n");
    office_post_one(on->office, "b@y.test", "Subject: y\r\n\r\ny\r\n");
    office_read(on->office);
    office_run(on->office, nothing_ready);
    assert_int_equal(on->sink->count, 0);
    assert_int_equal(on->office->queue.failed, 2);
    assert_int_equal(office_recipient(on->office, id, 0)->state, RECIPIENT_FAILED);
}

static void test_refused_at_the_end(void **state)
{
    (void)state;
    on->sink->rules[0] = (struct sink_rule){".", "554 5.7.1 spam\r\n", 1, 0, false};
    open_site("connections = 1", PLAIN, "");
    start();
    uint64_t bad = office_post_one(on->office, "a@y.test", "Subject: x\r\n\r\nx\r\n");
    uint64_t good = office_post_one(on->office, "a@y.test", "Subject: y\r\n\r\ny\r\n");
    office_read(on->office);
    office_run(on->office, nothing_ready);
    assert_int_equal(office_recipient(on->office, bad, 0)->state, RECIPIENT_FAILED);
    assert_null(office_recipient(on->office, good, 0));
    assert_int_equal(on->sink->connections, 1);
}

static void test_a_host_that_is_down_costs_no_attempts(void **state)
{
    (void)state;
    uint16_t port = on->sink->port;
    close(on->sink->fd); /* nobody listens there now */
    open_site("", PLAIN, "");
    uint64_t ids[3];
    for (int i = 0; i < 3; i++)
        ids[i] = office_post_one(on->office, "a@y.test", "Subject: x\r\n\r\nx\r\n");
    office_read(on->office);
    office_run(on->office, has_failed_once);
    assert_int_equal(on->site->failures, 1);
    assert_int_equal(on->site->destination.ready, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(office_recipient(on->office, ids[i], 0)->attempts, 0);
    on->sink->fd = sink_listen(&port);
    start();
    office_run(on->office, is_empty);
    assert_int_equal(on->sink->count, 3);
    assert_int_equal(on->site->failures, 0);
}

static void test_too_old_at_a_host_that_is_down(void **state)
{
    (void)state;
    close(on->sink->fd);
    open_site("expiry = 1h", PLAIN, "");
    static const char *const to[] = {"a@y.test", "b@y.test", NULL};
    struct office_message m = {.account = 1,
                               .from = "from@x.test",
                               .to = to,
                               .body = SLICE("Subject: x\r\n\r\nx\r\n"),
                               .accepted = env_now(on->office->env) - 2 * SPAN_HOUR};
    uint64_t old = office_post(on->office, &m);
    uint64_t young = office_post_one(on->office, "a@y.test", "Subject: x\r\n\r\nx\r\n");
    office_read(on->office);
    office_run(on->office, has_failed_once);
    office_run(on->office, is_closed);
    assert_int_equal(office_recipient(on->office, old, 0)->state, RECIPIENT_EXPIRED);
    assert_int_equal(office_recipient(on->office, old, 1)->state, RECIPIENT_EXPIRED);
    assert_true(slice_eq(
        record_get(trouble_facts(office_recipient(on->office, old, 1)->trouble), TAG_RECIPIENT),
        SLICE("b@y.test")));
    assert_int_equal(office_recipient(on->office, young, 0)->state, RECIPIENT_READY);
    uint16_t port = 0;
    on->sink->fd = sink_listen(&port);
}

static void test_a_great_many_too_old(void **state)
{
    (void)state;
    enum { COUNT = 1100 }; /* more than one portion */
    close(on->sink->fd);
    open_site("expiry = 1h", PLAIN, "");
    static const char *const to[] = {"a@y.test", NULL};
    struct office_message m = {.account = 1,
                               .from = "from@x.test",
                               .to = to,
                               .body = SLICE("A: b\r\n\r\n"),
                               .accepted = env_now(on->office->env) - 2 * SPAN_HOUR};
    for (int i = 0; i < COUNT; i++)
        office_post(on->office, &m);
    on->site->settings.retry.first = on->site->settings.retry.longest = SPAN_HOUR;
    office_read(on->office);
    office_run(on->office, is_empty);
    assert_int_equal(on->office->queue.failed, COUNT);
    uint16_t port = 0;
    on->sink->fd = sink_listen(&port);
}

static void test_recipients_stay_together(void **state)
{
    (void)state;
    static const char *const to[] = {"a@y", "b@y", "c@y", "d@y", NULL};
    struct office_message m = {
        .account = 1, .from = "f@x", .to = to, .body = SLICE("A: b\r\n\r\nx\r\n")};
    on->sink->rules[0] = (struct sink_rule){"RCPT", "450 4.2.0 greylisted\r\n", 4, 0, false};
    open_site("connections = 1", PLAIN, "");
    start();
    office_post(on->office, &m);
    office_read(on->office);
    office_run(on->office, is_empty);
    assert_int_equal(on->sink->count, 1);
    check_text(on->sink->mail[0].to, "<a@y>\n<b@y>\n<c@y>\n<d@y>\n");
    assert_int_equal(on->office->pages.stats.retried, 4);
}

static void test_a_stale_connection_is_no_attempt(void **state)
{
    (void)state;
    /* The second MAIL of a connection is answered with 421. */
    on->sink->rules[0] = (struct sink_rule){"MAIL", "421 too long\r\n", 1, 1, true};
    open_site("connections = 1", PLAIN, "");
    start();
    for (int i = 0; i < 4; i++)
        office_post_one(on->office, "a@y.test", "Subject: x\r\n\r\nx\r\n");
    office_read(on->office);
    office_run(on->office, is_empty);
    assert_int_equal(on->sink->count, 4);
    assert_int_equal(on->sink->connections, 2);
    assert_int_equal(on->office->pages.stats.retried, 0);
}

static void test_421_at_once_makes_the_site_wait(void **state)
{
    (void)state;
    on->sink->rules[0] = (struct sink_rule){"MAIL", "421 4.3.2 not now\r\n", 1, 0, true};
    open_site("connections = 1", PLAIN, "");
    start();
    uint64_t id = office_post_one(on->office, "a@y.test", "Subject: x\r\n\r\nx\r\n");
    office_read(on->office);
    office_run(on->office, has_failed_once);
    office_run(on->office, is_closed);
    assert_int_equal(office_recipient(on->office, id, 0)->attempts, 1);
    office_run(on->office, is_empty);
    assert_int_equal(on->sink->count, 1);
}

static void test_greeting_refused(void **state)
{
    (void)state;
    on->sink->rules[0] = (struct sink_rule){"", "554 go away\r\n", 1, 0, true};
    open_site("", PLAIN, "");
    start();
    uint64_t id = office_post_one(on->office, "a@y.test", "Subject: x\r\n\r\nx\r\n");
    office_read(on->office);
    office_run(on->office, has_failed_once);
    check_text(on->site->text, "go away");
    assert_int_equal(office_recipient(on->office, id, 0)->attempts, 0);
    office_run(on->office, is_empty);
}

static void test_connection_lost_before_the_last_reply(void **state)
{
    (void)state;
    on->sink->rules[0] = (struct sink_rule){".", NULL, 1, 0, true};
    open_site("connections = 1", PLAIN, "");
    start();
    uint64_t id = office_post_one(on->office, "a@y.test", "Subject: x\r\n\r\nx\r\n");
    office_read(on->office);
    office_run(on->office, nothing_ready);
    struct recipient *r = office_recipient(on->office, id, 0);
    assert_int_equal(r->attempts, 1);
    assert_int_equal(r->trouble->stage, STAGE_END);
    office_run(on->office, is_empty);
    assert_int_equal(on->sink->count, 1);
}

static void test_messages_per_connection(void **state)
{
    (void)state;
    open_site("connections = 1\nmessages-per-connection = 2", PLAIN, "");
    start();
    for (int i = 0; i < 5; i++)
        office_post_one(on->office, "a@y.test", "Subject: x\r\n\r\nx\r\n");
    office_read(on->office);
    office_run(on->office, is_empty);
    assert_int_equal(on->sink->count, 5);
    assert_int_equal(on->sink->connections, 3);
}

static bool has_no_sessions(struct office *o)
{
    return is_empty(o) && on->site->count == 0;
}

static void test_idle_connections_end(void **state)
{
    (void)state;
    open_site("idle-timeout = 20ms", PLAIN, "");
    start();
    office_post_one(on->office, "a@y.test", "Subject: x\r\n\r\nx\r\n");
    office_read(on->office);
    office_run(on->office, has_no_sessions);
    assert_int_equal(on->sink->count, 1);
}

static void test_several_connections(void **state)
{
    (void)state;
    open_site("connections = 3", PLAIN, "");
    start();
    for (int i = 0; i < 60; i++)
        office_post_one(on->office, "a@y.test", "Subject: x\r\n\r\nx\r\n");
    office_read(on->office);
    office_run(on->office, is_empty);
    assert_int_equal(on->sink->count, 60);
    assert_in_range(on->sink->connections, 2, 3);
    /* Outcomes share syncs. */
    struct journal_numbers n;
    settle_numbers(on->office->courier.settle, &n);
    assert_true(n.syncs * 3 < 60);
}

static void test_recipients_per_message(void **state)
{
    (void)state;
    static const char *const to[] = {"a@y", "b@y", "c@y", "d@y", "e@y", NULL};
    struct office_message m = {
        .account = 1, .from = "", .to = to, .body = SLICE("Subject: x\r\n\r\nx\r\n")};
    open_site("connections = 1\nrecipients-per-message = 2", PLAIN, "");
    start();
    office_post(on->office, &m);
    office_read(on->office);
    office_run(on->office, is_empty);
    assert_int_equal(on->sink->count, 3);
    check_text(on->sink->mail[0].to, "<a@y>\n<b@y>\n");
    check_text(on->sink->mail[2].to, "<e@y>\n");
    assert_true(strncmp(on->sink->mail[0].from, "<>", 2) == 0);
}

static char *large_body(size_t len)
{
    char *body = xcalloc(1, len);
    for (size_t i = 0; i < len; i++)
        body[i] = (char)('a' + (i * 7 + (i >> 9)) % 26);
    for (size_t i = 62; i + 2 <= len; i += 64)
        memcpy(body + i, "\r\n", 2);
    for (size_t i = 64; i < len; i += 640)
        body[i] = '.';
    memcpy(body + len - 2, "\r\n", 2);
    return body;
}

static void test_large_bodies(void **state)
{
    (void)state;
    static const struct row {
        size_t len;
        bool in_file;
    } rows[] = {{200 * 1024, false},
                {LETTER_PIECE, true},
                {LETTER_PIECE + 64, true},
                {9 * 1024 * 1024 + 64, true}};
    static const char *const to[] = {"a@y.test", NULL};
    char *bodies[COUNT_OF(rows)];
    open_site("connections = 1", PLAIN, "");
    start();
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        bodies[i] = large_body(rows[i].len);
        struct office_message m = {.account = 1, .from = "f@x", .to = to};
        m.body = slice_make(bodies[i], rows[i].len);
        m.in_file = rows[i].in_file;
        office_post(on->office, &m);
    }
    office_read(on->office);
    office_run(on->office, is_empty);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(on->sink->mail[i].body.len, rows[i].len);
        assert_memory_equal(on->sink->mail[i].body.ptr, bodies[i], rows[i].len);
        free(bodies[i]);
    }
}

static void test_a_body_that_is_gone_is_tried_again(void **state)
{
    (void)state;
    static const char *const to[] = {"a@y.test", NULL};
    struct office_message m = {.account = 1, .from = "f@x", .to = to, .in_file = true};
    char *body = large_body(LETTER_PIECE * 2);
    m.body = slice_make(body, LETTER_PIECE * 2);
    open_site("connections = 1", PLAIN, "");
    start();
    uint64_t id = office_post(on->office, &m);
    char text[ID_TEXT_LEN + 1], path[64], away[64];
    id_format(id, text);
    snprintf(path, sizeof(path), "large/%s", text);
    snprintf(away, sizeof(away), "large/%s.away", text);
    assert_int_equal(env_rename(on->office->env, path, away), 0);
    office_read(on->office);
    office_run(on->office, nothing_ready);
    struct recipient *r = office_recipient(on->office, id, 0);
    assert_int_equal(r->state, RECIPIENT_WAITING);
    assert_int_equal(r->trouble->stage, STAGE_LOCAL);
    assert_int_equal(env_rename(on->office->env, away, path), 0);
    office_run(on->office, is_empty);
    assert_int_equal(on->sink->mail[0].body.len, m.body.len);
    free(body);
}

static void test_damage_on_our_disk_is_not_sent(void **state)
{
    (void)state;
    open_site("connections = 1", PLAIN, "");
    start();
    uint64_t bad = office_post_one(on->office, "a@y.test", "Subject: x\r\n\r\nFINDME\r\n");
    uint64_t good = office_post_one(on->office, "a@y.test", "Subject: y\r\n\r\ny\r\n");
    office_read(on->office);
    struct parcel *p = queue_find(&on->office->queue, bad);
    char path[128];
    snprintf(path, sizeof(path), "%s/journal/smtpd/%016x.seg", on->office->root, 0);
    FILE *f = fopen(path, "r+");
    assert_non_null(f);
    fseek(f, (long)(p->facts.position + RECORD_HEADER_LEN + p->facts.fields_len + 16),
          SEEK_SET);
    fputc('X', f);
    fclose(f);
    office_run(on->office, nothing_ready);
    assert_int_equal(office_recipient(on->office, bad, 0)->state, RECIPIENT_WAITING);
    assert_null(office_recipient(on->office, good, 0));
    assert_int_equal(on->sink->count, 1);
}

static bool is_unwell(struct office *o)
{
    return !settle_is_well(o->courier.settle);
}

static void test_nothing_is_sent_while_outcomes_cannot_be_kept(void **state)
{
    (void)state;
    open_site("connections = 1\nmessages-per-connection = 1", PLAIN, "");
    start();
    for (int i = 0; i < 3; i++)
        office_post_one(on->office, "a@y.test", "Subject: x\r\n\r\nx\r\n");
    office_read(on->office);
    on->office->own.error = ENOSPC;
    atomic_store(&on->office->own.fail_times, 2);
    atomic_store(&on->office->own.fail_in, 1);
    office_run(on->office, is_unwell);
    size_t sent = sink_count(on->sink);
    assert_in_range(sent, 1, 3);
    assert_int_equal(on->office->queue.living, 3); /* nothing is final yet */
    site_pump(on->site);
    assert_false(site_may_begin(on->site));
    office_run(on->office, is_empty);
    assert_int_equal(on->sink->count, 3); /* nobody got it twice */
    assert_true(on->office->own.fail_times == 0);
}

static void make_server_tls(struct buf *chain)
{
    struct buf key = BUF_INIT;
    assert_int_equal(tls_make_certificate("sink.test", chain, &key), 0);
    on->sink->tls = SSL_CTX_new(TLS_server_method());
    BIO *c = BIO_new_mem_buf(chain->ptr, (int)chain->len);
    BIO *k = BIO_new_mem_buf(key.ptr, (int)key.len);
    X509 *cert = PEM_read_bio_X509(c, NULL, NULL, NULL);
    EVP_PKEY *pkey = PEM_read_bio_PrivateKey(k, NULL, NULL, NULL);
    assert_int_equal(SSL_CTX_use_certificate(on->sink->tls, cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(on->sink->tls, pkey), 1);
    X509_free(cert);
    EVP_PKEY_free(pkey);
    BIO_free(c);
    BIO_free(k);
    buf_fini(&key);
}

static void test_tls_and_sign_in(void **state)
{
    (void)state;
    struct buf chain = BUF_INIT;
    make_server_tls(&chain);
    on->sink->extensions = "250-PIPELINING\r\n250-AUTH PLAIN\r\n";
    open_site("connections = 1", "tls = encrypt\nlogin = me\npassword-file = /x",
              "pass\nmore\n");
    start();
    char *body = large_body(2 * 1024 * 1024);
    static const char *const to[] = {"a@y.test", NULL};
    struct office_message m = {.account = 1, .from = "f@x", .to = to, .in_file = true};
    m.body = slice_make(body, 2 * 1024 * 1024);
    office_post(on->office, &m);
    office_post_one(on->office, "a@y.test", "Subject: x\r\n\r\nx\r\n");
    office_read(on->office);
    office_run(on->office, is_empty);
    assert_int_equal(on->sink->count, 2);
    assert_int_equal(on->sink->secured, 1);
    check_text(on->sink->auth, "PLAIN AG1lAHBhc3M=");
    assert_int_equal(on->sink->mail[0].body.len, m.body.len);
    assert_memory_equal(on->sink->mail[0].body.ptr, body, m.body.len);
    free(body);
    buf_fini(&chain);
}

static void test_an_unknown_certificate_is_refused_when_verifying(void **state)
{
    (void)state;
    struct buf chain = BUF_INIT;
    make_server_tls(&chain);
    open_site("", "tls = verify", "");
    start();
    uint64_t id = office_post_one(on->office, "a@y.test", "Subject: x\r\n\r\nx\r\n");
    office_read(on->office);
    office_run(on->office, has_failed_once);
    assert_int_equal(on->sink->count, 0);
    assert_int_equal(on->site->stage, STAGE_TLS);
    assert_int_equal(office_recipient(on->office, id, 0)->attempts, 0);
    buf_fini(&chain);
}

static void test_opportunistic_tls_falls_back(void **state)
{
    (void)state;
    struct buf chain = BUF_INIT;
    make_server_tls(&chain);
    on->sink->rules[0] = (struct sink_rule){"STARTTLS", "454 4.7.0 broken\r\n", 1, 0, true};
    open_site("connections = 1", "tls = opportunistic", "");
    start();
    office_post_one(on->office, "a@y.test", "Subject: x\r\n\r\nx\r\n");
    office_read(on->office);
    office_run(on->office, is_empty);
    assert_int_equal(on->sink->count, 1);
    assert_int_equal(on->sink->secured, 0);
    assert_int_equal(on->site->failures, 0);
    buf_fini(&chain);
}

static void test_required_tls_is_required(void **state)
{
    (void)state;
    open_site("", "tls = encrypt", "");
    start();
    office_post_one(on->office, "a@y.test", "Subject: x\r\n\r\nx\r\n");
    office_read(on->office);
    office_run(on->office, has_failed_once);
    assert_int_equal(on->sink->count, 0);
}

static void test_names_are_looked_up(void **state)
{
    (void)state;
    open_site("connections = 1", PLAIN, "");
    target_fini(&on->site->target);
    void (*on_found)(void *, const struct target_trouble *) = on->site->target.on_found;
    target_init_host(&on->site->target, on->office->loop, on->office->courier.jobs,
                     "localhost");
    on->site->target.on_found = on_found;
    on->site->target.ctx = on->site;
    start();
    office_post_one(on->office, "a@y.test", "Subject: x\r\n\r\nx\r\n");
    office_read(on->office);
    office_run(on->office, is_empty);
    assert_int_equal(on->sink->count, 1);
}

static void test_hold(void **state)
{
    (void)state;
    open_site("", PLAIN, "");
    start();
    on->office->courier.is_held = true;
    office_post_one(on->office, "a@y.test", "Subject: x\r\n\r\nx\r\n");
    office_read(on->office);
    site_pump(on->site);
    assert_int_equal(on->site->count, 0);
    assert_int_equal(on->site->destination.ready, 1);
    on->office->courier.is_held = false;
    office_run(on->office, is_empty);
    assert_int_equal(on->sink->count, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, stage_set_up, tear_down)

int main(void)
{
    log_setup("test", LOG_LOGFMT, LOG_ERROR);
    const struct CMUnitTest tests[] = {
        TEST(test_messages_arrive_as_they_are),
        TEST(test_each_recipient_has_its_own_fate),
        TEST(test_all_refused),
        TEST(test_refused_at_the_end),
        TEST(test_a_host_that_is_down_costs_no_attempts),
        TEST(test_too_old_at_a_host_that_is_down),
        TEST(test_a_great_many_too_old),
        TEST(test_recipients_stay_together),
        TEST(test_a_stale_connection_is_no_attempt),
        TEST(test_421_at_once_makes_the_site_wait),
        TEST(test_greeting_refused),
        TEST(test_connection_lost_before_the_last_reply),
        TEST(test_messages_per_connection),
        TEST(test_idle_connections_end),
        TEST(test_several_connections),
        TEST(test_recipients_per_message),
        TEST(test_large_bodies),
        TEST(test_a_body_that_is_gone_is_tried_again),
        TEST(test_damage_on_our_disk_is_not_sent),
        TEST(test_nothing_is_sent_while_outcomes_cannot_be_kept),
        TEST(test_tls_and_sign_in),
        TEST(test_an_unknown_certificate_is_refused_when_verifying),
        TEST(test_opportunistic_tls_falls_back),
        TEST(test_required_tls_is_required),
        TEST(test_names_are_looked_up),
        TEST(test_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
