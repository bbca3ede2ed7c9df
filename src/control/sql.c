#include "control/sql.h"

#include "base/log.h"

#include <errno.h>

static int bind_value(sqlite3_stmt *s, int index, const struct sql_value *v)
{
    const char *bytes = v->bytes.ptr ? v->bytes.ptr : "";
    switch (v->kind) {
    case SQL_NUMBER:
        return sqlite3_bind_int64(s, index, v->number);
    case SQL_TEXT:
        return sqlite3_bind_text64(s, index, bytes, v->bytes.len, SQLITE_TRANSIENT,
                                   SQLITE_UTF8);
    case SQL_BLOB:
        return sqlite3_bind_blob64(s, index, bytes, v->bytes.len, SQLITE_TRANSIENT);
    case SQL_NULL:
        break;
    }
    return sqlite3_bind_null(s, index);
}

/* The extended result as an errno. What callers expect to happen is not logged. */
static int result(sqlite3 *db, int rc, const char *text)
{
    switch (rc) {
    case SQLITE_OK:
    case SQLITE_DONE:
        return 0;
    case SQLITE_ROW:
        return 1;
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
        return -EEXIST;
    case SQLITE_CONSTRAINT_FOREIGNKEY:
        return -ENOENT;
    case SQLITE_CONSTRAINT_TRIGGER:
        return -EBUSY;
    default:
        break;
    }
    log_error("database-failed", LOG_C("what", sqlite3_errmsg(db)), LOG_I("code", rc),
              LOG_C("statement", text));
    switch (rc & 0xff) {
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
        return -EACCES;
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
        return -EUCLEAN;
    default:
        return -EIO;
    }
}

int sql_begin(sqlite3 *db, sqlite3_stmt **out, const char *text, const struct sql_value *values,
              size_t count)
{
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(db, text, -1, &s, NULL);
    for (size_t i = 0; rc == SQLITE_OK && i < count; i++)
        rc = bind_value(s, (int)i + 1, &values[i]);
    if (rc != SQLITE_OK) {
        sqlite3_finalize(s);
        return result(db, rc, text);
    }
    *out = s;
    return 0;
}

int sql_step(sqlite3_stmt *statement)
{
    return result(sqlite3_db_handle(statement), sqlite3_step(statement),
                  sqlite3_sql(statement));
}

void sql_end(sqlite3_stmt **statement)
{
    sqlite3_finalize(*statement);
    *statement = NULL;
}

int sql_run(sqlite3 *db, const char *text, const struct sql_value *values, size_t count)
{
    sqlite3_stmt *s;
    int rc = sql_begin(db, &s, text, values, count);
    if (rc < 0)
        return rc;
    rc = sql_step(s);
    sql_end(&s);
    return rc < 0 ? rc : 0;
}

int sql_script(sqlite3 *db, const char *text)
{
    return result(db, sqlite3_exec(db, text, NULL, NULL, NULL), text);
}

int sql_number(sqlite3 *db, const char *text, const struct sql_value *values, size_t count,
               uint64_t *out)
{
    sqlite3_stmt *s;
    int rc = sql_begin(db, &s, text, values, count);
    if (rc < 0)
        return rc;
    rc = sql_step(s);
    uint64_t number = rc == 1 ? sql_u64(s, 0) : 0;
    sql_end(&s);
    if (rc < 0)
        return rc;
    *out = number;
    return 0;
}

uint64_t sql_u64(sqlite3_stmt *statement, int column)
{
    return (uint64_t)sqlite3_column_int64(statement, column);
}

slice sql_bytes(sqlite3_stmt *statement, int column, struct arena *a)
{
    const void *bytes = sqlite3_column_blob(statement, column);
    int len = sqlite3_column_bytes(statement, column);
    return bytes && len > 0 ? arena_dup(a, slice_make(bytes, (size_t)len)) : (slice){0};
}
