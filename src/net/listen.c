#include "net/listen.h"

#include "base/arena.h"
#include "base/log.h"
#include "net/address.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

/* Few at a time, so that the loops that share a socket share its connections too. */
enum { ACCEPTS_PER_EVENT = 8 };

struct listener {
    uv_poll_t poll;
    struct timer pause;
    int fd;
    void (*fn)(void *ctx, int fd, const struct listen_peer *peer);
    void *ctx;
    bool is_freed;
};

static void on_readable(uv_poll_t *h, int status, int events);

static void listener_start(void *ctx)
{
    struct listener *l = ctx;
    INVARIANT(uv_poll_start(&l->poll, UV_READABLE, on_readable) == 0);
}

/* The waiting connection keeps the socket readable: without a pause the loop would spin. */
static void listener_pause(struct listener *l, int err)
{
    log_warning("accept-paused", LOG_E("error", err), LOG_I("milliseconds", 100));
    uv_poll_stop(&l->poll);
    timer_set(&l->pause, 100 * SPAN_MS);
}

static void describe(int fd, const struct sockaddr_storage *from, struct listen_peer *peer)
{
    *peer = (struct listen_peer){.uid = UINT32_MAX};
    if (from->ss_family != AF_UNIX) {
        address_from_sockaddr((const struct sockaddr *)from, &peer->address, &peer->port);
        return;
    }
    struct ucred cred;
    socklen_t len = sizeof(cred);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0) {
        peer->uid = cred.uid;
        peer->pid = (uint32_t)cred.pid;
    }
}

static bool is_exhaustion(int err)
{
    return err == EMFILE || err == ENFILE || err == ENOBUFS || err == ENOMEM;
}

static void on_readable(uv_poll_t *h, int status, int events)
{
    (void)events;
    struct listener *l = h->data;
    if (status < 0) {
        listener_pause(l, status);
        return;
    }
    for (int i = 0; i < ACCEPTS_PER_EVENT && !l->is_freed; i++) {
        struct sockaddr_storage from = {0};
        socklen_t len = sizeof(from);
        int fd = accept4(l->fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            struct listen_peer peer;
            describe(fd, &from, &peer);
            l->fn(l->ctx, fd, &peer);
        } else if (is_exhaustion(errno)) {
            listener_pause(l, errno);
            return;
        } else if (errno == EAGAIN) {
            return;
        } else if (errno == EINVAL) { /* shut down by the parent: nobody comes any more */
            uv_poll_stop(&l->poll);
            return;
        } /* otherwise that one connection was lost; the next one may be well */
    }
}

struct listener *listener_new(struct loop *loop, int fd,
                              void (*fn)(void *ctx, int fd, const struct listen_peer *peer),
                              void *ctx)
{
    struct listener *l = xcalloc(1, sizeof(*l));
    l->fd = fd;
    l->fn = fn;
    l->ctx = ctx;
    l->poll.data = l;
    timer_init(&l->pause, loop, listener_start, l);
    INVARIANT(uv_poll_init(loop_uv(loop), &l->poll, fd) == 0); /* sets O_NONBLOCK */
    listener_start(l);
    return l;
}

static void release(uv_handle_t *h)
{
    free(h->data);
}

void listener_free(struct listener **at)
{
    struct listener *l = *at;
    if (!l)
        return;
    *at = NULL;
    l->is_freed = true;
    timer_cancel(&l->pause);
    uv_close((uv_handle_t *)&l->poll, release);
}
