/* role: what a child process gets from its parent, and how they talk.
 *
 * utpostd starts itself again per role with one end of a socket pair as descriptor 3. Over it
 * the parent sends messages (a name, with one descriptor each) and then "go": the configuration
 * text, listening sockets, keys (sealed memfds), eventfds, the shared pages. A reload sends
 * "config" and the keys again and then "reload". When the channel closes, the child exits. */
#ifndef NET_ROLE_H
#define NET_ROLE_H

#include "base/env.h"
#include "journal/watermark.h"
#include "model/conf.h"
#include "net/loop.h"

enum role_kind { ROLE_SMTPD, ROLE_DELIVERY, ROLE_CONTROL, ROLE_COUNT };
/* "smtpd", "delivery", "control". */
const char *role_name(enum role_kind k);

/* Shared counters for metrics: lossy, lock-free; each role writes only its own row. */
struct stats_page {
    _Atomic uint64_t started[ROLE_COUNT]; /* times a role was started */
    _Atomic uint64_t sessions_open;
    _Atomic uint64_t sessions;
    _Atomic uint64_t messages;
    _Atomic uint64_t recipients;
    _Atomic uint64_t refused;
    _Atomic uint64_t sign_ins;
    _Atomic uint64_t sign_in_failures;
    _Atomic uint64_t queued; /* recipients in the queue now */
    _Atomic uint64_t failed_unreported;
    _Atomic uint64_t delivered;
    _Atomic uint64_t retried;
    _Atomic uint64_t failed;
    _Atomic uint64_t connections_out;
    _Atomic uint64_t notifications;      /* written to senders */
    _Atomic uint64_t unreportable;       /* recipients that failed and had no sender to tell */
    _Atomic uint64_t directory_position; /* of smtpd's directory, in control's journal */
    _Atomic uint64_t journal_syncs[ROLE_COUNT];
    _Atomic uint64_t journal_records[ROLE_COUNT];
    _Atomic uint64_t journal_failures[ROLE_COUNT];
    _Atomic uint64_t journal_bytes[ROLE_COUNT]; /* on disk */
    _Atomic uint64_t journal_level[ROLE_COUNT]; /* enum journal_level (net/journal_watch) */
    _Atomic uint64_t
        journal_kept_for[ROLE_COUNT]; /* 1 + the slowest reader's role; 0: unknown */
};

struct shared_pages {
    struct watermark watermark[ROLE_COUNT]; /* the journal that the role writes */
    struct stats_page stats;
};

struct role {
    enum role_kind kind;
    struct conf *conf; /* replaced by a reload */
    struct env *env;   /* rooted at the state directory */
    struct shared_pages *pages;
    struct loop *loop; /* the role's main loop */
    /* eventfds: wake[r] is readable when a journal that role r reads has grown. A writer's
     * journal_config.wake are those of its readers. */
    int wake[ROLE_COUNT];
    /* Called on the main loop after a good reload; role->conf is the new one, the old one is
     * freed after the call. */
    void (*on_reload)(void *ctx);
    /* SIGTERM: finish what runs, then loop_stop. The parent waits 30 s, then kills. */
    void (*on_drain)(void *ctx);
    void *ctx;
};

/* A descriptor by name, or -1: "listener:NAME", "policy-service" (smtpd), "query" (smtpd,
 * delivery), "api", "api-tcp" (control). */
int role_fd(const struct role *r, const char *name) NONNULL(1, 2);
/* The PEM text of a key or certificate ("tls-certificate", "tls-key", "smarthost-ca",
 * "smarthost-password"), valid until the next reload; empty when there is none. "control", by
 * which smtpd knows control, is there until the first reload: copy it at the start. */
slice role_secret(const struct role *r, const char *name) NONNULL(1, 2);
/* Tells the parent that the role serves: all have said so → sd_notify READY. */
void role_ready(struct role *r) NONNULL(1);

/* For main: what the parent hands over on the channel, up to "go"; then role->loop watches the
 * channel. 0 or -errno; -EPIPE: the parent has gone. */
int role_receive(struct role **out, enum role_kind kind, int channel) MUST_USE NONNULL(1);

/* For tests: a role of parts. conf, env, pages, loop and wake (all -1) are set by the caller
 * and stay the caller's. */
struct role *role_new(enum role_kind kind);
/* Takes the descriptor over. */
void role_add_fd(struct role *r, const char *name, int fd) NONNULL(1, 2);
/* Copies the text; replaces one of that name. */
void role_add_secret(struct role *r, const char *name, slice text) NONNULL(1, 2);
/* Of either kind; the loop has ended, and nothing of it is open. */
void role_free(struct role **r);

#endif
