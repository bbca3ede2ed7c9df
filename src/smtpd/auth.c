#include "smtpd/auth.h"

#include "base/list.h"
#include "base/secret.h"
#include "smtpd/verified.h"

#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
    SECRET_MAX = 1024,
    SALT_LEN = 16,
    HASH_LEN = 32,
};

struct auth {
    struct env *env;
    struct directory *directory;
    struct limits *limits;
    struct verified *verified;
    struct jobs *jobs;
    pthread_mutex_t lock;
    struct list hashing; /* sign-ins that the pool has */
    _Atomic uint64_t hashes;
    /* A verifier whose password is not known to anybody. */
    char nobody[crypto_pwhash_STRBYTES];
    size_t control_len; /* 0: control cannot sign in */
    char control[SECRET_MAX];
};

struct sign_in {
    struct job job;
    struct list node;
    struct auth *auth;
    auth_fn *fn; /* NULL: cancelled */
    void *ctx;
    struct timer timer; /* runs while a failure waits for its time */
    bool is_hashing;
    span began;
    struct address client;
    struct arena arena; /* owns all slices below */
    slice authzid;
    slice login;
    struct account account;
    const struct directory_credential *verifiers;
    size_t verifier_count;
    const struct directory_credential *match;
    size_t secret_len;
    char secret[SECRET_MAX];
};

static const struct reply refusals[] = {
    [AUTH_WRONG] = {535,
                    {5, 7, 8},
                    SLICE_INIT("Login or password is wrong; check both in your mail program")},
    [AUTH_NO_MAPPING] = {535,
                         {5, 7, 8},
                         SLICE_INIT(
                             "This local user has no account; the administrator can add a uid "
                             "credential for it")},
    [AUTH_NOT_FOR] = {535,
                      {5, 7, 8},
                      SLICE_INIT(
                          "This login may not act for that account; leave the authorization "
                          "identity empty or ask the administrator")},
    [AUTH_BUSY] = {454,
                   {4, 7, 0},
                   SLICE_INIT("Too many sign-ins at this moment; try again in a minute")},
    [AUTH_NO_ACCOUNT] = {535, {5, 7, 8}, SLICE_INIT("There is no such account (any more)")},
};

static const char *const result_names[] = {
    [AUTH_OK] = "ok",
    [AUTH_WRONG] = "wrong-login-or-password",
    [AUTH_NO_MAPPING] = "no-account-for-user",
    [AUTH_NOT_FOR] = "may-not-act-for",
    [AUTH_BUSY] = "busy",
    [AUTH_NO_ACCOUNT] = "no-such-account",
};

const char *auth_result_name(enum auth_result r)
{
    return result_names[r];
}

static int make_nobody(struct auth *a)
{
    char password[HASH_LEN];
    env_random(a->env, password, sizeof(password));
    int err = crypto_pwhash_str_alg(a->nobody, password, sizeof(password), ARGON2ID_PASSES,
                                    ARGON2ID_MEMORY, crypto_pwhash_ALG_ARGON2ID13);
    secret_wipe(password, sizeof(password));
    return err;
}

struct auth *auth_new(struct env *env, struct directory *directory, struct limits *limits)
{
    if (sodium_init() < 0)
        return NULL;
    struct auth *a = xcalloc(1, sizeof(*a));
    a->env = env;
    a->directory = directory;
    a->limits = limits;
    pthread_mutex_init(&a->lock, NULL);
    list_init(&a->hashing);
    a->verified = verified_new(env, AUTH_CACHE_MAX, AUTH_CACHE_AGE);
    if (make_nobody(a) == 0)
        a->jobs = jobs_new(AUTH_THREADS, AUTH_QUEUE_MAX);
    if (!a->jobs)
        auth_free(&a);
    return a;
}

static void sign_in_free(struct sign_in *s)
{
    timer_cancel(&s->timer);
    secret_wipe(s->secret, sizeof(s->secret));
    arena_fini(&s->arena);
    free(s);
}

void auth_free(struct auth **a)
{
    if (!*a)
        return;
    jobs_free(&(*a)->jobs);
    LIST_EACH (&(*a)->hashing, node) /* what the pool has dropped */
        sign_in_free(LIST_ITEM(node, struct sign_in, node));
    pthread_mutex_destroy(&(*a)->lock);
    verified_free(&(*a)->verified);
    secret_wipe((*a)->control, sizeof((*a)->control));
    free(*a);
    *a = NULL;
}

