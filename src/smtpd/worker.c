#include "smtpd/worker.h"

#include "smtpd/session.h"

#include <stdatomic.h>

static void take_settings(struct worker *w)
{
    struct settings *next = atomic_exchange(&w->next_settings, NULL);
    if (!next)
        return;
    settings_unref(&w->settings);
    w->settings = next;
}

static void on_settings(struct loop_task *t)
{
    take_settings(CONTAINER_OF(t, struct worker, settings_task));
}

void worker_look(struct worker *w)
{
    bool is_idle = w->session_count == 0 && w->messages.open == 0;
    if (!w->is_draining || !is_idle || w->was_idle)
        return;
    w->was_idle = true;
    if (w->on_idle)
        w->on_idle(w->ctx);
}

static void on_release(void *ctx)
{
    worker_look(ctx);
}

static void on_drain(struct loop_task *t)
{
    struct worker *w = CONTAINER_OF(t, struct worker, drain_task);
    w->is_draining = true;
    accept_free(&w->accept);
    LIST_EACH (&w->sessions, node)
        session_shutdown(session_of(node));
    worker_look(w);
}

void worker_cut(struct worker *w)
{
    accept_free(&w->accept);
    LIST_EACH (&w->sessions, node)
        session_cut(session_of(node));
}

static void on_end(struct loop_task *t)
{
    struct worker *w = CONTAINER_OF(t, struct worker, end_task);
    worker_cut(w);
    loop_stop(w->loop);
}

void worker_init(struct worker *w, struct service *service, struct loop *loop,
                 struct settings *settings)
{
    *w = (struct worker){
        .service = service,
        .loop = loop,
        .settings = settings_ref(settings),
        .messages =
            {
                .env = service->env,
                .loop = loop,
                .journal = service->journal,
                .jobs = service->disk_jobs,
                .limits = service->limits,
                .limiting = service->limiting,
                .tokens = service->tokens,
                .stats = service->stats,
                .on_release = on_release,
                .ctx = w,
            },
        .settings_task = {.fn = on_settings},
        .drain_task = {.fn = on_drain},
        .end_task = {.fn = on_end},
    };
    message_store_init(&w->messages);
    list_init(&w->sessions);
    loop_hold(loop);
}

void worker_fini(struct worker *w)
{
    message_store_settle(&w->messages);
    message_store_fini(&w->messages);
    take_settings(w);
    settings_unref(&w->settings);
    loop_release(w->loop);
}

void worker_accept(struct worker *w)
{
    w->accept = accept_new(w);
}

void worker_reload(struct worker *w, struct settings *settings)
{
    struct settings *unused = atomic_exchange(&w->next_settings, settings_ref(settings));
    if (unused)
        settings_unref(&unused); /* the task waits already, and will find the newer ones */
    else
        loop_post(w->loop, &w->settings_task);
}

void worker_drain(struct worker *w)
{
    loop_post(w->loop, &w->drain_task);
}

void worker_end(struct worker *w)
{
    loop_post(w->loop, &w->end_task);
}

void worker_add(struct worker *w, struct list *session)
{
    list_push(&w->sessions, session);
    w->session_count++;
    atomic_fetch_add(&w->service->stats->sessions, 1);
    atomic_fetch_add(&w->service->stats->sessions_open, 1);
}

void worker_remove(struct worker *w, struct list *session)
{
    list_remove(session);
    w->session_count--;
    atomic_fetch_sub(&w->service->stats->sessions_open, 1);
    worker_look(w);
}
