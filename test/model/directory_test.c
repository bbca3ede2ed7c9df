/* directory: changes in, lookups out. */
#include "model/directory.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const uint64_t seed[2] = {1, 2};
static const stamp noon = 1000 * SPAN_DAY;

struct fixture {
    struct directory *d;
    uint64_t version;
    struct arena arena;
    struct buf fields;
    struct account account;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->d = directory_new(seed);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    directory_free(&f->d);
    assert_null(f->d);
    arena_fini(&f->arena);
    buf_fini(&f->fields);
    free(f);
    return 0;
}

static int apply(struct fixture *f)
{
    int rc = directory_apply(f->d, buf_slice(&f->fields));
    if (rc == 1)
        f->version++;
    return rc;
}

static int put_customer(struct fixture *f, struct directory_customer c)
{
    buf_clear(&f->fields);
    directory_put_customer(&f->fields, f->version + 1, &c);
    return apply(f);
}

static int put_account(struct fixture *f, struct directory_account a)
{
    buf_clear(&f->fields);
    directory_put_account(&f->fields, f->version + 1, &a);
    return apply(f);
}

static int put_credential(struct fixture *f, struct directory_credential c)
{
    buf_clear(&f->fields);
    directory_put_credential(&f->fields, f->version + 1, &c);
    return apply(f);
}

static int put_cidr(struct fixture *f, uint64_t id, uint64_t account, const char *cidr)
{
    struct directory_credential c = {.id = id, .account = account, .kind = CREDENTIAL_ADDRESS};
    assert_true(cidr_parse(slice_of(cidr), &c.cidr));
    return put_credential(f, c);
}

static int put_uid(struct fixture *f, uint64_t id, uint64_t account, uint32_t uid)
{
    return put_credential(
        f, (struct directory_credential){
               .id = id, .account = account, .kind = CREDENTIAL_UID, .uid = uid});
}

static int put_secret(struct fixture *f, uint64_t id, uint64_t account, const char *verifier)
{
    return put_credential(f, (struct directory_credential){.id = id,
                                                           .account = account,
                                                           .kind = CREDENTIAL_SECRET,
                                                           .label = SLICE("phone"),
                                                           .scheme = SLICE("argon2id"),
                                                           .verifier = slice_of(verifier)});
}

static int remove_entity(struct fixture *f, enum directory_entity entity, uint64_t id)
{
    buf_clear(&f->fields);
    directory_put_removal(&f->fields, f->version + 1, entity, id);
    return apply(f);
}

static int restate(struct fixture *f, uint64_t version, enum directory_entity entity)
{
    buf_clear(&f->fields);
    directory_put_restatement(&f->fields, version, entity);
    int rc = directory_apply(f->d, buf_slice(&f->fields));
    if (rc == 1)
        f->version = version;
    return rc;
}

/* Customers 1 and 2 with the accounts 10 (anna@x.test), 11 (bo) and 20 (other@y.test). */
static void populate(struct fixture *f)
{
    static const slice senders[] = {SLICE_INIT("x.test"), SLICE_INIT("y.test")};
    assert_int_equal(
        1, put_customer(f, (struct directory_customer){.id = 1,
                                                       .name = SLICE("One"),
                                                       .language = SLICE("sv"),
                                                       .time_zone = SLICE("Europe/Oslo")}));
    assert_int_equal(
        1, put_customer(f, (struct directory_customer){.id = 2, .name = SLICE("Two")}));
    assert_int_equal(1, put_account(f, (struct directory_account){.id = 10,
                                                                  .customer = 1,
                                                                  .login = SLICE("Anna@x.test"),
                                                                  .right = SENDERS_DOMAINS,
                                                                  .senders = senders,
                                                                  .sender_count = 2,
                                                                  .max_recipients = 50,
                                                                  .max_size = 1000000,
                                                                  .expire_after = SPAN_DAY,
                                                                  .warn_after = -1}));
    assert_int_equal(1, put_account(f, (struct directory_account){.id = 11,
                                                                  .customer = 1,
                                                                  .login = SLICE("bo"),
                                                                  .language = SLICE("de")}));
    assert_int_equal(1,
                     put_account(f, (struct directory_account){.id = 20,
                                                               .customer = 2,
                                                               .login = SLICE("other@y.test"),
                                                               .right = SENDERS_EXACT}));
}

