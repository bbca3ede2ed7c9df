/* users: who the roles are. */
#ifndef MAIN_USERS_H
#define MAIN_USERS_H

#include "model/conf.h"
#include "net/process.h"
#include "net/role.h"

/* From the configuration: a role without a user of its own stays who the parent is. Each role
 * also gets the groups of the others, which may read what it shows them. False with the reason
 * for people in *why. */
bool users_find(const struct conf *conf, struct process_user users[ROLE_COUNT],
                struct buf *why) MUST_USE NONNULL(1, 2, 3);

#endif
