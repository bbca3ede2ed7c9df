#include "smtpd/session_internal.h"

#include "base/log.h"

#include <errno.h>

static const struct reply no_refusal;

static const struct reply too_many_in_all = {
    421,
    {4, 7, 0},
    SLICE_INIT("Too many connections to this server now; try again in a minute")};
static const struct reply too_many_of_address = {
    421,
    {4, 7, 0},
    SLICE_INIT("Too many connections from your address; close some, or send more messages over "
               "each")};
static const struct reply too_many_of_account = {
    421,
    {4, 7, 0},
    SLICE_INIT("Too many connections signed in to this account; close some, or send more "
               "messages over each")};
static const struct reply no_memory = {
    452, {4, 3, 1}, SLICE_INIT("Too many messages are arriving now; try again in a minute")};
static const struct reply no_space = {
    452, {4, 3, 1}, SLICE_INIT("No disk space for new mail now; try again later")};

static void forget_account(struct session *s)
{
    if (s->seat != 0)
        limits_account_leave(s->worker->service->limits, s->seat);
    s->seat = 0;
    s->account = 0;
    s->credential = 0;
    s->is_control = false;
}

bool session_enter_account(struct session *s, const struct account *account)
{
    if (!account->is_control && !limits_account_enter(s->worker->service->limits, account->id))
        return false;
    forget_account(s);
    s->account = account->id;
    s->seat = account->is_control ? 0 : account->id;
    s->is_control = account->is_control;
    s->credential = account->credential;
    s->directory_version = account->version;
    return true;
}

/* The account as the directory has it, with its limits and its lock by rule. */
static void lay_limits(struct session *s, struct account *account, struct arena *a)
{
    struct limiting *l = s->worker->service->limiting;
    s->lock_version = limiting_version(l);
    s->view.client = slice_of(s->client);
    limiting_look(l, &s->view, account, a);
}

const struct account *session_arrive(struct session *s, struct arena *a,
                                     struct account *account, struct reply *refusal)
{
    struct service *service = s->worker->service;
    *refusal = no_refusal;
    if (s->entry != LIMITS_OK) {
        *refusal = s->entry == LIMITS_TOTAL ? too_many_in_all : too_many_of_address;
        return NULL;
    }
    if (!local_account(service->directory, s->door, &s->peer, env_now(service->env), a,
                       account))
        return NULL;
    if (session_enter_account(s, account)) {
        lay_limits(s, account, a);
        return account;
    }
    *refusal = too_many_of_account;
    return NULL;
}

void session_leave(struct session *s)
{
    struct limits *limits = s->worker->service->limits;
    auth_cancel(&s->sign_in);
    limiting_release(s->worker->service->limiting, &s->charge);
    limiting_view_fini(&s->view);
    tokens_drop(s->worker->service->tokens, &s->token);
    if (s->message && message_is_committing(s->message))
        message_abandon(&s->message);
    else
        message_abort(&s->message);
    forget_account(s);
    limits_leave(limits, &s->peer.address, s->entry);
}

/* Is the account still there, and may the credential still act for it? */
static bool find_account(struct session *s, struct arena *a, struct account *out)
{
    struct service *service = s->worker->service;
    const struct directory *d = service->directory;
    if (!directory_account(d, s->account, env_now(service->env), a, out))
        return false;
    out->credential = s->credential;
    out->is_control = s->is_control;
    return s->is_control || directory_may_act_for(d, s->credential, s->account);
}

void session_refresh_account(struct session *s)
{
    uint64_t version = directory_version(s->worker->service->directory);
    uint64_t locks = limiting_version(s->worker->service->limiting);
    if (s->account == 0 || (version == s->directory_version && locks == s->lock_version))
        return;
    s->directory_version = version;
    struct arena arena = ARENA_INIT;
    struct account account;
    if (find_account(s, &arena, &account)) {
        lay_limits(s, &account, &arena);
        submission_account_changed(s->dialog, &account);
    } else {
        log_info("signed-out", LOG_ID("session", s->id), LOG_S("client", slice_of(s->client)),
                 LOG_C("reason", "the account or its credential is gone"));
        forget_account(s);
        submission_account_changed(s->dialog, NULL);
    }
    arena_fini(&arena);
}

static void log_sign_in(const struct session *s, slice login, const struct auth_answer *a)
{
    if (a->result == AUTH_OK)
        log_info("signed-in", LOG_ID("session", s->id), LOG_S("client", slice_of(s->client)),
                 LOG_S("account", a->account->login),
                 LOG_I("credential", a->account->credential));
    else
        log_warning("sign-in-failed", LOG_ID("session", s->id),
                    LOG_S("client", slice_of(s->client)), LOG_S("login", login),
                    LOG_C("reason", auth_result_name(a->result)));
}

/* Who has asked control is the client, for the record and the log. */
static void note_origin(struct session *s, slice client)
{
    client = slice_to(client, sizeof(s->client) - 1);
    memcpy(s->client, client.ptr, client.len);
    s->client[client.len] = '\0';
}

