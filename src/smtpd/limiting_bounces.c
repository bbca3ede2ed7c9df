/* What came back of accounts' mail: read from delivery's journal, written to our own, counted
 * when that is durable. One record is under way at a time, so that what is counted always
 * belongs to one position of either journal. */
#include "smtpd/limiting_internal.h"

#include "base/log.h"
#include "journal/reader.h"
#include "policy/outcome.h"

#include <errno.h>
#include <stdlib.h>

enum { SLICE_RECORDS = 500, FOUND_MOST = 10000 };

/* ---- what delivery says ---- */

/* One recipient's group is over. A host's word that is final counts; what has waited for too
 * long, or failed on this machine, may be nobody's fault but ours. */
static bool has_come_back(uint64_t outcome, uint64_t stage)
{
    return outcome == OUTCOME_FAILED && stage != STAGE_LOCAL;
}

static uint64_t count_returns(slice fields)
{
    struct record_field f;
    uint64_t outcome = 0;
    uint64_t stage = 0;
    uint64_t count = 0;
    while (record_next(&fields, &f) > 0) {
        if (f.tag == TAG_RECIPIENT_INDEX) {
            count += has_come_back(outcome, stage);
            outcome = stage = 0;
        } else if (f.tag == TAG_OUTCOME) {
            outcome = f.number;
        } else if (f.tag == TAG_STAGE) {
            stage = f.number;
        }
    }
    return count + has_come_back(outcome, stage);
}

static void note(struct limiting_bounces *b, const struct record_header *h, uint64_t count)
{
    struct limiting_bounced probe = {.key = {h->account, h->credential}};
    struct limiting_bounced *n = map_get(&b->found, MAP_KEY(probe.key));
    if (!n) {
        n = xcalloc(1, sizeof(*n));
        n->key = probe.key;
        n->customer = h->customer;
        map_put(&b->found, MAP_KEY(n->key), n);
    }
    n->count += count;
}

static void forget_found(struct limiting_bounces *b)
{
    void *value;
    for (size_t at = 0; map_next(&b->found, &at, NULL, &value);) {
        struct limiting_bounced *n = value;
        map_remove(&b->found, MAP_KEY(n->key));
        free(n);
    }
}

/* False: a record that this version does not know and must not pass. */
static bool take(struct limiting *l, const struct journal_record *r)
{
    switch ((unsigned)r->header.type) {
    case RECORD_OUTCOME: {
        uint64_t count = r->header.account ? count_returns(r->fields) : 0;
        if (count > 0)
            note(&l->bounces, &r->header, count);
        return true;
    }
    case RECORD_DSN:
    case RECORD_CARRIED:
        return true;
    default:
        if (r->header.flags & RECORD_SKIPPABLE)
            return true;
        log_error("record-unknown", LOG_C("journal", l->config.outcomes_dir),
                  LOG_I("position", r->position), LOG_I("type", r->header.type),
                  LOG_C("effect", "bounces are not counted from here on"));
        return false;
    }
}

/* ---- our record of it ---- */

struct bounces_record {
    struct journal_entry entry;
    struct limiting *limiting;
    struct buf fields;
};

/* On the committer's thread; what it says counts at the end of the batch. */
static void record_done(struct journal_entry *e)
{
    struct bounces_record *r = CONTAINER_OF(e, struct bounces_record, entry);
    limiting_passed(r->limiting, e);
    r->limiting->bounces.record = r;
}

void limiting_bounces_settle(struct limiting *l)
{
    struct bounces_record *r = l->bounces.record;
    if (!r)
        return;
    const struct journal_entry *e = &r->entry;
    l->bounces.record = NULL;
    if (e->result == 0)
        limiting_bounces_count(l, &e->header, e->fields);
    l->bounces.state = e->result == 0 ? BOUNCES_COUNTED : BOUNCES_LOST;
    loop_post(l->config.loop, &l->bounces.done);
    buf_fini(&r->fields);
    free(r);
}

