#include "smtpd/limits.h"

#include "base/log.h"
#include "base/map.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* More recent failures than these make no difference: so all is forgotten 8 minutes after. */
enum { COUNTED_FAILURES = 8 };

/* How many sessions a network or an account has; the entry goes with the last of them. */
struct seat {
    union {
        struct address network;
        uint64_t account;
    };
    uint64_t sessions;
};

/* Recent failures of a network: one is forgotten per LIMITS_DECAY. */
struct failures {
    struct address network;
    unsigned count;
    span counted_at;
};

struct limits {
    struct env *env;
    _Atomic uint64_t max_sessions;
    _Atomic uint64_t max_sessions_address;
    _Atomic uint64_t max_sessions_account;
    _Atomic uint64_t max_memory;
    _Atomic uint64_t min_free_space;
    _Atomic span auth_delay;
    _Atomic uint64_t journal_max;

    _Atomic uint64_t sessions;
    _Atomic uint64_t memory;

    pthread_mutex_t lock; /* of all below */
    struct map addresses; /* network -> struct seat */
    struct map accounts;  /* id -> struct seat */
    struct map failures;  /* network -> struct failures */
    span swept_at;        /* when failures was last rid of the forgotten */
    span space_asked_at;
    bool was_space_asked;
    bool has_space;
    const _Atomic uint64_t *journals; /* their sizes */
    size_t journal_count;
};

void limits_configure(struct limits *l, const struct conf_submission *c)
{
    l->max_sessions = c->max_sessions;
    l->max_sessions_address = c->max_sessions_address;
    l->max_sessions_account = c->max_sessions_account;
    l->max_memory = c->memory;
    l->min_free_space = c->min_free_space;
    l->auth_delay = c->auth_delay;
}

struct limits *limits_new(struct env *env, const struct conf_submission *c)
{
    struct limits *l = xcalloc(1, sizeof(*l));
    l->env = env;
    limits_configure(l, c);
    pthread_mutex_init(&l->lock, NULL);
    uint64_t seed[2];
    env_random(env, seed, sizeof(seed));
    map_init(&l->addresses, seed);
    map_init(&l->accounts, seed);
    map_init(&l->failures, seed);
    l->swept_at = env_elapsed(env);
    return l;
}

static void free_values(struct map *m)
{
    size_t at = 0;
    void *value;
    while (map_next(m, &at, NULL, &value))
        free(value);
    map_fini(m);
}

void limits_free(struct limits **l)
{
    if (!*l)
        return;
    free_values(&(*l)->addresses);
    free_values(&(*l)->accounts);
    free_values(&(*l)->failures);
    pthread_mutex_destroy(&(*l)->lock);
    free(*l);
    *l = NULL;
}

/* One more session for the seat of this key (0: no maximum). */
static bool seat_take(struct map *seats, const struct seat *key, size_t key_len, uint64_t max)
{
    struct seat *seat = map_get(seats, slice_make(key, key_len));
    if (!seat) {
        seat = xcalloc(1, sizeof(*seat));
        memcpy(seat, key, key_len);
        map_put(seats, slice_make(seat, key_len), seat);
    }
    if (max != 0 && seat->sessions >= max)
        return false;
    seat->sessions++;
    return true;
}

static void seat_give(struct map *seats, const struct seat *key, size_t key_len)
{
    struct seat *seat = map_get(seats, slice_make(key, key_len));
    INVARIANT(seat && seat->sessions > 0);
    if (--seat->sessions > 0)
        return;
    map_remove(seats, slice_make(seat, key_len));
    free(seat);
}

enum limits_entry limits_enter(struct limits *l, const struct address *client)
{
    uint64_t max = l->max_sessions;
    uint64_t before = atomic_fetch_add(&l->sessions, 1);
    if (before >= max + LIMITS_REFUSALS) {
        atomic_fetch_sub(&l->sessions, 1);
        return LIMITS_FLOOD;
    }
    if (before >= max)
        return LIMITS_TOTAL;
    if (client->family == 0)
        return LIMITS_OK;
    struct seat key = {.network = address_network(client)};
    pthread_mutex_lock(&l->lock);
    bool taken = seat_take(&l->addresses, &key, sizeof(key.network), l->max_sessions_address);
    pthread_mutex_unlock(&l->lock);
    return taken ? LIMITS_OK : LIMITS_ADDRESS;
}

void limits_leave(struct limits *l, const struct address *client, enum limits_entry verdict)
{
    INVARIANT(verdict != LIMITS_FLOOD);
    atomic_fetch_sub(&l->sessions, 1);
    if (verdict != LIMITS_OK || client->family == 0)
        return;
    struct seat key = {.network = address_network(client)};
    pthread_mutex_lock(&l->lock);
    seat_give(&l->addresses, &key, sizeof(key.network));
    pthread_mutex_unlock(&l->lock);
}

uint64_t limits_sessions(struct limits *l)
{
    return l->sessions;
}

