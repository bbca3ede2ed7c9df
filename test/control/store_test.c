/* store: migrations, rows, and the outbox. */
#include "control/schema.h"
#include "control/sql.h"
#include "control/store.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const stamp noon = 20000 * SPAN_DAY;
static const uint64_t seed[2] = {3, 4};

struct fixture {
    struct scratch scratch;
    char path[256];
    struct store *store;
    struct arena arena;
    /* The other end: a directory that is told what is published. */
    struct directory *directory;
    int publish_result; /* of the next calls; not told to the directory when negative */
    unsigned published;
    unsigned commands;
    uint64_t commanded_at; /* version of the directory when a command came */
};

static int publish(void *ctx, const struct store_outbox_row *row)
{
    struct fixture *f = ctx;
    if (f->publish_result < 0)
        return f->publish_result;
    if (row->is_command) {
        f->commands++;
        f->commanded_at = directory_version(f->directory);
        return 0;
    }
    f->published++;
    int rc = directory_apply(f->directory, row->fields);
    return rc < 0 ? rc : 0;
}

static void open_store(struct fixture *f)
{
    assert_int_equal(0, store_open(&f->store, f->path));
    store_set_publisher(f->store, publish, f);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_int_equal(0, scratch_init(&f->scratch));
    scratch_path(&f->scratch, "directory.db", f->path);
    f->directory = directory_new(seed);
    open_store(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    store_close(&f->store);
    assert_null(f->store);
    directory_free(&f->directory);
    arena_fini(&f->arena);
    scratch_fini(&f->scratch);
    free(f);
    return 0;
}

/* Ends without a word, as a crash does: nothing of the process's memory survives. */
static void crash(struct fixture *f)
{
    store_close(&f->store);
    open_store(f);
}

static int commit(struct fixture *f)
{
    int published = 0;
    assert_int_equal(0, store_commit(f->store, &published));
    return published;
}

static int end(struct fixture *f, int rc)
{
    if (rc < 0) {
        store_rollback(f->store);
        return rc;
    }
    return commit(f);
}

static int add_customer(struct fixture *f, const char *name, uint64_t parent, uint64_t *id)
{
    struct directory_customer c = {.name = slice_of(name), .parent = parent};
    assert_int_equal(0, store_begin(f->store));
    int rc = end(f, store_customer_put(f->store, &c, noon));
    if (id)
        *id = c.id;
    return rc;
}

static int add_account(struct fixture *f, uint64_t customer, const char *login, uint64_t *id)
{
    static const slice senders[] = {SLICE_INIT("x.test"), SLICE_INIT("b@y.test")};
    struct directory_account a = {.customer = customer,
                                  .login = slice_of(login),
                                  .right = SENDERS_EXACT,
                                  .senders = senders,
                                  .sender_count = 2,
                                  .max_recipients = 7,
                                  .max_size = 1ull << 33,
                                  .expire_after = 3 * SPAN_DAY,
                                  .warn_after = -1};
    assert_int_equal(0, store_begin(f->store));
    int rc = end(f, store_account_put(f->store, &a, noon));
    if (id)
        *id = a.id;
    return rc;
}

static int add_credential(struct fixture *f, struct directory_credential *c, uint64_t *holder)
{
    assert_int_equal(0, store_begin(f->store));
    return end(f, store_credential_add(f->store, c, noon, holder));
}

static void assert_text(const char *want, slice got)
{
    assert_int_equal(strlen(want), got.len);
    assert_memory_equal(want, got.ptr, got.len);
}

static uint64_t user_version(struct fixture *f)
{
    sqlite3 *db;
    uint64_t version = 0;
    assert_int_equal(SQLITE_OK, sqlite3_open(f->path, &db));
    assert_int_equal(0, sql_number(db, "PRAGMA user_version", NULL, 0, &version));
    sqlite3_close(db);
    return version;
}

static void set_user_version(struct fixture *f, const char *pragma)
{
    sqlite3 *db;
    assert_int_equal(SQLITE_OK, sqlite3_open(f->path, &db));
    assert_int_equal(0, sql_script(db, pragma));
    sqlite3_close(db);
}

static void schema_is_made_once(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(schema_step_count, user_version(f));
    assert_int_equal(0, add_customer(f, "One", 0, NULL));
    crash(f);
    assert_int_equal(schema_step_count, user_version(f));
    uint64_t id;
    assert_int_equal(0, store_customer_find(f->store, SLICE("one"), &id));
    struct stat s;
    assert_int_equal(0, stat(f->path, &s));
    assert_int_equal(0, s.st_mode & 0007);
}

static void newer_schema_is_refused(void **state)
{
    struct fixture *f = *state;
    store_close(&f->store);
    set_user_version(f, "PRAGMA user_version = 9999");
    assert_int_equal(-ENOTSUP, store_open(&f->store, f->path));
    assert_null(f->store);
    assert_int_equal(9999, user_version(f));
}

static void no_database_is_refused(void **state)
{
    struct fixture *f = *state;
    store_close(&f->store);
    FILE *out = fopen(f->path, "w");
    for (int i = 0; i < 1000; i++)
        fputs("this is a text and not a database\n", out);
    fclose(out);
    assert_int_equal(-EUCLEAN, store_open(&f->store, f->path));
    assert_int_equal(-ENOENT, store_open(&f->store, "/nowhere/directory.db"));
}

/* A step that fails half-way leaves what was there before it; the steps before it stay. */
static void failed_step_leaves_nothing(void **state)
{
    static const char *const steps[] = {
        "CREATE TABLE a (x INTEGER) STRICT; INSERT INTO a VALUES (1);",
        "CREATE TABLE b (x INTEGER) STRICT; INSERT INTO a VALUES (2);",
        "CREATE TABLE c (x INTEGER) STRICT; INSERT INTO nowhere VALUES (3);",
    };
    static const char *const mended[] = {"", "", "ALTER TABLE a ADD COLUMN y INTEGER;"};
    sqlite3 *db;
    uint64_t n = 0;
    (void)state;
    assert_int_equal(SQLITE_OK, sqlite3_open(":memory:", &db));
    assert_int_equal(-EIO, schema_migrate(db, steps, 3));
    assert_int_equal(0, sql_number(db, "PRAGMA user_version", NULL, 0, &n));
    assert_int_equal(2, n);
    assert_int_equal(0, sql_number(db, "SELECT count(*) FROM sqlite_master", NULL, 0, &n));
    assert_int_equal(2, n);
    assert_int_equal(0, schema_migrate(db, mended, 3));
    assert_int_equal(0, sql_number(db, "SELECT count(*) FROM a WHERE y IS NULL", NULL, 0, &n));
    assert_int_equal(2, n);
    assert_int_equal(0, schema_migrate(db, mended, 3));
    assert_int_equal(-ENOTSUP, schema_migrate(db, mended, 2));
    sqlite3_close(db);
}

static void rows_come_back(void **state)
{
    struct fixture *f = *state;
    uint64_t one, anna;
    struct store_customer c;
    struct store_account a;
    assert_int_equal(0, add_customer(f, "One", 0, &one));
    assert_int_equal(0, add_account(f, one, "anna@x.test", &anna));
    assert_int_equal(0, store_customer_get(f->store, one, &f->arena, &c));
    assert_text("One", c.d.name);
    assert_int_equal(1, c.accounts);
    assert_true(c.created == noon);
    assert_int_equal(0, store_account_get(f->store, anna, &f->arena, &a));
    assert_text("anna@x.test", a.d.login);
    assert_text("One", a.customer_name);
    assert_int_equal(SENDERS_EXACT, a.d.right);
    assert_int_equal(2, a.d.sender_count);
    assert_text("b@y.test", a.d.senders[0]);
    assert_text("x.test", a.d.senders[1]);
    assert_int_equal(7, a.d.max_recipients);
    assert_true(a.d.max_size == 1ull << 33);
    assert_true(a.d.expire_after == 3 * SPAN_DAY);
    assert_true(a.d.warn_after == -1);
    assert_int_equal(-ENOENT, store_account_get(f->store, 99, &f->arena, &a));
    assert_int_equal(-ENOENT, store_customer_get(f->store, 99, &f->arena, &c));

    uint64_t id = 0;
    assert_int_equal(0, store_account_find(f->store, SLICE("ANNA@X.TEST"), &id));
    assert_int_equal(anna, id);
    assert_int_equal(0, store_account_find(f->store, SLICE("1"), &id));
    assert_int_equal(-ENOENT, store_account_find(f->store, SLICE("2"), &id));
    assert_int_equal(-ENOENT, store_account_find(f->store, SLICE("' OR 1=1 --"), &id));
}

static void assert_rule(const char *want, const struct rule *got)
{
    struct buf line = BUF_INIT;
    rule_format(got, &line);
    assert_text(want, buf_slice(&line));
    buf_fini(&line);
}

static void rules_come_back(void **state)
{
    struct fixture *f = *state;
    static const struct rule rules[] = {
        {RULE_ACCOUNT, RULE_RECIPIENTS, 1000, SPAN_DAY, true, RULE_DEFER, 0},
        {RULE_ACCOUNT, RULE_BYTES, 90000000, RULE_PERIOD, false, RULE_SUSPEND, 0},
        {RULE_CUSTOMER, RULE_MESSAGES, 5, SPAN_HOUR, false, RULE_LOCK, SPAN_DAY},
    };
    uint64_t one, anna;
    struct store_customer c;
    struct store_account a;
    struct store_account *list;
    const struct limit *limits;
    assert_int_equal(0, add_customer(f, "One", 0, &one));
    assert_int_equal(0, add_account(f, one, "anna", &anna));
    assert_int_equal(0, store_account_get(f->store, anna, &f->arena, &a));
    assert_int_equal(0, a.d.preset.len + a.d.rule_count);
    assert_int_equal(0, store_begin(f->store));
    a.d.preset = SLICE("presumed-hijack");
    a.d.rules = rules;
    a.d.rule_count = 2;
    assert_int_equal(0, end(f, store_account_put(f->store, &a.d, noon)));
    assert_int_equal(0, store_customer_get(f->store, one, &f->arena, &c));
    assert_int_equal(0, store_begin(f->store));
    c.d.preset = SLICE("relay-plan");
    c.d.rules = &rules[2];
    c.d.rule_count = 1;
    assert_int_equal(0, end(f, store_customer_put(f->store, &c.d, noon)));

    crash(f);
    assert_int_equal(0, store_customer_get(f->store, one, &f->arena, &c));
    assert_text("relay-plan", c.d.preset);
    assert_int_equal(1, c.d.rule_count);
    assert_rule("customer messages 5/1h lock 1d", &c.d.rules[0]);
    assert_int_equal(1, store_account_list(f->store, 0, 0, 5, &f->arena, &list));
    assert_text("presumed-hijack", list[0].d.preset);
    assert_int_equal(2, list[0].d.rule_count);
    assert_rule("account recipients 1000/1d attempts defer", &list[0].d.rules[0]);
    assert_rule("account bytes 90MB/month suspend", &list[0].d.rules[1]);
    assert_int_equal(5, directory_limits(f->directory, anna, 1, &f->arena, &limits));
    assert_int_equal(one, limits[4].entity);

    assert_int_equal(0, store_begin(f->store));
    assert_int_equal(0, end(f, store_account_remove(f->store, anna)));
    assert_int_equal(0, store_begin(f->store));
    assert_int_equal(0, end(f, store_customer_remove(f->store, one)));
}

/* A database of the first version, with what was in it. */
static void first_schema_gets_rules(void **state)
{
    struct fixture *f = *state;
    struct store_customer c;
    sqlite3 *db;
    store_close(&f->store);
    assert_int_equal(0, unlink(f->path));
    assert_int_equal(SQLITE_OK, sqlite3_open(f->path, &db));
    assert_int_equal(0, schema_migrate(db, schema_steps, 1));
    assert_int_equal(0,
                     sql_script(db, "INSERT INTO customers (name, created) VALUES ('Old', 1);"
                                    "UPDATE meta SET version = 1"));
    sqlite3_close(db);
    open_store(f);
    assert_int_equal(schema_step_count, user_version(f));
    assert_int_equal(0, store_customer_get(f->store, 1, &f->arena, &c));
    assert_text("Old", c.d.name);
    assert_int_equal(0, c.d.preset.len + c.d.rule_count);
}

static void names_are_unique(void **state)
{
    struct fixture *f = *state;
    uint64_t one, two;
    assert_int_equal(0, add_customer(f, "One", 0, &one));
    assert_int_equal(-EEXIST, add_customer(f, "ONE", 0, NULL));
    assert_int_equal(0, add_customer(f, "Two", 0, &two));
    assert_int_equal(0, add_account(f, one, "anna@x.test", NULL));
    assert_int_equal(-EEXIST, add_account(f, two, "Anna@X.test", NULL));
    assert_int_equal(-ENOENT, add_account(f, 99, "bo@x.test", NULL));
    assert_int_equal(3, store_version(f->store));
    assert_int_equal(3, directory_version(f->directory));
}

static void resellers_make_no_circle(void **state)
{
    struct fixture *f = *state;
    uint64_t a, b, c;
    assert_int_equal(0, add_customer(f, "a", 0, &a));
    assert_int_equal(0, add_customer(f, "b", a, &b));
    assert_int_equal(0, add_customer(f, "c", b, &c));
    struct directory_customer again = {.id = a, .name = SLICE("a"), .parent = c};
    assert_int_equal(0, store_begin(f->store));
    assert_int_equal(-ELOOP, end(f, store_customer_put(f->store, &again, noon)));
    again.parent = a;
    assert_int_equal(0, store_begin(f->store));
    assert_int_equal(-ELOOP, end(f, store_customer_put(f->store, &again, noon)));
    assert_int_equal(0, store_begin(f->store));
    assert_int_equal(-EBUSY, end(f, store_customer_remove(f->store, b)));
    assert_int_equal(0, store_begin(f->store));
    assert_int_equal(0, end(f, store_customer_remove(f->store, c)));
    assert_int_equal(0, store_begin(f->store));
    assert_int_equal(0, end(f, store_customer_remove(f->store, b)));
    assert_int_equal(-ENOENT, add_customer(f, "d", 99, NULL));
}

static void ids_are_not_given_twice(void **state)
{
    struct fixture *f = *state;
    uint64_t first, second;
    assert_int_equal(0, add_customer(f, "a", 0, &first));
    assert_int_equal(0, store_begin(f->store));
    assert_int_equal(0, end(f, store_customer_remove(f->store, first)));
    crash(f);
    assert_int_equal(0, add_customer(f, "a", 0, &second));
    assert_true(second > first);
}

static void credentials_are_checked(void **state)
{
    struct fixture *f = *state;
    uint64_t one, two, anna, bo, other, holder = 0;
    assert_int_equal(0, add_customer(f, "One", 0, &one));
    assert_int_equal(0, add_customer(f, "Two", 0, &two));
    assert_int_equal(0, add_account(f, one, "anna", &anna));
    assert_int_equal(0, add_account(f, one, "bo", &bo));
    assert_int_equal(0, add_account(f, two, "other", &other));

    struct directory_credential net = {.account = anna, .kind = CREDENTIAL_ADDRESS};
    assert_true(cidr_parse(SLICE("192.0.2.0/24"), &net.cidr));
    assert_int_equal(0, add_credential(f, &net, &holder));
    net.account = bo;
    assert_int_equal(-EEXIST, add_credential(f, &net, &holder));
    assert_int_equal(anna, holder);
    assert_true(cidr_parse(SLICE("192.0.2.0/25"), &net.cidr));
    assert_int_equal(0, add_credential(f, &net, &holder));

    uint64_t others[] = {bo, other};
    struct directory_credential uid = {.account = anna,
                                       .kind = CREDENTIAL_UID,
                                       .uid = 0,
                                       .label = SLICE("web"),
                                       .may_act_for = others,
                                       .may_act_for_count = 2};
    assert_int_equal(0, add_credential(f, &uid, &holder));
    uint64_t id = uid.id;
    uid.account = bo;
    assert_int_equal(0, add_credential(f, &uid, &holder));
    uid.account = other;
    assert_int_equal(-EEXIST, add_credential(f, &uid, &holder));
    assert_int_equal(anna, holder);
    uid.account = 99;
    assert_int_equal(-ENOENT, add_credential(f, &uid, &holder));

    struct store_credential read;
    assert_int_equal(0, store_credential_get(f->store, id, &f->arena, &read));
    assert_int_equal(CREDENTIAL_UID, read.d.kind);
    assert_text("web", read.d.label);
    assert_text("anna", read.login);
    assert_int_equal(2, read.d.may_act_for_count);
    assert_int_equal(other, read.d.may_act_for[1]);
    assert_text("other", read.may_act_names[1]);
    assert_true(directory_may_act_for(f->directory, id, other));

    /* What the account takes with it when it goes. */
    assert_int_equal(0, store_begin(f->store));
    assert_int_equal(0, end(f, store_account_remove(f->store, anna)));
    assert_int_equal(-ENOENT, store_credential_get(f->store, id, &f->arena, &read));
    assert_false(directory_has_credential(f->directory, id));
    assert_int_equal(0, store_begin(f->store));
    assert_int_equal(-ENOENT, end(f, store_credential_remove(f->store, id)));
}

static void secret_comes_back(void **state)
{
    struct fixture *f = *state;
    uint64_t one, anna, holder;
    struct store_credential read;
    assert_int_equal(0, add_customer(f, "One", 0, &one));
    assert_int_equal(0, add_account(f, one, "anna", &anna));
    struct directory_credential c = {.account = anna,
                                     .kind = CREDENTIAL_SECRET,
                                     .scheme = SLICE("blake2b"),
                                     .verifier = SLICE("\0\1\2 with zeros \0")};
    assert_int_equal(0, add_credential(f, &c, &holder));
    assert_int_equal(0, store_credential_get(f->store, c.id, &f->arena, &read));
    assert_true(slice_eq(c.verifier, read.d.verifier));
    assert_text("blake2b", read.d.scheme);
    const struct directory_credential *v;
    assert_int_equal(1, directory_verifiers(f->directory, anna, &f->arena, &v));
    assert_true(slice_eq(c.verifier, v[0].verifier));
}

static void lists_come_in_pages(void **state)
{
    struct fixture *f = *state;
    uint64_t one, two;
    struct store_account *page;
    struct store_customer *customers;
    assert_int_equal(0, add_customer(f, "One", 0, &one));
    assert_int_equal(0, add_customer(f, "Two", 0, &two));
    for (int i = 0; i < 5; i++) {
        char login[16];
        snprintf(login, sizeof(login), "a%d", i);
        assert_int_equal(0, add_account(f, i % 2 ? two : one, login, NULL));
    }
    assert_int_equal(2, store_account_list(f->store, 0, 0, 2, &f->arena, &page));
    assert_int_equal(2, store_account_list(f->store, 0, page[1].d.id, 2, &f->arena, &page));
    assert_text("a2", page[0].d.login);
    assert_int_equal(1, store_account_list(f->store, 0, page[1].d.id, 2, &f->arena, &page));
    assert_int_equal(0, store_account_list(f->store, 0, page[0].d.id, 2, &f->arena, &page));
    assert_int_equal(2, store_account_list(f->store, two, 0, 10, &f->arena, &page));
    assert_text("a3", page[1].d.login);
    assert_int_equal(2, page[1].d.sender_count);
    assert_int_equal(1, store_customer_list(f->store, one, 10, &f->arena, &customers));
    assert_text("Two", customers[0].d.name);
}

static void locks_keep_their_end(void **state)
{
    struct fixture *f = *state;
    uint64_t one;
    struct store_customer c;
    assert_int_equal(0, add_customer(f, "One", 0, &one));
    static const stamp ends[] = {STAMP_NEVER, 20001 * SPAN_DAY};
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        struct directory_customer d = {.id = one,
                                       .name = SLICE("One"),
                                       .state = ACCOUNT_LOCKED,
                                       .until = ends[i],
                                       .reason = SLICE("spam")};
        assert_int_equal(0, store_begin(f->store));
        assert_int_equal(0, end(f, store_customer_put(f->store, &d, noon)));
        assert_int_equal(0, store_customer_get(f->store, one, &f->arena, &c));
        assert_int_equal(ACCOUNT_LOCKED, c.d.state);
        assert_true(c.d.until == ends[i]);
        assert_text("spam", c.d.reason);
    }
}