/* Under the mutex: nothing that comes later is before it in the journal. */
static void append_record(struct limiting *l)
{
    struct limiting_bounces *b = &l->bounces;
    struct bounces_record *r = xcalloc(1, sizeof(*r));
    stamp now = limiting_now(l);
    void *value;
    r->limiting = l;
    record_put_u64(&r->fields, TAG_READ_TO, b->read);
    record_put_u64(&r->fields, TAG_COUNTED_AT, (uint64_t)now);
    for (size_t at = 0; map_next(&b->found, &at, NULL, &value);) {
        const struct limiting_bounced *n = value;
        record_put_u64(&r->fields, TAG_OF_ACCOUNT, n->key.account);
        record_put_u64(&r->fields, TAG_OF_CUSTOMER, n->customer);
        record_put_u64(&r->fields, TAG_OF_CREDENTIAL, n->key.credential);
        record_put_u64(&r->fields, TAG_COUNT, n->count);
    }
    r->entry = (struct journal_entry){
        .header = {.type = RECORD_BOUNCES,
                   .flags = RECORD_SKIPPABLE,
                   .node = l->config.node,
                   .at = now + limiting_wall(l, now)},
        .fields = buf_slice(&r->fields),
        .unrepeatable = true,
        .done = record_done,
    };
    b->state = BOUNCES_WRITING;
    journal_append(l->config.journal, &r->entry);
}

/* Takes the next group off *fields. */
static bool next_group(slice *fields, struct limiting_bounced *out)
{
    struct record_field f;
    bool is_in = false;
    *out = (struct limiting_bounced){.count = 0};
    for (slice rest = *fields; record_next(&rest, &f) > 0; *fields = rest) {
        if (f.tag == TAG_OF_ACCOUNT && is_in)
            break;
        if (f.tag == TAG_OF_ACCOUNT) {
            is_in = true;
            out->key.account = f.number;
        } else if (f.tag == TAG_OF_CUSTOMER) {
            out->customer = f.number;
        } else if (f.tag == TAG_OF_CREDENTIAL) {
            out->key.credential = f.number;
        } else if (f.tag == TAG_COUNT) {
            out->count = f.number;
        }
    }
    return is_in;
}

/* Those that look at bounces, of whoever it is. */
static size_t find_limits(struct limiting *l, const struct limiting_bounced *n, stamp now,
                          struct arena *a, struct limit **out)
{
    struct limiting_period period;
    size_t all = limiting_limits(l, n->key.account, n->key.credential, a, out);
    size_t count = 0;
    for (size_t i = 0; i < all; i++) {
        const struct rule *r = &(*out)[i].rule;
        bool is_of_name = r->scope == RULE_SENDER_DOMAIN || r->scope == RULE_HOST;
        if (r->unit == RULE_BOUNCES && r->scope != RULE_MESSAGE && !is_of_name)
            (*out)[count++] = (*out)[i];
    }
    limiting_periods(l, n->key.account, *out, count, now, &period);
    return count;
}

void limiting_bounces_count(struct limiting *l, const struct record_header *h, slice fields)
{
    struct arena arena = ARENA_INIT;
    struct limiting_bounced n;
    stamp at = (stamp)record_get_u64(fields, TAG_COUNTED_AT);
    uint64_t read_to = record_get_u64(fields, TAG_READ_TO);
    while (next_group(&fields, &n)) {
        struct amounts used = {.of = {[RULE_BOUNCES] = n.count}};
        struct limit *limits;
        size_t count = find_limits(l, &n, at, &arena, &limits);
        size_t kept = 0;
        for (size_t i = 0; i < count; i++) {
            bool is_forgiven =
                limits[i].rule.window == RULE_PERIOD && h->at < limits[i].period_reset;
            if (is_forgiven)
                continue;
            tally_add(&l->tally, &limits[i].rule, TALLY_USED, n.count);
            limits[kept++] = limits[i];
        }
        if (limiter_replay(l->limiter, limits, kept, &used, at) < 0)
            log_error("limits-out-of-memory", LOG_I("account", n.key.account));
        arena_reset(&arena);
    }
    l->bounces.counted = read_to;
    arena_fini(&arena);
}

/* ---- what follows from it ---- */

/* Under the mutex. From what is counted alone: whose lock was lifted begins anew. */
static void judge(struct limiting *l, const struct limiting_bounced *n, struct arena *a)
{
    struct account account;
    struct limit_verdict verdict;
    struct limit *limits;
    stamp now = limiting_now(l);
    if (!directory_account(l->config.directory, n->key.account, env_now(l->config.env), a,
                           &account))
        return;
    struct limiting_charge charge = {
        .customer = account.customer,
        .account = account.id,
        .credential = n->key.credential,
        .language = wording_language_of(account.language),
    };
    struct limiting_settling settling = {l, &charge, now};
    size_t count = find_limits(l, n, now, a, &limits);
    if (limiter_judge(l->limiter, limits, count, now, limiting_on_notice, &settling,
                      &verdict) == LIMITER_REFUSED)
        limiting_lock_sender(l, &charge, &verdict, now);
}

