/* sender: may this account use this address? */
#ifndef POLICY_SENDER_H
#define POLICY_SENDER_H

#include "base/arena.h"
#include "policy/account.h"

/* address: canonical "local@domain" (path_canonical, header_mailboxes). Domains are compared
 * without case; local parts exactly as the canonical form has them, but ASCII case is ignored
 * in exact addresses too, since no hosting panel tells Anna@ from anna@. The null reverse-path
 * is the caller's question: it may be used with SENDERS_ANY only. */
bool sender_may_use(const struct account *account, slice address) NONNULL(1);

#endif
