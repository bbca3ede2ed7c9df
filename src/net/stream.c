/* The life of a stream: made, fed by its loop, ended. The bytes that leave are in
 * stream_output.c. */
#include "net/stream_internal.h"

#include "net/address.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FLUSH_SECONDS = 5 };

static void on_poll(uv_poll_t *h, int status, int events);
static void on_later(struct loop_deferred *d);

static bool wants_input(const struct stream *s)
{
    if (s->is_closed || s->is_connecting || s->is_ended)
        return false;
    return s->is_handshaking || (s->is_reading && s->kept.len == 0);
}

void stream_update_poll(struct stream *s, bool drop_reading)
{
    int events = 0;
    if (s->is_connecting || s->backlog.len > 0)
        events |= UV_WRITABLE;
    /* Registered for reading though paused: most pauses end before more comes. */
    if (wants_input(s) || ((s->polled & UV_READABLE) && !drop_reading))
        events |= UV_READABLE;
    if (events == s->polled || s->is_gone)
        return;
    s->polled = (uint8_t)events;
    if (events)
        INVARIANT(uv_poll_start(&s->poll, events, on_poll) == 0);
    else
        uv_poll_stop(&s->poll);
}

void stream_end(struct stream *s, int err)
{
    if (s->is_ended && (s->end_error || !err))
        return;
    s->is_ended = true;
    s->end_error = err;
    if (err) {
        buf_fini(&s->backlog);
        s->backlog_at = 0;
    }
    loop_defer(s->loop, &s->later);
    stream_update_poll(s, true);
}

static struct stream *stream_new(struct loop *l, int fd, const struct stream_events *events,
                                 void *ctx)
{
    struct stream *s = calloc(1, sizeof(*s));
    if (!s || uv_poll_init(loop_uv(l), &s->poll, fd) != 0) {
        free(s);
        close(fd);
        errno = ENOMEM;
        return NULL;
    }
    s->poll.data = s;
    s->loop = l;
    s->fd = fd;
    s->events = events;
    s->ctx = ctx;
    list_init(&s->later.node);
    s->later.fn = on_later;
    int on = 1; /* answers leave at once; a Unix socket refuses, which is fine */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    loop_hold(l);
    return s;
}

struct stream *stream_accept(struct loop *l, int fd, const struct stream_events *events,
                             void *ctx)
{
    return stream_new(l, fd, events, ctx);
}

