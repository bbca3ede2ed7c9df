#include "net/tls.h"

#include "base/arena.h"
#include "net/tls_bio.h"

#include <stdatomic.h>
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

struct tls_context {
    atomic_int refs;
    SSL_CTX *ssl;
    BIO_METHOD *bio;
};

/* TLS 1.2 without the suites that give no forward secrecy; TLS 1.3 has no others. */
static const char server_ciphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:ECDHE+AES:DHE+AES:"
                                     "!aNULL:!eNULL:!PSK:!SRP:!aDSS";

static BIO *bio_of(slice pem)
{
    return BIO_new_mem_buf(pem.ptr ? pem.ptr : "", (int)pem.len);
}

static const char *openssl_reason(void)
{
    const char *text = ERR_reason_error_string(ERR_peek_last_error());
    ERR_clear_error();
    return text ? text : "unknown reason";
}

static struct tls_context *context_new(const SSL_METHOD *method, const struct tls_options *o)
{
    struct tls_context *t = xcalloc(1, sizeof(*t));
    atomic_init(&t->refs, 1);
    t->ssl = SSL_CTX_new(method);
    t->bio = tls_bio_method();
    if (!t->ssl || !t->bio) {
        tls_unref(&t);
        return NULL;
    }
    SSL_CTX_set_min_proto_version(t->ssl, o->tls13_only ? TLS1_3_VERSION : TLS1_2_VERSION);
    /* No tickets and no cache: a session must not travel between services, and mail programs
     * seldom resume. An end without a good-bye is told by the stream as an end. */
    SSL_CTX_set_options(t->ssl, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
                                    SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                    SSL_OP_PRIORITIZE_CHACHA | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_num_tickets(t->ssl, 0);
    SSL_CTX_set_session_cache_mode(t->ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(t->ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return t;
}

/* A key under a passphrase cannot be used by a daemon; asking on the terminal would hang it. */
static int no_passphrase(char *out, int size, int is_writing, void *asked)
{
    (void)out;
    (void)size;
    (void)is_writing;
    *(bool *)asked = true;
    return -1;
}

static bool use_chain(SSL_CTX *ssl, slice pem, struct buf *why)
{
    BIO *in = bio_of(pem);
    X509 *leaf = in ? PEM_read_bio_X509_AUX(in, NULL, NULL, NULL) : NULL;
    bool ok = leaf != NULL;
    if (!ok) {
        buf_printf(why, "the certificate file has no certificate in PEM form");
    } else if (SSL_CTX_use_certificate(ssl, leaf) != 1) {
        buf_printf(why, "the certificate cannot be used: %s", openssl_reason());
        ok = false;
    }
    X509 *next;
    while (ok && (next = PEM_read_bio_X509(in, NULL, NULL, NULL))) {
        if (SSL_CTX_add0_chain_cert(ssl, next) == 1)
            continue;
        buf_printf(why, "the certificate's chain cannot be used: %s", openssl_reason());
        X509_free(next);
        ok = false;
    }
    ERR_clear_error(); /* the end of the file shows as an error */
    X509_free(leaf);
    BIO_free(in);
    return ok;
}

static bool use_key(SSL_CTX *ssl, slice pem, struct buf *why)
{
    bool asked = false;
    BIO *in = bio_of(pem);
    EVP_PKEY *key = in ? PEM_read_bio_PrivateKey(in, NULL, no_passphrase, &asked) : NULL;
    bool ok = false;
    ERR_clear_error();
    if (!key && asked)
        buf_printf(why, "the private key is encrypted; store it without a passphrase");
    else if (!key)
        buf_printf(why, "the key file has no private key in PEM form");
    else if (SSL_CTX_use_PrivateKey(ssl, key) != 1 || SSL_CTX_check_private_key(ssl) != 1)
        buf_printf(why, "the private key does not belong to the certificate");
    else
        ok = true;
    ERR_clear_error();
    EVP_PKEY_free(key);
    BIO_free(in);
    return ok;
}

struct tls_context *tls_server(slice chain_pem, slice key_pem, const struct tls_options *o,
                               struct buf *why)
{
    struct tls_context *t = context_new(TLS_server_method(), o);
    if (!t) {
        buf_printf(why, "out of memory");
        return NULL;
    }
    if (slice_is_empty(key_pem))
        key_pem = chain_pem;
    SSL_CTX_set_cipher_list(t->ssl, server_ciphers);
    SSL_CTX_set_dh_auto(t->ssl, 1);
    if (!use_chain(t->ssl, chain_pem, why) || !use_key(t->ssl, key_pem, why))
        tls_unref(&t);
    return t;
}

static bool trust(SSL_CTX *ssl, slice pem, struct buf *why)
{
    if (slice_is_empty(pem)) {
        if (SSL_CTX_set_default_verify_paths(ssl) == 1)
            return true;
        buf_printf(why, "the system's certificate authorities cannot be read: %s",
                   openssl_reason());
        return false;
    }
    BIO *in = bio_of(pem);
    unsigned count = 0;
    X509 *ca;
    while (in && (ca = PEM_read_bio_X509(in, NULL, NULL, NULL))) {
        count += X509_STORE_add_cert(SSL_CTX_get_cert_store(ssl), ca) == 1;
        X509_free(ca);
    }
    ERR_clear_error();
    BIO_free(in);
    if (count == 0)
        buf_printf(why, "the file of certificate authorities has no certificate in PEM form");
    return count > 0;
}

struct tls_context *tls_client(const struct tls_options *o, struct buf *why)
{
    struct tls_context *t = context_new(TLS_client_method(), o);
    if (!t) {
        buf_printf(why, "out of memory");
        return NULL;
    }
    /* Whether there are TLSA records is a session's affair. The server's own certificate (usage
     * 3) needs no name and no dates (RFC 7672 section 3.1.1). */
    SSL_CTX_dane_enable(t->ssl);
    SSL_CTX_dane_set_flags(t->ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
    SSL_CTX_set_verify(t->ssl, o->verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    if (o->verify && !trust(t->ssl, o->ca_pem, why))
        tls_unref(&t);
    return t;
}

struct tls_context *tls_ref(struct tls_context *t)
{
    atomic_fetch_add(&t->refs, 1);
    return t;
}

void tls_unref(struct tls_context **at)
{
    struct tls_context *t = *at;
    if (!t)
        return;
    *at = NULL;
    if (atomic_fetch_sub(&t->refs, 1) != 1)
        return;
    SSL_CTX_free(t->ssl);
    BIO_meth_free(t->bio);
    free(t);
}

void *tls_ssl_ctx(struct tls_context *t)
{
    return t->ssl;
}

const BIO_METHOD *tls_bio(const struct tls_context *t)
{
    return t->bio;
}
