#include "control/projector.h"

#include "base/log.h"
#include "control/ledger_locks.h"
#include "control/projection.h"
#include "journal/reader.h"
#include "journal/snapshot.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { BATCH_RECORDS = 1000, LOOK_EVERY = 16, WAITING_PAGES = 4096 };
static const span BATCH_TIME = 30 * SPAN_MS;
static const span REST = 100 * SPAN_MS;
static const span TRY_AGAIN = 5 * SPAN_SECOND;
static const span SAVE_EVERY = 5 * SPAN_SECOND;

static const char *const journals[LEDGER_JOURNALS] = {
    [ID_SMTPD] = "journal/smtpd",
    [ID_DELIVERY] = "journal/delivery",
    [ID_CONTROL] = "journal/control",
};
/* Causes before effects. */
static const enum id_writer order[LEDGER_JOURNALS] = {ID_CONTROL, ID_SMTPD, ID_DELIVERY};

struct projector {
    struct projector_config config;
    struct journal_reader *reader[LEDGER_JOURNALS];
    uint64_t position[LEDGER_JOURNALS];   /* in the batch */
    uint64_t end[LEDGER_JOURNALS];        /* of the round */
    uint64_t skip_below[LEDGER_JOURNALS]; /* read in an earlier life */
    uint64_t saved[LEDGER_JOURNALS];      /* in the head file */
    bool has_saved;
    span saved_at;
    struct arena arena;
    _Atomic uint64_t committed[LEDGER_JOURNALS];
    _Atomic bool is_stopped;
    struct loop_watch *watch;
    struct timer timer; /* the next step */
    struct timer save;
};

static uint64_t durable(const struct projector *p, int j)
{
    return atomic_load_explicit(&p->config.watermark[j]->durable, memory_order_acquire);
}

/* ---- reading ---- */

/* A journal that begins behind the position is not the one that the ledger was made of: what
 * there is of it is read. */
static int open_reader(struct projector *p, int j)
{
    const struct projector_config *c = &p->config;
    if (p->reader[j])
        return 0;
    int rc = journal_reader_open(&p->reader[j], c->env, journals[j], c->watermark[j],
                                 p->position[j]);
    if (rc == -ENOENT && p->position[j] != 0) {
        log_error("journal-position-gone", LOG_C("journal", journals[j]),
                  LOG_I("position", p->position[j]),
                  LOG_C("effect", "reading goes on at the oldest record there is"));
        p->skip_below[j] = p->position[j];
        rc = journal_reader_open(&p->reader[j], c->env, journals[j], c->watermark[j], 0);
    }
    if (rc == 0)
        journal_reader_skip_bodies(p->reader[j]);
    return rc;
}

static int take(struct projector *p, int j, const struct journal_record *record)
{
    if (record->position < p->skip_below[j])
        return 0;
    int rc = projection_put(p->config.ledger, record, &p->arena);
    arena_reset(&p->arena);
    if (rc == -EBADMSG || rc == -ENOTSUP)
        log_error(rc == -ENOTSUP ? "journal-record-unknown" : "journal-record-unusable",
                  LOG_C("journal", journals[j]), LOG_I("position", record->position),
                  LOG_I("type", record->header.type));
    return rc == -EBADMSG ? 0 : rc;
}

/* Reads one journal up to the end of the round: 1 when the batch is full, 0 at the end. */
static int read_journal(struct projector *p, int j, unsigned *left, span started)
{
    struct env *env = p->config.env;
    if (p->position[j] >= p->end[j])
        return 0;
    int rc = open_reader(p, j);
    if (rc < 0)
        return rc;
    while (p->position[j] < p->end[j]) {
        struct journal_record record;
        if (*left == 0 || (*left % LOOK_EVERY == 0 && env_elapsed(env) - started >= BATCH_TIME))
            return 1;
        --*left;
        int got = journal_next(p->reader[j], &record);
        if (got < 0 && got != -EBADMSG)
            return got;
        rc = got > 0 ? take(p, j, &record) : 0;
        if (rc < 0)
            return rc;
        p->position[j] = journal_reader_position(p->reader[j]);
        if (got == 0)
            p->end[j] = p->position[j];
    }
    return 0;
}

/* A journal that ends before the position is another one, too. 0: its writer recovers it, and
 * effects must not be read before their causes. */
static void begin_round(struct projector *p)
{
    for (int i = LEDGER_JOURNALS; i-- > 0;) {
        enum id_writer j = order[i];
        p->end[j] = durable(p, j);
        if (p->end[j] == 0 || p->position[j] <= p->end[j])
            continue;
        log_error("journal-shorter-than-ledger", LOG_C("journal", journals[j]),
                  LOG_I("position", p->position[j]), LOG_I("end", p->end[j]));
        journal_reader_close(&p->reader[j]);
        p->position[j] = 0;
    }
    /* Outcomes are of messages there: what has not been read yet would be passed over. */
    if (p->end[ID_SMTPD] == 0)
        p->end[ID_DELIVERY] = p->position[ID_DELIVERY];
}

static bool has_work(const struct projector *p)
{
    for (int j = 0; j < LEDGER_JOURNALS; j++)
        if (p->position[j] < p->end[j])
            return true;
    return false;
}

/* The batch did not come to be: everything is as it was before it. */
static void go_back(struct projector *p)
{
    for (int j = 0; j < LEDGER_JOURNALS; j++) {
        p->position[j] = p->committed[j];
        journal_reader_close(&p->reader[j]);
    }
}

