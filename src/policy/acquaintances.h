/* acquaintances: whom each account has written to in the last 31 days.
 *
 * Remembers a hash of account and address with the hour: 8 bytes each, ACQUAINTANCES_MAX in all
 * and of all. When it is full of what is younger, an address that is not remembered counts as
 * new each time. Two addresses are taken for one with a chance of one in 2^48. Time is an
 * argument; one thread at a time. */
#ifndef POLICY_ACQUAINTANCES_H
#define POLICY_ACQUAINTANCES_H

#include "base/buf.h"
#include "base/stamp.h"

enum { ACQUAINTANCES_MAX = 1 << 20 };
#define ACQUAINTANCES_AGE (31 * SPAN_DAY)

struct acquaintances;

/* seed: 16 random bytes, of the hashes; a snapshot brings its own (acquaintances_load). */
struct acquaintances *acquaintances_new(const uint64_t seed[2]) NONNULL(1);
void acquaintances_free(struct acquaintances **a);

/* address: canonical. Known until 31 days after the hour in which it was added last. */
bool acquaintances_knows(const struct acquaintances *a, uint64_t account, slice address,
                         stamp now) NONNULL(1);
/* 0, or -ENOMEM and -ENOSPC: not remembered. */
int acquaintances_add(struct acquaintances *a, uint64_t account, slice address,
                      stamp at) MUST_USE NONNULL(1);

/* For snapshots: the number of bytes, then they. */
void acquaintances_save(const struct acquaintances *a, struct buf *out) NONNULL(1, 2);
/* Takes its part off the front; 0, -EBADMSG or -ENOMEM, which change nothing. */
int acquaintances_load(struct acquaintances *a, slice *in) MUST_USE NONNULL(1, 2);

/* How many addresses are remembered, of all accounts. */
size_t acquaintances_count(const struct acquaintances *a) NONNULL(1);

#endif