static bool find(struct fixture *f, const char *login)
{
    f->account = (struct account){0};
    return directory_account_by_login(f->d, slice_of(login), noon, &f->arena, &f->account);
}

static uint64_t by_address(struct fixture *f, const char *text)
{
    struct address a;
    f->account = (struct account){0};
    assert_true(address_parse(slice_of(text), &a));
    if (!directory_by_address(f->d, &a, noon, &f->arena, &f->account))
        return 0;
    return f->account.credential;
}

static void assert_text(const char *want, slice got)
{
    assert_int_equal(strlen(want), got.len);
    assert_memory_equal(want, got.ptr, got.len);
}

static void finds_accounts(void **state)
{
    struct fixture *f = *state;
    populate(f);
    assert_true(find(f, "anna@X.test"));
    assert_int_equal(10, f->account.id);
    assert_int_equal(1, f->account.customer);
    assert_int_equal(0, f->account.credential);
    assert_int_equal(5, f->account.version);
    assert_text("Anna@x.test", f->account.login);
    assert_text("sv", f->account.language);
    assert_string_equal("CEST", zone_at(f->account.zone, noon).name);
    assert_int_equal(SENDERS_DOMAINS, f->account.right);
    assert_int_equal(2, f->account.sender_count);
    assert_text("x.test", f->account.senders[0]);
    assert_text("y.test", f->account.senders[1]);
    assert_int_equal(50, f->account.max_recipients);
    assert_int_equal(1000000, f->account.max_size);
    span expiry = SPAN_HOUR, warn_after = SPAN_HOUR;
    directory_patience(f->d, 11, &expiry, &warn_after);
    directory_patience(f->d, 999, &expiry, &warn_after);
    assert_true(expiry == SPAN_HOUR && warn_after == SPAN_HOUR);
    directory_patience(f->d, 10, &expiry, &warn_after);
    assert_true(expiry == SPAN_DAY && warn_after == 0);
    assert_int_equal(ACCOUNT_ACTIVE, f->account.state);

    assert_true(directory_account(f->d, 20, noon, &f->arena, &f->account));
    assert_text("en", f->account.language);
    assert_string_equal("UTC", zone_at(f->account.zone, noon).name);
    assert_true(find(f, "bo"));
    assert_text("de", f->account.language);
    assert_false(find(f, "nobody"));
    assert_false(find(f, ""));
    assert_false(directory_account(f->d, 99, noon, &f->arena, &f->account));
}

static void account_without_customer_is_not_found(void **state)
{
    struct fixture *f = *state;
    populate(f);
    assert_int_equal(1, remove_entity(f, ENTITY_CUSTOMER, 1));
    assert_false(find(f, "bo"));
    assert_true(find(f, "other@y.test"));
}

static void versions_count(void **state)
{
    struct fixture *f = *state;
    populate(f);
    assert_int_equal(5, directory_version(f->d));
    struct directory_account moved = {.id = 11, .customer = 1, .login = SLICE("bosse")};
    buf_clear(&f->fields);
    directory_put_account(&f->fields, 5, &moved);
    assert_int_equal(0, directory_apply(f->d, buf_slice(&f->fields)));
    buf_clear(&f->fields);
    directory_put_account(&f->fields, 7, &moved);
    assert_int_equal(-EBADMSG, directory_apply(f->d, buf_slice(&f->fields)));
    assert_int_equal(5, directory_version(f->d));
    assert_true(find(f, "bo"));
    assert_int_equal(1, put_account(f, moved));
    assert_int_equal(6, directory_version(f->d));
    assert_false(find(f, "bo"));
    assert_true(find(f, "bosse"));
}

static void add(struct buf *b, enum record_tag tag, uint64_t value)
{
    record_put_u64(b, tag, value);
}

