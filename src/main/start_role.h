/* start_role: a child process becomes a role. */
#ifndef MAIN_START_ROLE_H
#define MAIN_START_ROLE_H

#include "main/start.h"

/* Receives what the parent hands over, gives up what the role does not need, runs it: the exit
 * status. */
int start_role(const char *name, role_run_fn *const runs[ROLE_COUNT]) NONNULL(1, 2);

#endif
