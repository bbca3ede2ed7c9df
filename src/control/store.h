/* store: the directory's database, control/directory.db: customers, accounts, credentials.
 *
 * Every change happens inside a transaction (store_begin … store_commit) and puts what it
 * changed into the outbox with the directory's next version; store_commit commits both
 * together, then hands the outbox to the publisher in the order of versions and empties it.
 * While something in the outbox could not be published, no further change begins. Published
 * twice is harmless; not published at all cannot happen, since what a crash left in the outbox
 * goes first at the next start (store_publish). Commands to the data plane go the same way,
 * behind the changes of their transaction.
 *
 * One connection, one mutex: thread-safe as long as all else is called between begin and end.
 * Results are copied into the caller's arena. Errors are -errno, among them -ENOENT (no such
 * row), -EEXIST (the name is taken), -EBUSY (something still belongs to it). */
#ifndef CONTROL_STORE_H
#define CONTROL_STORE_H

#include "base/arena.h"
#include "model/directory.h"

struct store;

struct store_customer {
    struct directory_customer d;
    slice parent_name;
    uint64_t accounts; /* how many it has */
    stamp created;
};

struct store_account {
    struct directory_account d;
    slice customer_name;
    enum account_state customer_state; /* its customer's own */
    stamp customer_until;
    uint64_t credentials;
    stamp created;
};

struct store_credential {
    struct directory_credential d;
    slice login;                /* of its account */
    const slice *may_act_names; /* logins, in the order of d.may_act_for */
    stamp created;
};

/* Numbers are in the database: for ever. */
enum token_scope { TOKEN_ADMIN = 0, TOKEN_READ = 1, TOKEN_ACCOUNT = 2 };

/* A token of the API over TCP; its hash is kept, itself nowhere. */
struct store_token {
    uint64_t id;
    enum token_scope scope;
    uint64_t account; /* TOKEN_ACCOUNT: whose */
    slice login;      /* its login */
    slice label;
    stamp created;
};

struct store_outbox_row {
    uint64_t version;
    uint64_t customer;
    uint64_t account;
    uint64_t credential;
    slice fields;
    bool is_command; /* a RECORD_COMMAND; else a RECORD_DIRECTORY */
};

struct store_counts {
    uint64_t customers;
    uint64_t accounts;
    uint64_t credentials;
    uint64_t outbox;
};

/* Makes a change durable for the data plane; 0 or -errno. */
typedef int store_publish_fn(void *ctx, const struct store_outbox_row *row);

/* path: of the file, made when missing (its directory must be there). 0 or -errno, logged;
 * -ENOTSUP: a newer program has migrated it. */
int store_open(struct store **out, const char *path) MUST_USE NONNULL(1, 2);
void store_close(struct store **s);
void store_set_publisher(struct store *s, store_publish_fn *fn, void *ctx) NONNULL(1);

/* Reading: the mutex, nothing else. */
void store_lock(struct store *s) NONNULL(1);
void store_unlock(struct store *s) NONNULL(1);
/* Changing: the mutex and a transaction. After a failure neither is held. store_commit always
 * ends both; *published tells whether the data plane can have it (0 or -errno): the change is
 * kept in any case once store_commit itself gives 0. */
int store_begin(struct store *s) MUST_USE NONNULL(1);
int store_commit(struct store *s, int *published) MUST_USE NONNULL(1, 2);
void store_rollback(struct store *s) NONNULL(1);
/* Who makes the changes of this transaction: their records say so. Borrowed until its end. */
void store_set_by(struct store *s, slice by) NONNULL(1);
/* Publishes what is still in the outbox; takes the mutex itself. */
int store_publish(struct store *s) MUST_USE NONNULL(1);

/* The rest needs the mutex. */
uint64_t store_version(const struct store *s) NONNULL(1);
/* A restatement up to this version was published: it is the directory's from now on, and the
 * outbox, which the restatement contained, is dropped. Outside of a transaction. */
