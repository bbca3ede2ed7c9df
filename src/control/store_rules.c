/* The rules of customers and accounts, as lines of text in their order. */
#include "control/store_inside.h"

#include <errno.h>

struct rule_queries {
    const char *count;
    const char *select;
    const char *clear;
    const char *insert;
};

static const struct rule_queries queries[] = {
    [STORE_CUSTOMER_RULES] =
        {
            "SELECT count(*) FROM customer_rules WHERE customer = ?1",
            "SELECT rule FROM customer_rules WHERE customer = ?1 ORDER BY position",
            "DELETE FROM customer_rules WHERE customer = ?1",
            "INSERT INTO customer_rules VALUES (?1, ?2, ?3)",
        },
    [STORE_ACCOUNT_RULES] =
        {
            "SELECT count(*) FROM account_rules WHERE account = ?1",
            "SELECT rule FROM account_rules WHERE account = ?1 ORDER BY position",
            "DELETE FROM account_rules WHERE account = ?1",
            "INSERT INTO account_rules VALUES (?1, ?2, ?3)",
        },
};

int store_rules_read(struct store *s, enum store_rules whose, uint64_t owner, struct arena *a,
                     struct rule_set *out)
{
    const struct rule_queries *q = &queries[whose];
    uint64_t count = 0;
    size_t taken = 0;
    sqlite3_stmt *row;
    int rc = sql_number(s->db, q->count, SQL_VALUES(SQL_I(owner)), 1, &count);
    if (rc < 0 || count == 0)
        return rc;
    struct rule *rules = arena_array(a, struct rule, (size_t)count);
    rc = SQL_QUERY(s->db, &row, q->select, SQL_I(owner));
    if (rc < 0)
        return rc;
    while (taken < count && (rc = sql_step(row)) == 1) {
        const char *error;
        slice word;
        if (!rule_parse(sql_bytes(row, 0, a), &rules[taken++], &error, &word)) {
            rc = -EBADMSG;
            break;
        }
    }
    sql_end(&row);
    if (rc < 0)
        return rc;
    *out = (struct rule_set){rules, taken};
    return 0;
}

int store_rules_write(struct store *s, enum store_rules whose, uint64_t owner,
                      const struct rule *rules, size_t count)
{
    const struct rule_queries *q = &queries[whose];
    struct buf line = BUF_INIT;
    int rc = SQL_RUN(s->db, q->clear, SQL_I(owner));
    for (size_t i = 0; i < count && rc == 0; i++) {
        buf_clear(&line);
        rule_format(&rules[i], &line);
        rc = line.error
                 ? line.error
                 : SQL_RUN(s->db, q->insert, SQL_I(owner), SQL_I(i), SQL_T(buf_slice(&line)));
    }
    buf_fini(&line);
    return rc;
}
