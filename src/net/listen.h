/* listen: accepts connections from a listening socket that the parent opened. */
#ifndef NET_LISTEN_H
#define NET_LISTEN_H

#include "codec/host.h"
#include "net/loop.h"

struct listen_peer {
    struct address address; /* family 0 for a Unix socket */
    uint16_t port;
    uint32_t uid; /* Unix sockets: the peer's, from the kernel */
    uint32_t pid;
};

struct listener;
/* fn takes over the accepted descriptor (non-blocking, close-on-exec). Several loops may listen
 * on the same socket. Out of descriptors: accepting pauses for 100 ms and says so in the log.
 */
struct listener *listener_new(struct loop *l, int fd,
                              void (*fn)(void *ctx, int fd, const struct listen_peer *peer),
                              void *ctx) NONNULL(1, 3);
/* Accepts no more; the socket stays the caller's. Clears the pointer; takes NULL. */
void listener_free(struct listener **l);

#endif
