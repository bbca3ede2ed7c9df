/* delivery: the role that delivers mail: the queue, the transports. */
#ifndef DELIVERY_DELIVERY_H
#define DELIVERY_DELIVERY_H

#include "net/role.h"

/* Runs the role until it is drained or its parent is gone. Returns the exit status. */
int delivery_run(struct role *role) NONNULL(1);

#endif
