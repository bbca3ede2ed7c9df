/* sql: the few calls of SQLite that the store needs, with its results as errnos.
 *
 * Values are always bound, never written into the text of a statement. What goes wrong inside
 * the database (not: a row that exists already) is logged here, once, with SQLite's words. */
#ifndef CONTROL_SQL_H
#define CONTROL_SQL_H

#include "base/arena.h"

#include <sqlite3.h>

struct sql_value {
    enum { SQL_NUMBER, SQL_TEXT, SQL_BLOB, SQL_NULL } kind;
    int64_t number;
    slice bytes;
};

#define SQL_I(n)                                   \
    {                                              \
        .kind = SQL_NUMBER, .number = (int64_t)(n) \
    }
#define SQL_T(s)                       \
    {                                  \
        .kind = SQL_TEXT, .bytes = (s) \
    }
#define SQL_B(s)                       \
    {                                  \
        .kind = SQL_BLOB, .bytes = (s) \
    }
/* An id or number of which 0 is NULL; a text of which the empty one is NULL. */
#define SQL_I0(n)                                                   \
    {                                                               \
        .kind = (n) ? SQL_NUMBER : SQL_NULL, .number = (int64_t)(n) \
    }
#define SQL_T0(s)                                               \
    {                                                           \
        .kind = (s).len > 0 ? SQL_TEXT : SQL_NULL, .bytes = (s) \
    }

/* A statement with its values. Finish it with sql_end. 0 or -errno. */
int sql_begin(sqlite3 *db, sqlite3_stmt **out, const char *text, const struct sql_value *values,
              size_t count) MUST_USE NONNULL(1, 2, 3);
/* 1: a row; 0: no more; -EEXIST (unique), -ENOENT (what it refers to is not there), -EBUSY
 * (something refers to it), -ENOSPC, -ENOMEM, -EIO. */
int sql_step(sqlite3_stmt *statement) MUST_USE NONNULL(1);
void sql_end(sqlite3_stmt **statement) NONNULL(1);

#define SQL_VALUES(...)        \
    (const struct sql_value[]) \
    {                          \
        __VA_ARGS__            \
    }
#define SQL_QUERY(db, out, text, ...)                       \
    sql_begin((db), (out), (text), SQL_VALUES(__VA_ARGS__), \
              sizeof(SQL_VALUES(__VA_ARGS__)) / sizeof(struct sql_value))
/* A statement without rows, whole. */
int sql_run(sqlite3 *db, const char *text, const struct sql_value *values,
            size_t count) MUST_USE NONNULL(1, 2);
#define SQL_RUN(db, text, ...)                     \
    sql_run((db), (text), SQL_VALUES(__VA_ARGS__), \
            sizeof(SQL_VALUES(__VA_ARGS__)) / sizeof(struct sql_value))
/* Statements without values, several in one text. */
int sql_script(sqlite3 *db, const char *text) MUST_USE NONNULL(1, 2);
/* The number in the first column of the first row of a statement; 0 when there is no row. */
int sql_number(sqlite3 *db, const char *text, const struct sql_value *values, size_t count,
               uint64_t *out) MUST_USE NONNULL(1, 2, 5);

uint64_t sql_u64(sqlite3_stmt *statement, int column) NONNULL(1);
/* Text or blob, copied; empty for NULL. */
slice sql_bytes(sqlite3_stmt *statement, int column, struct arena *a) NONNULL(1, 3);

#endif
