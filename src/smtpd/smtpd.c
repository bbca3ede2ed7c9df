#include "smtpd/smtpd.h"

#include "base/log.h"
#include "journal/large.h"
#include "journal/readers.h"
#include "net/journal_watch.h"
#include "net/query.h"
#include "smtpd/policy_service.h"
#include "smtpd/status.h"
#include "smtpd/worker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    THREADS_AUTO_MAX = 4, /* with threads = 0 */
    DISK_THREADS = 2,
    DISK_QUEUE_MAX = 4096,
    SWEEP_TICKS = 10,
};

/* The parent waits 30 s. */
#define DRAIN_TIME (25 * SPAN_SECOND)

struct smtpd {
    struct role *role;
    struct service service;
    struct settings *settings;
    struct follow *follow;
    struct query_server *query;
    struct policy_service *policy;
    struct worker *workers; /* the first runs on the role's loop */
    pthread_t *threads;
    unsigned worker_count;
    unsigned thread_count; /* threads that were started */
    stamp started;

    struct journal_watch watch;
    struct timer tick;
    unsigned ticks;
    struct job sweep;
    bool is_sweeping;

    bool is_draining;
    bool is_ending;
    _Atomic unsigned idle_workers;
    struct loop_task idle_task;
    struct timer drain_timer;
};

/* What an earlier run has left in the middle is nobody's. */
static int open_large(struct env *env)
{
    int err = large_prepare(env);
    if (err == 0)
        err = large_sweep(env);
    if (err < 0)
        log_error("large-bodies-unusable", LOG_E("error", err));
    else if (err > 0)
        log_info("large-bodies-swept", LOG_I("count", err));
    return err < 0 ? err : 0;
}

/* On the committer's thread; all that is in the journal came after limiting was made. */
static void on_batch_done(void *ctx)
{
    struct service *s = ctx;
    limiting_settle_batch(s->limiting);
}

static int open_journal(struct smtpd *d)
{
    size_t reader_count;
    const char *const *readers = journal_readers(ID_SMTPD, &reader_count);
    struct role *role = d->role;
    const struct conf *c = role->conf;
    const int wake[] = {role->wake[ROLE_DELIVERY], role->wake[ROLE_CONTROL]};
    struct journal_config config = {
        .env = role->env,
        .dir = "journal/smtpd",
        .node = (uint16_t)c->server.node,
        .self = ID_SMTPD,
        .watermark = &role->pages->watermark[ROLE_SMTPD],
        .wake = wake,
        .wake_count = COUNT_OF(wake),
        .segment_bytes = c->journal.segment,
        .linger = c->journal.linger,
        .readers = readers,
        .reader_count = reader_count,
        .batch_done = on_batch_done,
        .ctx = &d->service,
    };
    struct journal_recovery recovery;
    int err = journal_writer_open(&d->service.journal, &config, &recovery);
    if (err < 0) {
        log_error("journal-not-opened", LOG_C("journal", config.dir), LOG_E("error", err));
        return err;
    }
    id_source_raise(&d->service.ids, recovery.highest_id);
    log_info("journal-opened", LOG_C("journal", config.dir),
             LOG_I("position", recovery.position), LOG_I("cut", recovery.cut),
             LOG_I("quarantined", recovery.quarantined));
    return 0;
}

static int open_service(struct smtpd *d)
{
    struct service *s = &d->service;
    struct role *role = d->role;
    s->env = role->env;
    s->stats = &role->pages->stats;
    s->node = (uint16_t)role->conf->server.node;
    id_source_init(&s->ids, (uint8_t)s->node, ID_SMTPD);
    int err = open_large(s->env);
    if (err == 0)
        err = open_journal(d);
    if (err < 0)
        return err;
    uint64_t seed[2];
    env_random(s->env, seed, sizeof(seed));
    s->directory = directory_new(seed);
    s->limits = limits_new(s->env, &role->conf->submission);
    s->disk_jobs = jobs_new(DISK_THREADS, DISK_QUEUE_MAX);
    s->auth = auth_new(s->env, s->directory, s->limits);
    if (!s->disk_jobs || !s->auth) {
        log_error("no-threads", LOG_C("effect", "smtpd cannot start"));
        return -EAGAIN;
    }
    auth_set_control(s->auth, role_secret(role, "control"));
    return 0;
}

static int listener_fd(const void *ctx, const char *name)
{
    char text[128];
    if ((size_t)snprintf(text, sizeof(text), "listener:%s", name) >= sizeof(text))
        return -1;
    return role_fd(ctx, text);
}

/* New settings from the role's configuration, or NULL with the reason in the log. */
static struct settings *read_settings(const struct smtpd *d)
{
    struct role *role = d->role;
    struct settings_keys keys = {
        .certificate = role_secret(role, "tls-certificate"),
        .key = role_secret(role, "tls-key"),
    };
    struct buf why = BUF_INIT;
    struct settings *s = settings_new(role->conf, &keys, d->settings, listener_fd, role, &why);
    if (!s)
        log_error("tls-unusable", LOG_S("reason", buf_slice(&why)));
    buf_fini(&why);
    return s;
}

