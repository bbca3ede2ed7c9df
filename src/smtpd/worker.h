/* worker: one event loop of smtpd and the sessions that live on it.
 *
 * Each worker accepts from all listening sockets; a session never leaves its worker, so that
 * nothing in it is locked. What workers share is the service. */
#ifndef SMTPD_WORKER_H
#define SMTPD_WORKER_H

#include "base/id.h"
#include "base/list.h"
#include "journal/writer.h"
#include "model/directory.h"
#include "smtpd/accept.h"
#include "smtpd/auth.h"
#include "smtpd/limiting.h"
#include "smtpd/limits.h"
#include "smtpd/message.h"
#include "smtpd/settings.h"
#include "smtpd/tokens.h"

/* What all workers share; thread-safe, and there as long as they are. */
struct service {
    struct env *env;
    struct directory *directory;
    struct journal_writer *journal;
    struct jobs *disk_jobs;
    struct limits *limits;
    struct limiting *limiting;
    struct tokens *tokens;
    struct auth *auth;
    struct id_source ids; /* of messages and sessions */
    struct stats_page *stats;
    uint16_t node;
};

struct worker {
    struct service *service;
    struct loop *loop;
    struct settings *settings; /* for new sessions; one reference */
    struct message_store messages;
    struct list sessions;
    size_t session_count;
    bool is_draining;
    struct accept *accept;

    /* Called once, on the loop, when the worker is draining and has nothing left to do. */
    void (*on_idle)(void *ctx);
    void *ctx;

    /* The worker's own. */
    struct loop_task settings_task;
    struct loop_task drain_task;
    struct loop_task end_task;
    _Atomic(struct settings *) next_settings;
    bool was_idle;
};

/* Takes a reference to the settings. It does not accept yet. */
void worker_init(struct worker *w, struct service *service, struct loop *loop,
                 struct settings *settings) NONNULL(1, 2, 3, 4);
/* Cuts off the sessions that are left. The loop no longer runs, the journal is still there. */
void worker_cut(struct worker *w) NONNULL(1);
/* After worker_cut, when the journal was closed. */
void worker_fini(struct worker *w) NONNULL(1);

/* On the loop's thread, or before it runs. */
void worker_accept(struct worker *w) NONNULL(1);

/* From any thread. */
void worker_reload(struct worker *w, struct settings *settings) NONNULL(1, 2);
/* No new connections; sessions are told to end; on_idle when all have. */
void worker_drain(struct worker *w) NONNULL(1);
/* Cuts off what is left and stops the loop. */
void worker_end(struct worker *w) NONNULL(1);

/* For session: it has begun, or has gone. */
void worker_add(struct worker *w, struct list *session) NONNULL(1, 2);
void worker_remove(struct worker *w, struct list *session) NONNULL(1, 2);
/* Something may have become idle. */
void worker_look(struct worker *w) NONNULL(1);

#endif
