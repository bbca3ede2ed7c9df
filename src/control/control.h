/* control: the role that owns the directory: databases, the API. */
#ifndef CONTROL_CONTROL_H
#define CONTROL_CONTROL_H

#include "net/role.h"

/* Runs the role until it is drained or its parent is gone. Returns the exit status. */
int control_run(struct role *role) NONNULL(1);

#endif