static uint64_t waiting(struct fixture *f)
{
    struct store_counts counts = {0};
    assert_int_equal(0, store_count(f->store, &counts));
    return counts.outbox;
}

/* Committed, and the process ended before the journal had it. */
static void outbox_is_published_after_a_crash(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(0, add_customer(f, "One", 0, NULL));
    assert_int_equal(0, waiting(f));
    f->publish_result = -EIO;
    assert_int_equal(-EIO, add_customer(f, "Two", 0, NULL));
    assert_int_equal(1, waiting(f));
    assert_int_equal(1, directory_version(f->directory));
    crash(f);
    assert_int_equal(2, store_version(f->store));
    assert_int_equal(-EIO, store_publish(f->store));
    f->publish_result = 0;
    assert_int_equal(0, store_publish(f->store));
    assert_int_equal(0, waiting(f));
    assert_int_equal(2, directory_version(f->directory));
    assert_int_equal(2, f->published);
    assert_int_equal(0, store_publish(f->store));
    assert_int_equal(2, f->published);
}

/* While something waits, no change overtakes it: the next one brings it along, or is refused.
 */
static void nothing_overtakes_the_outbox(void **state)
{
    struct fixture *f = *state;
    uint64_t one;
    f->publish_result = -ENOSPC;
    assert_int_equal(-ENOSPC, add_customer(f, "One", 0, &one));
    assert_int_equal(-ENOSPC, store_begin(f->store));
    f->publish_result = 0;
    assert_int_equal(0, add_account(f, one, "anna", NULL));
    assert_int_equal(2, f->published);
    assert_int_equal(2, directory_version(f->directory));
    assert_int_equal(0, waiting(f));
}