static void on_verified(void *ctx, const struct auth_answer *a)
{
    struct session *s = ctx;
    struct stats_page *stats = s->worker->service->stats;
    s->sign_in = NULL;
    log_sign_in(s, a->login, a);
    if (a->result != AUTH_OK) {
        atomic_fetch_add(&stats->sign_in_failures, 1);
        submission_verified(s->dialog, NULL, a->refusal);
    } else if (!session_enter_account(s, a->account)) {
        log_warning("too-many-sessions", LOG_ID("session", s->id),
                    LOG_S("account", a->account->login));
        submission_verified(s->dialog, NULL, &too_many_of_account);
    } else {
        struct arena arena = ARENA_INIT;
        struct account account = *a->account;
        atomic_fetch_add(&stats->sign_ins, 1);
        lay_limits(s, &account, &arena);
        if (account.is_control)
            note_origin(s, a->login);
        submission_verified(s->dialog, &account, &no_refusal);
        arena_fini(&arena);
    }
    session_answered(s);
}

static void verify(struct session *s, const struct effect *e)
{
    struct auth_question q = {
        .mechanism = e->verify.mechanism,
        .identity = e->verify.identity,
        .client = s->peer.address,
        .is_local = s->door->config.is_local_door,
        .uid = s->peer.uid,
    };
    struct sign_in *running =
        auth_begin(s->worker->service->auth, s->worker->loop, &q, on_verified, s);
    if (running)
        s->sign_in = running;
}

static void claim_token(struct session *s, const struct effect *e)
{
    static const struct reply busy = {
        450,
        {4, 3, 0},
        SLICE_INIT("A message with this token is arriving now; ask again in a moment")};
    uint64_t first_id = 0;
    enum tokens_result result =
        tokens_claim(s->worker->service->tokens, s->account, e->token, &s->token, &first_id);
    submission_token(s->dialog, first_id, result == TOKENS_BUSY ? &busy : &no_refusal);
}

static void reserve(struct session *s, const struct effect *e)
{
    struct wording refusal;
    s->view.recipient = e->reserve.address;
    bool is_reserved =
        limiting_reserve(s->worker->service->limiting, &s->view,
                         submission_transaction(s->dialog), &s->charge, &refusal);
    submission_reserved(s->dialog, is_reserved ? &no_refusal : &refusal.reply);
}

static void open_message(struct session *s, const struct effect *e)
{
    (void)e;
    struct service *service = s->worker->service;
    INVARIANT(!s->message);
    stamp now = env_now(service->env);
    if (!limits_has_space(service->limits)) {
        submission_opened(s->dialog, 0, now, &no_space);
        return;
    }
    uint64_t id = id_next(&service->ids, now);
    s->message = message_open(&s->worker->messages, id);
    submission_opened(s->dialog, id, now, s->message ? &no_refusal : &no_memory);
}

static void take_body(struct session *s, const struct effect *e)
{
    INVARIANT(s->message);
    int err = message_append(s->message, e->body);
    if (err < 0)
        submission_body_failed(s->dialog, err);
}

static void on_message(void *ctx, int err, const struct reply *refusal)
{
    struct session *s = ctx;
    s->message = NULL;
    submission_committed(s->dialog, err, refusal ? refusal : &no_refusal);
    session_answered(s);
}

static void commit(struct session *s, const struct effect *e)
{
    (void)e;
    INVARIANT(s->message);
    struct message_facts facts = {
        .transaction = submission_transaction(s->dialog),
        .node = s->worker->service->node,
        .session = s->id,
        .client = slice_of(s->client),
        .listener = s->door->name,
        .charge = &s->charge,
        .token = &s->token,
    };
    message_commit(s->message, &facts, on_message, s);
}

static void abort_message(struct session *s, const struct effect *e)
{
    (void)e;
    limiting_release(s->worker->service->limiting, &s->charge);
    tokens_drop(s->worker->service->tokens, &s->token);
    if (s->message && message_is_committing(s->message))
        message_abandon(&s->message);
    else
        message_abort(&s->message);
}

static void start_tls(struct session *s, const struct effect *e)
{
    (void)e;
    s->starts_tls = true;
}

static void close_session(struct session *s, const struct effect *e)
{
    (void)e;
    s->ends = true;
}

void session_perform(struct session *s)
{
    static void (*const performers[])(struct session *, const struct effect *) = {
        [EFFECT_START_TLS] = start_tls, [EFFECT_VERIFY] = verify,
        [EFFECT_TOKEN] = claim_token,   [EFFECT_RESERVE] = reserve,
        [EFFECT_OPEN] = open_message,   [EFFECT_BODY] = take_body,
        [EFFECT_COMMIT] = commit,       [EFFECT_ABORT] = abort_message,
        [EFFECT_CLOSE] = close_session,
    };
    struct effect e;
    while (!s->ends && submission_effect(s->dialog, &e)) {
        INVARIANT(e.kind < COUNT_OF(performers) && performers[e.kind]);
        s->has_answered |= e.kind != EFFECT_BODY;
        performers[e.kind](s, &e);
    }
}