void auth_set_control(struct auth *a, slice secret)
{
    a->control_len = secret.len > sizeof(a->control) ? 0 : secret.len;
    if (a->control_len > 0)
        memcpy(a->control, secret.ptr, a->control_len);
}

uint64_t auth_hashes(const struct auth *a)
{
    return a->hashes;
}

const char *auth_nobody(const struct auth *a)
{
    return a->nobody;
}

/* The one answer; the sign-in is gone afterwards. */
static void answer(struct sign_in *s, enum auth_result result)
{
    struct auth_answer a = {.result = result, .login = s->login};
    if (result == AUTH_OK)
        a.account = &s->account;
    else
        a.refusal = &refusals[result];
    if (s->fn)
        s->fn(s->ctx, &a);
    sign_in_free(s);
}

static bool is_argon2id(const struct directory_credential *c)
{
    return slice_eq(c->scheme, SLICE("argon2id"));
}

static slice secret_of(const struct sign_in *s)
{
    return slice_make(s->secret, s->secret_len);
}

static bool matches_generated(const struct sign_in *s, const struct directory_credential *c)
{
    if (!slice_eq(c->scheme, SLICE("blake2b")) || c->verifier.len != SALT_LEN + HASH_LEN)
        return false;
    unsigned char hash[HASH_LEN];
    const unsigned char *salt = (const unsigned char *)c->verifier.ptr;
    crypto_generichash(hash, sizeof(hash), (const unsigned char *)s->secret, s->secret_len,
                       salt, SALT_LEN);
    bool same = secret_eq(slice_make(hash, sizeof(hash)), slice_from(c->verifier, SALT_LEN));
    secret_wipe(hash, sizeof(hash));
    return same;
}

static bool matches_chosen(struct sign_in *s, slice verifier)
{
    char text[crypto_pwhash_STRBYTES] = {0};
    if (verifier.len >= sizeof(text))
        return false;
    memcpy(text, verifier.ptr, verifier.len);
    s->auth->hashes++;
    return crypto_pwhash_str_verify(text, s->secret, s->secret_len) == 0;
}

/* On a thread of the pool: at least one password hash, whatever the account has. */
static void hash_work(struct job *j)
{
    struct sign_in *s = CONTAINER_OF(j, struct sign_in, job);
    size_t hashed = 0;
    for (size_t i = 0; i < s->verifier_count && !s->match; i++) {
        if (!is_argon2id(&s->verifiers[i]))
            continue;
        hashed++;
        if (matches_chosen(s, s->verifiers[i].verifier))
            s->match = &s->verifiers[i];
    }
    if (hashed == 0)
        (void)matches_chosen(s, slice_of(s->auth->nobody));
}

/* The credential is right: as whom does it act? */
static void finish(struct sign_in *s)
{
    struct directory *d = s->auth->directory;
    bool is_self = slice_is_empty(s->authzid) || slice_ieq(s->authzid, s->account.login);
    if (!is_self) {
        uint64_t credential = s->account.credential;
        struct account other;
        stamp now = env_now(s->auth->env);
        if (!directory_account_by_login(d, s->authzid, now, &s->arena, &other) ||
            !directory_may_act_for(d, credential, other.id)) {
            answer(s, AUTH_NOT_FOR);
            return;
        }
        s->account = other;
        s->account.credential = credential;
    }
    answer(s, AUTH_OK);
}

static void on_delay_over(void *ctx)
{
    answer(ctx, AUTH_WRONG);
}

/* Wrong: answered at a time that depends on the client's past failures, not on what was wrong.
 */
static void fail(struct sign_in *s)
{
    span due = s->began + limits_sign_in_failed(s->auth->limits, &s->client);
    span left = due - env_elapsed(s->auth->env);
    if (left > 0 && s->fn)
        timer_set(&s->timer, left);
    else
        answer(s, AUTH_WRONG);
}

static void set_hashing(struct sign_in *s, bool is_hashing)
{
    pthread_mutex_lock(&s->auth->lock);
    if (is_hashing)
        list_push(&s->auth->hashing, &s->node);
    else
        list_remove(&s->node);
    pthread_mutex_unlock(&s->auth->lock);
    s->is_hashing = is_hashing;
}

