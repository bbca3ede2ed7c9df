#include "smtpd/policy_internal.h"

#include "base/log.h"
#include "codec/path.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    RECIPIENTS_MAX = 100000,      /* of one message; more than any Postfix takes */
    REMEMBERED_MAX = 1024 * 1024, /* octets of their addresses */
    REASON_SHOWN = 200,
};

/* ---- whose message it is ---- */

static bool by_login(const struct policy_service *p, slice login, struct arena *a,
                     struct account *out)
{
    struct service *s = p->service;
    return login.len > 0 &&
           directory_account_by_login(s->directory, login, env_now(s->env), a, out);
}

static bool by_sender(const struct policy_service *p, slice sender, struct arena *a,
                      struct account *out)
{
    ptrdiff_t at = slice_rfind(sender, '@');
    return by_login(p, sender, a, out) ||
           (at >= 0 && by_login(p, slice_from(sender, (size_t)at + 1), a, out));
}

static bool find_account(const struct policy_service *p, const struct policyd_request *q,
                         struct arena *a, struct account *out)
{
    struct service *s = p->service;
    slice rest = p->role->conf->policy_service.account_by;
    slice word;
    while (conf_next_word(&rest, &word)) {
        if (slice_eq(word, SLICE("login")) && by_login(p, q->sasl_username, a, out))
            return true;
        if (slice_eq(word, SLICE("sender")) && by_sender(p, q->sender, a, out))
            return true;
        if (slice_eq(word, SLICE("client")) && q->client.family != 0 &&
            directory_by_address(s->directory, &q->client, env_now(s->env), a, out))
            return true;
    }
    return false;
}

/* ---- locks ---- */

static void say(struct wording *out, unsigned code, struct enhanced e, const char *what,
                const struct account *account)
{
    char until[STAMP_TEXT_MAX] = "";
    bool for_good = account->until == STAMP_NEVER;
    slice reason = slice_to(account->reason, REASON_SHOWN);
    if (!for_good)
        stamp_format(account->until, until);
    int n = snprintf(out->text, sizeof(out->text), "%s%s%.19s%s%s%.*s", what,
                     for_good ? "" : " until ", until, for_good ? "" : " UTC",
                     reason.len ? ": " : "", SLICE_ARG(reason));
    size_t len = n < (int)sizeof(out->text) ? (size_t)n : sizeof(out->text) - 1;
    out->reply = (struct reply){(uint16_t)code, e, slice_make(out->text, len)};
}

/* As in a session of ours: for good 550, for a time 450. */
static bool is_locked(const struct account *account, struct wording *refusal)
{
    static const char *const what[] = {
        [ACCOUNT_LOCKED] = "The account is locked",
        [ACCOUNT_SUSPENDED] = "Sending is suspended by the account's plan",
    };
    if (account->state == ACCOUNT_ACTIVE)
        return false;
    if (account->until == STAMP_NEVER)
        say(refusal, 550, (struct enhanced){5, 7, 1}, what[account->state], account);
    else
        say(refusal, 450, (struct enhanced){4, 7, 1}, what[account->state], account);
    return true;
}

/* A lock that came since holds from the next question on. */
static bool is_locked_now(struct policy_transaction *t, struct wording *refusal)
{
    struct service *s = t->owner->service;
    uint64_t directory = directory_version(s->directory);
    uint64_t locks = limiting_version(s->limiting);
    if (directory == t->directory_version && locks == t->lock_version)
        return false;
    struct arena arena = ARENA_INIT;
    struct limiting_view view = {0};
    struct account account;
    bool is_there =
        directory_account(s->directory, t->account.id, env_now(s->env), &arena, &account);
    bool is_refused = true;
    if (is_there) {
        limiting_look(s->limiting, &view, &account, &arena);
        is_refused = is_locked(&account, refusal);
    } else {
        const struct account gone = {.until = STAMP_NEVER};
        say(refusal, 550, (struct enhanced){5, 7, 1}, "The account was removed", &gone);
    }
    if (!is_refused) {
        t->directory_version = directory;
        t->lock_version = locks;
    }
    limiting_view_fini(&view);
    arena_fini(&arena);
    return is_refused;
}

/* ---- its life ---- */

static void transaction_free(struct policy_transaction *t)
{
    timer_cancel(&t->timer);
    list_remove(&t->node);
    limiting_view_fini(&t->view);
    buf_fini(&t->fields);
    buf_fini(&t->recipients);
    arena_fini(&t->arena);
    free(t);
}

void policy_transaction_drop(struct policy_transaction **at)
{
    struct policy_transaction *t = *at;
    *at = NULL;
    if (!t)
        return;
    limiting_release(t->owner->service->limiting, &t->charge);
    transaction_free(t);
}

static void on_hold_over(void *ctx);

