/* The server; the client is in query_ask.c. */
#include "net/query.h"

#include "base/arena.h"
#include "base/list.h"
#include "base/log.h"
#include "net/listen.h"
#include "net/stream.h"

#include <stdlib.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 64, CONNECTION_SECONDS = 30 };

struct query_server {
    struct loop *loop;
    struct listener *listener;
    void (*answer)(void *ctx, slice question, struct buf *out);
    void *ctx;
    struct list connections;
    unsigned count;
};

struct connection {
    struct list node;
    struct query_server *server;
    struct stream *stream;
    struct timer deadline;
    struct buf line;
};

static void drop(struct connection *c, bool flush)
{
    stream_close(&c->stream, flush);
    timer_cancel(&c->deadline);
    buf_fini(&c->line);
    list_remove(&c->node);
    c->server->count--;
    free(c);
}

/* False: the connection is gone. */
static bool reply(struct connection *c)
{
    struct buf out = BUF_BOUNDED(QUERY_ANSWER_MAX);
    c->server->answer(c->server->ctx, buf_slice(&c->line), &out);
    buf_byte(&out, '\n');
    bool ok = out.error == 0;
    if (ok)
        stream_write(c->stream, buf_slice(&out));
    else
        log_warning("query-answer-too-large", LOG_E("error", out.error));
    buf_fini(&out);
    buf_clear(&c->line);
    if (!ok)
        drop(c, false);
    return ok;
}

static size_t on_data(void *ctx, slice bytes)
{
    struct connection *c = ctx;
    slice rest = bytes;
    while (rest.len > 0) {
        ptrdiff_t end = slice_find(rest, '\n');
        buf_append(&c->line, slice_to(rest, end < 0 ? rest.len : (size_t)end));
        rest = slice_from(rest, end < 0 ? rest.len : (size_t)end + 1);
        if (c->line.error) {
            drop(c, false);
            break;
        }
        if (end >= 0 && !reply(c))
            break;
    }
    return bytes.len;
}

static void on_end(void *ctx, int err)
{
    drop(ctx, err == 0);
}

static void on_deadline(void *ctx)
{
    drop(ctx, false);
}

static void on_accept(void *ctx, int fd, const struct listen_peer *peer)
{
    static const struct stream_events events = {.on_data = on_data, .on_end = on_end};
    struct query_server *q = ctx;
    (void)peer; /* the socket's mode says who may ask */
    if (q->count == CONNECTIONS_MAX) {
        close(fd);
        return;
    }
    struct connection *c = xcalloc(1, sizeof(*c));
    c->stream = stream_accept(q->loop, fd, &events, c);
    if (!c->stream) {
        free(c);
        return;
    }
    c->server = q;
    c->line = BUF_BOUNDED(QUERY_LINE_MAX);
    list_init(&c->node);
    list_push(&q->connections, &c->node);
    q->count++;
    timer_init(&c->deadline, q->loop, on_deadline, c);
    timer_set(&c->deadline, CONNECTION_SECONDS * SPAN_SECOND);
    stream_resume(c->stream);
}

struct query_server *
query_server_new(struct loop *l, int listen_fd,
                 void (*answer)(void *ctx, slice question, struct buf *out), void *ctx)
{
    struct query_server *q = xcalloc(1, sizeof(*q));
    q->loop = l;
    q->answer = answer;
    q->ctx = ctx;
    list_init(&q->connections);
    q->listener = listener_new(l, listen_fd, on_accept, q);
    return q;
}

void query_server_free(struct query_server **at)
{
    struct query_server *q = *at;
    if (!q)
        return;
    *at = NULL;
    listener_free(&q->listener);
    while (!list_is_empty(&q->connections))
        drop(LIST_ITEM(q->connections.next, struct connection, node), false);
    free(q);
}
