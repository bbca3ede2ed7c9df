#include "delivery/intake.h"

#include "base/log.h"
#include "delivery/keeper.h"
#include "journal/readers.h"

static const char SMTPD_JOURNAL[] = "journal/smtpd";
static const char DELIVERY_JOURNAL[] = "journal/delivery";

void intake_init(struct intake *i, const struct intake_config *c)
{
    *i = (struct intake){.config = *c};
    replay_init(&i->replay, c->courier->queue, c->limbo);
}

/* Control's journal is read on from where the queue had obeyed it. */
static void open_follow(struct intake *i, uint64_t position)
{
    struct role *role = i->config.role;
    struct courier *courier = i->config.courier;
    const struct orders_config orders = {
        .courier = courier,
        .smtpd = &role->pages->watermark[ROLE_SMTPD],
        .on_hurry = i->config.on_hurry,
        .ctx = i->config.ctx,
    };
    i->orders = orders_new(&orders);
    const struct follow_config follow = {
        .env = role->env,
        .loop = role->loop,
        .jobs = courier->jobs,
        .directory = courier->directory,
        .watermark = &role->pages->watermark[ROLE_CONTROL],
        .wake = -1,
        .journal = "journal/control",
        .snapshot = "snapshot/delivery/directory",
        .on_record = orders_record,
        .ctx = i->orders,
        .from = position,
    };
    i->follow = follow_new(&follow);
}

/* Recovers our own journal and opens it for what is to be appended. */
static int open_settle(struct intake *i)
{
    struct role *role = i->config.role;
    size_t reader_count;
    const char *const *readers = journal_readers(ID_DELIVERY, &reader_count);
    const struct settle_config settle = {
        .loop = role->loop,
        .replay = &i->replay,
        .journal =
            {
                .env = role->env,
                .dir = DELIVERY_JOURNAL,
                .node = (uint16_t)role->conf->server.node,
                .self = ID_DELIVERY,
                .watermark = &role->pages->watermark[ROLE_DELIVERY],
                .wake = &role->wake[ROLE_CONTROL],
                .wake_count = 1,
                .segment_bytes = role->conf->journal.segment,
                .linger = role->conf->journal.linger,
                .readers = readers,
                .reader_count = reader_count,
            },
        .on_settled = i->config.on_settled,
        .ctx = i->config.ctx,
    };
    struct journal_recovery recovery;
    int err = settle_new(&i->config.courier->settle, &settle, &recovery);
    i->highest_id = recovery.highest_id;
    if (err < 0)
        log_error("journal-unusable", LOG_C("journal", DELIVERY_JOURNAL), LOG_E("error", err));
    return err;
}

static struct tail_config tail_of(struct intake *i, const char *journal, enum role_kind writer,
                                  uint64_t position)
{
    struct role *role = i->config.role;
    return (struct tail_config){
        .env = role->env,
        .loop = role->loop,
        .journal = journal,
        .watermark = &role->pages->watermark[writer],
        .wake = -1,
        .replay = &i->replay,
        .position = position,
    };
}

static int read_own(struct intake *i, uint64_t *position)
{
    struct tail_config own = tail_of(i, DELIVERY_JOURNAL, ROLE_DELIVERY, *position);
    int err = tail_read_all(&own, position);
    if (err < 0)
        log_error("journal-unreadable", LOG_C("journal", DELIVERY_JOURNAL),
                  LOG_E("error", err));
    else
        settle_set_position(i->config.courier->settle, *position);
    return err;
}

static void on_wake(void *ctx)
{
    struct intake *i = ctx;
    follow_wake(i->follow);
    tail_wake(i->tail);
}

int intake_open(struct intake *i)
{
    struct role *role = i->config.role;
    struct queue *queue = i->config.courier->queue;
    uint64_t position[SNAPSHOT_JOURNALS];
    int err = keeper_load(role->env, queue, i->config.limbo, position);
    if (err < 0) {
        log_error("snapshot-unreadable", LOG_C("path", KEEPER_PATH), LOG_E("error", err));
        return err;
    }
    uint64_t smtpd = position[ID_SMTPD], own = position[ID_DELIVERY];
    replay_set_snapshot(&i->replay, smtpd);
    open_follow(i, position[ID_CONTROL]);
    err = open_settle(i);
    if (err == 0)
        err = read_own(i, &own);
    if (err < 0)
        return err;
    const struct tail_config tail = tail_of(i, SMTPD_JOURNAL, ROLE_SMTPD, smtpd);
    i->tail = tail_new(&tail);
    orders_begin(i->orders, i->tail);
    if (role->wake[ROLE_DELIVERY] >= 0)
        i->wake = loop_watch(role->loop, role->wake[ROLE_DELIVERY], on_wake, i);
    log_info("queue-restored", LOG_I("recipients", queue->living),
             LOG_I("failed", queue->failed), LOG_I("smtpd-position", smtpd),
             LOG_I("delivery-position", own));
    return 0;
}

void intake_fini(struct intake *i)
{
    loop_unwatch(&i->wake);
    follow_free(&i->follow);
    orders_free(&i->orders);
    tail_free(&i->tail);
    replay_fini(&i->replay);
}