static void refuses_nonsense(void **state)
{
    struct fixture *f = *state;
    struct buf *b = &f->fields;
    populate(f);
    assert_int_equal(-EBADMSG, directory_apply(f->d, (slice){0}));
    assert_int_equal(-EBADMSG, directory_apply(f->d, SLICE("no fields at all")));

    static const struct {
        const char *name;
        uint64_t version, entity, key;
    } heads[] = {
        {"no version", 0, ENTITY_CUSTOMER, 7},
        {"no entity", 6, 0, 7},
        {"unknown entity", 6, 99, 7},
        {"no key", 6, ENTITY_CUSTOMER, 0},
        {"end without a beginning", 6, ENTITY_RESTATEMENT_END, 0},
        {"customer without a state", 6, ENTITY_CUSTOMER, 7},
        {"account without anything", 6, ENTITY_ACCOUNT, 7},
        {"credential without anything", 6, ENTITY_CREDENTIAL, 7},
    };
    for (size_t i = 0; i < COUNT_OF(heads); i++) {
        buf_clear(b);
        add(b, TAG_VERSION, heads[i].version);
        add(b, TAG_ENTITY, heads[i].entity);
        add(b, TAG_KEY, heads[i].key);
        if (directory_apply(f->d, buf_slice(b)) != -EBADMSG)
            fail_msg("%s was taken", heads[i].name);
    }

    /* A right or a state that is missing must not become the widest. */
    static const enum record_tag needed[] = {TAG_PARENT, TAG_NAME, TAG_STATE, TAG_SENDERS};
    for (size_t skip = 0; skip < COUNT_OF(needed); skip++) {
        buf_clear(b);
        add(b, TAG_VERSION, 6);
        add(b, TAG_ENTITY, ENTITY_ACCOUNT);
        add(b, TAG_KEY, 12);
        for (size_t i = 0; i < COUNT_OF(needed); i++)
            if (i != skip)
                add(b, needed[i], 1);
        assert_int_equal(-EBADMSG, directory_apply(f->d, buf_slice(b)));
    }
    assert_int_equal(-EBADMSG,
                     put_account(f, (struct directory_account){
                                        .id = 12, .customer = 1, .login = SLICE("BO")}));
    assert_int_equal(-EBADMSG, put_uid(f, 100, 99, 1000));
    assert_int_equal(-EBADMSG, put_secret(f, 100, 10, ""));
    assert_int_equal(5, directory_version(f->d));
}

static void truncated_changes_are_refused(void **state)
{
    struct fixture *f = *state;
    populate(f);
    buf_clear(&f->fields);
    directory_put_credential(&f->fields, 6,
                             &(struct directory_credential){.id = 100,
                                                            .account = 10,
                                                            .kind = CREDENTIAL_SECRET,
                                                            .scheme = SLICE("blake2b"),
                                                            .verifier = SLICE("0123456789")});
    for (size_t len = 0; len < f->fields.len; len++) {
        char *exact = malloc(len ? len : 1);
        memcpy(exact, f->fields.ptr, len);
        assert_int_equal(-EBADMSG, directory_apply(f->d, slice_make(exact, len)));
        free(exact);
    }
    assert_int_equal(1, apply(f));
}

static void verifiers_follow_changes(void **state)
{
    struct fixture *f = *state;
    const struct directory_credential *c = NULL;
    populate(f);
    assert_int_equal(0, directory_verifiers(f->d, 10, &f->arena, &c));
    assert_int_equal(0, directory_verifiers(f->d, 99, &f->arena, &c));
    assert_int_equal(1, put_secret(f, 100, 10, "first"));
    assert_int_equal(1, put_uid(f, 101, 10, 1000));
    assert_int_equal(1, put_secret(f, 102, 10, "second"));
    assert_int_equal(1, put_secret(f, 103, 11, "of another"));
    assert_int_equal(2, directory_verifiers(f->d, 10, &f->arena, &c));
    assert_int_equal(100, c[0].id);
    assert_text("first", c[0].verifier);
    assert_text("argon2id", c[0].scheme);
    assert_text("phone", c[0].label);
    assert_text("second", c[1].verifier);
    assert_true(directory_has_credential(f->d, 100));

    /* The account is written again: its credentials stay. */
    assert_int_equal(1, put_account(f, (struct directory_account){
                                           .id = 10, .customer = 1, .login = SLICE("anna")}));
    assert_int_equal(2, directory_verifiers(f->d, 10, &f->arena, &c));
    assert_int_equal(1, put_secret(f, 102, 10, "changed"));
    assert_int_equal(2, directory_verifiers(f->d, 10, &f->arena, &c));
    assert_text("changed", c[1].verifier);
    assert_int_equal(1, remove_entity(f, ENTITY_CREDENTIAL, 100));
    assert_false(directory_has_credential(f->d, 100));
    assert_int_equal(1, directory_verifiers(f->d, 10, &f->arena, &c));

    assert_int_equal(1, remove_entity(f, ENTITY_ACCOUNT, 10));
    assert_false(directory_has_credential(f->d, 101));
    assert_false(directory_has_credential(f->d, 102));
    assert_true(directory_has_credential(f->d, 103));
    assert_false(directory_by_uid(f->d, 1000, noon, &f->arena, &f->account));
    assert_int_equal(1, remove_entity(f, ENTITY_ACCOUNT, 10));
}

