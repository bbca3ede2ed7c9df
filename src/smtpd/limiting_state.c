#include "smtpd/limiting_internal.h"

#include "base/log.h"
#include "journal/reader.h"
#include "journal/snapshot.h"

#include <errno.h>
#include <stdlib.h>

enum { SAVE_TICKS = 15, SAVE_BYTES = 64 * 1024, SWEEP_EACH = 1024, LEAST_BYTES = 10000 };

void limiting_passed(struct limiting *l, const struct journal_entry *e)
{
    const struct record_header *h = &e->header;
    if (e->result == 0)
        l->passed = e->position + record_size(h->fields_len, h->body_len);
}

/* ---- what is restored ---- */

static int take_u64(slice *in, uint64_t *out)
{
    if (in->len < sizeof(*out))
        return -EBADMSG;
    memcpy(out, in->ptr, sizeof(*out));
    *in = slice_from(*in, sizeof(*out));
    return 0;
}

static void load_snapshot(struct limiting *l)
{
    struct arena arena = ARENA_INIT;
    struct snapshot s;
    int err = snapshot_read(l->config.env, l->config.snapshot, &arena, &s);
    if (err == 0 && s.version != LIMITING_SNAPSHOT_VERSION)
        err = -EBADMSG;
    slice contents = err == 0 ? s.contents : (slice){0};
    uint64_t ahead = 0;
    if (err == 0)
        err = take_u64(&contents, &ahead);
    if (err == 0)
        err = limiting_locks_load(l, &contents);
    if (err == 0)
        err = acquaintances_load(l->acquaintances, &contents);
    if (err == 0)
        err = limiter_load(l->limiter, contents);
    if (err == 0) {
        l->position = l->saved_position = s.position[ID_SMTPD];
        l->bounces.counted = l->bounces.saved = s.position[ID_DELIVERY];
        l->base = s.at;
        atomic_store(&l->ahead, (span)ahead);
    } else if (err != -ENOENT) {
        log_warning("snapshot-unusable", LOG_C("path", l->config.snapshot), LOG_E("error", err),
                    LOG_C("effect", "the journal is read from its start"));
    }
    arena_fini(&arena);
}

/* Of a message, or of use that has no message of ours. */
static struct amounts amounts_of_message(slice fields)
{
    struct amounts used = {
        .of = {
            [RULE_MESSAGES] = 1,
            [RULE_NEW_RECIPIENTS] = record_get_u64(fields, TAG_NEW_RECIPIENTS),
        }};
    struct record_field f;
    slice rest = fields;
    while (record_next(&rest, &f) > 0)
        used.of[RULE_RECIPIENTS] += f.tag == TAG_RECIPIENT;
    uint64_t said =
        record_get_u64(fields, TAG_RECIPIENTS); /* of USE, which need not name them */
    if (said > 0)
        used.of[RULE_RECIPIENTS] = said;
    uint64_t octets = record_get_u64(fields, TAG_OCTETS);
    if (octets < LEAST_BYTES)
        octets = LEAST_BYTES;
    if (__builtin_mul_overflow(octets, used.of[RULE_RECIPIENTS], &used.of[RULE_BYTES]))
        used.of[RULE_BYTES] = UINT64_MAX;
    return used;
}

static struct amounts amounts_of_refusals(slice fields)
{
    return (struct amounts){.of = {
                                [RULE_MESSAGES] = record_get_u64(fields, TAG_MESSAGES),
                                [RULE_RECIPIENTS] = record_get_u64(fields, TAG_RECIPIENTS),
                                [RULE_BYTES] = record_get_u64(fields, TAG_BYTES),
                                [RULE_REFUSALS] = record_get_u64(fields, TAG_COUNT),
                            }};
}