static void hash_done(struct job *j)
{
    struct sign_in *s = CONTAINER_OF(j, struct sign_in, job);
    set_hashing(s, false);
    if (!s->match) {
        fail(s);
        return;
    }
    verified_add(s->auth->verified, s->match, secret_of(s));
    s->account.credential = s->match->id;
    finish(s);
}

/* What can be said without a password hash; NULL: that is not enough. */
static const struct directory_credential *match_at_once(const struct sign_in *s)
{
    for (size_t i = 0; i < s->verifier_count; i++) {
        const struct directory_credential *c = &s->verifiers[i];
        if (is_argon2id(c) ? verified_has(s->auth->verified, c, secret_of(s))
                           : matches_generated(s, c))
            return c;
    }
    return NULL;
}

static struct sign_in *begin_external(struct sign_in *s, const struct auth_question *q)
{
    stamp now = env_now(s->auth->env);
    if (q->is_local &&
        directory_by_uid(s->auth->directory, q->uid, now, &s->arena, &s->account))
        finish(s);
    else
        answer(s, AUTH_NO_MAPPING);
    return NULL;
}

/* The id of the account, in decimal; 0: none. */
static uint64_t account_id(slice text)
{
    uint64_t id;
    return slice_to_u64(text, &id) ? id : 0;
}

/* The secret is long and random: no delay is needed to keep it from being guessed. */
static struct sign_in *begin_control(struct sign_in *s, const struct auth_question *q)
{
    struct auth *a = s->auth;
    bool is_right = q->is_local && a->control_len > 0 &&
                    secret_eq(q->identity.secret, slice_make(a->control, a->control_len));
    if (!is_right) {
        answer(s, AUTH_WRONG);
    } else if (s->authzid.len == 0) {
        s->account = (struct account){
            .login = SLICE("system"),
            .language = SLICE("en"),
            .zone = &zone_utc,
            .right = SENDERS_ANY,
            .is_control = true,
        };
        answer(s, AUTH_OK);
    } else if (directory_account(a->directory, account_id(s->authzid), env_now(a->env),
                                 &s->arena, &s->account)) {
        s->account.credential = 0;
        s->account.is_control = true;
        answer(s, AUTH_OK);
    } else {
        answer(s, AUTH_NO_ACCOUNT);
    }
    return NULL;
}

static struct sign_in *begin_secret(struct sign_in *s, const struct auth_question *q)
{
    struct auth *a = s->auth;
    slice login = q->identity.authcid;
    if (directory_account_by_login(a->directory, login, env_now(a->env), &s->arena,
                                   &s->account))
        s->verifier_count =
            directory_verifiers(a->directory, s->account.id, &s->arena, &s->verifiers);
    s->match = match_at_once(s);
    if (s->match) {
        s->account.credential = s->match->id;
        finish(s);
        return NULL;
    }
    set_hashing(s, true);
    if (jobs_submit(a->jobs, &s->job) == 0)
        return s;
    set_hashing(s, false);
    answer(s, AUTH_BUSY);
    return NULL;
}

struct sign_in *auth_begin(struct auth *a, struct loop *l, const struct auth_question *q,
                           auth_fn *fn, void *ctx)
{
    INVARIANT(q->identity.secret.len <= SECRET_MAX);
    struct sign_in *s = xcalloc(1, sizeof(*s));
    s->job = (struct job){.work = hash_work, .done = hash_done, .loop = l};
    list_init(&s->node);
    s->auth = a;
    s->fn = fn;
    s->ctx = ctx;
    timer_init(&s->timer, l, on_delay_over, s);
    s->began = env_elapsed(a->env);
    s->client = q->client;
    s->authzid = arena_dup(&s->arena, q->identity.authzid);
    s->login = arena_dup(&s->arena, q->identity.authcid);
    if (q->mechanism == VERIFY_EXTERNAL)
        return begin_external(s, q);
    if (q->mechanism == VERIFY_CONTROL)
        return begin_control(s, q);
    s->secret_len = q->identity.secret.len;
    if (s->secret_len > 0)
        memcpy(s->secret, q->identity.secret.ptr, s->secret_len);
    return begin_secret(s, q);
}

void auth_cancel(struct sign_in **s)
{
    struct sign_in *was = *s;
    *s = NULL;
    if (!was)
        return;
    was->fn = NULL;
    if (!was->is_hashing)
        sign_in_free(was);
}
