/* site: one destination of mail, a next host or a domain: its connections, how many, and when.
 *
 * Connections are opened as work demands, up to the limit; each takes one message after the
 * other. When the host cannot be reached on any address, the whole site waits, twice as long
 * after each round without success, and then tries one connection; no recipient's attempts are
 * used up by that. While some connections work, the failure of a further one only keeps new
 * ones away for a while: many hosts limit connections.
 *
 * A domain is one of many, and those who wait for it want to know why, each by itself: when it
 * cannot be reached, that is an attempt of every recipient that is READY there, and when DNS
 * says for good that it takes no mail, they fail. Sites of domains share a pool of connections.
 */
#ifndef DELIVERY_SITE_H
#define DELIVERY_SITE_H

#include "delivery/courier.h"
#include "delivery/settings.h"
#include "delivery/target.h"
#include "net/tls.h"

enum { SITE_TEXT_MAX = 500, SITE_REMOTE_MAX = 120 };

/* What the sites of domains share. */
struct site_pool {
    struct list awake;   /* destinations of sites that may have something to do */
    struct list starved; /* of those that wait for a connection to become free */
    struct list idle;    /* sessions without work, the oldest first: they give way */
    unsigned count;      /* connections */
    unsigned most;
};
void site_pool_init(struct site_pool *p, unsigned most) NONNULL(1);

struct site {
    struct courier *courier;
    struct site_pool *pool; /* NULL: the one next host */
    char *name;             /* of the host or domain */
    struct settings settings;
    struct destination destination;
    struct target target;
    struct tls_context *tls; /* NULL when TLS is never spoken */
    struct timer timer;      /* the end of a pause */
    struct timer telling;    /* goes on settling what is too old */

    struct list sessions;
    struct list idle; /* signed on, without work; the latest first */
    unsigned count;   /* sessions */
    unsigned opening; /* not signed on yet */
    unsigned idle_count;
    bool is_closing;  /* begins nothing more */
    bool is_settling; /* an attempt failed for all that is READY; some are still to be told */

    unsigned failures; /* rounds without success */
    unsigned round;
    span pause_until; /* loop time: nothing is tried before */
    span quiet_until; /* no further connection is opened before */
    span plain_until; /* TLS failed, plain text is allowed: without it until then */
    /* what was wrong last, for people */
    stamp failed_at;
    char text[SITE_TEXT_MAX + 1];
    char remote[SITE_REMOTE_MAX + 1];
    enum relay_stage stage;
    struct outcome outcome;
};

/* A smarthost by the configuration. secret and ca: the password's file and the certificates'.
 * NULL with the reason in *why: the certificates are unusable. */
struct site *site_new(struct courier *c, const struct conf *conf, slice secret, slice ca,
                      struct buf *why) NONNULL(1, 2, 5);
/* A domain. The settings' texts, the policy and the pool are the owner's; tls: NULL, never. */
struct site *site_new_domain(struct courier *c, const struct settings *settings,
                             struct tls_context *tls, const struct route_policy *policy,
                             struct site_pool *pool, slice domain) NONNULL(1, 2, 4, 5);
/* Ends every connection now, as an attempt without success of what it has in hand. */
void site_abort(struct site *s) NONNULL(1);
/* Without connections; its destination is empty, and no lookup runs or the jobs are gone. */
void site_free(struct site **s);
/* Opens connections and hands out work as far as both are wanted; called after anything has
 * changed. For a domain: when it is awake. */
void site_pump(struct site *s) NONNULL(1);
/* A domain is to be pumped soon. */
void site_wake(struct site *s) NONNULL(1);
/* Whatever made it wait, it tries now. */
void site_hurry(struct site *s) NONNULL(1);
/* Its destination's site. */
struct site *site_of(struct destination *d) NONNULL(1);
/* Begins nothing more; site_is_idle when all is done. */
void site_close(struct site *s) NONNULL(1);
bool site_is_idle(const struct site *s) NONNULL(1);

/* For session: */
struct site_failure {
    struct outcome outcome;
    enum relay_stage stage;
    slice text;
    slice remote;
    bool is_local;    /* the fault is ours */
    unsigned address; /* index */
    unsigned round;   /* in which the session was opened */
};
void site_failed(struct site *s, const struct site_failure *f) NONNULL(1, 2);
/* A connection signed on: the host is well. */
void site_reached(struct site *s) NONNULL(1);
bool site_may_begin(const struct site *s) NONNULL(1);
/* Do others wait for one of its connections to end? */
bool site_is_in_the_way(const struct site *s) NONNULL(1);
/* A connection begins and ends. */
void site_opened(struct site *s) NONNULL(1);
void site_closed(struct site *s) NONNULL(1);

#endif
