/* sendmail_wire: a connection to the local door, or to a service on another machine
 * (sendmail_tls): lines out, replies in, each within its time, which single octets do not
 * extend. */
#ifndef TOOL_SENDMAIL_WIRE_H
#define TOOL_SENDMAIL_WIRE_H

#include "base/buf.h"
#include "base/stamp.h"
#include "codec/reply.h"

struct sendmail_wire {
    int fd;             /* -1: not connected; does not block */
    struct ssl_st *tls; /* NULL: none */
    span wait;          /* longest wait for a reply, or for octets to be taken */
    struct buf out;     /* not yet written */
    struct reply_parser parser;
    size_t in_at; /* octets of `in` that are used */
    size_t in_len;
    char in[4096];
};

/* Time since the machine started, in microseconds: for deadlines. */
span sendmail_wire_now(void);

void sendmail_wire_init(struct sendmail_wire *w) NONNULL(1);
void sendmail_wire_close(struct sendmail_wire *w) NONNULL(1);

/* Waits for the descriptor; 0 or -errno. */
int sendmail_wire_await(const struct sendmail_wire *w, short events, span deadline) MUST_USE
    NONNULL(1);
/* 0 or -errno; -EAGAIN: more connections wait there than it takes just now. */
int sendmail_wire_connect(struct sendmail_wire *w, const char *path) MUST_USE NONNULL(1, 2);
/* Writes what is in `out`, and empties it. 0 or -errno (-ETIMEDOUT, -EPIPE …). */
int sendmail_wire_flush(struct sendmail_wire *w) MUST_USE NONNULL(1);
/* Reads one reply; its text is borrowed until the next call. on_line as for reply_parse. 0 or
 * -errno: -EPROTO is no reply, -ECONNRESET the end of the connection. */
int sendmail_wire_reply(struct sendmail_wire *w, struct reply *out,
                        void (*on_line)(void *ctx, slice text), void *ctx) MUST_USE
    NONNULL(1, 2);

#endif
