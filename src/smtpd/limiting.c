#include "smtpd/limiting_internal.h"

#include "base/log.h"

#include <errno.h>
#include <stdlib.h>

/* Charged at least, per recipient. */
enum { LEAST_BYTES = 10000 };

struct limiting *limiting_new(const struct limiting_config *c)
{
    struct limiting *l = xcalloc(1, sizeof(*l));
    uint64_t seed[2];
    l->config = *c;
    env_random(c->env, seed, sizeof(seed));
    l->limiter = limiter_new(seed);
    l->acquaintances = acquaintances_new(seed);
    map_init(&l->locks, seed);
    map_init(&l->attempts, seed);
    l->settling_end = &l->settling;
    pthread_mutex_init(&l->mutex, NULL);
    limiting_restore(l);
    limiting_bounces_begin(l, seed);
    return l;
}

static void forget_attempts(struct limiting *l)
{
    void *value;
    for (size_t at = 0; map_next(&l->attempts, &at, NULL, &value);)
        free(value);
    map_fini(&l->attempts);
}

void limiting_free(struct limiting **at)
{
    struct limiting *l = *at;
    if (!l)
        return;
    *at = NULL;
    limiting_save_last(l);
    limiting_bounces_fini(l);
    limiting_locks_fini(l);
    forget_attempts(l);
    limiter_free(&l->limiter);
    acquaintances_free(&l->acquaintances);
    buf_fini(&l->saving);
    pthread_mutex_destroy(&l->mutex);
    free(l);
}

uint64_t limiting_version(const struct limiting *l)
{
    return atomic_load(&l->version);
}

uint64_t limiting_position(const struct limiting *l)
{
    return atomic_load(&l->position);
}

/* ---- reserving ---- */

static struct wording_voice voice_of(const struct limiting *l, const struct limiting_charge *c)
{
    return (struct wording_voice){c->language, c->zone, env_now(l->config.env)};
}

/* Who is refused, and in which words: a copy, since the session may be gone at the end. */
static void begin_charge(struct limiting_charge *c, const struct limiting_view *v,
                         const struct submission_transaction *t)
{
    const struct account *account = t->account;
    c->customer = account->customer;
    c->account = account->id;
    c->credential = account->credential;
    c->recipients = 0;
    c->held.may_wait = t->params.may_wait;
    c->message_bytes.max = 0;
    c->counts_attempts = false;
    c->tells_data = account->is_control;
    c->counts_new = limiting_counts_new(v->limits, v->count);
    c->language = wording_language_of(account->language);
    c->zone = account->zone;
    for (size_t i = 0; i < v->count; i++) {
        c->counts_attempts |= v->limits[i].rule.attempts;
        if (v->limits[i].rule.scope == RULE_MESSAGE && v->limits[i].rule.unit == RULE_BYTES)
            c->message_bytes = v->limits[i].rule;
    }
    limiting_bind(v->limits, v->count, account->customer, t->reverse_path, v->client);
}

static void note_attempts(struct limiting *l, const struct limiting_charge *c,
                          const struct amounts *amounts, const struct rule *refused)
{
    struct limiting_attempts probe = {.key = {c->account, c->credential}};
    struct limiting_attempts *n = map_get(&l->attempts, MAP_KEY(probe.key));
    if (!n) {
        n = calloc(1, sizeof(*n));
        if (!n)
            return; /* loses a refused attempt, never accepted use */
        n->key.account = c->account;
        n->key.credential = c->credential;
        n->customer = c->customer;
        map_put(&l->attempts, MAP_KEY(n->key), n);
    }
    for (int unit = 0; unit < RULE_UNIT_COUNT; unit++)
        n->amounts.of[unit] += amounts->of[unit];
    if (refused) {
        n->refusals++;
        n->rule = *refused;
    }
}

/* One more refusal, under the rules that count those; beyond the maximum of one that locks, the
 * account is. */
static void count_refusal(struct limiting *l, const struct limiting_view *v,
                          const struct limiting_charge *c, stamp now)
{
    static const struct amounts one = {.of = {[RULE_REFUSALS] = 1}};
    for (size_t i = 0; i < v->count; i++) {
        const struct limit *limit = &v->limits[i];
        struct limit_verdict verdict;
        if (limit->rule.unit != RULE_REFUSALS || limit->rule.scope == RULE_MESSAGE)
            continue;
        limiter_ask(l->limiter, limit, 0, now, &verdict);
        if (limit->rule.action == RULE_LOCK && verdict.used >= verdict.max) {
            verdict.asked = 1;
            limiting_lock_sender(l, c, &verdict, now);
        } else if (limiter_replay(l->limiter, limit, 1, &one, now) < 0) {
            log_error("limits-out-of-memory", LOG_I("account", c->account));
        }
    }
}