/* By the limits as the directory has them now. */
static void count(struct limiting *l, const struct record_header *h, slice fields,
                  struct arena *a)
{
    bool is_message = h->type == RECORD_MESSAGE || h->type == RECORD_USE;
    struct amounts used = is_message ? amounts_of_message(fields) : amounts_of_refusals(fields);
    uint64_t counted = record_get_u64(fields, TAG_COUNTED_AT);
    stamp at = counted ? (stamp)counted : h->at;
    struct limit *limits;
    size_t all = limiting_limits(l, h->account, h->credential, a, &limits);
    size_t n = 0;
    struct limiting_period period;
    limiting_heed_wall(l, h->at - at);
    limiting_periods(l, h->account, limits, all, at, &period);
    for (size_t i = 0; i < all; i++) {
        const struct rule *r = &limits[i].rule;
        bool is_forgiven = r->window == RULE_PERIOD && h->at < limits[i].period_reset;
        /* Refusals are kept for each account, not for each name that it used. */
        bool is_of_name = r->scope == RULE_SENDER_DOMAIN || r->scope == RULE_HOST;
        bool is_counted =
            is_message || (!is_of_name && (r->attempts || r->unit == RULE_REFUSALS));
        if (!is_forgiven && is_counted)
            limits[n++] = limits[i];
    }
    limiting_bind(limits, n, h->customer, record_get(fields, TAG_REVERSE_PATH),
                  record_get(fields, TAG_CLIENT));
    if (is_message && limiting_counts_new(limits, n))
        limiting_acquaint(l, h->account, fields, at);
    stamp released = (stamp)record_get_u64(fields, TAG_RELEASED_AT);
    if (limiter_replay_waiting(l->limiter, limits, n, &used, at, released) < 0)
        log_error("limits-out-of-memory", LOG_I("account", h->account));
    if (at > l->base)
        l->base = at;
}

static void apply(struct limiting *l, const struct journal_record *r, struct arena *a)
{
    switch ((unsigned)r->header.type) {
    case RECORD_MESSAGE:
    case RECORD_REFUSALS:
    case RECORD_USE:
        if (r->header.account != 0)
            count(l, &r->header, r->fields, a);
        break;
    case RECORD_BOUNCES:
        limiting_bounces_count(l, &r->header, r->fields);
        break;
    case RECORD_LOCK:
        limiting_lock_replay(l, &r->header, r->fields);
        break;
    case RECORD_NOTICE:
        limiting_notice_replay(l, r->fields);
        break;
    default:
        break; /* our own journal: nothing else counts */
    }
}

/* The journal behind the position; what is older than it is in the snapshot already. */
static int open_reader(const struct limiting *l, struct journal_reader **out)
{
    const struct limiting_config *c = &l->config;
    uint64_t position = atomic_load(&l->position);
    uint64_t end = atomic_load(&c->watermark->durable);
    int err = position > end
                  ? -ENOENT
                  : journal_reader_open(out, c->env, c->journal_dir, c->watermark, position);
    if (err != -ENOENT || position == 0)
        return err;
    log_error("journal-position-gone", LOG_C("journal", c->journal_dir),
              LOG_I("position", position), LOG_I("end", end),
              LOG_C("effect", "limits go on from their snapshot and what there is behind it"));
    return journal_reader_open(out, c->env, c->journal_dir, c->watermark, 0);
}

static void read_journal(struct limiting *l)
{
    struct journal_reader *reader;
    uint64_t begin = atomic_load(&l->position);
    int got = open_reader(l, &reader);
    if (got < 0) {
        log_error("journal-unreadable", LOG_C("journal", l->config.journal_dir),
                  LOG_E("error", got));
        return;
    }
    journal_reader_skip_bodies(reader);
    struct arena arena = ARENA_INIT;
    struct journal_record r;
    while ((got = journal_next(reader, &r)) > 0 || got == -EBADMSG) {
        if (got > 0 && r.position >= begin)
            apply(l, &r, &arena);
        arena_reset(&arena);
    }
    if (got < 0)
        log_error("journal-damaged", LOG_C("journal", l->config.journal_dir),
                  LOG_E("error", got));
    atomic_store(&l->position, journal_reader_position(reader));
    arena_fini(&arena);
    journal_reader_close(&reader);
}

void limiting_restore(struct limiting *l)
{
    load_snapshot(l);
    read_journal(l);
    limiting_clock_begin(l);
}

/* ---- what is saved ---- */

static int write_snapshot(const struct limiting *l)
{
    struct snapshot s = {
        .version = LIMITING_SNAPSHOT_VERSION,
        .at = limiting_now(l),
        .contents = buf_slice(&l->saving),
    };
    for (int i = 0; i < SNAPSHOT_JOURNALS; i++)
        s.needs[i] = UINT64_MAX;
    s.position[ID_SMTPD] = l->saving_position;
    s.position[ID_DELIVERY] = l->bounces.saving;
    return snapshot_write(l->config.env, l->config.snapshot, &s);
}

