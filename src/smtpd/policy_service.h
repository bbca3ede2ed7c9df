/* policy_service: limits and locks for a Postfix that asks (its check_policy_service).
 *
 * At RCPT one recipient is reserved under the request's instance, with the first one the
 * message; at END-OF-MESSAGE what was let pass is trued up to the real count and size, written
 * to the journal as a RECORD_USE and, once that is durable, counted; then Postfix is answered.
 * END-OF-MESSAGE alone reserves all of it at once. A new instance on a connection gives back
 * what the last one holds: its message was aborted. After a lost connection the recipients stay
 * reserved for hold-time, in which the same instance may come again on another connection, and
 * count then: whether their message was taken is not known.
 *
 * All of it lives on one loop, that of the role. Nothing but counting is done here: who may use
 * which sender is Postfix's to check. */
#ifndef SMTPD_POLICY_SERVICE_H
#define SMTPD_POLICY_SERVICE_H

#include "net/role.h"
#include "smtpd/worker.h"

struct policy_service;

/* NULL: the parent gave no socket for it. The service outlives it; role->conf is read at each
 * question, so that a reload needs no call. */
struct policy_service *policy_service_new(struct role *role, struct service *service)
    NONNULL(1, 2);
/* No more connections; those that are there are closed, what is held after a lost connection
 * is counted. Takes NULL. */
void policy_service_drain(struct policy_service *p);
/* The loop no longer runs and the journal was closed; limiting is still there. Clears the
 * pointer, takes NULL. */
void policy_service_free(struct policy_service **p);

#endif