/* free_at is by the clock on the wall. */
static void say_refusal(const struct limiting_charge *c, const struct wording_voice *voice,
                        const struct limit_verdict *v, struct wording *refusal)
{
    wording_refusal(voice, v, refusal);
    if (c->tells_data)
        wording_add_data(v, refusal);
}

/* The first refusal of a plan that is used up is told to people; not of what never fits. */
static void note_suspension(struct limiting *l, const struct limiting_charge *c,
                            const struct limit_verdict *v, stamp now)
{
    const struct limit limit = {.rule = v->rule, .entity = v->entity};
    if (v->rule.action == RULE_SUSPEND && !v->never_fits &&
        limiter_suspends(l->limiter, &limit))
        limiting_notice(l, c, v, now);
}

bool limiting_reserve(struct limiting *l, struct limiting_view *v,
                      const struct submission_transaction *t, struct limiting_charge *c,
                      struct wording *refusal)
{
    if (v->count == 0)
        return true;
    if (!c->is_held)
        begin_charge(c, v, t);
    uint64_t size = t->params.size > LEAST_BYTES ? t->params.size : LEAST_BYTES;
    struct amounts asked = {.of = {
                                [RULE_MESSAGES] = t->recipient_count == 0,
                                [RULE_RECIPIENTS] = 1,
                                [RULE_BYTES] = size,
                            }};
    struct limit_verdict verdict;
    pthread_mutex_lock(&l->mutex);
    stamp now = limiting_now(l);
    asked.of[RULE_NEW_RECIPIENTS] =
        c->counts_new && v->recipient.len > 0 &&
        !acquaintances_knows(l->acquaintances, c->account, v->recipient, now);
    if (now >= v->period.until)
        limiting_periods(l, c->account, v->limits, v->count, now, &v->period);
    enum limiter_result result =
        limiter_reserve(l->limiter, &c->held, v->limits, v->count, &asked, now, &verdict);
    if (result == LIMITER_REFUSED) {
        tally_add(&l->tally, &verdict.rule, TALLY_REFUSED, 1);
        note_attempts(l, c, &asked, &verdict.rule);
        count_refusal(l, v, c, now);
        note_suspension(l, c, &verdict, now);
    }
    if (result != LIMITER_OK && !c->is_held)
        limiter_release(l->limiter, &c->held, now); /* the room that was made for it */
    pthread_mutex_unlock(&l->mutex);
    if (result == LIMITER_OK) {
        c->is_held = true;
        c->recipients++;
        return true;
    }
    struct wording_voice voice = voice_of(l, c);
    if (result == LIMITER_REFUSED) {
        limiting_to_wall(l, &verdict, now);
        say_refusal(c, &voice, &verdict, refusal);
    } else {
        wording_no_memory(refusal);
    }
    return false;
}

void limiting_keep_recipients(struct limiting *l, struct limiting_charge *c,
                              uint64_t recipients)
{
    struct limit_verdict unused;
    if (!c->is_held || recipients >= c->recipients)
        return;
    pthread_mutex_lock(&l->mutex);
    enum limiter_result result = limiter_true_up(l->limiter, &c->held, RULE_RECIPIENTS,
                                                 recipients, limiting_now(l), &unused);
    pthread_mutex_unlock(&l->mutex);
    if (result == LIMITER_OK) /* what becomes less is never refused */
        c->recipients = recipients;
}

/* ---- the end of the message ---- */

static void release(struct limiting *l, struct limiting_charge *c, stamp now)
{
    if (c->counts_attempts)
        note_attempts(l, c, &c->held.total, NULL);
    limiter_release(l->limiter, &c->held, now);
    c->is_held = false;
}

void limiting_release(struct limiting *l, struct limiting_charge *c)
{
    if (!c->is_held)
        return;
    pthread_mutex_lock(&l->mutex);
    release(l, c, limiting_now(l));
    pthread_mutex_unlock(&l->mutex);
}

static uint64_t charged_bytes(uint64_t octets, uint64_t recipients)
{
    uint64_t each = octets > LEAST_BYTES ? octets : LEAST_BYTES;
    uint64_t all;
    return __builtin_mul_overflow(each, recipients, &all) ? UINT64_MAX : all;
}

