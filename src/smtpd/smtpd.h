/* smtpd: the role that accepts mail: listeners, the local door, the limits. */
#ifndef SMTPD_SMTPD_H
#define SMTPD_SMTPD_H

#include "net/role.h"

/* Runs the role until it is drained or its parent is gone. Returns the exit status. */
int smtpd_run(struct role *role) NONNULL(1);

#endif
