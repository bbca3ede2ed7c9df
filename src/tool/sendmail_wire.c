#include "tool/sendmail_wire.h"

#include "tool/sendmail_tls.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

span sendmail_wire_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return t.tv_sec * SPAN_SECOND + t.tv_nsec / 1000;
}

void sendmail_wire_init(struct sendmail_wire *w)
{
    w->fd = -1;
    w->tls = NULL;
    w->wait = 0;
    w->out = BUF_INIT;
    w->in_at = w->in_len = 0;
    reply_parser_init(&w->parser);
}

void sendmail_wire_close(struct sendmail_wire *w)
{
    sendmail_tls_end(w);
    if (w->fd >= 0)
        close(w->fd);
    w->fd = -1;
    buf_fini(&w->out);
    w->in_at = w->in_len = 0;
    reply_parser_init(&w->parser);
}

int sendmail_wire_connect(struct sendmail_wire *w, const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(at.sun_path))
        return -ENAMETOOLONG;
    strcpy(at.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)&at, sizeof(at)) != 0) {
        int err = errno;
        close(fd);
        return -err;
    }
    w->fd = fd;
    return 0;
}

int sendmail_wire_await(const struct sendmail_wire *w, short events, span deadline)
{
    for (;;) {
        struct pollfd p = {.fd = w->fd, .events = events};
        span left = deadline - sendmail_wire_now();
        if (left <= 0)
            return -ETIMEDOUT;
        int n = poll(&p, 1, (int)(left / SPAN_MS) + 1);
        if (n > 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return -errno;
    }
}

int sendmail_wire_flush(struct sendmail_wire *w)
{
    span deadline = sendmail_wire_now() + w->wait;
    slice rest = buf_slice(&w->out);
    int err = w->out.error;
    while (rest.len && err == 0) {
        short events = POLLOUT;
        ssize_t n = w->tls ? sendmail_tls_write(w, rest, &events)
                           : send(w->fd, rest.ptr, rest.len, MSG_NOSIGNAL);
        if (n >= 0)
            rest = slice_from(rest, (size_t)n);
        else if (errno == EAGAIN)
            err = sendmail_wire_await(w, events, deadline);
        else if (errno != EINTR)
            err = -errno;
    }
    buf_clear(&w->out);
    return err;
}

static int fill(struct sendmail_wire *w, span deadline)
{
    for (;;) {
        short events = POLLIN;
        ssize_t n = w->tls ? sendmail_tls_read(w, w->in, sizeof(w->in), &events)
                           : recv(w->fd, w->in, sizeof(w->in), 0);
        if (n > 0) {
            w->in_at = 0;
            w->in_len = (size_t)n;
            return 0;
        }
        if (n == 0)
            return -ECONNRESET;
        int err = errno == EAGAIN  ? sendmail_wire_await(w, events, deadline)
                  : errno == EINTR ? 0
                                   : -errno;
        if (err)
            return err;
    }
}

int sendmail_wire_reply(struct sendmail_wire *w, struct reply *out,
                        void (*on_line)(void *ctx, slice text), void *ctx)
{
    span deadline = sendmail_wire_now() + w->wait;
    for (;;) {
        slice in = {w->in + w->in_at, w->in_len - w->in_at};
        enum reply_result r = reply_parse(&w->parser, &in, out, on_line, ctx);
        w->in_at = w->in_len - in.len;
        if (r == REPLY_DONE)
            return 0;
        if (r == REPLY_BAD)
            return -EPROTO;
        int err = fill(w, deadline);
        if (err)
            return err;
    }
}
