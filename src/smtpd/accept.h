/* accept: a worker's ears: takes connections from the listening sockets, counts them against
 * the limits, knows who is signed in by where he comes from (a client address on doors that
 * allow it, a local user at the local door), and begins sessions. */
#ifndef SMTPD_ACCEPT_H
#define SMTPD_ACCEPT_H

#include "base/attr.h"

struct accept;
struct worker;

/* Listens at all doors of the worker's settings that have a descriptor. */
struct accept *accept_new(struct worker *w) NONNULL(1);
/* Clears the pointer, takes NULL. The descriptors stay open. */
void accept_free(struct accept **a);

#endif
