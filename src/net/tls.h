/* tls: OpenSSL contexts, made once from key material and shared by all sessions. */
#ifndef NET_TLS_H
#define NET_TLS_H

#include "base/buf.h"
#include "base/slice.h"

struct tls_context; /* reference-counted: a reload replaces it under living sessions */

struct tls_options {
    bool tls13_only;
    bool verify;  /* client: check the chain and the host name */
    slice ca_pem; /* client: trusted certificates; empty: the system's */
};

/* From PEM text (chain and key may be in one). NULL with the reason for people in *why. */
struct tls_context *tls_server(slice chain_pem, slice key_pem, const struct tls_options *o,
                               struct buf *why) NONNULL(3, 4);
struct tls_context *tls_client(const struct tls_options *o, struct buf *why) NONNULL(1, 2);
struct tls_context *tls_ref(struct tls_context *t) NONNULL(1);
void tls_unref(struct tls_context **t);
void *tls_ssl_ctx(struct tls_context *t) NONNULL(1);

/* A self-signed P-256 certificate for `host`, ten years, as PEM. 0 or -EIO. */
int tls_make_certificate(const char *host, struct buf *chain_pem, struct buf *key_pem) MUST_USE
    NONNULL(1, 2, 3);

#endif
