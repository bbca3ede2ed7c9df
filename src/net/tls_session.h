/* tls_session: one TLS conversation as a transformer of bytes, for net/stream: ciphertext in,
 * plaintext out, and the other way. It does no I/O. */
#ifndef NET_TLS_SESSION_H
#define NET_TLS_SESSION_H

#include "base/arena.h"
#include "base/buf.h"
#include "net/tls.h"

struct tls_session;

enum tls_state {
    TLS_MORE,   /* all input was used; more is needed */
    TLS_DONE,   /* the handshake is done */
    TLS_CLOSED, /* the peer has said good-bye */
    TLS_FAILED, /* tls_session_error says why */
};

/* peer: NULL for servers. NULL: out of memory. */
struct tls_session *tls_session_new(struct tls_context *t, const struct tls_peer *peer)
    NONNULL(1);
/* Clears the pointer; takes NULL. */
void tls_session_free(struct tls_session **s);

/* `in` is ciphertext that came; what could not be used yet stays in the session, so that all of
 * it may be forgotten. What must be sent is appended to *out, after a failure too (an alert).
 */
enum tls_state tls_session_handshake(struct tls_session *s, slice *in, struct buf *out)
    NONNULL(1, 2, 3);
/* Plaintext of all that came, at most `size` bytes, *len of them. */
enum tls_state tls_session_read(struct tls_session *s, slice *in, char *plain, size_t size,
                                size_t *len, struct buf *out) NONNULL(1, 2, 3, 5, 6);
/* False: failed. */
bool tls_session_write(struct tls_session *s, slice plain, struct buf *out) NONNULL(1, 3);
/* Says good-bye. */
void tls_session_end(struct tls_session *s, struct buf *out) NONNULL(1, 2);

/* For people, after TLS_FAILED; the session's. */
const char *tls_session_error(const struct tls_session *s) NONNULL(1);
/* "TLSv1.3 TLS_AES_256_GCM_SHA384", and of a client how much is known of the other end: ",
 * verified as mx.example.org", ", verified by DANE", ", certificate not verified". */
slice tls_session_text(const struct tls_session *s, struct arena *a) NONNULL(1, 2);

#endif
