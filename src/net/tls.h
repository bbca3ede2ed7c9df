/* tls: OpenSSL contexts, made once from key material and shared by all sessions. */
#ifndef NET_TLS_H
#define NET_TLS_H

#include "base/buf.h"
#include "codec/dns.h"

struct tls_context; /* reference-counted: a reload replaces it under living sessions */

struct tls_options {
    bool tls13_only;
    bool verify;  /* client: check the chain and the host name */
    slice ca_pem; /* client: trusted certificates; empty: the system's */
};

/* Whom a client expects at the other end; of this session, all of it borrowed for the call. */
struct tls_peer {
    const char *host; /* its name or address: for SNI, and what the certificate must be for */
    /* Other names, one of which will do as well; a name that begins with "." stands for all
     * below it. */
    const char *const *names;
    size_t name_count;
    bool is_only_names; /* and `host` itself will not */
    /* TLSA records (RFC 7672; usages 2 and 3 only): the certificate must fit one of them, and
     * with usage 2 be for one of the names; authorities that the context trusts do not count.
     */
    const struct dns_tlsa *tlsa;
    size_t tlsa_count;
};

/* From PEM text (chain and key may be in one). NULL with the reason for people in *why. */
struct tls_context *tls_server(slice chain_pem, slice key_pem, const struct tls_options *o,
                               struct buf *why) NONNULL(3, 4);
/* For connections that we open. NULL with the reason for people in *why. */
struct tls_context *tls_client(const struct tls_options *o, struct buf *why) NONNULL(1, 2);
/* Contexts are shared, and counted; from any thread. tls_unref clears the pointer; takes NULL.
 */
struct tls_context *tls_ref(struct tls_context *t) NONNULL(1);
void tls_unref(struct tls_context **t);
/* Its SSL_CTX, borrowed: for net/tls_session. */
void *tls_ssl_ctx(struct tls_context *t) NONNULL(1);

/* A self-signed P-256 certificate for `host`, ten years, as PEM. 0 or -EIO. */
int tls_make_certificate(const char *host, struct buf *chain_pem, struct buf *key_pem) MUST_USE
    NONNULL(1, 2, 3);

#endif
