#include "control/schema.h"

#include "base/log.h"
#include "control/sql.h"

#include <errno.h>
#include <stdio.h>

static int take_step(sqlite3 *db, const char *step, uint64_t number)
{
    char version[64];
    snprintf(version, sizeof(version), "PRAGMA user_version = %llu",
             (unsigned long long)number);
    int rc = sql_script(db, "BEGIN IMMEDIATE");
    if (rc < 0)
        return rc;
    rc = sql_script(db, step);
    if (rc == 0)
        rc = sql_script(db, version);
    if (rc == 0)
        rc = sql_script(db, "COMMIT");
    if (rc < 0)
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}

int schema_migrate(sqlite3 *db, const char *const *steps, size_t count)
{
    uint64_t done = 0;
    int rc = sql_number(db, "PRAGMA user_version", NULL, 0, &done);
    if (rc < 0)
        return rc;
    if (done > count) {
        log_error("database-too-new", LOG_I("its-version", done),
                  LOG_I("known-version", count));
        return -ENOTSUP;
    }
    for (size_t i = (size_t)done; i < count; i++) {
        rc = take_step(db, steps[i], i + 1);
        if (rc < 0)
            return rc;
        log_info("database-migrated", LOG_I("version", i + 1));
    }
    return 0;
}