/* The counters and their position, which belong together. */
static void gather(struct limiting *l)
{
    buf_clear(&l->saving);
    pthread_mutex_lock(&l->mutex);
    l->saving_position = atomic_load(&l->position);
    l->bounces.saving = l->bounces.counted;
    uint64_t ahead = (uint64_t)atomic_load(&l->ahead);
    buf_append(&l->saving, slice_make(&ahead, sizeof(ahead)));
    limiting_locks_save(l, &l->saving);
    acquaintances_save(l->acquaintances, &l->saving);
    limiter_save(l->limiter, &l->saving);
    pthread_mutex_unlock(&l->mutex);
}

static void save_work(struct job *j)
{
    struct limiting *l = CONTAINER_OF(j, struct limiting, job);
    l->saved = write_snapshot(l);
}

static void save_done(struct job *j)
{
    struct limiting *l = CONTAINER_OF(j, struct limiting, job);
    l->is_saving = false;
    buf_fini(&l->saving);
    if (l->saved == 0) {
        l->saved_position = l->saving_position;
        l->bounces.saved = l->bounces.saving;
    } else {
        log_error("snapshot-failed", LOG_C("path", l->config.snapshot),
                  LOG_E("error", l->saved));
    }
}

/* Delivery's journal is kept for us up to where we have counted: worth a snapshot. */
static bool is_saved(struct limiting *l)
{
    pthread_mutex_lock(&l->mutex);
    uint64_t counted = l->bounces.counted;
    pthread_mutex_unlock(&l->mutex);
    return l->saved_position == atomic_load(&l->position) &&
           counted <= l->bounces.saved + SAVE_BYTES && counted >= l->bounces.saved;
}

void limiting_save_some(struct limiting *l)
{
    if (l->is_saving || is_saved(l))
        return;
    gather(l);
    l->job = (struct job){.work = save_work, .done = save_done, .loop = l->config.loop};
    int err = l->saving.error;
    if (err == 0)
        err = jobs_submit(l->config.jobs, &l->job);
    l->is_saving = err == 0;
    if (err < 0)
        log_error("snapshot-failed", LOG_C("path", l->config.snapshot), LOG_E("error", err));
}

void limiting_save_last(struct limiting *l)
{
    if (is_saved(l))
        return;
    gather(l);
    int err = l->saving.error;
    if (err == 0)
        err = write_snapshot(l);
    if (err < 0)
        log_error("snapshot-failed", LOG_C("path", l->config.snapshot), LOG_E("error", err));
}

static void append_attempts(struct limiting *l, const struct limiting_attempts *n, stamp now)
{
    struct record_header h = {
        .type = RECORD_REFUSALS,
        .flags = RECORD_SKIPPABLE,
        .node = l->config.node,
        .at = now + limiting_wall(l, now),
        .customer = n->customer,
        .account = n->key.account,
        .credential = n->key.credential,
    };
    char room[RULE_TEXT_MAX];
    struct buf rule = {.ptr = room, .cap = sizeof(room), .max = sizeof(room)};
    struct buf fields = BUF_INIT;
    record_put_u64(&fields, TAG_COUNT, n->refusals);
    record_put_u64(&fields, TAG_MESSAGES, n->amounts.of[RULE_MESSAGES]);
    record_put_u64(&fields, TAG_RECIPIENTS, n->amounts.of[RULE_RECIPIENTS]);
    record_put_u64(&fields, TAG_BYTES, n->amounts.of[RULE_BYTES]);
    if (n->refusals > 0) {
        rule_format(&n->rule, &rule);
        record_put(&fields, TAG_RULE, buf_slice(&rule));
    }
    if (limiting_wall(l, now) != 0)
        record_put_u64(&fields, TAG_COUNTED_AT, (uint64_t)now);
    limiting_append_own(l, &h, &fields);
}

void limiting_tick(struct limiting *l)
{
    stamp now = limiting_now(l);
    void *value;
    pthread_mutex_lock(&l->mutex);
    limiting_heed_wall(l, limiting_wall(l, now));
    limiting_review(l, now);
    for (size_t at = 0; map_next(&l->attempts, &at, NULL, &value);) {
        struct limiting_attempts *n = value;
        append_attempts(l, n, now);
        map_remove(&l->attempts, MAP_KEY(n->key));
        free(n);
    }
    limiter_sweep(l->limiter, now, SWEEP_EACH);
    pthread_mutex_unlock(&l->mutex);
    limiting_bounces_look(l);
    if (l->ticks++ % SAVE_TICKS == 0)
        limiting_save_some(l);
}
