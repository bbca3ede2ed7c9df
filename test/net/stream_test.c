#include "net/address.h"
#include "net/stream.h"
#include "net/stream_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <cmocka.h>

/* One end of a connection and what happened to it. */
struct side {
    struct loop *loop;
    struct stream *stream;
    struct buf got;
    size_t at_most; /* bytes used per on_data; 0: all */
    size_t wanted;  /* closes when it has that many; 0: never */
    bool resumes_itself;
    struct timer *again; /* set by on_data: resumes later */
    bool has_ended;
    int end_error;
    unsigned drains;
    unsigned calls;
    int connected; /* on_connect's, or 1 */
    int tls;       /* on_tls's, or 1 */
    const char *say_after_tls;
    void (*after_tls)(struct side *s);
    size_t amount; /* for after_tls */
    char why[128];
    char tls_text[128];
};

static size_t on_data(void *ctx, slice bytes)
{
    struct side *s = ctx;
    size_t n = s->at_most && s->at_most < bytes.len ? s->at_most : bytes.len;
    s->calls++;
    buf_append(&s->got, slice_to(bytes, n));
    if (s->wanted && s->got.len >= s->wanted)
        stream_close(&s->stream, true);
    else if (s->resumes_itself)
        stream_resume(s->stream);
    else if (s->again && n < bytes.len)
        timer_set(s->again, 2 * SPAN_MS);
    return n;
}

static void on_drain(void *ctx)
{
    struct side *s = ctx;
    s->drains++;
}

static void on_connect(void *ctx, int err)
{
    struct side *s = ctx;
    s->connected = err;
    if (err)
        stream_close(&s->stream, false);
}

static void on_tls(void *ctx, int err)
{
    struct side *s = ctx;
    struct arena a = ARENA_INIT;
    s->tls = err;
    snprintf(s->tls_text, sizeof(s->tls_text), "%.*s",
             SLICE_ARG(stream_tls_text(s->stream, &a)));
    arena_fini(&a);
    if (err) {
        snprintf(s->why, sizeof(s->why), "%s", stream_error_text(s->stream));
        stream_close(&s->stream, true);
    } else if (s->say_after_tls) {
        stream_write(s->stream, slice_of(s->say_after_tls));
    } else if (s->after_tls) {
        s->after_tls(s);
    }
}

static void on_end(void *ctx, int err)
{
    struct side *s = ctx;
    assert_false(s->has_ended);
    s->has_ended = true;
    s->end_error = err;
    stream_close(&s->stream, true);
}

static const struct stream_events events = {on_data, on_drain, on_connect, on_tls, on_end};

static struct side side_of(struct loop *l)
{
    return (struct side){.loop = l, .connected = 1, .tls = 1};
}

static void side_take(struct side *s, int fd)
{
    s->stream = stream_accept(s->loop, fd, &events, s);
    assert_non_null(s->stream);
}

static void assert_got(const struct side *s, const char *want)
{
    if (!slice_eq(buf_slice(&s->got), slice_of(want)))
        fail_msg("got \"%.*s\", want \"%s\"", SLICE_ARG(buf_slice(&s->got)), want);
}

struct pair {
    struct loop *loop;
    struct side a;
    struct side b;
};

static void pair_init(struct pair *p)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends),
                     0);
    p->loop = loop_new();
    p->a = side_of(p->loop);
    p->b = side_of(p->loop);
    side_take(&p->a, ends[0]);
    side_take(&p->b, ends[1]);
}

static void pair_fini(struct pair *p)
{
    assert_null(p->a.stream);
    assert_null(p->b.stream);
    buf_fini(&p->a.got);
    buf_fini(&p->b.got);
    loop_free(&p->loop);
}

static void say(struct side *s, const char *text)
{
    assert_true(stream_write(s->stream, slice_of(text)));
}

static void an_idle_stream_is_small(void **state)
{
    (void)state;
    assert_true(sizeof(struct stream) <= 512);
}

static void bytes_and_then_the_end_arrive(void **state)
{
    (void)state;
    struct pair p;
    pair_init(&p);
    say(&p.a, "hello ");
    struct iovec iov[] = {{(char[]){"wo"}, 2}, {NULL, 0}, {(char[]){"rld"}, 3}};
    assert_true(stream_writev(p.a.stream, iov, 3));
    stream_close(&p.a.stream, true);
    stream_resume(p.b.stream);
    loop_run(p.loop);
    assert_got(&p.b, "hello world");
    assert_true(p.b.has_ended);
    assert_int_equal(p.b.end_error, 0);
    pair_fini(&p);
}

