/* query: questions to a running role over its Unix socket: one line of JSON in, one line out.
 * Read-only by contract. The server runs on a loop; the client blocks. */
#ifndef NET_QUERY_H
#define NET_QUERY_H

#include "base/buf.h"
#include "net/loop.h"

enum { QUERY_LINE_MAX = 64 * 1024, QUERY_ANSWER_MAX = 64 * 1024 * 1024 };

struct query_server;
/* answer appends one line of JSON without its newline. At most 64 connections, 30 s each. */
struct query_server *query_server_new(struct loop *l, int listen_fd,
                                      void (*answer)(void *ctx, slice question,
                                                     struct buf *out),
                                      void *ctx) NONNULL(1, 3);
/* Closes all connections; the socket stays the caller's. Clears the pointer; takes NULL. */
void query_server_free(struct query_server **q);

/* 0, or -errno (-ETIMEDOUT, -ECONNREFUSED, …). */
int query_ask(const char *path, slice question, span timeout, struct buf *answer) MUST_USE
    NONNULL(1, 4);

#endif