/* The transaction's own copies. */
static struct policy_transaction *transaction_new(struct policy_service *p,
                                                  const struct policyd_request *q)
{
    struct policy_transaction *t = xcalloc(1, sizeof(*t));
    list_init(&t->node);
    t->owner = p;
    timer_init(&t->timer, p->role->loop, on_hold_over, t);
    t->fields = BUF_BOUNDED(RECORD_FIELDS_MAX);
    t->recipients = BUF_BOUNDED(REMEMBERED_MAX);
    snprintf(t->instance, sizeof(t->instance), "%.*s", SLICE_ARG(q->instance));
    t->facts = (struct submission_transaction){
        .reverse_path = arena_dup(&t->arena, q->sender),
        .params.size = q->size,
        .helo = arena_dup(&t->arena, q->helo_name),
        .account = &t->account,
    };
    return t;
}

/* One that was lost and comes again on another connection. */
static struct policy_transaction *find_lost(struct policy_service *p, slice instance)
{
    LIST_EACH (&p->lost, node) {
        struct policy_transaction *t = LIST_ITEM(node, struct policy_transaction, node);
        if (instance.len > 0 && slice_eq(instance, slice_of(t->instance))) {
            list_remove(&t->node);
            p->lost_count--;
            timer_cancel(&t->timer);
            return t;
        }
    }
    return NULL;
}

/* The connection's transaction of this instance; NULL with the verdict: of no account, or of
 * one that may not send. */
static struct policy_transaction *current(struct policy_connection *c,
                                          const struct policyd_request *q,
                                          struct wording *refusal, enum policy_verdict *verdict)
{
    static const struct account nobody = {.until = STAMP_NEVER};
    struct policy_service *p = c->owner;
    struct limiting *limiting = p->service->limiting;
    *verdict = POLICY_REFUSE;
    struct policy_transaction *t = c->current ? c->current : find_lost(p, q->instance);
    c->current = t;
    if (t) {
        t->connection = c;
        return is_locked_now(t, refusal) ? NULL : t;
    }
    t = transaction_new(p, q);
    if (!find_account(p, q, &t->arena, &t->account)) {
        transaction_free(t);
        if (p->role->conf->policy_service.unknown == 0)
            *verdict = POLICY_DUNNO;
        else
            say(refusal, 550, (struct enhanced){5, 7, 1},
                "There is no account for this mail; sign in with one", &nobody);
        return NULL;
    }
    t->directory_version = t->account.version;
    t->lock_version = limiting_version(limiting);
    limiting_look(limiting, &t->view, &t->account, &t->arena);
    if (is_locked(&t->account, refusal)) {
        transaction_free(t);
        return NULL;
    }
    t->connection = c;
    c->current = t;
    return t;
}

/* ---- counting ---- */

static bool reserve(struct policy_transaction *t, uint64_t recipients, struct wording *refusal)
{
    while (t->facts.recipient_count < recipients) {
        if (!limiting_reserve(t->owner->service->limiting, &t->view, &t->facts, &t->charge,
                              refusal))
            return false;
        t->facts.recipient_count++;
    }
    return true;
}

/* One whose address is known: it may be new to the account. */
static bool reserve_one(struct policy_transaction *t, slice recipient, struct wording *refusal)
{
    struct arena arena = ARENA_INIT;
    struct path path;
    t->view.recipient =
        mailbox_parse(recipient, &path) == PATH_OK ? path_canonical(&arena, &path) : recipient;
    bool is_reserved = reserve(t, t->facts.recipient_count + 1, refusal);
    t->view.recipient = (slice){0};
    arena_fini(&arena);
    if (is_reserved && t->charge.counts_new && recipient.len > 0)
        record_put(&t->recipients, TAG_RECIPIENT, recipient);
    return is_reserved;
}

static void put_record(struct policy_transaction *t, const struct policyd_request *q)
{
    struct buf *b = &t->fields;
    const struct submission_transaction *f = &t->facts;
    buf_clear(b);
    record_put_u64(b, TAG_MESSAGES, 1);
    record_put_u64(b, TAG_RECIPIENTS, f->recipient_count);
    record_put_u64(b, TAG_OCTETS, f->params.size);
    record_put(b, TAG_REVERSE_PATH, f->reverse_path);
    record_put(b, TAG_LOGIN, t->account.login);
    record_put(b, TAG_HELO, f->helo);
    record_put(b, TAG_LISTENER, SLICE("policy-service"));
    if (q) {
        record_put(b, TAG_CLIENT, q->client_address);
        record_put(b, TAG_FOREIGN_ID, q->queue_id);
    }
    buf_append(b, buf_slice(&t->recipients));
    t->entry.header = (struct record_header){
        .type = RECORD_USE,
        .flags = RECORD_SKIPPABLE,
        .node = t->owner->service->node,
        .customer = t->account.customer,
        .account = t->account.id,
        .credential = t->account.credential,
    };
    t->entry.body_count = 0;
}

