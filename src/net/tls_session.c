#include "net/tls_session.h"

#include "net/tls_bio.h"

#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

struct tls_session {
    SSL *ssl;
    struct tls_context *context;
    /* Only within a call: */
    slice in;
    struct buf *out;
    const char *error;
};

static int bio_read(BIO *b, char *to, int size)
{
    struct tls_session *s = BIO_get_data(b);
    BIO_clear_retry_flags(b);
    if (s->in.len == 0) {
        BIO_set_retry_read(b);
        return -1;
    }
    size_t n = s->in.len < (size_t)size ? s->in.len : (size_t)size;
    memcpy(to, s->in.ptr, n);
    s->in = slice_from(s->in, n);
    return (int)n;
}

static int bio_write(BIO *b, const char *from, int len)
{
    struct tls_session *s = BIO_get_data(b);
    BIO_clear_retry_flags(b);
    if (!s->out)
        return -1;
    buf_append(s->out, slice_make(from, (size_t)len));
    return s->out->error ? -1 : len;
}

static long bio_control(BIO *b, int command, long number, void *pointer)
{
    (void)b;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static int bio_create(BIO *b)
{
    BIO_set_init(b, 1);
    return 1;
}

BIO_METHOD *tls_bio_method(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "utpost stream");
    if (!m)
        return NULL;
    BIO_meth_set_read(m, bio_read);
    BIO_meth_set_write(m, bio_write);
    BIO_meth_set_ctrl(m, bio_control);
    BIO_meth_set_create(m, bio_create);
    return m;
}

/* The names, the host's among them or not. */
static bool expect_names(SSL *ssl, const struct tls_peer *p)
{
    bool ok = p->is_only_names || SSL_set1_host(ssl, p->host) == 1;
    for (size_t i = 0; i < p->name_count && ok; i++)
        ok = (i == 0 && p->is_only_names ? SSL_set1_host(ssl, p->names[i])
                                         : SSL_add1_host(ssl, p->names[i])) == 1;
    return ok;
}

static bool expect_tlsa(SSL *ssl, const struct tls_peer *p)
{
    size_t usable = 0;
    if (SSL_dane_enable(ssl, p->host) != 1)
        return false;
    for (size_t i = 0; i < p->tlsa_count; i++) {
        const struct dns_tlsa *t = &p->tlsa[i];
        usable += SSL_dane_tlsa_add(ssl, t->usage, t->selector, t->matching,
                                    (const unsigned char *)t->data.ptr, t->data.len) > 0;
    }
    ERR_clear_error(); /* those that this library cannot use */
    /* With none that can be used TLS is all that is asked for (RFC 7672 section 2.2). */
    if (usable > 0)
        SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
    return true;
}

static bool expect(SSL *ssl, const struct tls_peer *p)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    if (X509_VERIFY_PARAM_set1_ip_asc(param, p->host) == 1)
        return true; /* an address: no name is sent (RFC 6066 section 3) */
    ERR_clear_error();
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (p->tlsa_count > 0 && !expect_tlsa(ssl, p))
        return false;
    return SSL_set_tlsext_host_name(ssl, p->host) == 1 && expect_names(ssl, p);
}

struct tls_session *tls_session_new(struct tls_context *t, const struct tls_peer *peer)
{
    struct tls_session *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->context = tls_ref(t);
    s->error = "no error";
    s->ssl = SSL_new(tls_ssl_ctx(t));
    BIO *b = BIO_new(tls_bio(t));
    if (!s->ssl || !b || (peer && !expect(s->ssl, peer))) {
        BIO_free(b);
        tls_session_free(&s);
        return NULL;
    }
    BIO_set_data(b, s);
    SSL_set_bio(s->ssl, b, b);
    if (SSL_is_server(s->ssl))
        SSL_set_accept_state(s->ssl);
    else
        SSL_set_connect_state(s->ssl);
    return s;
}