int store_restated(struct store *s, uint64_t version) MUST_USE NONNULL(1);
/* A command, with the transaction. */
int store_command_put(struct store *s, uint64_t customer, uint64_t account,
                      slice fields) MUST_USE NONNULL(1);
/* The lowest version in the outbox, 0 when it is empty. */
int store_outbox_first(struct store *s, uint64_t *version) MUST_USE NONNULL(1, 2);
int store_count(struct store *s, struct store_counts *out) MUST_USE NONNULL(1, 2);

/* By name or by id ("17"); *id is set. */
int store_customer_find(struct store *s, slice name, uint64_t *id) MUST_USE NONNULL(1, 3);
int store_customer_get(struct store *s, uint64_t id, struct arena *a,
                       struct store_customer *out) MUST_USE NONNULL(1, 3, 4);
/* Ids above `after`, at most `limit`, in their order: the count or -errno. */
int store_customer_list(struct store *s, uint64_t after, unsigned limit, struct arena *a,
                        struct store_customer **out) MUST_USE NONNULL(1, 4, 5);
/* c->id 0: a new one, whose id is set. -EEXIST: the name is taken; -ENOENT: no such parent or
 * customer; -ELOOP: it would be its own reseller. */
int store_customer_put(struct store *s, struct directory_customer *c, stamp now) MUST_USE
    NONNULL(1, 2);
/* As store_account_unlock; store_customer_put must follow in the same transaction. */
int store_customer_unlock(struct store *s, struct directory_customer *c) MUST_USE NONNULL(1, 2);
/* -EBUSY: it has accounts or customers of its own. */
int store_customer_remove(struct store *s, uint64_t id) MUST_USE NONNULL(1);

int store_account_find(struct store *s, slice login, uint64_t *id) MUST_USE NONNULL(1, 3);
int store_account_get(struct store *s, uint64_t id, struct arena *a,
                      struct store_account *out) MUST_USE NONNULL(1, 3, 4);
/* customer 0: of all. */
int store_account_list(struct store *s, uint64_t customer, uint64_t after, unsigned limit,
                       struct arena *a, struct store_account **out) MUST_USE NONNULL(1, 5, 6);
/* Lifts the account's lock and all locks by rule of before; store_account_put must follow in
 * the same transaction. */
int store_account_unlock(struct store *s, struct directory_account *a) MUST_USE NONNULL(1, 2);
/* -EEXIST: the login is taken; -ENOENT: no such customer or account. */
int store_account_put(struct store *s, struct directory_account *a, stamp now) MUST_USE
    NONNULL(1, 2);
/* With its credentials. */
int store_account_remove(struct store *s, uint64_t id) MUST_USE NONNULL(1);

int store_credential_get(struct store *s, uint64_t id, struct arena *a,
                         struct store_credential *out) MUST_USE NONNULL(1, 3, 4);
/* account 0: of all. */
int store_credential_list(struct store *s, uint64_t account, uint64_t after, unsigned limit,
                          struct arena *a, struct store_credential **out) MUST_USE
    NONNULL(1, 5, 6);
/* Always a new one. -EEXIST: this address range or user signs in somebody else (an address: any
 * other account; a user: another customer's), who is then in *holder. */
int store_credential_add(struct store *s, struct directory_credential *c, stamp now,
                         uint64_t *holder) MUST_USE NONNULL(1, 2, 4);
int store_credential_remove(struct store *s, uint64_t id) MUST_USE NONNULL(1);

/* t->id is set. */
int store_token_add(struct store *s, struct store_token *t, slice hash, stamp now) MUST_USE
    NONNULL(1, 2);
int store_token_remove(struct store *s, uint64_t id) MUST_USE NONNULL(1);
/* -ENOENT: there is no such token. */
int store_token_find(struct store *s, slice hash, struct arena *a,
                     struct store_token *out) MUST_USE NONNULL(1, 3, 4);
int store_token_list(struct store *s, uint64_t after, unsigned limit, struct arena *a,
                     struct store_token **out) MUST_USE NONNULL(1, 4, 5);

#endif