static unsigned wanted_workers(const struct conf *c)
{
    if (c->server.threads != 0)
        return (unsigned)c->server.threads;
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    if (online < 1)
        return 1;
    return online > THREADS_AUTO_MAX ? THREADS_AUTO_MAX : (unsigned)online;
}

static void end_all(struct smtpd *d)
{
    if (d->is_ending)
        return;
    d->is_ending = true;
    for (unsigned i = 0; i < d->worker_count; i++)
        worker_end(&d->workers[i]);
}

static void on_all_idle(struct loop_task *t)
{
    end_all(CONTAINER_OF(t, struct smtpd, idle_task));
}

/* On the worker's thread. */
static void on_worker_idle(void *ctx)
{
    struct smtpd *d = ctx;
    if (atomic_fetch_add(&d->idle_workers, 1) + 1 == d->worker_count)
        loop_post(d->role->loop, &d->idle_task);
}

static int make_workers(struct smtpd *d)
{
    unsigned wanted = wanted_workers(d->role->conf);
    d->workers = xcalloc(wanted, sizeof(*d->workers));
    d->threads = xcalloc(wanted, sizeof(*d->threads));
    for (unsigned i = 0; i < wanted; i++) {
        struct loop *loop = i == 0 ? d->role->loop : loop_new();
        if (!loop)
            return -EMFILE;
        worker_init(&d->workers[i], &d->service, loop, d->settings);
        d->workers[i].on_idle = on_worker_idle;
        d->workers[i].ctx = d;
        d->worker_count++;
    }
    return 0;
}

static void *run_worker(void *ctx)
{
    struct worker *w = ctx;
    loop_run(w->loop);
    return NULL;
}