static void what_is_not_used_is_offered_again_before_the_end(void **state)
{
    (void)state;
    struct pair p;
    pair_init(&p);
    say(&p.a, "abcdefghij");
    stream_close(&p.a.stream, true);
    p.b.at_most = 3;
    p.b.resumes_itself = true;
    stream_resume(p.b.stream);
    loop_run(p.loop);
    assert_got(&p.b, "abcdefghij");
    assert_int_equal(p.b.calls, 4);
    assert_true(p.b.has_ended);
    pair_fini(&p);
}

static void resume_later(void *ctx)
{
    struct side *s = ctx;
    assert_int_equal(s->got.len, 2 * s->calls); /* nothing came while it paused */
    assert_false(s->has_ended);
    stream_resume(s->stream);
}

static void a_paused_stream_is_quiet_until_it_is_resumed(void **state)
{
    (void)state;
    struct pair p;
    pair_init(&p);
    p.b.at_most = 2;
    say(&p.a, "abcd");
    stream_close(&p.a.stream, true);
    struct timer again;
    timer_init(&again, p.loop, resume_later, &p.b);
    timer_set(&again, SPAN_MS);
    p.b.again = &again;
    loop_run(p.loop);
    assert_got(&p.b, "abcd");
    assert_int_equal(p.b.calls, 2);
    assert_true(p.b.has_ended);
    pair_fini(&p);
}

/* Bytes that show a gap, a repetition or a wrong order. */
static void fill(char *out, size_t len)
{
    for (size_t i = 0; i < len; i++)
        out[i] = (char)(i * 31 + i / 251);
}

static void a_slow_reader_holds_back_the_writer(void **state)
{
    (void)state;
    enum { LEN = 4 * 1024 * 1024 };
    char *text = malloc(LEN);
    fill(text, LEN);
    struct pair p;
    pair_init(&p);
    assert_false(stream_write(p.a.stream, slice_make(text, LEN)));
    assert_true(stream_backlog(p.a.stream) > 64 * 1024);
    p.b.wanted = LEN;
    stream_resume(p.a.stream);
    stream_resume(p.b.stream);
    loop_run(p.loop);
    assert_int_equal(p.a.drains, 1);
    assert_int_equal(p.b.got.len, LEN);
    assert_memory_equal(p.b.got.ptr, text, LEN);
    assert_true(p.a.has_ended);
    pair_fini(&p);
    free(text);
}

static void closing_with_flush_sends_all(void **state)
{
    (void)state;
    enum { LEN = 2 * 1024 * 1024 };
    char *text = malloc(LEN);
    fill(text, LEN);
    struct pair p;
    pair_init(&p);
    assert_false(stream_write(p.a.stream, slice_make(text, LEN)));
    stream_close(&p.a.stream, true);
    stream_resume(p.b.stream);
    loop_run(p.loop);
    assert_int_equal(p.b.got.len, LEN);
    assert_memory_equal(p.b.got.ptr, text, LEN);
    assert_int_equal(p.b.end_error, 0);
    pair_fini(&p);
    free(text);
}

static void a_broken_connection_is_told_once(void **state)
{
    (void)state;
    struct pair p;
    pair_init(&p);
    stream_close(&p.a.stream, false);
    say(&p.b, "into the void"); /* EPIPE, told though reading is paused */
    say(&p.b, "again");
    loop_run(p.loop);
    assert_true(p.b.has_ended);
    assert_int_equal(p.b.end_error, -EPIPE);
    pair_fini(&p);
}

static int listening(uint16_t *port)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(any);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&any, len), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&any, &len), 0);
    *port = ntohs(any.sin_port);
    return fd;
}

static const struct address loopback = {4, {127, 0, 0, 1}};

static void connecting_tells_and_sends_what_was_written_before(void **state)
{
    (void)state;
    uint16_t port;
    int fd = listening(&port);
    struct loop *l = loop_new();
    struct side a = side_of(l);
    struct side b = side_of(l);
    a.stream = stream_connect(l, &loopback, port, &events, &a);
    assert_non_null(a.stream);
    say(&a, "early");
    side_take(&b, accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC));
    b.wanted = 5;
    stream_resume(a.stream);
    stream_resume(b.stream);
    loop_run(l);
    assert_int_equal(a.connected, 0);
    assert_got(&b, "early");
    assert_true(a.has_ended);
    buf_fini(&b.got);
    close(fd);
    loop_free(&l);
}

