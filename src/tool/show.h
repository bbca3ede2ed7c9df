/* show: answers for people: aligned tables, and names with their values.
 *
 * What others chose (names, replies of remote servers) is printed without bytes that a terminal
 * would obey. */
#ifndef TOOL_SHOW_H
#define TOOL_SHOW_H

#include "base/arena.h"

#include <jansson.h>

enum { SHOW_COLUMNS_MAX = 10 };

struct show_table {
    struct arena *arena;
    const char *const *heads;
    int columns;
    const char **cells; /* rows one after the other */
    size_t count;
    size_t room;
    int at; /* column of the next cell */
};

/* heads: ends with NULL; lives as long as the table. */
void show_table_init(struct show_table *t, struct arena *a, const char *const *heads)
    NONNULL(1, 2, 3);
/* The next cell of the row that is being filled; NULL or "" is shown as "-". Copied. */
void show_cell(struct show_table *t, const char *text) NONNULL(1);
/* Prints it, or `nothing` when it has no rows. */
void show_table_print(const struct show_table *t, const char *nothing) NONNULL(1, 2);

/* "Name:     value" with the values in one column; an empty value is not shown. */
void show_pair(const char *name, const char *value) NONNULL(1);
void show_number(const char *name, const json_t *object, const char *key) NONNULL(1, 3);

/* Text of a member: "" when it is not there or null; a number as text. In the arena. */
const char *show_text(struct arena *a, const json_t *object, const char *key) NONNULL(1, 3);
/* The texts of an array with commas between. */
const char *show_list(struct arena *a, const json_t *array) NONNULL(1);
/* "active", "locked until 2026-…: reason". */
const char *show_state(struct arena *a, const json_t *object) NONNULL(1);

#endif
