/* site: one next host: its connections, how many, and when.
 *
 * Connections are opened as work demands, up to the limit; each takes one message after the
 * other. When the host cannot be reached on any address, the whole site waits, twice as long
 * after each round without success, and then tries one connection; no recipient's attempts are
 * used up by that. While some connections work, the failure of a further one only keeps new
 * ones away for a while: many hosts limit connections. */
#ifndef DELIVERY_SITE_H
#define DELIVERY_SITE_H

#include "delivery/courier.h"
#include "delivery/settings.h"
#include "delivery/target.h"
#include "net/tls.h"

enum { SITE_TEXT_MAX = 200, SITE_REMOTE_MAX = 120 };

struct site {
    struct courier *courier;
    struct settings settings;
    struct destination destination;
    struct target target;
    struct tls_context *tls; /* NULL when TLS is never spoken */
    struct timer timer;      /* the end of a pause */
    struct timer expiring;   /* goes on settling what is too old */

    struct list sessions;
    struct list idle; /* signed on, without work; the latest first */
    unsigned count;   /* sessions */
    unsigned opening; /* not signed on yet */
    unsigned idle_count;
    bool is_closing; /* begins nothing more */

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
    struct enhanced status;
};

/* A smarthost by the configuration. secret and ca: the password's file and the certificates'.
 * NULL with the reason in *why: the certificates are unusable. */
struct site *site_new(struct courier *c, const struct conf *conf, slice secret, slice ca,
                      struct buf *why) NONNULL(1, 2, 5);
/* Ends every connection now, as an attempt without success of what it has in hand. */
void site_abort(struct site *s) NONNULL(1);
/* Without connections; its destination is empty, and no lookup runs or the jobs are gone. */
void site_free(struct site **s);
/* Opens connections and hands out work as far as both are wanted; called after anything has
 * changed. */
void site_pump(struct site *s) NONNULL(1);
/* Begins nothing more; site_is_idle when all is done. */
void site_close(struct site *s) NONNULL(1);
bool site_is_idle(const struct site *s) NONNULL(1);

/* For session: */
struct site_failure {
    struct outcome outcome;
    enum relay_stage stage;
    slice text;
    slice remote;
    unsigned address; /* index */
    unsigned round;   /* in which the session was opened */
};
void site_failed(struct site *s, const struct site_failure *f) NONNULL(1, 2);
/* A connection signed on: the host is well. */
void site_reached(struct site *s) NONNULL(1);
bool site_may_begin(const struct site *s) NONNULL(1);

#endif