static void a_refused_connection_is_told(void **state)
{
    (void)state;
    uint16_t port;
    close(listening(&port));
    struct loop *l = loop_new();
    struct side a = side_of(l);
    a.stream = stream_connect(l, &loopback, port, &events, &a);
    assert_non_null(a.stream);
    loop_run(l);
    assert_int_equal(a.connected, -ECONNREFUSED);
    assert_false(a.has_ended);
    loop_free(&l);
}

static void a_reset_is_an_error(void **state)
{
    (void)state;
    uint16_t port;
    int fd = listening(&port);
    struct loop *l = loop_new();
    struct side a = side_of(l);
    a.stream = stream_connect(l, &loopback, port, &events, &a);
    int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    struct linger hard = {1, 0};
    assert_int_equal(setsockopt(peer, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)), 0);
    stream_resume(a.stream);
    close(peer);
    loop_run(l);
    /* Depending on when the reset came, it is the connection or its attempt that failed. */
    assert_true(a.has_ended ? a.end_error == -ECONNRESET : a.connected == -ECONNRESET);
    close(fd);
    loop_free(&l);
}

struct keys {
    struct buf chain;
    struct buf key;
    struct tls_context *server;
    struct tls_context *client;
};

static void keys_init(struct keys *k, const char *host, bool verify)
{
    struct buf why = BUF_INIT;
    *k = (struct keys){0};
    assert_int_equal(tls_make_certificate(host, &k->chain, &k->key), 0);
    struct tls_options server = {0};
    k->server = tls_server(buf_slice(&k->chain), buf_slice(&k->key), &server, &why);
    assert_non_null(k->server);
    struct tls_options client = {.verify = verify, .ca_pem = buf_slice(&k->chain)};
    k->client = tls_client(&client, &why);
    assert_non_null(k->client);
}

static void keys_fini(struct keys *k)
{
    buf_fini(&k->chain);
    buf_fini(&k->key);
    tls_unref(&k->server);
    tls_unref(&k->client);
}

static void tls_carries_bytes_both_ways(void **state)
{
    (void)state;
    static const size_t uses[] = {0, 1, 20};
    for (size_t i = 0; i < COUNT_OF(uses); i++) {
        struct keys k;
        keys_init(&k, "mail.example.com", true);
        struct pair p;
        pair_init(&p);
        p.a.say_after_tls = "hello from the client";
        p.b.say_after_tls = "hello from the server";
        p.b.at_most = uses[i];
        p.b.resumes_itself = true;
        stream_start_tls(p.b.stream, k.server, NULL);
        stream_start_tls(p.a.stream, k.client, &(struct tls_peer){.host = "mail.example.com"});
        p.a.wanted = 21;
        p.b.wanted = 21;
        stream_resume(p.b.stream);
        stream_resume(p.a.stream);
        loop_run(p.loop);
        assert_int_equal(p.a.tls, 0);
        assert_int_equal(p.b.tls, 0);
        assert_got(&p.a, "hello from the server");
        assert_got(&p.b, "hello from the client");
        pair_fini(&p);
        keys_fini(&k);
    }
}

static void say_much(struct side *s)
{
    assert_true(stream_is_tls(s->stream));
    struct arena a = ARENA_INIT;
    assert_true(
        slice_starts(stream_tls_text(s->stream, &a), SLICE("TLSv1.3 TLS_AES_256_GCM_SHA384")));
    arena_fini(&a);
    size_t len = s->amount;
    char *text = malloc(len);
    fill(text, len);
    /* Odd pieces: small ones share records, large ones are cut. */
    struct iovec iov[] = {{text, 1}, {text + 1, 99}, {text + 100, 40000}, {text + 40100, 7}};
    stream_writev(s->stream, iov, 4);
    assert_false(stream_write(s->stream, slice_make(text + 40107, len - 40107)));
    stream_close(&s->stream, true);
    free(text);
}

static void much_over_tls_with_a_picky_reader(void **state)
{
    (void)state;
    enum { LEN = 1024 * 1024 + 77 };
    static const size_t uses[] = {0, 1000, 70000};
    char *text = malloc(LEN);
    fill(text, LEN);
    for (size_t i = 0; i < COUNT_OF(uses); i++) {
        struct keys k;
        keys_init(&k, "127.0.0.1", true);
        struct pair p;
        pair_init(&p);
        p.b.at_most = uses[i];
        p.b.resumes_itself = true;
        p.b.wanted = LEN;
        p.a.amount = LEN;
        p.a.after_tls = say_much;
        stream_start_tls(p.b.stream, k.server, NULL);
        stream_start_tls(p.a.stream, k.client,
                         &(struct tls_peer){.host = "127.0.0.1"}); /* by its address */
        stream_resume(p.b.stream);
        loop_run(p.loop);
        assert_int_equal(p.b.got.len, LEN);
        assert_memory_equal(p.b.got.ptr, text, LEN);
        pair_fini(&p);
        keys_fini(&k);
    }
    free(text);
}

