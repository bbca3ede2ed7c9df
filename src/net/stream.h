/* stream: bytes over a TCP connection or a Unix socket, with or without TLS.
 *
 * Reads go through one buffer per loop, so that an idle stream owns no buffer; what the reader
 * does not use stays in the stream and reading pauses until stream_resume. All calls on the
 * loop's thread. Callbacks may call any function of the stream, stream_close included. */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include "codec/host.h"
#include "net/loop.h"
#include "net/tls.h"

#include <sys/uio.h>

struct stream;

struct stream_events {
    /* Bytes came: returns how many were used. Less than all: reading pauses. */
    size_t (*on_data)(void *ctx, slice bytes);
    /* What was written has left for the kernel (after stream_write returned false). */
    void (*on_drain)(void *ctx);
    /* Connected (client) or handshake done: err 0, or a negative errno (-EPROTO: TLS failed;
     * stream_error_text says why). */
    void (*on_connect)(void *ctx, int err);
    void (*on_tls)(void *ctx, int err);
    /* The peer has closed (err 0; told when all that came was used and reading is not paused),
     * or the connection broke; call stream_close. Not called after stream_close. */
    void (*on_end)(void *ctx, int err);
};

/* Takes over an accepted descriptor. NULL: out of memory (the descriptor is closed). */
struct stream *stream_accept(struct loop *l, int fd, const struct stream_events *events,
                             void *ctx) NONNULL(1, 3);
/* Starts to connect; on_connect tells. NULL with errno set: could not even start. */
struct stream *stream_connect(struct loop *l, const struct address *to, uint16_t port,
                              const struct stream_events *events, void *ctx) NONNULL(1, 2, 4);
/* Closes after what was written has left (at most 5 s) when flush; clears the pointer, takes
 * NULL. */
void stream_close(struct stream **s, bool flush);

/* Begins reading (streams start paused), or goes on after on_data used less than all: what was
 * kept is offered again first, on the next turn. */
void stream_resume(struct stream *s) NONNULL(1);
/* No more on_data until stream_resume; the kernel's window holds the peer back. */
void stream_pause(struct stream *s) NONNULL(1);

/* Queues a copy of what the kernel does not take at once. False: more than 64 KiB wait; go on
 * after on_drain. Errors show in on_end. */
bool stream_write(struct stream *s, slice bytes) NONNULL(1);
bool stream_writev(struct stream *s, const struct iovec *iov, int count) NONNULL(1, 2);
/* Octets that were written and wait for the kernel to take them. */
size_t stream_backlog(const struct stream *s) NONNULL(1);
/* The connection has broken, and on_end will tell or has told: what is written goes nowhere. */
bool stream_is_broken(const struct stream *s) NONNULL(1);

/* TLS from here on; peer: whom to expect (client); NULL for servers. Kept input must be
 * empty (server: bytes behind STARTTLS were refused before), or it fails. on_tls tells; until
 * then what is written is dropped. */
void stream_start_tls(struct stream *s, struct tls_context *tls, const struct tls_peer *peer)
    NONNULL(1, 2);
/* The handshake is done. */
bool stream_is_tls(const struct stream *s) NONNULL(1);
/* See tls_session_text, in the arena; empty without TLS. */
slice stream_tls_text(const struct stream *s, struct arena *a) NONNULL(1, 2);
/* Why TLS failed, for people; static or the stream's. */
const char *stream_error_text(const struct stream *s) NONNULL(1);

#endif