/* The journal had it, and the process ended before the outbox row was gone. */
static void publishing_twice_is_harmless(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(0, add_customer(f, "One", 0, NULL));
    f->publish_result = -EIO;
    assert_int_equal(-EIO, add_customer(f, "Two", 0, NULL));
    /* The directory gets it by another way, as if it had been appended after all. */
    struct buf fields = BUF_INIT;
    directory_put_customer(&fields, 2,
                           &(struct directory_customer){.id = 2, .name = SLICE("Two")});
    assert_int_equal(1, directory_apply(f->directory, buf_slice(&fields)));
    buf_fini(&fields);
    f->publish_result = 0;
    crash(f);
    assert_int_equal(0, store_publish(f->store));
    assert_int_equal(0, add_customer(f, "Three", 0, NULL));
    assert_int_equal(3, directory_version(f->directory));
}

/* They are published behind the changes of their transaction, and survive a crash. */
static void commands_go_behind_their_changes(void **state)
{
    struct fixture *f = *state;
    struct directory_customer c = {.name = SLICE("One")};
    assert_int_equal(0, store_begin(f->store));
    assert_int_equal(0, store_command_put(f->store, 0, 1, SLICE("first")));
    assert_int_equal(0, store_customer_put(f->store, &c, noon));
    assert_int_equal(0, commit(f));
    assert_int_equal(1, f->commands);
    assert_int_equal(1, f->commanded_at);
    /* Alone, when the journal fails. */
    f->publish_result = -EIO;
    assert_int_equal(0, store_begin(f->store));
    assert_int_equal(0, store_command_put(f->store, 0, 1, SLICE("second")));
    assert_int_equal(-EIO, commit(f));
    assert_int_equal(1, waiting(f));
    crash(f);
    f->publish_result = 0;
    assert_int_equal(0, add_customer(f, "Two", 0, NULL));
    assert_int_equal(2, f->commands);
    assert_int_equal(1, f->commanded_at);
    assert_int_equal(0, waiting(f));
    /* One that is rolled back is none. */
    assert_int_equal(0, store_begin(f->store));
    assert_int_equal(0, store_command_put(f->store, 0, 1, SLICE("third")));
    store_rollback(f->store);
    assert_int_equal(0, add_customer(f, "Three", 0, NULL));
    assert_int_equal(2, f->commands);
}