void tls_session_free(struct tls_session **at)
{
    struct tls_session *s = *at;
    if (!s)
        return;
    *at = NULL;
    SSL_free(s->ssl);
    tls_unref(&s->context);
    free(s);
}

static const char *reason(const struct tls_session *s)
{
    long verified = SSL_get_verify_result(s->ssl);
    if (!SSL_is_server(s->ssl) && SSL_get_verify_mode(s->ssl) != SSL_VERIFY_NONE &&
        verified != X509_V_OK)
        return X509_verify_cert_error_string(verified);
    const char *text = ERR_reason_error_string(ERR_peek_last_error());
    return text ? text : "the TLS connection broke";
}

/* What a call's result means. */
static enum tls_state judge(struct tls_session *s, int result)
{
    switch (SSL_get_error(s->ssl, result)) {
    case SSL_ERROR_NONE:
        return TLS_DONE;
    case SSL_ERROR_WANT_READ:
        return TLS_MORE;
    case SSL_ERROR_ZERO_RETURN:
        return TLS_CLOSED;
    default:
        s->error = reason(s);
        ERR_clear_error();
        return TLS_FAILED;
    }
}

enum tls_state tls_session_handshake(struct tls_session *s, slice *in, struct buf *out)
{
    s->in = *in;
    s->out = out;
    ERR_clear_error();
    enum tls_state state = judge(s, SSL_do_handshake(s->ssl));
    *in = s->in;
    s->in = SLICE("");
    s->out = NULL;
    return state == TLS_CLOSED ? TLS_FAILED : state;
}

enum tls_state tls_session_read(struct tls_session *s, slice *in, char *plain, size_t size,
                                size_t *len, struct buf *out)
{
    enum tls_state state = TLS_DONE;
    s->in = *in;
    s->out = out;
    *len = 0;
    ERR_clear_error();
    while (state == TLS_DONE && *len < size) {
        size_t n = 0;
        int ok = SSL_read_ex(s->ssl, plain + *len, size - *len, &n);
        *len += n;
        state = ok ? TLS_DONE : judge(s, ok);
    }
    *in = s->in;
    s->in = SLICE("");
    s->out = NULL;
    return state == TLS_DONE ? TLS_MORE : state;
}

bool tls_session_write(struct tls_session *s, slice plain, struct buf *out)
{
    size_t n = 0;
    if (plain.len == 0)
        return true;
    s->out = out;
    ERR_clear_error();
    int ok = SSL_write_ex(s->ssl, plain.ptr, plain.len, &n);
    enum tls_state state = ok ? TLS_DONE : judge(s, ok);
    s->out = NULL;
    return state == TLS_DONE && n == plain.len;
}

void tls_session_end(struct tls_session *s, struct buf *out)
{
    s->out = out;
    ERR_clear_error();
    SSL_shutdown(s->ssl); /* one way: nobody waits for the peer's good-bye */
    ERR_clear_error();
    s->out = NULL;
}

const char *tls_session_error(const struct tls_session *s)
{
    return s->error;
}

static slice verified_text(const SSL *ssl, struct arena *a)
{
    const char *name = SSL_get0_peername((SSL *)(uintptr_t)ssl);
    if (SSL_is_server(ssl))
        return SLICE("");
    if (SSL_get_verify_mode(ssl) == SSL_VERIFY_NONE)
        return SLICE(", certificate not verified");
    if (SSL_get0_dane_authority((SSL *)(uintptr_t)ssl, NULL, NULL) >= 0)
        return SLICE(", verified by DANE");
    return name ? arena_printf(a, ", verified as %s", name) : SLICE(", verified");
}

slice tls_session_text(const struct tls_session *s, struct arena *a)
{
    return arena_printf(a, "%s %s%.*s", SSL_get_version(s->ssl), SSL_get_cipher_name(s->ssl),
                        SLICE_ARG(verified_text(s->ssl, a)));
}