/* One handshake, by what the client expects; why it failed, or empty. */
static void shake_hands(struct keys *k, const struct tls_peer *peer, const char *name,
                        const char *why, const char *text)
{
    struct pair p;
    pair_init(&p);
    stream_start_tls(p.b.stream, k->server, NULL);
    stream_start_tls(p.a.stream, k->client, peer);
    if (why[0] == '\0')
        p.a.say_after_tls = "x";
    p.b.wanted = 1;
    stream_resume(p.a.stream);
    stream_resume(p.b.stream);
    loop_run(p.loop);
    if (strcmp(p.a.why, why) != 0)
        fail_msg("%s: \"%s\"", name, p.a.why);
    if (text && !strstr(p.a.tls_text, text))
        fail_msg("%s: \"%s\"", name, p.a.tls_text);
    pair_fini(&p);
}

static const struct {
    const char *name;
    const char *certificate;
    const char *host;
    const char *names[2];
    bool is_only_names;
    const char *why;
} named[] = {
    {"the host", "mx.example.com", "mx.example.com", {"example.com"}, false, ""},
    {"the domain", "example.com", "mx.example.com", {"example.com"}, false, ""},
    {"neither", "example.org", "mx.example.com", {"example.com"}, false, "hostname mismatch"},
    {"a name that was asked for",
     "b.example",
     "mx.example.com",
     {"a.example", "b.example"},
     true,
     ""},
    {"the host, but others were asked for",
     "mx.example.com",
     "mx.example.com",
     {"a.example", "b.example"},
     true,
     "hostname mismatch"},
    {"below a name", "mx.b.example", "x.test", {".b.example"}, true, ""},
    {"not below it", "b.example", "x.test", {".b.example"}, true, "hostname mismatch"},
};

static void one_of_several_names_will_do(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(named); i++) {
        struct keys k;
        keys_init(&k, named[i].certificate, true);
        struct tls_peer peer = {.host = named[i].host,
                                .names = named[i].names,
                                .name_count = named[i].names[1] ? 2 : 1,
                                .is_only_names = named[i].is_only_names};
        shake_hands(&k, &peer, named[i].name, named[i].why, NULL);
        keys_fini(&k);
    }
}

/* The SHA-256 of the certificate's public key. */
static void key_digest(const struct keys *k, unsigned char out[32])
{
    BIO *in = BIO_new_mem_buf(k->chain.ptr, (int)k->chain.len);
    X509 *certificate = PEM_read_bio_X509(in, NULL, NULL, NULL);
    unsigned char *der = NULL;
    int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
    assert_int_equal(EVP_Digest(der, (size_t)len, out, NULL, EVP_sha256(), NULL), 1);
    OPENSSL_free(der);
    X509_free(certificate);
    BIO_free(in);
}

static void dane_takes_the_place_of_authorities(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint8_t usage, matching;
        bool is_right;
        const char *why;
    } rows[] = {
        {"the server's own key, whatever its name", 3, 1, true, ""},
        {"another key", 3, 1, false, "no matching DANE TLSA records"},
        {"an authority that is not there", 2, 1, true, "no matching DANE TLSA records"},
        {"a digest that nobody knows", 3, 7, true, ""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct keys k;
        unsigned char digest[32];
        keys_init(&k, "something.else", false);
        key_digest(&k, digest);
        digest[0] ^= !rows[i].is_right;
        struct dns_tlsa tlsa[] = {
            {3, 1, 1, SLICE_INIT("01234567890123456789012345678901")},
            {rows[i].usage, 1, rows[i].matching, slice_make((char *)digest, 32)},
        };
        struct tls_peer peer = {.host = "mx.example.com", .tlsa = tlsa, .tlsa_count = 2};
        if (rows[i].matching == 7) {
            peer.tlsa++;
            peer.tlsa_count = 1;
        }
        shake_hands(&k, &peer, rows[i].name, rows[i].why,
                    rows[i].why[0]          ? NULL
                    : rows[i].matching == 7 ? "certificate not verified"
                                            : "verified by DANE");
        keys_fini(&k);
    }
}

