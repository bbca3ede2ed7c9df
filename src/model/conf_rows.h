/* conf_rows: the rows of params.def as a table, for the files that make up model/conf. */
#ifndef MODEL_CONF_ROWS_H
#define MODEL_CONF_ROWS_H

#include "model/conf.h"

enum conf_section {
    CONF_IN_SERVER,
    CONF_IN_LOG,
    CONF_IN_TLS,
    CONF_IN_LISTENER,
    CONF_IN_SUBMISSION,
    CONF_IN_DELIVERY,
    CONF_IN_DESTINATION,
    CONF_IN_SMARTHOST,
    CONF_IN_RESOLVER,
    CONF_IN_JOURNAL,
    CONF_IN_API,
    CONF_IN_RETENTION,
    CONF_IN_POLICY_SERVICE,
    CONF_IN_NOTICES,
    CONF_SECTIONS
};

enum conf_type {
    CONF_TEXT,
    CONF_NUMBER,
    CONF_SIZE,
    CONF_SPAN,
    CONF_FLAG,
    CONF_CHOICE,
};

enum conf_reload { CONF_RELOAD, CONF_RESTART };

struct conf_row {
    enum conf_section section;
    enum conf_type type;
    const char *key;
    size_t offset; /* in the section's struct */
    const char *text_default;
    uint64_t number_default;
    uint64_t min;
    uint64_t max;
    const char *words; /* the unit of a number, the values of a choice ("a|b|c") */
    enum conf_reload reload;
    const char *doc;
};

extern const struct conf_row conf_rows[];
extern const size_t conf_row_count;

const char *conf_section_name(enum conf_section s);
/* CONF_SECTIONS when there is none of that name. */
enum conf_section conf_section_find(slice name);
/* The row or NULL. */
const struct conf_row *conf_row_find(enum conf_section s, slice key);
/* Sections that may be repeated, each with a name: listeners and destinations. */
bool conf_is_named(enum conf_section s);
/* Where the row's value is; `named`: the listener or destination whose row it is, which are not
 * in *c. */
void *conf_value(const struct conf *c, const void *named, const struct conf_row *row)
    NONNULL(3);
void conf_set_default(void *value, const struct conf_row *row) NONNULL(1, 2);
bool conf_value_eq(const void *a, const void *b, const struct conf_row *row) NONNULL(1, 2, 3);

/* Reads a value: false with what would be right in *right (borrowed by nobody, appended). */
bool conf_read_value(struct arena *a, const struct conf_row *row, slice text, void *value,
                     struct buf *right) NONNULL(1, 2, 4, 5);
void conf_write_value(const struct conf_row *row, const void *value, struct buf *out)
    NONNULL(1, 2, 3);
/* "1 to 5000 recipients", "yes or no", "one of a, b, c" */
void conf_write_range(const struct conf_row *row, struct buf *out) NONNULL(1, 2);

/* Number of single-byte edits between two words, for suggestions. */
size_t conf_distance(slice a, slice b);

/* Values that are not in the table because they depend on others or on the machine: the host
 * name, run-dir, the API's socket, the key's file. Empty when the row has no such default. */
slice conf_derived(const struct conf *c, const struct conf_row *row, struct arena *a)
    NONNULL(1, 2, 3);

/* Where things were said, for the messages about relations between them; 0: nowhere. */
struct conf_named_lines {
    unsigned section;
    unsigned *keys; /* by index in conf_rows */
};
struct conf_lines {
    const unsigned *keys; /* by index in conf_rows */
    const struct conf_named_lines *listeners;
    const struct conf_named_lines *destinations;
};

/* Appends a line for each relation that does not hold; the number of them. */
unsigned conf_check(const struct conf *c, slice name, const struct conf_lines *lines,
                    struct buf *errors) NONNULL(1, 3, 4);

/* One problem: "name:line: ..." and a newline. */
void conf_problem(struct buf *errors, slice name, unsigned line, const char *fmt, ...)
    PRINTF_LIKE(4, 5) NONNULL(1, 4);

#endif