/* A notice for people is not sent twice for one passing: the limiter reports it once, also
 * after it has read the record back. */
void limiting_on_notice(void *ctx, const struct limit_verdict *v)
{
    const struct limiting_settling *s = ctx;
    limiting_notice(s->limiting, s->charge, v, s->now);
}

/* The octets are known now: OK, or the reply in *refusal. */
static bool settle_octets(struct limiting *l, struct limiting_charge *c, uint64_t octets,
                          stamp now, struct wording *refusal)
{
    struct limit_verdict verdict;
    if (c->message_bytes.max > 0 && octets > c->message_bytes.max) {
        verdict = (struct limit_verdict){.rule = c->message_bytes,
                                         .max = c->message_bytes.max,
                                         .free_at = STAMP_NEVER,
                                         .never_fits = true};
        struct wording_voice voice = voice_of(l, c);
        say_refusal(c, &voice, &verdict, refusal);
        return false;
    }
    enum limiter_result result = limiter_true_up(
        l->limiter, &c->held, RULE_BYTES, charged_bytes(octets, c->recipients), now, &verdict);
    if (result == LIMITER_OK)
        return true;
    struct wording_voice voice = voice_of(l, c);
    tally_add(&l->tally, &verdict.rule, TALLY_REFUSED, 1);
    note_suspension(l, c, &verdict, now);
    limiting_to_wall(l, &verdict, now);
    say_refusal(c, &voice, &verdict, refusal);
    return false;
}

static void say_locked(const struct limiting *l, const struct limiting_charge *c,
                       const struct limit_verdict *v, stamp now, struct wording *refusal)
{
    const struct limiting_lock *lock = limiting_lock_of(l, c->account, c->customer);
    struct wording_voice voice = voice_of(l, c);
    stamp until = lock ? lock->until : now;
    wording_lock(&voice, v, until == STAMP_NEVER ? until : until + voice.now - now, refusal);
}

/* Mail that waits has come first, or there is no place in its line. */
static void say_too_late(struct limiting *l, const struct limiting_charge *c,
                         struct limit_verdict *v, stamp now, struct wording *refusal)
{
    struct wording_voice voice = voice_of(l, c);
    tally_add(&l->tally, &v->rule, TALLY_REFUSED, 1);
    limiting_to_wall(l, v, now);
    say_refusal(c, &voice, v, refusal);
}

/* Nothing of an account is appended behind its lock. */
static bool may_append(struct limiting *l, struct limiting_charge *c, uint64_t octets,
                       stamp now, struct wording *refusal)
{
    const struct limiting_lock *lock = limiting_lock_of(l, c->account, c->customer);
    struct limit_verdict verdict = {0};
    if (lock) {
        verdict.rule = lock->limit.rule;
        verdict.used = verdict.max = lock->limit.rule.max;
        verdict.asked = 1;
        say_locked(l, c, &verdict, now, refusal);
        return false;
    }
    if (!settle_octets(l, c, octets, now, refusal))
        return false;
    struct limiting_settling settling = {l, c, now};
    enum limiter_result result =
        limiter_settle(l->limiter, &c->held, now, limiting_on_notice, &settling, &verdict);
    if (result == LIMITER_OK)
        return true;
    if (result == LIMITER_NO_MEMORY) {
        wording_no_memory(refusal);
    } else if (verdict.rule.action == RULE_LOCK) {
        limiting_lock_sender(l, c, &verdict, now);
        say_locked(l, c, &verdict, now, refusal);
    } else {
        say_too_late(l, c, &verdict, now, refusal);
    }
    return false;
}

/* The record's stamp is the one that counts; a clock on the wall that was set since the start
 * is what people want to read, so that then both are in the record. */
static void stamp_record(const struct limiting *l, struct journal_entry *e, struct buf *fields,
                         stamp now, const struct limiter_reservation *held)
{
    span ahead = limiting_wall(l, now);
    bool is_set = ahead > LIMITING_STEP || ahead < -LIMITING_STEP;
    e->header.at = is_set ? now + ahead : now;
    if (is_set)
        record_put_u64(fields, TAG_COUNTED_AT, (uint64_t)now);
    if (held->not_before > 0)
        record_put_u64(fields, TAG_NOT_BEFORE, (uint64_t)(held->not_before + ahead));
    if (held->released > 0)
        record_put_u64(fields, TAG_RELEASED_AT, (uint64_t)held->released);
    e->fields = buf_slice(fields);
}

