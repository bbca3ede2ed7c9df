/* address: struct address to and from the kernel's form. */
#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H

#include "codec/host.h"

#include <sys/socket.h>

/* IPv4-mapped IPv6 becomes IPv4; other families give family 0. */
void address_from_sockaddr(const struct sockaddr *from, struct address *out, uint16_t *port)
    NONNULL(1, 2, 3);
/* Returns the length. The address is of family 4 or 6. */
socklen_t address_to_sockaddr(const struct address *a, uint16_t port,
                              struct sockaddr_storage *out) NONNULL(1, 3);

#endif