struct stream *stream_connect(struct loop *l, const struct address *to, uint16_t port,
                              const struct stream_events *events, void *ctx)
{
    struct sockaddr_storage at;
    socklen_t len = address_to_sockaddr(to, port, &at);
    int fd = socket(at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return NULL;
    int err = connect(fd, (struct sockaddr *)&at, len) == 0 ? 0 : errno;
    if (err && err != EINPROGRESS) {
        close(fd);
        errno = err;
        return NULL;
    }
    struct stream *s = stream_new(l, fd, events, ctx);
    if (!s)
        return NULL;
    s->is_connecting = true;
    stream_update_poll(s, false);
    return s;
}

static void released(uv_handle_t *h)
{
    struct stream *s = h->data;
    loop_release(s->loop);
    free(s);
}

/* Closes for good; the memory goes at the end of the turn, since callbacks may be below us. */
static void stream_release(struct stream *s)
{
    s->is_gone = true;
    list_remove(&s->later.node);
    if (s->deadline) {
        timer_cancel(s->deadline);
        free(s->deadline);
        s->deadline = NULL;
    }
    tls_session_free(&s->tls);
    buf_fini(&s->kept);
    buf_fini(&s->backlog);
    uv_close((uv_handle_t *)&s->poll, released);
    close(s->fd);
}

/* A socket that is closed with bytes unread is reset, and the reset can overtake our last words
 * at the peer. */
static void discard_input(struct stream *s)
{
    char waste[4096];
    for (int i = 0; i < 16; i++)
        if (recv(s->fd, waste, sizeof(waste), MSG_DONTWAIT) < (ssize_t)sizeof(waste))
            return;
}

static void give_up_flushing(void *ctx)
{
    stream_release(ctx);
}

void stream_close(struct stream **at, bool flush)
{
    struct stream *s = *at;
    if (!s)
        return;
    *at = NULL;
    s->is_closed = true;
    list_remove(&s->later.node);
    flush = flush && !s->is_connecting && !(s->is_ended && s->end_error);
    if (flush && s->tls && !s->is_handshaking)
        stream_say_goodbye(s);
    if (!flush || s->backlog.len == 0) {
        if (flush)
            discard_input(s);
        stream_release(s);
        return;
    }
    s->deadline = xcalloc(1, sizeof(*s->deadline));
    timer_init(s->deadline, s->loop, give_up_flushing, s);
    timer_set(s->deadline, FLUSH_SECONDS * SPAN_SECOND);
    stream_update_poll(s, true);
}

void stream_resume(struct stream *s)
{
    s->is_reading = true;
    s->was_resumed = true;
    if (s->kept.len > 0 || s->is_ended)
        loop_defer(s->loop, &s->later);
    stream_update_poll(s, false);
}

void stream_pause(struct stream *s)
{
    s->is_reading = false;
    s->was_resumed = false;
}

/* Keeps what the reader did not use; it is offered again on stream_resume. */
static void stream_keep(struct stream *s, slice rest)
{
    buf_append(&s->kept, rest);
    if (s->kept.error)
        stream_end(s, s->kept.error);
}

/* Offers bytes to the reader: how many it used. */
static size_t stream_offer(struct stream *s, slice bytes)
{
    s->was_resumed = false;
    s->is_offering = true;
    size_t used = s->events->on_data(s->ctx, bytes);
    s->is_offering = false;
    INVARIANT(used <= bytes.len);
    if (s->is_closed || used == bytes.len)
        return used;
    if (s->is_handshaking) {
        /* Plaintext behind the command that began TLS is never taken for what follows it. */
        stream_fail_tls(s, "bytes came before the TLS handshake");
        return bytes.len;
    }
    /* Resumed meanwhile by what its own words caused: it wants the rest on the next turn. */
    s->is_reading = s->was_resumed;
    if (s->is_reading)
        loop_defer(s->loop, &s->later);
    return used;
}

static void stream_deliver(struct stream *s, slice bytes)
{
    size_t used = 0;
    if (bytes.len == 0)
        return;
    if (s->is_reading && s->kept.len == 0)
        used = stream_offer(s, bytes);
    if (!s->is_closed && used < bytes.len)
        stream_keep(s, slice_from(bytes, used));
}

static void offer_kept(struct stream *s)
{
    size_t used = stream_offer(s, slice_from(buf_slice(&s->kept), s->kept_at));
    if (s->is_closed)
        return;
    s->kept_at += used;
    if (s->kept_at == s->kept.len) {
        buf_fini(&s->kept);
        s->kept_at = 0;
        stream_update_poll(s, false);
    }
}

static void on_later(struct loop_deferred *d)
{
    struct stream *s = CONTAINER_OF(d, struct stream, later);
    if (s->is_closed)
        return;
    if (s->tls_failed) {
        s->tls_failed = false;
        s->events->on_tls(s->ctx, -EPROTO);
        return;
    }
    bool is_broken = s->is_ended && s->end_error;
    if (s->is_reading && s->kept.len > 0 && !is_broken)
        offer_kept(s);
    if (s->is_closed || !s->is_ended || s->was_end_told)
        return;
    /* An end is told in its place, behind what came before it; a break at once. */
    if (is_broken || (s->is_reading && s->kept.len == 0)) {
        s->was_end_told = true;
        s->events->on_end(s->ctx, s->end_error);
    }
}

/* The peer has gone: in the middle of a handshake that is its failure. */
static void stream_peer_end(struct stream *s, int err)
{
    if (s->is_handshaking)
        stream_fail_tls(s, err ? strerror(-err) : "the peer closed during the TLS handshake");
    else
        stream_end(s, err);
}

static void on_tls_input(struct stream *s, slice bytes)
{
    struct buf *out = loop_output(s->loop);
    if (s->is_handshaking) {
        enum tls_state state = tls_session_handshake(s->tls, &bytes, out);
        stream_send(s, buf_slice(out));
        if (state == TLS_FAILED)
            stream_fail_tls(s, tls_session_error(s->tls));
        if (state != TLS_DONE)
            return;
        s->is_handshaking = false;
        s->events->on_tls(s->ctx, 0);
        if (s->is_closed)
            return;
        out = loop_output(s->loop); /* the callback may have written */
    }
    size_t len = 0;
    char *plain = loop_plain(s->loop);
    enum tls_state state = tls_session_read(s->tls, &bytes, plain, LOOP_PLAIN, &len, out);
    stream_send(s, buf_slice(out));
    stream_deliver(s, slice_make(plain, len));
    if (s->is_closed)
        return;
    if (state == TLS_CLOSED)
        stream_end(s, 0);
    else if (state == TLS_FAILED)
        stream_end(s, -EPROTO);
}

static void on_input(struct stream *s)
{
    char *input = loop_input(s->loop);
    ssize_t n = recv(s->fd, input, LOOP_INPUT, 0);
    if (n > 0 && s->tls)
        on_tls_input(s, slice_make(input, (size_t)n));
    else if (n > 0)
        stream_deliver(s, slice_make(input, (size_t)n));
    else if (n == 0)
        stream_peer_end(s, 0);
    else if (errno != EAGAIN && errno != EINTR)
        stream_peer_end(s, -errno);
}

static int socket_error(const struct stream *s)
{
    int err = 0;
    socklen_t len = sizeof(err);
    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &err, &len) != 0)
        err = errno;
    return -err;
}

static void on_connected(struct stream *s)
{
    int err = socket_error(s);
    s->is_connecting = false;
    if (err) {
        s->is_ended = s->was_end_told = true; /* on_connect tells it */
        s->end_error = err;
        buf_fini(&s->backlog);
    }
    stream_update_poll(s, false);
    if (!err && s->backlog.len > 0)
        stream_flush(s);
    s->events->on_connect(s->ctx, err);
}

static void on_poll(uv_poll_t *h, int status, int events)
{
    struct stream *s = h->data;
    if (status < 0)
        s->polled = 0; /* libuv has stopped it */
    if (s->is_connecting) {
        on_connected(s);
        return;
    }
    if (status < 0) {
        int err = socket_error(s);
        err = err ? err : -ECONNRESET;
        if (s->is_closed)
            stream_release(s);
        else
            stream_peer_end(s, err);
        return;
    }
    if (events & UV_WRITABLE)
        stream_flush(s);
    if (s->is_closed) {
        if (!s->is_gone && s->backlog.len == 0) {
            discard_input(s);
            stream_release(s);
        }
        return;
    }
    if (!(events & UV_READABLE))
        return;
    if (wants_input(s))
        on_input(s);
    else
        stream_update_poll(s, true);
}
