#include "delivery/upkeep.h"

#include "base/log.h"

/* Every so many ticks the journal is swept. */
enum { SWEEP_TICKS = 10 };

static const span TICK = SPAN_SECOND;

static void publish(struct upkeep *u)
{
    const struct courier *c = u->courier;
    struct stats_page *s = c->stats;
    struct journal_numbers n;
    settle_numbers(c->settle, &n);
    journal_watch_look(&u->watch, u->role, &n);
    atomic_store_explicit(&s->queued, c->queue->living, memory_order_relaxed);
    atomic_store_explicit(&s->failed_unreported, c->queue->failed, memory_order_relaxed);
}

static void sweep_journal(struct job *j)
{
    struct upkeep *u = CONTAINER_OF(j, struct upkeep, journal_sweep);
    int removed = settle_sweep(u->courier->settle);
    if (removed < 0)
        log_warning("sweep-failed", LOG_C("journal", "journal/delivery"),
                    LOG_E("error", removed));
    else if (removed > 0)
        log_info("segments-removed", LOG_C("journal", "journal/delivery"),
                 LOG_I("count", removed));
}

static void journal_swept(struct job *j)
{
    CONTAINER_OF(j, struct upkeep, journal_sweep)->is_sweeping = false;
}

static void on_tick(void *ctx)
{
    struct upkeep *u = ctx;
    const struct courier *c = u->courier;
    publish(u);
    timer_set(&u->tick, TICK);
    if (++u->ticks % SWEEP_TICKS != 0 || u->is_sweeping)
        return;
    u->journal_sweep = (struct job){sweep_journal, journal_swept, c->loop, {0}, NULL};
    u->is_sweeping = jobs_submit(c->jobs, &u->journal_sweep) == 0;
}

static void on_bodies_sweep(void *ctx)
{
    struct upkeep *u = ctx;
    timer_set(&u->bodies_sweep, BODIES_INTERVAL);
    if (!tail_has_caught_up(u->tail))
        return;
    int removed = bodies_sweep(&u->bodies, u->courier->queue);
    if (removed != 0)
        log_info("large-bodies-swept", LOG_I("removed", removed));
}

void upkeep_begin(struct upkeep *u, struct courier *c, const struct role *role,
                  const struct tail *tail)
{
    u->courier = c;
    u->role = role;
    u->tail = tail;
    u->bodies.env = c->env;
    timer_init(&u->tick, c->loop, on_tick, u);
    timer_init(&u->bodies_sweep, c->loop, on_bodies_sweep, u);
    timer_set(&u->tick, TICK);
    timer_set(&u->bodies_sweep, SPAN_MINUTE);
}

bool upkeep_is_idle(const struct upkeep *u)
{
    return !u->is_sweeping;
}

void upkeep_end(struct upkeep *u)
{
    timer_cancel(&u->tick);
    timer_cancel(&u->bodies_sweep);
}
