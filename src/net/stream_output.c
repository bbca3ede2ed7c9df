/* What leaves a stream: writing, TLS, what waits for the kernel. */
#include "net/stream_internal.h"

#include <errno.h>
#include <sys/socket.h>

enum { HIGH_WATER = 64 * 1024, TLS_RECORD = 16 * 1024, IOV_MOST = 64 };

static void queue(struct stream *s, const struct iovec *iov, int count)
{
    for (int i = 0; i < count; i++)
        buf_append(&s->backlog, slice_make(iov[i].iov_base, iov[i].iov_len));
    if (s->backlog.error)
        stream_end(s, s->backlog.error);
    else
        stream_update_poll(s, false);
}

/* Steps over n bytes that were sent: the first piece that is left, shortened. */
static int skip(struct iovec *iov, int count, size_t n)
{
    int i = 0;
    while (i < count && n >= iov[i].iov_len)
        n -= iov[i++].iov_len;
    if (i < count) {
        iov[i].iov_base = (char *)iov[i].iov_base + n;
        iov[i].iov_len -= n;
    }
    return i;
}

void stream_sendv(struct stream *s, struct iovec *iov, int count)
{
    if (stream_is_broken(s))
        return;
    if (s->is_connecting || s->backlog.len > 0) {
        queue(s, iov, count);
        return;
    }
    struct msghdr m = {.msg_iov = iov, .msg_iovlen = (size_t)count};
    ssize_t n = sendmsg(s->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        stream_end(s, -errno);
        return;
    }
    int sent = skip(iov, count, n < 0 ? 0 : (size_t)n);
    if (sent < count)
        queue(s, iov + sent, count - sent);
}

void stream_send(struct stream *s, slice bytes)
{
    struct iovec iov = {(void *)(uintptr_t)bytes.ptr, bytes.len};
    if (bytes.len > 0)
        stream_sendv(s, &iov, 1);
}

void stream_flush(struct stream *s)
{
    slice rest = slice_from(buf_slice(&s->backlog), s->backlog_at);
    if (rest.len == 0)
        return;
    ssize_t n = send(s->fd, rest.ptr, rest.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0) {
        if (errno == EAGAIN || errno == EINTR)
            return;
        stream_end(s, -errno); /* forgets the backlog */
        return;
    }
    s->backlog_at += (size_t)n;
    if (s->backlog_at < s->backlog.len)
        return;
    buf_fini(&s->backlog);
    s->backlog_at = 0;
    stream_update_poll(s, false);
    if (s->owes_drain && !s->is_closed) {
        s->owes_drain = false;
        if (s->events->on_drain)
            s->events->on_drain(s->ctx);
    }
}

static bool encrypt(struct stream *s, slice bytes, struct buf *out)
{
    if (tls_session_write(s->tls, bytes, out))
        return true;
    s->error_text = tls_session_error(s->tls);
    stream_end(s, -EPROTO);
    return false;
}

/* Small pieces share a record; large ones are encrypted where they are. */
static void write_tls(struct stream *s, const struct iovec *iov, int count)
{
    char gathered[TLS_RECORD];
    size_t len = 0;
    struct buf *out = loop_output(s->loop);
    for (int i = 0; i < count; i++) {
        slice rest = slice_make(iov[i].iov_base, iov[i].iov_len);
        while (rest.len > 0) {
            if (len == 0 && rest.len >= TLS_RECORD) {
                if (!encrypt(s, rest, out))
                    return;
                break;
            }
            size_t n = rest.len < TLS_RECORD - len ? rest.len : TLS_RECORD - len;
            memcpy(gathered + len, rest.ptr, n);
            len += n;
            rest = slice_from(rest, n);
            if (len == TLS_RECORD && !encrypt(s, slice_make(gathered, len), out))
                return;
            len %= TLS_RECORD;
        }
    }
    if (encrypt(s, slice_make(gathered, len), out))
        stream_send(s, buf_slice(out));
}

bool stream_writev(struct stream *s, const struct iovec *iov, int count)
{
    if (stream_is_broken(s))
        return true; /* on_end tells */
    if (s->tls) {
        if (!s->is_handshaking && !s->tls_failed)
            write_tls(s, iov, count);
    } else {
        struct iovec copy[IOV_MOST];
        for (int i = 0; i < count; i += IOV_MOST) {
            int n = count - i < IOV_MOST ? count - i : IOV_MOST;
            memcpy(copy, iov + i, (size_t)n * sizeof(*iov));
            stream_sendv(s, copy, n);
        }
    }
    if (stream_backlog(s) <= HIGH_WATER)
        return true;
    s->owes_drain = true;
    return false;
}

bool stream_write(struct stream *s, slice bytes)
{
    struct iovec iov = {(void *)(uintptr_t)bytes.ptr, bytes.len};
    return stream_writev(s, &iov, bytes.len > 0);
}

size_t stream_backlog(const struct stream *s)
{
    return s->backlog.len - s->backlog_at;
}

bool stream_is_broken(const struct stream *s)
{
    return s->is_ended && s->end_error;
}

void stream_fail_tls(struct stream *s, const char *reason)
{
    s->error_text = reason;
    s->is_handshaking = false;
    s->is_ended = s->was_end_told = true; /* on_tls tells it */
    s->end_error = -EPROTO;
    s->tls_failed = true;
    loop_defer(s->loop, &s->later);
    stream_update_poll(s, true);
}

void stream_start_tls(struct stream *s, struct tls_context *tls, const struct tls_peer *peer)
{
    INVARIANT(!s->tls);
    s->tls = tls_session_new(tls, peer);
    if (!s->tls) {
        stream_fail_tls(s, "out of memory");
        return;
    }
    if (s->kept.len > s->kept_at && !s->is_offering) {
        stream_fail_tls(s, "bytes came before the TLS handshake");
        return;
    }
    s->is_handshaking = true;
    slice nothing = SLICE("");
    struct buf *out = loop_output(s->loop);
    enum tls_state state = tls_session_handshake(s->tls, &nothing, out);
    stream_send(s, buf_slice(out));
    if (state == TLS_FAILED)
        stream_fail_tls(s, tls_session_error(s->tls));
    stream_update_poll(s, false);
}

void stream_say_goodbye(struct stream *s)
{
    struct buf *out = loop_output(s->loop);
    tls_session_end(s->tls, out);
    stream_send(s, buf_slice(out));
}

bool stream_is_tls(const struct stream *s)
{
    return s->tls && !s->is_handshaking && !s->tls_failed;
}

slice stream_tls_text(const struct stream *s, struct arena *a)
{
    return stream_is_tls(s) ? tls_session_text(s->tls, a) : SLICE("");
}

const char *stream_error_text(const struct stream *s)
{
    if (s->error_text)
        return s->error_text;
    return s->end_error ? strerror(-s->end_error) : "no error";
}
