/* schema: the tables of directory.db, as numbered steps from the first version on.
 *
 * A step that was ever released is never changed: what comes later is another step. The number
 * of steps done is the database's user_version. */
#ifndef CONTROL_SCHEMA_H
#define CONTROL_SCHEMA_H

#include "base/attr.h"

#include <sqlite3.h>
#include <stddef.h>

extern const char *const schema_steps[];
extern const size_t schema_step_count;

/* Takes the database through the steps that it has not had, each in a transaction of its own.
 * 0; -ENOTSUP: it has had more steps than this program knows; another -errno: the step that
 * failed has left nothing behind. */
int schema_migrate(sqlite3 *db, const char *const *steps, size_t count) MUST_USE NONNULL(1, 2);

#endif