bool limits_account_enter(struct limits *l, uint64_t account)
{
    struct seat key = {.account = account};
    pthread_mutex_lock(&l->lock);
    bool taken = seat_take(&l->accounts, &key, sizeof(key.account), l->max_sessions_account);
    pthread_mutex_unlock(&l->lock);
    return taken;
}

void limits_account_leave(struct limits *l, uint64_t account)
{
    struct seat key = {.account = account};
    pthread_mutex_lock(&l->lock);
    seat_give(&l->accounts, &key, sizeof(key.account));
    pthread_mutex_unlock(&l->lock);
}

bool limits_memory_take(struct limits *l, size_t bytes)
{
    if (atomic_fetch_add(&l->memory, bytes) + bytes <= l->max_memory)
        return true;
    atomic_fetch_sub(&l->memory, bytes);
    return false;
}

void limits_memory_give(struct limits *l, size_t bytes)
{
    atomic_fetch_sub(&l->memory, bytes);
}

uint64_t limits_memory(struct limits *l)
{
    return l->memory;
}

void limits_bound_journals(struct limits *l, const _Atomic uint64_t *bytes, size_t count,
                           uint64_t max)
{
    pthread_mutex_lock(&l->lock);
    l->journals = bytes;
    l->journal_count = count;
    l->journal_max = max;
    pthread_mutex_unlock(&l->lock);
}

/* Who keeps them is in the log of each journal's writer. */
static bool is_a_journal_full(const struct limits *l)
{
    uint64_t max = l->journal_max;
    for (size_t i = 0; i < l->journal_count && max != 0; i++)
        if (atomic_load_explicit(&l->journals[i], memory_order_relaxed) >= max)
            return true;
    return false;
}

static void ask_disk(struct limits *l)
{
    uint64_t bytes = 0;
    uint64_t inodes = 0;
    int err = env_free_space(l->env, &bytes, &inodes);
    bool has = err == 0 && bytes >= l->min_free_space && inodes >= LIMITS_MIN_INODES;
    if (l->was_space_asked && has == l->has_space)
        return;
    if (!has)
        log_error("no-space", LOG_I("free-bytes", bytes), LOG_I("free-inodes", inodes),
                  LOG_E("error", err), LOG_C("effect", "new mail is refused with 452"));
    else if (l->was_space_asked)
        log_info("space-again", LOG_I("free-bytes", bytes), LOG_I("free-inodes", inodes));
    l->has_space = has;
}

bool limits_has_space(struct limits *l)
{
    span now = env_elapsed(l->env);
    pthread_mutex_lock(&l->lock);
    if (!l->was_space_asked || now - l->space_asked_at >= SPAN_SECOND) {
        ask_disk(l);
        l->was_space_asked = true;
        l->space_asked_at = now;
    }
    bool has = l->has_space && !is_a_journal_full(l);
    pthread_mutex_unlock(&l->lock);
    return has;
}

static void forget(struct failures *f, span now)
{
    span gone = (now - f->counted_at) / LIMITS_DECAY;
    if (gone <= 0)
        return;
    f->count = gone >= f->count ? 0 : f->count - (unsigned)gone;
    f->counted_at += gone * LIMITS_DECAY;
}

/* Removes what is forgotten, at most once per second. */
static void sweep_failures(struct limits *l, span now)
{
    if (now - l->swept_at < SPAN_SECOND)
        return;
    l->swept_at = now;
    size_t at = 0;
    slice key;
    void *value;
    while (map_next(&l->failures, &at, &key, &value)) {
        struct failures *f = value;
        forget(f, now);
        if (f->count > 0)
            continue;
        map_remove(&l->failures, key);
        free(f);
    }
}

/* The entry of a network, or NULL when no more can be remembered: then each failure counts as
 * its first. */
static struct failures *failures_of(struct limits *l, const struct address *network, span now)
{
    struct failures *f = map_get(&l->failures, slice_make(network, sizeof(*network)));
    if (f) {
        forget(f, now);
        return f;
    }
    if (l->failures.count >= LIMITS_FAILURES)
        sweep_failures(l, now);
    if (l->failures.count >= LIMITS_FAILURES)
        return NULL;
    f = xcalloc(1, sizeof(*f));
    f->network = *network;
    map_put(&l->failures, MAP_KEY(f->network), f);
    return f;
}

static span delay_of(span first, unsigned failures)
{
    span delay = first;
    for (unsigned i = 1; i < failures && delay < LIMITS_LONGEST_DELAY; i++)
        delay *= 2;
    return delay < LIMITS_LONGEST_DELAY ? delay : LIMITS_LONGEST_DELAY;
}

span limits_sign_in_failed(struct limits *l, const struct address *client)
{
    span now = env_elapsed(l->env);
    struct address network = address_network(client);
    unsigned count = 1;
    pthread_mutex_lock(&l->lock);
    struct failures *f = failures_of(l, &network, now);
    if (f) {
        if (f->count == 0)
            f->counted_at = now;
        if (f->count < COUNTED_FAILURES)
            f->count++;
        count = f->count;
    }
    pthread_mutex_unlock(&l->lock);
    return delay_of(l->auth_delay, count);
}