/* On the loop: the journal has answered. */
static void on_settled(struct loop_task *task)
{
    struct policy_transaction *t = CONTAINER_OF(task, struct policy_transaction, task);
    struct policy_connection *c = t->connection;
    int err = t->entry.result;
    if (err)
        log_error("use-not-kept", LOG_I("account", t->account.id), LOG_E("error", err));
    else
        log_info("use-counted", LOG_S("account", t->account.login),
                 LOG_I("recipients", t->facts.recipient_count),
                 LOG_I("size", t->facts.params.size), LOG_S("instance", slice_of(t->instance)));
    transaction_free(t);
    if (!c)
        return;
    c->committing = NULL;
    policy_answered(c, err);
}

/* On the committer's thread. */
static void entry_done(struct journal_entry *e)
{
    struct policy_transaction *t = CONTAINER_OF(e, struct policy_transaction, entry);
    struct policy_service *p = t->owner;
    t->done_next = p->done;
    p->done = t;
    limiting_settle(p->service->limiting, &t->charge, e, &p->after);
}

void policy_transactions_settled(struct limiting_after *a)
{
    struct policy_service *p = CONTAINER_OF(a, struct policy_service, after);
    struct policy_transaction *next;
    for (struct policy_transaction *t = p->done; t; t = next) {
        next = t->done_next; /* it may be gone as soon as it is posted */
        t->task.fn = on_settled;
        loop_post(p->role->loop, &t->task);
    }
    p->done = NULL;
}

/* False: a limit refuses, the transaction is gone. */
static bool commit(struct policy_transaction *t, const struct policyd_request *q,
                   struct wording *refusal)
{
    struct policy_service *p = t->owner;
    put_record(t, q);
    t->entry.done = entry_done;
    t->entry.fields = buf_slice(&t->fields);
    list_push(&p->committing, &t->node);
    if (limiting_append(p->service->limiting, &t->charge, &t->entry, &t->fields, refusal))
        return true;
    transaction_free(t);
    return false;
}

static enum policy_verdict end_message(struct policy_connection *c,
                                       struct policy_transaction *t,
                                       const struct policyd_request *q, struct wording *refusal)
{
    uint64_t count = q->recipient_count;
    if (count == 0)
        count = t->facts.recipient_count > 0 ? t->facts.recipient_count : 1;
    if (count > RECIPIENTS_MAX)
        count = RECIPIENTS_MAX;
    t->facts.params.size = q->size;
    c->current = NULL;
    bool is_first = t->facts.recipient_count == 0;
    bool is_reserved = !is_first || reserve_one(t, q->recipient, refusal);
    if (!is_reserved || !reserve(t, count, refusal)) {
        policy_transaction_drop(&t);
        return POLICY_REFUSE;
    }
    if (count < t->facts.recipient_count) {
        limiting_keep_recipients(t->owner->service->limiting, &t->charge, count);
        t->facts.recipient_count = count;
    }
    c->committing = t;
    if (commit(t, q, refusal))
        return POLICY_LATER;
    c->committing = NULL;
    return POLICY_REFUSE;
}

enum policy_verdict policy_ask(struct policy_connection *c, const struct policyd_request *q,
                               struct wording *refusal)
{
    enum policy_verdict verdict;
    struct policy_transaction *t = current(c, q, refusal, &verdict);
    if (!t) {
        policy_transaction_drop(&c->current);
        return verdict;
    }
    if (q->state == POLICYD_END_OF_MESSAGE)
        return end_message(c, t, q, refusal);
    if (t->facts.recipient_count >= RECIPIENTS_MAX)
        return POLICY_DUNNO; /* counted at the end of the message */
    return reserve_one(t, q->recipient, refusal) ? POLICY_DUNNO : POLICY_REFUSE;
}

/* ---- lost connections ---- */

static void count_lost(struct policy_transaction *t)
{
    struct wording refusal;
    list_remove(&t->node);
    t->owner->lost_count--;
    timer_cancel(&t->timer);
    log_info("lost-message-counted", LOG_S("account", t->account.login),
             LOG_I("recipients", t->facts.recipient_count));
    (void)!commit(t, NULL, &refusal); /* what a lock refuses was not let pass either */
}

static void on_hold_over(void *ctx)
{
    count_lost(ctx);
}

void policy_transaction_lose(struct policy_transaction *t)
{
    struct policy_service *p = t->owner;
    t->connection = NULL;
    if (t->facts.recipient_count == 0) {
        policy_transaction_drop(&t);
        return;
    }
    list_push(&p->lost, &t->node);
    timer_set(&t->timer, p->role->conf->policy_service.hold_time);
    if (++p->lost_count > POLICY_LOST_MAX)
        count_lost(LIST_ITEM(p->lost.next, struct policy_transaction, node));
}

void policy_transactions_count(struct policy_service *p)
{
    while (!list_is_empty(&p->lost))
        count_lost(LIST_ITEM(p->lost.next, struct policy_transaction, node));
}

void policy_transactions_fini(struct policy_service *p)
{
    LIST_EACH (&p->lost, node) {
        struct policy_transaction *t = LIST_ITEM(node, struct policy_transaction, node);
        policy_transaction_drop(&t);
    }
    LIST_EACH (&p->committing, node)
        transaction_free(LIST_ITEM(node, struct policy_transaction, node));
}
