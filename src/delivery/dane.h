/* dane: what DANE says of a mail host, kept for as long as an address of it, or a connection to
 * it, is. Counted; one thread. */
#ifndef DELIVERY_DANE_H
#define DELIVERY_DANE_H

#include "net/tls.h"
#include "policy/tls_level.h"

struct dane {
    unsigned refs;
    struct arena arena;
    struct route_dane says;
    const char *base; /* says.base */
};

/* A copy; NULL for NULL. */
struct dane *dane_new(const struct route_dane *says);
struct dane *dane_ref(struct dane *d); /* takes NULL */
void dane_unref(struct dane **d);

#endif
