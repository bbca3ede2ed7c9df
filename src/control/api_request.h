/* api_request: one request, and the ways of reading and answering it. For the files of the API
 * only. */
#ifndef CONTROL_API_REQUEST_H
#define CONTROL_API_REQUEST_H

#include "base/buf.h"
#include "control/api.h"
#include "model/queue_command.h"

#include <jansson.h>
#include <microhttpd.h>
#include <pthread.h>

/* Who asks; each may what the ones before it may. */
enum api_access {
    API_NOBODY,
    API_ACCOUNT, /* only about one account */
    API_READ,
    API_ADMIN,
};

enum {
    API_BODY_MAX = 1024 * 1024,
    API_MESSAGE_MAX = 48 * 1024 * 1024, /* the body of a mail that is sent */
    API_MEMORY_MAX = 256 * 1024 * 1024, /* of bodies over API_BODY_MAX in all */
    API_ARGS_MAX = 2,
    API_PAGE = 100,
    API_PAGE_MAX = 1000,
};

/* What of the configuration requests need; replaced as a whole. */
struct api_settings {
    json_t *config;
    char *run_dir;
    char *hostname;
    uint64_t node;
};

/* Where requests come in. */
struct api_door {
    struct api *api;
    bool is_tcp; /* who asks shows a token */
    struct MHD_Daemon *daemon;
};

struct api {
    struct api_config config;
    struct api_door local;
    struct api_door tcp;
    pthread_mutex_t mutex; /* guards settings */
    struct api_settings settings;
    _Atomic size_t memory; /* of bodies over API_BODY_MAX */
};

struct api_request {
    struct api *api;
    struct MHD_Connection *connection;
    const char *method;
    struct arena arena;
    struct buf text; /* the body as it arrived */
    size_t charged;  /* of it, in api.memory */
    size_t body_max;
    enum api_access access;
    uint64_t only_account; /* API_ACCOUNT: whose */
    uint64_t token;        /* its id, over TCP */
    bool is_tcp;
    uid_t uid;
    stamp now;
    json_t *body; /* an object; empty when nothing was sent */
    const struct api_route *route;
    slice args[API_ARGS_MAX]; /* of the path, where the route has '*' */
    unsigned status;
    json_t *answer;
    uint64_t retry_after; /* seconds; 0: not said */
    struct buf plain;     /* the answer, when it has a type of its own */
    const char *plain_type;
};

typedef void api_handler(struct api_request *r);

/* query, body: names with blanks between; a "!" marks what must be there. */
struct api_route {
    const char *method;
    const char *pattern; /* '*': one part of the path, given to the handler */
    api_handler *handler;
    enum api_access who; /* may use it, and all who may more */
    const char *summary;
    const char *query;
    const char *body;
    /* for handlers of several routes: */
    bool is_of_customer; /* else of an account */
    enum queue_verb verb;
};
extern const struct api_route api_routes[];
extern const size_t api_route_count;
/* Gives the request the access of its token: "Bearer …". */
void api_admit_token(struct api_request *r, slice authorization) NONNULL(1);

/* Finds the route, runs it; there is an answer then. */
void api_dispatch(struct api_request *r, slice path) NONNULL(1);

/* Takes over the answer. */
void api_answer(struct api_request *r, unsigned status, json_t *answer) NONNULL(1);
/* hint: NULL when there is nothing better to say. */
void api_error(struct api_request *r, unsigned status, const char *code, const char *hint,
               const char *fmt, ...) NONNULL(1, 3, 5) PRINTF_LIKE(5, 6);
/* What the store or the system said, for -errno that the handler does not expect. */
void api_fail(struct api_request *r, int rc) NONNULL(1);

/* False, with an answer, when the body has a key that is not in the list (NULL-terminated). */
bool api_knows_keys(struct api_request *r, const char *const *known) MUST_USE NONNULL(1, 2);
bool api_has(const struct api_request *r, const char *key) NONNULL(1, 2);
/* A text of the body: untouched when the key is not there, empty for null. False, with an
 * answer, when it is not a text or `check` says what would be right. */
bool api_take_text(struct api_request *r, const char *key, const char *(*check)(slice),
                   slice *out) MUST_USE NONNULL(1, 2, 4);
/* A whole number between 0 and max; 0 for null. */
bool api_take_number(struct api_request *r, const char *key, uint64_t max,
                     uint64_t *out) MUST_USE NONNULL(1, 2, 4);
/* The array of that key, NULL when it is not there; every item is a text. */
bool api_take_list(struct api_request *r, const char *key, size_t max, json_t **out) MUST_USE
    NONNULL(1, 2, 4);

/* ?limit=, `usual` without it. False, with an answer, when it is no number up to `most`. */
bool api_take_limit(struct api_request *r, unsigned usual, unsigned most,
                    unsigned *out) MUST_USE NONNULL(1, 4);
/* ?account=; without it the one that the token is for, or 0: all. False, with an answer, when
 * there is no such account. */
bool api_query_account(struct api_request *r, uint64_t *out) MUST_USE NONNULL(1, 2);
/* ?limit= and ?after=; false, with an answer, when they are no numbers. */
bool api_take_page(struct api_request *r, uint64_t *after, unsigned *limit) MUST_USE
    NONNULL(1, 2, 3);