static void rolled_back_is_nothing(void **state)
{
    struct fixture *f = *state;
    struct directory_customer c = {.name = SLICE("One")};
    assert_int_equal(0, store_begin(f->store));
    assert_int_equal(0, store_customer_put(f->store, &c, noon));
    store_rollback(f->store);
    assert_int_equal(0, store_version(f->store));
    assert_int_equal(0, waiting(f));
    assert_int_equal(0, f->published);
    assert_int_equal(0, add_customer(f, "One", 0, NULL));
    assert_int_equal(1, directory_version(f->directory));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(schema_is_made_once),
        TEST(newer_schema_is_refused),
        TEST(no_database_is_refused),
        cmocka_unit_test(failed_step_leaves_nothing),
        TEST(rows_come_back),
        TEST(rules_come_back),
        TEST(first_schema_gets_rules),
        TEST(names_are_unique),
        TEST(resellers_make_no_circle),
        TEST(ids_are_not_given_twice),
        TEST(credentials_are_checked),
        TEST(secret_comes_back),
        TEST(lists_come_in_pages),
        TEST(locks_keep_their_end),
        TEST(outbox_is_published_after_a_crash),
        TEST(nothing_overtakes_the_outbox),
        TEST(publishing_twice_is_harmless),
        TEST(commands_go_behind_their_changes),
        TEST(rolled_back_is_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