bool limiting_append(struct limiting *l, struct limiting_charge *c, struct journal_entry *e,
                     struct buf *fields, struct wording *refusal)
{
    if (!c->is_held) {
        stamp_record(l, e, fields, limiting_now(l), &c->held);
        journal_append(l->config.journal, e);
        return true;
    }
    pthread_mutex_lock(&l->mutex);
    stamp now = limiting_now(l);
    bool is_good =
        may_append(l, c, record_get_u64(buf_slice(fields), TAG_OCTETS), now, refusal);
    if (is_good) {
        if (c->counts_new)
            record_put_u64(fields, TAG_NEW_RECIPIENTS, c->held.total.of[RULE_NEW_RECIPIENTS]);
        c->counted_at = now;
        stamp_record(l, e, fields, now, &c->held);
        journal_append(l->config.journal, e);
    } else {
        release(l, c, now);
    }
    pthread_mutex_unlock(&l->mutex);
    return is_good;
}

static void tally_hold(void *ctx, const struct rule *rule, uint64_t amount, bool waits)
{
    tally_add(ctx, rule, TALLY_USED, amount);
    if (waits)
        tally_add(ctx, rule, TALLY_PACED, amount);
}

void limiting_settle(struct limiting *l, struct limiting_charge *c,
                     const struct journal_entry *e, struct limiting_after *a)
{
    limiting_passed(l, e);
    if (c->is_held) {
        c->next = NULL;
        c->entry = e;
        *l->settling_end = c;
        l->settling_end = &c->next;
    }
    if (a->is_listed)
        return;
    a->is_listed = true;
    a->next = l->afters;
    l->afters = a;
}

static void settle(struct limiting *l, struct limiting_charge *c, stamp now)
{
    const struct journal_entry *e = c->entry;
    if (e->result < 0) {
        release(l, c, now);
        return;
    }
    limiter_each_hold(&c->held, tally_hold, &l->tally);
    if (c->counts_new)
        limiting_acquaint(l, c->account, e->fields, now);
    limiter_commit(l->limiter, &c->held, c->counted_at);
    c->is_held = false;
}

/* Counters and position move together: a snapshot is of one position. */
void limiting_settle_batch(struct limiting *l)
{
    pthread_mutex_lock(&l->mutex);
    stamp now = limiting_now(l);
    for (struct limiting_charge *c = l->settling; c; c = c->next)
        settle(l, c, now);
    limiting_bounces_settle(l);
    if (l->passed > 0)
        atomic_store(&l->position, l->passed);
    pthread_mutex_unlock(&l->mutex);
    l->settling = NULL;
    l->settling_end = &l->settling;
    for (struct limiting_after *a = l->afters; a;) {
        struct limiting_after *next = a->next;
        a->is_listed = false;
        a->fn(a);
        a = next;
    }
    l->afters = NULL;
}

/* ---- asking ---- */

struct tally *limiting_tally(struct limiting *l)
{
    struct tally *copy = xcalloc(1, sizeof(*copy));
    pthread_mutex_lock(&l->mutex);
    *copy = l->tally;
    pthread_mutex_unlock(&l->mutex);
    return copy;
}

bool limiting_ask(struct limiting *l, uint64_t account, struct arena *a,
                  struct limiting_answer *out)
{
    struct limiting_answer answer = {.now = env_now(l->config.env)};
    struct limit *limits;
    struct limiting_period period;
    if (!directory_account(l->config.directory, account, answer.now, a, &answer.account))
        return false;
    answer.count = limiting_limits(l, account, 0, a, &limits);
    limiting_periods(l, account, limits, answer.count, limiting_now(l), &period);
    struct limit_verdict *verdicts = arena_array(a, struct limit_verdict, answer.count);
    pthread_mutex_lock(&l->mutex);
    stamp now = limiting_now(l);
    limiting_review(l, now);
    limiting_lay_lock(l, &answer.account, a);
    for (size_t i = 0; i < answer.count; i++) {
        if (limits[i].rule.scope != RULE_MESSAGE)
            limiter_ask(l->limiter, &limits[i], 1, now, &verdicts[i]);
        limiting_to_wall(l, &verdicts[i], now);
    }
    pthread_mutex_unlock(&l->mutex);
    answer.limits = limits;
    answer.verdicts = verdicts;
    *out = answer;
    return true;
}
