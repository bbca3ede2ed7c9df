#include "net/address.h"

#include <netinet/in.h>

void address_from_sockaddr(const struct sockaddr *from, struct address *out, uint16_t *port)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    *out = (struct address){0};
    *port = 0;
    if (from->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)from;
        out->family = 4;
        memcpy(out->bytes, &in->sin_addr, 4);
        *port = ntohs(in->sin_port);
    } else if (from->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)from;
        const uint8_t *bytes = in6->sin6_addr.s6_addr;
        bool is_mapped = memcmp(bytes, mapped, sizeof(mapped)) == 0;
        out->family = is_mapped ? 4 : 6;
        memcpy(out->bytes, is_mapped ? bytes + 12 : bytes, is_mapped ? 4 : 16);
        *port = ntohs(in6->sin6_port);
    }
}

socklen_t address_to_sockaddr(const struct address *a, uint16_t port,
                              struct sockaddr_storage *out)
{
    *out = (struct sockaddr_storage){0};
    INVARIANT(a->family == 4 || a->family == 6);
    if (a->family == 4) {
        struct sockaddr_in *in = (void *)out;
        in->sin_family = AF_INET;
        in->sin_port = htons(port);
        memcpy(&in->sin_addr, a->bytes, 4);
        return sizeof(*in);
    }
    struct sockaddr_in6 *in6 = (void *)out;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(port);
    memcpy(&in6->sin6_addr, a->bytes, 16);
    return sizeof(*in6);
}
