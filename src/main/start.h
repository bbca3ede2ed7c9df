/* start: utpostd's command line, and the start of the parent and of the roles. */
#ifndef MAIN_START_H
#define MAIN_START_H

#include "net/role.h"

typedef int role_run_fn(struct role *role);

/* The whole of main; the roles' functions are given, so that tests can give others. */
int start_main(int argc, char **argv, role_run_fn *const runs[ROLE_COUNT]) NONNULL(2, 3);

#endif