static void longest_prefix_wins(void **state)
{
    struct fixture *f = *state;
    populate(f);
    assert_int_equal(0, by_address(f, "192.0.2.1"));
    assert_int_equal(1, put_cidr(f, 100, 10, "192.0.2.0/24"));
    assert_int_equal(1, put_cidr(f, 101, 20, "192.0.2.128/25"));
    assert_int_equal(1, put_cidr(f, 102, 11, "192.0.2.129"));
    assert_int_equal(1, put_cidr(f, 103, 20, "0.0.0.0/0"));
    assert_int_equal(1, put_cidr(f, 104, 20, "2001:db8::/32"));
    assert_int_equal(1, put_cidr(f, 105, 10, "2001:db8:0:8000::/49"));
    static const struct {
        const char *client;
        uint64_t credential;
    } rows[] = {
        {"192.0.2.1", 100},   {"192.0.2.127", 100},        {"192.0.2.128", 101},
        {"192.0.2.129", 102}, {"192.0.2.130", 101},        {"192.0.3.1", 103},
        {"2001:db8::1", 104}, {"2001:db8:0:8000::1", 105}, {"2001:db8:0:ffff::", 105},
        {"2001:db9::1", 0},   {"::ffff:192.0.2.1", 100},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (by_address(f, rows[i].client) != rows[i].credential)
            fail_msg("%s", rows[i].client);
    assert_int_equal(100, by_address(f, "192.0.2.1"));
    assert_int_equal(10, f->account.id);

    assert_int_equal(1, remove_entity(f, ENTITY_CREDENTIAL, 101));
    assert_int_equal(100, by_address(f, "192.0.2.130"));
    struct address none = {0};
    assert_false(directory_by_address(f->d, &none, noon, &f->arena, &f->account));
}

static void shared_address_is_refused(void **state)
{
    struct fixture *f = *state;
    populate(f);
    assert_int_equal(1, put_cidr(f, 100, 10, "192.0.2.0/24"));
    assert_int_equal(1, put_cidr(f, 101, 11, "192.0.2.0/24"));
    assert_int_equal(100, by_address(f, "192.0.2.1"));
    assert_int_equal(1, put_cidr(f, 102, 20, "192.0.2.0/24"));
    assert_int_equal(1, put_cidr(f, 103, 11, "192.0.0.0/16"));
    assert_int_equal(0, by_address(f, "192.0.2.1"));
    assert_int_equal(1, remove_entity(f, ENTITY_CREDENTIAL, 102));
    assert_int_equal(1, remove_entity(f, ENTITY_CREDENTIAL, 100));
    assert_int_equal(101, by_address(f, "192.0.2.1"));
}

static void shared_uid_is_refused(void **state)
{
    struct fixture *f = *state;
    populate(f);
    assert_int_equal(1, put_uid(f, 101, 11, 1000));
    assert_int_equal(1, put_uid(f, 100, 10, 1000));
    assert_true(directory_by_uid(f->d, 1000, noon, &f->arena, &f->account));
    assert_int_equal(100, f->account.credential);
    assert_int_equal(10, f->account.id);
    assert_int_equal(1, put_uid(f, 102, 20, 1000));
    assert_false(directory_by_uid(f->d, 1000, noon, &f->arena, &f->account));
    assert_int_equal(1, put_uid(f, 102, 20, 0));
    assert_true(directory_by_uid(f->d, 1000, noon, &f->arena, &f->account));
    assert_true(directory_by_uid(f->d, 0, noon, &f->arena, &f->account));
    assert_int_equal(20, f->account.id);
    assert_false(directory_by_uid(f->d, 1001, noon, &f->arena, &f->account));
}

static void acts_for_others(void **state)
{
    struct fixture *f = *state;
    static const uint64_t others[] = {11, 99};
    populate(f);
    assert_int_equal(1,
                     put_credential(f, (struct directory_credential){.id = 100,
                                                                     .account = 10,
                                                                     .kind = CREDENTIAL_UID,
                                                                     .may_act_for = others,
                                                                     .may_act_for_count = 2}));
    assert_true(directory_may_act_for(f->d, 100, 10));
    assert_true(directory_may_act_for(f->d, 100, 11));
    assert_false(directory_may_act_for(f->d, 100, 20));
    assert_false(directory_may_act_for(f->d, 100, 99));
    assert_false(directory_may_act_for(f->d, 101, 10));
}

struct lock_row {
    const char *name;
    enum account_state state;
    stamp until;
};

static void states_are_inherited(void **state)
{
    struct fixture *f = *state;
    const struct {
        const char *name;
        struct lock_row account, customer, reseller;
        enum account_state want;
        stamp until;
        const char *reason;
    } rows[] = {
        {"nothing", {0}, {0}, {0}, ACCOUNT_ACTIVE, 0, ""},
        {"for good",
         {"a", ACCOUNT_LOCKED, STAMP_NEVER},
         {0},
         {0},
         ACCOUNT_LOCKED,
         STAMP_NEVER,
         "a"},
        {"without an end",
         {"a", ACCOUNT_LOCKED, 0},
         {0},
         {0},
         ACCOUNT_LOCKED,
         STAMP_NEVER,
         "a"},
        {"over", {"a", ACCOUNT_LOCKED, noon}, {0}, {0}, ACCOUNT_ACTIVE, 0, ""},
        {"not over", {"a", ACCOUNT_LOCKED, noon + 1}, {0}, {0}, ACCOUNT_LOCKED, noon + 1, "a"},
        {"customer", {0}, {"c", ACCOUNT_LOCKED, noon + 9}, {0}, ACCOUNT_LOCKED, noon + 9, "c"},
        {"reseller",
         {0},
         {0},
         {"r", ACCOUNT_SUSPENDED, noon + 9},
         ACCOUNT_SUSPENDED,
         noon + 9,
         "r"},
        {"locked before suspended",
         {"a", ACCOUNT_SUSPENDED, STAMP_NEVER},
         {"c", ACCOUNT_LOCKED, noon + 5},
         {"r", ACCOUNT_SUSPENDED, STAMP_NEVER},
         ACCOUNT_LOCKED,
         noon + 5,
         "c"},
        {"the later end",
         {"a", ACCOUNT_LOCKED, noon + 5},
         {"c", ACCOUNT_LOCKED, noon + 7},
         {"r", ACCOUNT_LOCKED, noon + 6},
         ACCOUNT_LOCKED,
         noon + 7,
         "c"},
        {"a stricter one that is over",
         {"a", ACCOUNT_SUSPENDED, noon + 5},
         {"c", ACCOUNT_LOCKED, noon - 5},
         {0},
         ACCOUNT_SUSPENDED,
         noon + 5,
         "a"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct lock_row *a = &rows[i].account, *c = &rows[i].customer,
                              *r = &rows[i].reseller;
        print_message("%s\n", rows[i].name);
        put_customer(
            f, (struct directory_customer){
                   .id = 1, .state = r->state, .until = r->until, .reason = slice_of(r->name)});
        put_customer(f, (struct directory_customer){.id = 2,
                                                    .parent = 1,
                                                    .state = c->state,
                                                    .until = c->until,
                                                    .reason = slice_of(c->name)});
        put_account(f, (struct directory_account){.id = 10,
                                                  .customer = 2,
                                                  .login = SLICE("a"),
                                                  .state = a->state,
                                                  .until = a->until,
                                                  .reason = slice_of(a->name)});
        assert_true(find(f, "a"));
        assert_int_equal(rows[i].want, f->account.state);
        if (rows[i].want != ACCOUNT_ACTIVE)
            assert_true(rows[i].until == f->account.until);
        assert_text(rows[i].reason, f->account.reason);
    }
}

static void customers_in_a_circle_end(void **state)
{
    struct fixture *f = *state;
    populate(f);
    assert_int_equal(1, put_customer(f, (struct directory_customer){.id = 1, .parent = 2}));
    assert_int_equal(1, put_customer(f, (struct directory_customer){.id = 2, .parent = 1}));
    assert_false(find(f, "bo"));
}

static void add_credentials(struct fixture *f)
{
    static const uint64_t others[] = {11, 20};
    assert_int_equal(1, put_secret(f, 100, 10, "first"));
    assert_int_equal(1, put_cidr(f, 101, 20, "192.0.2.0/24"));
    assert_int_equal(1,
                     put_credential(f, (struct directory_credential){.id = 102,
                                                                     .account = 11,
                                                                     .kind = CREDENTIAL_UID,
                                                                     .uid = 33,
                                                                     .may_act_for = others,
                                                                     .may_act_for_count = 2}));
}

static void check_populated(struct fixture *f)
{
    const struct directory_credential *c = NULL;
    assert_true(find(f, "anna@x.test"));
    assert_int_equal(2, f->account.sender_count);
    assert_text("y.test", f->account.senders[1]);
    assert_text("sv", f->account.language);
    assert_int_equal(50, f->account.max_recipients);
    assert_int_equal(1, directory_verifiers(f->d, 10, &f->arena, &c));
    assert_text("first", c[0].verifier);
    assert_int_equal(101, by_address(f, "192.0.2.7"));
    assert_true(directory_by_uid(f->d, 33, noon, &f->arena, &f->account));
    assert_text("bo", f->account.login);
    assert_true(directory_may_act_for(f->d, 102, 20));
}

static void saved_and_loaded_is_equal(void **state)
{
    struct fixture *f = *state;
    struct buf first = BUF_INIT, second = BUF_INIT;
    populate(f);
    add_credentials(f);
    directory_save(f->d, &first);
    struct directory *old = f->d;
    f->d = directory_new(seed);
    /* What was there before is gone after loading. */
    f->version = 0;
    assert_int_equal(1, put_customer(f, (struct directory_customer){.id = 77}));
    assert_int_equal(0, directory_load(f->d, buf_slice(&first)));
    assert_int_equal(directory_version(old), directory_version(f->d));
    check_populated(f);
    directory_free(&old);
    directory_save(f->d, &second);
    assert_int_equal(first.len, second.len);
    f->version = directory_version(f->d);
    assert_int_equal(1, remove_entity(f, ENTITY_CREDENTIAL, 101));

    /* Any part of it is refused, and nothing changes. */
    for (size_t len = 0; len < first.len; len++) {
        char *exact = malloc(len ? len : 1);
        memcpy(exact, first.ptr, len);
        assert_int_equal(-EBADMSG, directory_load(f->d, slice_make(exact, len)));
        free(exact);
    }
    assert_int_equal(0, by_address(f, "192.0.2.7"));
    buf_byte(&first, 'x');
    assert_int_equal(-EBADMSG, directory_load(f->d, buf_slice(&first)));
    buf_fini(&first);
    buf_fini(&second);
}

static void empty_directory_is_saved(void **state)
{
    struct fixture *f = *state;
    struct buf saved = BUF_INIT;
    directory_save(f->d, &saved);
    populate(f);
    assert_int_equal(0, directory_load(f->d, buf_slice(&saved)));
    assert_int_equal(0, directory_version(f->d));
    assert_false(find(f, "bo"));
    buf_fini(&saved);
}

/* Everything is said again; what was removed while nobody was told is gone at the end. With
 * `reload` the directory is saved and loaded between any two changes. */
static void check_restatement(struct fixture *f, bool reload)
{
    struct buf saved = BUF_INIT;
    populate(f);
    add_credentials(f);
    assert_int_equal(1, restate(f, 50, ENTITY_RESTATEMENT));
    assert_int_equal(0, restate(f, 50, ENTITY_RESTATEMENT));
    for (int step = 0; step < 5; step++) {
        assert_true(find(f, "other@y.test"));
        assert_int_equal(101, by_address(f, "192.0.2.7"));
        if (reload) {
            buf_clear(&saved);
            directory_save(f->d, &saved);
            assert_int_equal(0, directory_load(f->d, buf_slice(&saved)));
        }
        if (step == 0)
            put_customer(f, (struct directory_customer){.id = 1, .name = SLICE("One")});
        if (step == 1)
            put_account(f, (struct directory_account){
                               .id = 10, .customer = 1, .login = SLICE("anna@x.test")});
        /* Its login is that of an account that is to disappear. */
        if (step == 2)
            put_account(
                f, (struct directory_account){.id = 12, .customer = 1, .login = SLICE("Bo")});
        if (step == 3)
            put_secret(f, 100, 10, "second");
    }
    assert_int_equal(1, restate(f, f->version + 1, ENTITY_RESTATEMENT_END));
    assert_int_equal(55, directory_version(f->d));
    assert_true(find(f, "bo"));
    assert_int_equal(12, f->account.id);
    assert_false(find(f, "other@y.test"));
    assert_int_equal(0, by_address(f, "192.0.2.7"));
    assert_false(directory_has_credential(f->d, 102));
    assert_true(directory_has_credential(f->d, 100));
    assert_int_equal(-EBADMSG, restate(f, 56, ENTITY_RESTATEMENT_END));
    buf_fini(&saved);
}

static void restated_directory_forgets_the_rest(void **state)
{
    check_restatement(*state, false);
}

static void restatement_survives_saving(void **state)
{
    check_restatement(*state, true);
}

/* Readers see an account whole, in one version or the next, while it is changed. */
enum { CHANGES = 2000 };

static void *read_often(void *arg)
{
    struct fixture *f = arg;
    struct arena arena = ARENA_INIT;
    uint64_t wrong = 0;
    uint64_t seen = 0;
    while (seen < CHANGES) {
        struct account a;
        arena_reset(&arena);
        if (!directory_account_by_login(f->d, SLICE("a"), noon, &arena, &a) ||
            a.sender_count != a.max_recipients % 7 || a.version < seen)
            wrong++;
        else
            seen = a.version;
        for (size_t i = 0; i < a.sender_count; i++)
            wrong += !slice_eq(a.senders[i], SLICE("x.test"));
        if (wrong > 0)
            break;
    }
    arena_fini(&arena);
    return (void *)(uintptr_t)wrong;
}

static void readers_run_beside_changes(void **state)
{
    struct fixture *f = *state;
    slice senders[7];
    pthread_t threads[3];
    for (size_t i = 0; i < 7; i++)
        senders[i] = SLICE("x.test");
    struct directory_account a = {.id = 10,
                                  .customer = 1,
                                  .login = SLICE("a"),
                                  .right = SENDERS_DOMAINS,
                                  .senders = senders};
    assert_int_equal(1, put_customer(f, (struct directory_customer){.id = 1}));
    assert_int_equal(1, put_account(f, a));
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(0, pthread_create(&threads[i], NULL, read_often, f));
    while (f->version < CHANGES) {
        a.max_recipients = (uint32_t)f->version;
        a.sender_count = f->version % 7;
        assert_int_equal(1, put_account(f, a));
    }
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        void *wrong;
        assert_int_equal(0, pthread_join(threads[i], &wrong));
        assert_null(wrong);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(finds_accounts),
        TEST(account_without_customer_is_not_found),
        TEST(versions_count),
        TEST(refuses_nonsense),
        TEST(truncated_changes_are_refused),
        TEST(verifiers_follow_changes),
        TEST(longest_prefix_wins),
        TEST(shared_address_is_refused),
        TEST(shared_uid_is_refused),
        TEST(acts_for_others),
        TEST(states_are_inherited),
        TEST(customers_in_a_circle_end),
        TEST(saved_and_loaded_is_equal),
        TEST(empty_directory_is_saved),
        TEST(restated_directory_forgets_the_rest),
        TEST(restatement_survives_saving),
        TEST(readers_run_beside_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