static int run_batch(struct projector *p)
{
    unsigned left = BATCH_RECORDS;
    span started = env_elapsed(p->config.env);
    int rc = ledger_begin(p->config.ledger);
    if (rc < 0)
        return rc;
    int more = 0;
    for (int i = 0; i < LEDGER_JOURNALS && more == 0; i++)
        more = read_journal(p, (int)order[i], &left, started);
    if (more == 0)
        more = ledger_settle_locks(p->config.ledger, env_now(p->config.env));
    rc = more < 0 ? more : ledger_put_positions(p->config.ledger, p->position);
    if (rc < 0) {
        ledger_rollback(p->config.ledger);
        return rc;
    }
    rc = ledger_commit(p->config.ledger);
    return rc < 0 ? rc : more;
}

int projector_step(struct projector *p)
{
    if (p->is_stopped)
        return -ENOTSUP;
    if (!has_work(p))
        begin_round(p);
    if (!has_work(p))
        return 0;
    int more = run_batch(p);
    if (more < 0) {
        go_back(p);
        p->is_stopped = more == -ENOTSUP;
        return more;
    }
    for (int j = 0; j < LEDGER_JOURNALS; j++)
        p->committed[j] = p->position[j];
    /* What has come meanwhile makes the next round. */
    return 1;
}

/* ---- the head ---- */

static bool is_saved(const struct projector *p)
{
    for (int j = 0; j < LEDGER_JOURNALS; j++)
        if (p->saved[j] != p->committed[j])
            return false;
    return p->has_saved;
}

int projector_save(struct projector *p)
{
    struct snapshot head = {.version = 1, .at = env_now(p->config.env)};
    p->saved_at = env_elapsed(p->config.env);
    if (is_saved(p))
        return 0;
    for (int i = 0; i < SNAPSHOT_JOURNALS; i++)
        head.needs[i] = UINT64_MAX;
    for (int j = 0; j < LEDGER_JOURNALS; j++)
        head.position[j] = p->committed[j];
    int rc = ledger_checkpoint(p->config.ledger);
    if (rc == 0)
        rc = snapshot_write(p->config.env, PROJECTOR_HEAD, &head);
    if (rc < 0)
        return rc;
    for (int j = 0; j < LEDGER_JOURNALS; j++)
        p->saved[j] = head.position[j];
    p->has_saved = true;
    return 0;
}

static void save(struct projector *p)
{
    int rc = projector_save(p);
    if (rc < 0 && rc != -EAGAIN)
        log_error("ledger-not-saved", LOG_C("path", PROJECTOR_HEAD), LOG_E("error", rc));
}

/* ---- in the loop ---- */

static void step(void *ctx);

static void rest(struct projector *p)
{
    p->watch = loop_watch(p->config.loop, p->config.wake, step, p);
    if (!p->watch) /* out of descriptors or memory: look from time to time */
        timer_set(&p->timer, SPAN_SECOND);
}

/* While it is not watched, any number of wake-ups cost nothing here. */
static void step(void *ctx)
{
    struct projector *p = ctx;
    span started = env_elapsed(p->config.env);
    loop_unwatch(&p->watch);
    int more = projector_step(p);
    span took = env_elapsed(p->config.env) - started;
    if (more == -ENOTSUP)
        return;
    if (more < 0) {
        log_error("ledger-not-written", LOG_E("error", more));
        timer_set(&p->timer, TRY_AGAIN);
        return;
    }
    if (ledger_waiting(p->config.ledger) >= WAITING_PAGES)
        save(p);
    if (more == 0)
        rest(p);
    else if (has_work(p))
        timer_set(&p->timer, took > SPAN_MS ? took : SPAN_MS);
    else
        timer_set(&p->timer, REST);
}

static void on_save(void *ctx)
{
    struct projector *p = ctx;
    if (env_elapsed(p->config.env) - p->saved_at >= SAVE_EVERY)
        save(p);
    timer_set(&p->save, SAVE_EVERY);
}

int projector_new(struct projector **out, const struct projector_config *config)
{
    uint64_t position[LEDGER_JOURNALS];
    int rc = ledger_positions(config->ledger, position);
    if (rc < 0)
        return rc;
    struct projector *p = xcalloc(1, sizeof(*p));
    p->config = *config;
    for (int j = 0; j < LEDGER_JOURNALS; j++) {
        p->position[j] = position[j];
        p->committed[j] = position[j];
        p->end[j] = position[j];
    }
    if (config->loop) {
        timer_init(&p->timer, config->loop, step, p);
        timer_init(&p->save, config->loop, on_save, p);
        timer_set(&p->timer, SPAN_MS);
        timer_set(&p->save, SPAN_SECOND);
        p->saved_at = -SAVE_EVERY;
    }
    *out = p;
    return 0;
}

void projector_free(struct projector **at)
{
    struct projector *p = *at;
    if (!p)
        return;
    *at = NULL;
    if (p->config.loop) {
        loop_unwatch(&p->watch);
        timer_cancel(&p->timer);
        timer_cancel(&p->save);
        save(p);
    }
    for (int j = 0; j < LEDGER_JOURNALS; j++)
        journal_reader_close(&p->reader[j]);
    arena_fini(&p->arena);
    free(p);
}

void projector_numbers(const struct projector *p, struct projector_numbers *out)
{
    *out = (struct projector_numbers){.is_stopped = p->is_stopped};
    for (int j = 0; j < LEDGER_JOURNALS; j++) {
        uint64_t end = durable(p, j);
        out->position[j] = p->committed[j];
        out->behind[j] = end > out->position[j] ? end - out->position[j] : 0;
    }
}
