/* envelope: who a queued message is for, read again for people and for commands: the addresses
 * of its recipients by their indexes. */
#ifndef DELIVERY_ENVELOPE_H
#define DELIVERY_ENVELOPE_H

#include "delivery/courier.h"

/* Addresses are asked for in the order of their indexes. */
struct envelope {
    struct letter letter;
    bool is_open;   /* the message's record was read */
    slice rest;     /* fields behind the last recipient that was found */
    uint32_t index; /* of the next one there */
};

/* Reads the record if anything of the message is living; then envelope_fini. */
void envelope_open(struct envelope *e, const struct courier *c, const struct parcel *p)
    NONNULL(1, 2, 3);
void envelope_fini(struct envelope *e) NONNULL(1);
/* Empty when it cannot be read. Of those that failed from what was kept of them. Borrowed. */
slice envelope_address(struct envelope *e, const struct recipient *r) NONNULL(1, 2);

/* Is the address at the domain, given as path_domain gives it? */
bool envelope_is_at(struct arena *a, slice address, slice domain) NONNULL(1);

/* A recipient of a message, and the parcel that it is in. */
struct envelope_entry {
    struct parcel *parcel;
    struct recipient *recipient;
};
/* All recipients of the message that are not gone, by index; p is its first parcel. The caller
 * frees them. */
struct envelope_entry *envelope_entries(struct parcel *p, size_t *count) NONNULL(1, 2);

#endif