/* Every loop but the role's on a thread of its own; signals are for the main thread. */
static int start_workers(struct smtpd *d)
{
    for (unsigned i = 0; i < d->worker_count; i++)
        worker_accept(&d->workers[i]);
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int err = 0;
    for (unsigned i = 1; i < d->worker_count && err == 0; i++) {
        err = pthread_create(&d->threads[i], NULL, run_worker, &d->workers[i]);
        if (err == 0)
            d->thread_count++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -err;
}

static void answer_query(void *ctx, slice question, struct buf *out)
{
    struct smtpd *d = ctx;
    struct status_view v = {
        .service = &d->service,
        .follow = d->follow,
        .threads = d->worker_count,
        .started = d->started,
        .is_draining = d->is_draining,
    };
    status_answer(&v, question, out);
}

static void sweep_work(struct job *j)
{
    struct smtpd *d = CONTAINER_OF(j, struct smtpd, sweep);
    int removed = journal_sweep(d->service.journal);
    if (removed < 0)
        log_warning("sweep-failed", LOG_C("journal", "journal/smtpd"), LOG_E("error", removed));
    else if (removed > 0)
        log_info("segments-removed", LOG_C("journal", "journal/smtpd"),
                 LOG_I("count", removed));
}

static void sweep_done(struct job *j)
{
    CONTAINER_OF(j, struct smtpd, sweep)->is_sweeping = false;
}

static void publish_numbers(struct smtpd *d)
{
    struct journal_numbers n = {0};
    journal_writer_numbers(d->service.journal, &n);
    journal_watch_look(&d->watch, d->role, &n);
}

static void on_tick(void *ctx)
{
    struct smtpd *d = ctx;
    timer_set(&d->tick, SPAN_SECOND);
    publish_numbers(d);
    limiting_tick(d->service.limiting);
    tokens_tick(d->service.tokens);
    if (++d->ticks % SWEEP_TICKS != 0 || d->is_sweeping)
        return;
    d->sweep = (struct job){.work = sweep_work, .done = sweep_done, .loop = d->role->loop};
    d->is_sweeping = jobs_submit(d->service.disk_jobs, &d->sweep) == 0;
}

/* A little later the writer itself refuses: what arrives at that moment is not to be refused at
 * its end. */
static void bound_journals(struct smtpd *d)
{
    uint64_t max = d->role->conf->journal.max_bytes;
    limits_bound_journals(d->service.limits, d->service.stats->journal_bytes, ROLE_COUNT, max);
    journal_set_max_bytes(d->service.journal, max == 0 ? 0 : max + max / 8);
}

static void on_reload(void *ctx)
{
    struct smtpd *d = ctx;
    struct settings *s = read_settings(d);
    if (!s)
        return; /* the old ones stay */
    settings_unref(&d->settings);
    d->settings = s;
    limits_configure(d->service.limits, &d->role->conf->submission);
    bound_journals(d);
    for (unsigned i = 0; i < d->worker_count; i++)
        worker_reload(&d->workers[i], s);
    log_info("reloaded", LOG_I("listeners", s->door_count));
}

static void on_drain_over(void *ctx)
{
    struct smtpd *d = ctx;
    log_warning("drain-cut-short", LOG_I("sessions", limits_sessions(d->service.limits)));
    end_all(d);
}

static void on_drain(void *ctx)
{
    struct smtpd *d = ctx;
    if (d->is_draining)
        return;
    d->is_draining = true;
    log_info("draining", LOG_I("sessions", limits_sessions(d->service.limits)));
    timer_set(&d->drain_timer, DRAIN_TIME);
    policy_service_drain(d->policy);
    for (unsigned i = 0; i < d->worker_count; i++)
        worker_drain(&d->workers[i]);
}

/* By the limits that the directory has: it was read before. */
static void open_limiting(struct smtpd *d)
{
    struct limiting_config config = {
        .env = d->role->env,
        .loop = d->role->loop,
        .jobs = d->service.disk_jobs,
        .directory = d->service.directory,
        .journal = d->service.journal,
        .watermark = &d->role->pages->watermark[ROLE_SMTPD],
        .ids = &d->service.ids,
        .node = d->service.node,
        .journal_dir = "journal/smtpd",
        .outcomes = &d->role->pages->watermark[ROLE_DELIVERY],
        .outcomes_dir = "journal/delivery",
        .snapshot = "snapshot/smtpd/limits",
    };
    d->service.limiting = limiting_new(&config);
}

static void open_tokens(struct smtpd *d)
{
    struct tokens_config config = {
        .env = d->role->env,
        .loop = d->role->loop,
        .jobs = d->service.disk_jobs,
        .watermark = &d->role->pages->watermark[ROLE_SMTPD],
        .limiting = d->service.limiting,
        .journal_dir = "journal/smtpd",
        .snapshot = "snapshot/smtpd/tokens",
    };
    d->service.tokens = tokens_new(&config);
}

static int start(struct smtpd *d)
{
    struct role *role = d->role;
    int err = open_service(d);
    if (err < 0)
        return err;
    d->settings = read_settings(d);
    if (!d->settings)
        return -EINVAL;
    struct follow_config follow = {
        .env = role->env,
        .loop = role->loop,
        .jobs = d->service.disk_jobs,
        .directory = d->service.directory,
        .watermark = &role->pages->watermark[ROLE_CONTROL],
        .wake = role->wake[ROLE_SMTPD],
        .shown = &role->pages->stats.directory_position,
        .journal = "journal/control",
        .snapshot = "snapshot/smtpd/directory",
    };
    timer_init(&d->drain_timer, role->loop, on_drain_over, d);
    timer_init(&d->tick, role->loop, on_tick, d);
    d->follow = follow_new(&follow);
    bound_journals(d);
    open_limiting(d);
    open_tokens(d);
    err = make_workers(d);
    if (err < 0)
        return err;
    int query = role_fd(role, "query");
    if (query >= 0)
        d->query = query_server_new(role->loop, query, answer_query, d);
    d->policy = policy_service_new(role, &d->service);
    d->idle_task.fn = on_all_idle;
    timer_set(&d->tick, SPAN_SECOND);
    role->on_reload = on_reload;
    role->on_drain = on_drain;
    role->ctx = d;
    return start_workers(d);
}

/* In the order in which the parts stand on each other. No loop runs any more. */
static void stop(struct smtpd *d)
{
    struct service *s = &d->service;
    d->role->on_reload = NULL;
    d->role->on_drain = NULL;
    query_server_free(&d->query);
    for (unsigned i = 0; i < d->worker_count; i++)
        worker_cut(&d->workers[i]);
    auth_free(&s->auth);
    jobs_free(&s->disk_jobs);
    follow_free(&d->follow);
    journal_writer_close(&s->journal);
    for (unsigned i = 0; i < d->worker_count; i++) {
        worker_fini(&d->workers[i]);
        if (i > 0)
            loop_free(&d->workers[i].loop);
    }
    settings_unref(&d->settings);
    policy_service_free(&d->policy);
    tokens_free(&s->tokens);
    limiting_free(&s->limiting);
    limits_free(&s->limits);
    directory_free(&s->directory);
    free(d->workers);
    free(d->threads);
}

int smtpd_run(struct role *role)
{
    struct smtpd d = {.role = role, .started = env_now(role->env)};
    int err = start(&d);
    if (err == 0) {
        log_info("serving", LOG_I("threads", d.worker_count),
                 LOG_I("accounts-version", directory_version(d.service.directory)));
        role_ready(role);
        loop_run(role->loop);
    } else {
        log_error("start-failed", LOG_E("error", err));
    }
    end_all(&d);
    for (unsigned i = 1; i <= d.thread_count; i++)
        pthread_join(d.threads[i], NULL);
    if (d.follow) {
        timer_cancel(&d.tick);
        timer_cancel(&d.drain_timer);
    }
    stop(&d);
    return err == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