static void judge_found(struct limiting *l)
{
    struct arena arena = ARENA_INIT;
    void *value;
    for (size_t at = 0; map_next(&l->bounces.found, &at, NULL, &value);) {
        judge(l, value, &arena);
        arena_reset(&arena);
    }
    arena_fini(&arena);
}

/* ---- reading ---- */

/* False: not now. */
static bool open_reader(struct limiting *l)
{
    struct limiting_bounces *b = &l->bounces;
    const struct limiting_config *c = &l->config;
    uint64_t end = c->outcomes ? atomic_load(&c->outcomes->durable) : 0;
    if (b->reader || end == 0)
        return b->reader != NULL;
    if (b->read > end) {
        log_error("journal-shorter-than-snapshot", LOG_C("journal", c->outcomes_dir),
                  LOG_I("position", b->read), LOG_I("end", end),
                  LOG_C("effect", "bounces are counted from its oldest record on"));
        b->read = 0;
    }
    int err = journal_reader_open(&b->reader, c->env, c->outcomes_dir, c->outcomes, b->read);
    if (err == -ENOENT && b->read != 0) {
        log_error("journal-position-gone", LOG_C("journal", c->outcomes_dir),
                  LOG_I("position", b->read),
                  LOG_C("effect", "bounces are counted from its oldest record on"));
        err = journal_reader_open(&b->reader, c->env, c->outcomes_dir, c->outcomes, 0);
    }
    if (err < 0)
        log_error("journal-unreadable", LOG_C("journal", c->outcomes_dir), LOG_E("error", err));
    else
        journal_reader_skip_bodies(b->reader);
    return err == 0;
}

/* True when there may be more. */
static bool read_some(struct limiting *l)
{
    struct limiting_bounces *b = &l->bounces;
    for (unsigned i = 0; i < SLICE_RECORDS && b->found.count < FOUND_MOST; i++) {
        struct journal_record r;
        int got = journal_next(b->reader, &r);
        if (got > 0 && !take(l, &r)) {
            b->is_stopped = true;
            return false;
        }
        if (got >= 0 || got == -EBADMSG)
            b->read = journal_reader_position(b->reader);
        if (got == 0)
            return false;
        if (got > 0)
            continue;
        log_error("journal-damaged", LOG_C("journal", l->config.outcomes_dir),
                  LOG_I("position", b->read), LOG_E("error", got));
        if (got == -EBADMSG)
            continue;
        journal_reader_close(&b->reader);
        return false;
    }
    return true;
}

static bool is_reading(struct limiting *l)
{
    pthread_mutex_lock(&l->mutex);
    bool is = l->bounces.state == BOUNCES_READING;
    pthread_mutex_unlock(&l->mutex);
    return is;
}

static void read_on(struct limiting *l)
{
    struct limiting_bounces *b = &l->bounces;
    if (b->is_stopped || b->is_posted || !is_reading(l) || !open_reader(l))
        return;
    bool has_more = read_some(l);
    pthread_mutex_lock(&l->mutex);
    bool has_found = b->found.count > 0;
    if (has_found)
        append_record(l);
    else
        b->counted = b->read;
    pthread_mutex_unlock(&l->mutex);
    if (has_found || !has_more)
        return;
    b->is_posted = true;
    loop_post(l->config.loop, &b->task);
}

static void on_task(struct loop_task *t)
{
    struct limiting *l = CONTAINER_OF(t, struct limiting, bounces.task);
    l->bounces.is_posted = false;
    read_on(l);
}

/* The record that was under way is counted, or lost: then it is read again. */
static void on_done(struct loop_task *t)
{
    struct limiting *l = CONTAINER_OF(t, struct limiting, bounces.done);
    struct limiting_bounces *b = &l->bounces;
    pthread_mutex_lock(&l->mutex);
    bool is_lost = b->state == BOUNCES_LOST;
    if (is_lost)
        b->read = b->counted;
    else
        judge_found(l);
    b->state = BOUNCES_READING;
    pthread_mutex_unlock(&l->mutex);
    forget_found(b);
    if (is_lost)
        journal_reader_close(&b->reader); /* opened again at the next tick */
    else
        read_on(l);
}

void limiting_bounces_begin(struct limiting *l, const uint64_t seed[2])
{
    struct limiting_bounces *b = &l->bounces;
    map_init(&b->found, seed);
    b->task.fn = on_task;
    b->done.fn = on_done;
    b->read = b->counted;
}

void limiting_bounces_look(struct limiting *l)
{
    read_on(l);
}

void limiting_bounces_fini(struct limiting *l)
{
    journal_reader_close(&l->bounces.reader);
    forget_found(&l->bounces);
    map_fini(&l->bounces.found);
}