/* A parameter of the query, unescaped, in the arena; empty when it is not there. */
slice api_query(struct api_request *r, const char *name) NONNULL(1, 2);

/* Who asks, for records: "uid=0", "token=3". */
slice api_by(struct api_request *r) NONNULL(1);
/* A transaction of the store, from the request's view: false with an answer on failure. */
bool api_begin(struct api_request *r) MUST_USE NONNULL(1);
/* Commits and answers; on failure `answer` is released and the failure answered. */
void api_commit(struct api_request *r, unsigned status, json_t *answer) NONNULL(1);
/* Rolls back; the answer has been given. */
void api_rollback(struct api_request *r) NONNULL(1);

/* JSON of a text (null when empty), and of a moment (null when 0 or never). */
json_t *api_text(slice s);
json_t *api_stamp(stamp at);
/* An id as people write it (base/id). */
json_t *api_id(uint64_t id);
/* What the list and the trace say of a message alike. */
struct ledger_message;
json_t *api_message(const struct ledger_message *m) NONNULL(1);
/* An account's plan; null when it has none of its own. */
json_t *api_plan(const struct directory_account *d) NONNULL(1);
/* "locked", "suspended", or "active" when its end has passed. */
const char *api_state(const struct api_request *r, enum account_state state, stamp until)
    NONNULL(1);

/* Handlers, by file. */
api_handler api_customers_list, api_customers_add, api_customer_show, api_customer_change,
    api_customer_remove, api_customer_lock, api_customer_unlock;
api_handler api_accounts_list, api_accounts_add, api_account_show, api_account_change,
    api_account_remove, api_account_lock, api_account_unlock, api_account_plan_show,
    api_account_plan;
api_handler api_credentials_list, api_credentials_add, api_credential_remove;
api_handler api_presets_list, api_preset_show;
api_handler api_rules_show, api_rule_add, api_rule_remove, api_preset_set, api_account_quota;
api_handler api_locks_list, api_lock_show;
api_handler api_queue_list, api_queue_show, api_status, api_config_show;
api_handler api_queue_order, api_command_show, api_why;
api_handler api_tokens_list, api_tokens_add, api_token_remove, api_openapi, api_metrics;
api_handler api_message_send;
api_handler api_trace, api_messages_list, api_usage, api_errors, api_erase;

/* Asks another role over its query socket: the answer, or NULL with -errno in *rc. Takes over
 * the question. */
json_t *api_ask(struct api_request *r, const char *role, json_t *question, span timeout,
                int *rc) NONNULL(1, 2, 5);
/* The delivery role's answer, or NULL: {"ok": false, "error": …} was answered as `status`.
 * Takes over the question. */
json_t *api_ask_delivery(struct api_request *r, json_t *question, unsigned status,
                         const char *code, const char *hint) NONNULL(1, 2, 4);

/* Puts a command about the queue into the transaction: by the one who asks, with a token. */
int api_order_put(struct api_request *r, struct queue_command *c) MUST_USE NONNULL(1, 2);
/* How far it is, after a moment for it to be done. */
json_t *api_order_progress(struct api_request *r, uint64_t token) NONNULL(1);
/* What an unlocking is to do with the queue: the verb, 0: nothing. False, with an answer, when
 * "queue" is neither. revokes: NULL when there are no credentials to revoke. */
bool api_take_unlock(struct api_request *r, enum queue_verb *verb, bool *revokes) MUST_USE
    NONNULL(1, 2);
/* The answer of an unlocking gets what became of the queue. Takes over nothing. */
void api_add_queue(struct api_request *r, json_t *answer, const struct queue_command *c)
    NONNULL(1, 2, 3);
/* The account of that login, or of that id. False, with an answer, when there is none. */
bool api_find_account(struct api_request *r, slice login, uint64_t *id) MUST_USE NONNULL(1, 3);
bool api_find_customer(struct api_request *r, slice name, uint64_t *id) MUST_USE NONNULL(1, 3);
/* False, with an answer, when there is no ledger. */
struct ledger_reader;
bool api_open_ledger(struct api_request *r, struct ledger_reader **out) MUST_USE NONNULL(1, 2);
/* A text of others as JSON: what is not UTF-8 in it becomes '?'. null when empty. */
json_t *api_foreign(slice s);

/* How notices stand; "operator" is null when nobody is told. */
json_t *api_notices_status(struct api_request *r) NONNULL(1);

/* The settings of a configuration, and their end. */
void api_settings_init(struct api_settings *s, const struct conf *conf) NONNULL(1, 2);
void api_settings_fini(struct api_settings *s) NONNULL(1);

/* The account or customer that the path names first, with the store's mutex held; false with
 * an answer. */
bool api_take_account(struct api_request *r, struct store_account *out) MUST_USE NONNULL(1, 2);
bool api_take_customer(struct api_request *r, struct store_customer *out) MUST_USE
    NONNULL(1, 2);

/* Reads a lock: reason and, with "for", its end. False, with an answer, when it is wrong. */
bool api_take_lock(struct api_request *r, enum account_state *state, stamp *until,
                   slice *reason) MUST_USE NONNULL(1, 2, 3, 4);

#endif
