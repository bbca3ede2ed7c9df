/* supervise: starts the roles, starts them again when they end, reloads and drains them. */
#ifndef MAIN_SUPERVISE_H
#define MAIN_SUPERVISE_H

#include "main/handover.h"
#include "model/conf.h"
#include "net/process.h"

struct supervised {
    const char *config_path;
    struct conf *conf;     /* replaced by a reload */
    int state;             /* the state directory */
    struct env *env;       /* for its clock */
    struct handover fixed; /* what never changes: sockets, eventfds, pages, the lock */
    struct handover keys;  /* configuration and secrets, replaced by a reload */
    struct shared_pages *pages;
    struct process_user users[ROLE_COUNT];
};

/* Blocks the signals that supervise_run answers to: before anything else is started. */
void supervise_block_signals(void);
/* Until SIGTERM or SIGINT and the end of all roles: the exit status. */
int supervise_run(struct supervised *s) NONNULL(1);

#endif
