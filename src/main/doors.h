/* doors: the sockets at which the roles listen, opened by the parent. */
#ifndef MAIN_DOORS_H
#define MAIN_DOORS_H

#include "main/handover.h"
#include "model/conf.h"
#include "net/process.h"

/* Opens the listeners, the local door, the query sockets and the API's, and adds them to *h.
 * All that cannot be opened is told in *why, a line each, and nothing stays open then. */
bool doors_open(const struct conf *conf, const struct process_user users[ROLE_COUNT],
                struct handover *h, struct buf *why) MUST_USE NONNULL(1, 2, 3, 4);

/* At a drain: nobody is let in any more, by any process. */
void doors_shut(const struct handover *h) NONNULL(1);
/* Removes the Unix sockets. */
void doors_remove(const struct conf *conf) NONNULL(1);

#endif