static const struct {
    const char *name;
    const char *certificate;
    const char *asked;
    bool is_trusted;
    const char *why; /* "": works */
} verifications[] = {
    {"the right name", "mx.example.com", "mx.example.com", true, ""},
    {"another name", "mx.example.com", "other.example.com", true, "hostname mismatch"},
    {"the right address", "192.0.2.1", "192.0.2.1", true, ""},
    {"another address", "192.0.2.1", "192.0.2.2", true, "IP address mismatch"},
    {"nobody's certificate", "mx.example.com", "mx.example.com", false,
     "self-signed certificate"},
};

static void a_certificate_is_checked(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(verifications); i++) {
        struct keys k;
        keys_init(&k, verifications[i].certificate, true);
        if (!verifications[i].is_trusted) {
            struct keys other;
            keys_init(&other, verifications[i].certificate, true);
            tls_unref(&k.client);
            k.client = tls_ref(other.client);
            keys_fini(&other);
        }
        shake_hands(&k, &(struct tls_peer){.host = verifications[i].asked},
                    verifications[i].name, verifications[i].why, NULL);
        keys_fini(&k);
    }
}

static void give_up_on_tls_is_told(void **state)
{
    (void)state;
    struct keys k;
    keys_init(&k, "a.example", false);
    struct pair p;
    pair_init(&p);
    stream_start_tls(p.b.stream, k.server, NULL);
    stream_close(&p.a.stream, true);
    loop_run(p.loop);
    assert_int_equal(p.b.tls, -EPROTO);
    assert_string_equal(p.b.why, "the peer closed during the TLS handshake");
    pair_fini(&p);

    pair_init(&p);
    stream_start_tls(p.b.stream, k.server, NULL);
    say(&p.a, "EHLO this is no TLS\r\n");
    stream_resume(p.a.stream);
    loop_run(p.loop);
    assert_int_equal(p.b.tls, -EPROTO);
    assert_true(strlen(p.b.why) > 0);
    pair_fini(&p);
    keys_fini(&k);
}

struct upgrade {
    struct side side; /* first: the events' context */
    struct tls_context *tls;
};

static size_t on_starttls(void *ctx, slice bytes)
{
    struct upgrade *u = ctx;
    assert_true(slice_starts(bytes, SLICE("STARTTLS\r\n")));
    stream_write(u->side.stream, SLICE("220 go ahead\r\n"));
    stream_start_tls(u->side.stream, u->tls, NULL);
    return 10;
}

static void plaintext_behind_starttls_is_refused(void **state)
{
    (void)state;
    static const struct stream_events upgrading = {on_starttls, on_drain, on_connect, on_tls,
                                                   on_end};
    struct keys k;
    keys_init(&k, "a.example", false);
    struct pair p;
    pair_init(&p);
    stream_close(&p.b.stream, false);
    stream_close(&p.a.stream, false);
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends),
                     0);
    side_take(&p.a, ends[0]);
    struct upgrade u = {.side = side_of(p.loop), .tls = k.server};
    u.side.stream = stream_accept(p.loop, ends[1], &upgrading, &u);
    say(&p.a, "STARTTLS\r\nMAIL FROM:<attacker@example.com>\r\n");
    stream_resume(p.a.stream);
    stream_resume(u.side.stream);
    loop_run(p.loop);
    assert_int_equal(u.side.tls, -EPROTO);
    assert_string_equal(u.side.why, "bytes came before the TLS handshake");
    pair_fini(&p);
    keys_fini(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_stream_is_small),
        cmocka_unit_test(bytes_and_then_the_end_arrive),
        cmocka_unit_test(what_is_not_used_is_offered_again_before_the_end),
        cmocka_unit_test(a_paused_stream_is_quiet_until_it_is_resumed),
        cmocka_unit_test(a_slow_reader_holds_back_the_writer),
        cmocka_unit_test(closing_with_flush_sends_all),
        cmocka_unit_test(a_broken_connection_is_told_once),
        cmocka_unit_test(connecting_tells_and_sends_what_was_written_before),
        cmocka_unit_test(a_refused_connection_is_told),
        cmocka_unit_test(a_reset_is_an_error),
        cmocka_unit_test(tls_carries_bytes_both_ways),
        cmocka_unit_test(much_over_tls_with_a_picky_reader),
        cmocka_unit_test(a_certificate_is_checked),
        cmocka_unit_test(one_of_several_names_will_do),
        cmocka_unit_test(dane_takes_the_place_of_authorities),
        cmocka_unit_test(give_up_on_tls_is_told),
        cmocka_unit_test(plaintext_behind_starttls_is_refused),
    };
    return cmocka_run_group_tests_name("net/stream", tests, NULL, NULL);
}
