/* stream_internal: what stream.c and stream_output.c share. */
#ifndef NET_STREAM_INTERNAL_H
#define NET_STREAM_INTERNAL_H

#include "net/loop_internal.h"
#include "net/stream.h"
#include "net/tls_session.h"

#include <uv.h>

struct stream {
    uv_poll_t poll;
    struct loop *loop;
    const struct stream_events *events;
    void *ctx;
    struct tls_session *tls;
    struct buf kept; /* came, not used yet; from kept_at */
    size_t kept_at;
    struct buf backlog; /* to be sent; from backlog_at */
    size_t backlog_at;
    struct loop_deferred later;
    struct timer *deadline; /* of a flush after stream_close */
    const char *error_text;
    int fd;
    int end_error;
    uint8_t polled;          /* events that libuv waits for */
    bool is_connecting : 1;  /* until on_connect */
    bool is_handshaking : 1; /* until on_tls */
    bool is_reading : 1;     /* the reader wants bytes */
    bool is_offering : 1;    /* within on_data */
    bool was_resumed : 1;    /* by the reader, within on_data */
    bool owes_drain : 1;     /* stream_write has returned false */
    bool tls_failed : 1;     /* on_tls is to tell */
    bool is_ended : 1;       /* the connection is over; end_error says how */
    bool was_end_told : 1;
    bool is_closed : 1; /* by its user */
    bool is_gone : 1;   /* released; the memory goes at the end of the turn */
};

/* Makes libuv wait for what the stream's state asks for; drop_reading: even though that costs a
 * system call, when input is not wanted. */
void stream_update_poll(struct stream *s, bool drop_reading) NONNULL(1);
/* The connection is over; on_end tells. */
void stream_end(struct stream *s, int err) NONNULL(1);
/* on_tls tells. reason: static, or the session's. */
void stream_fail_tls(struct stream *s, const char *reason) NONNULL(1, 2);

/* Sends bytes as they are (ciphertext, when there is TLS) and keeps what the kernel does not
 * take. */
void stream_send(struct stream *s, slice bytes) NONNULL(1);
void stream_sendv(struct stream *s, struct iovec *iov, int count) NONNULL(1, 2);
/* Sends what waits. */
void stream_flush(struct stream *s) NONNULL(1);
void stream_say_goodbye(struct stream *s) NONNULL(1);

#endif
