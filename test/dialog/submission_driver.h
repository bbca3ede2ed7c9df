/* submission_driver: an owner for the submission machine, made of a few rules instead of disks
 * and directories. It performs every effect, checks that effects come in a legal order, and
 * keeps what was said, done and given.
 *
 *   sign-ins     LOGIN "secret": the accounts below; EXTERNAL needs no secret
 *   tokens       known: of message 7; busy: 450; all others are new
 *   recipients   never@… 550, later@… 450, all others are reserved
 *   opening      open_refusal; bodies: body_err at the n-th; commits: commit_err,
 *                commit_refusal */
#ifndef TEST_DIALOG_SUBMISSION_DRIVER_H
#define TEST_DIALOG_SUBMISSION_DRIVER_H

#include "dialog/submission_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { DRIVER_AT = 1795309323 }; /* Sun, 22 Nov 2026 01:02:03 */

struct driver {
    struct submission_config config;
    struct submission_peer peer;
    struct submission *s;
    struct buf said;
    struct buf done;      /* effects, one word each */
    struct buf body;      /* of the message that is arriving */
    struct buf committed; /* of all messages that were kept, each followed by "\n" */
    bool answers_late;    /* after the effects were taken, not while */
    bool tls_fails;
    struct reply open_refusal;
    int body_err;
    int commit_err;
    struct reply commit_refusal;
    uint64_t next_id;
    unsigned commits; /* that went well */
    /* the order of effects */
    bool is_open;
    bool is_closed;
    bool holds;
    enum effect_kind owes; /* the answer that is due */
    struct effect waiting;
};

static const slice UNUSED driver_exact[] = {SLICE_INIT("anna@x.test"),
                                            SLICE_INIT("anna@y.test")};
static const slice UNUSED driver_domains[] = {SLICE_INIT("x.test"), SLICE_INIT("y.test")};
static const slice UNUSED driver_many[] = {SLICE_INIT("a.test"), SLICE_INIT("b.test"),
                                           SLICE_INIT("c.test"), SLICE_INIT("d.test"),
                                           SLICE_INIT("e.test"), SLICE_INIT("f.test")};

enum { DRIVER_ACCOUNTS = 11 };

/* Logins: any, dora (domains), anna (exact), none (no sender yet), many, small (limits),
 * those that may not send, and control. */
static inline struct account driver_account(unsigned i)
{
    const struct account accounts[DRIVER_ACCOUNTS] = {
        {.id = 1, .login = SLICE("any"), .right = SENDERS_ANY},
        {.id = 2,
         .login = SLICE("dora"),
         .right = SENDERS_DOMAINS,
         .senders = driver_domains,
         .sender_count = 2},
        {.id = 3,
         .login = SLICE("anna"),
         .right = SENDERS_EXACT,
         .senders = driver_exact,
         .sender_count = 2},
        {.id = 4, .login = SLICE("none"), .right = SENDERS_EXACT},
        {.id = 5,
         .login = SLICE("many"),
         .right = SENDERS_DOMAINS,
         .senders = driver_many,
         .sender_count = 6},
        {.id = 6,
         .login = SLICE("small"),
         .right = SENDERS_ANY,
         .max_recipients = 1,
         .max_size = 500},
        {.id = 7,
         .login = SLICE("locked"),
         .state = ACCOUNT_LOCKED,
         .until = STAMP_NEVER,
         .reason = SLICE("501 messages in 30 minutes")},
        {.id = 8,
         .login = SLICE("paused"),
         .state = ACCOUNT_LOCKED,
         .until = DRIVER_AT * SPAN_SECOND},
        {.id = 10,
         .login = SLICE("plan"),
         .state = ACCOUNT_SUSPENDED,
         .until = DRIVER_AT * SPAN_SECOND,
         .reason = SLICE("500 MB used")},
        {.id = 9, .login = SLICE("ended"), .state = ACCOUNT_SUSPENDED, .until = STAMP_NEVER},
        {.id = 11, .login = SLICE("control"), .right = SENDERS_ANY, .is_control = true},
    };
    return accounts[i % DRIVER_ACCOUNTS];
}

static inline bool driver_find(slice login, struct account *out)
{
    for (unsigned i = 0; i < DRIVER_ACCOUNTS; i++) {
        *out = driver_account(i);
        if (slice_eq(out->login, login))
            return true;
    }
    return false;
}

static inline struct submission_config driver_config(void)
{
    return (struct submission_config){
        .hostname = SLICE("mx.test"),
        .tls = SUBMISSION_TLS_STARTTLS,
        .listener = SLICE("test"),
        .max_size = 10000,
        .max_recipients = 3,
        .max_header = 2000,
        .max_errors = 20,
        .max_auth_failures = 3,
        .hops_max = 5,
    };
}

static inline void driver_init(struct driver *d)
{
    *d = (struct driver){
        .config = driver_config(), .peer = {.client = SLICE("192.0.2.1")}, .next_id = 1};
}

static inline void driver_start(struct driver *d)
{
    d->s = submission_new(&d->config, &d->peer);
    submission_start(d->s, NULL);
}

static inline void driver_fini(struct driver *d)
{
    submission_free(&d->s);
    buf_fini(&d->said);
    buf_fini(&d->done);
    buf_fini(&d->body);
    buf_fini(&d->committed);
}

static inline void driver_verify(struct driver *d, const struct effect *e)
{
    const struct reply wrong = {535, {5, 7, 8}, SLICE("Wrong user name or password")};
    const struct reply broken = {454, {4, 7, 0}, SLICE("Cannot check this now; try again")};
    bool is_external = e->verify.mechanism == VERIFY_EXTERNAL;
    slice login = is_external ? e->verify.identity.authzid : e->verify.identity.authcid;
    struct account account;
    if (slice_eq(login, SLICE("broken")))
        submission_verified(d->s, NULL, &broken);
    else if (driver_find(login, &account) &&
             (is_external || slice_eq(e->verify.identity.secret, SLICE("secret"))))
        submission_verified(d->s, &account, NULL);
    else
        submission_verified(d->s, NULL, &wrong);
}

static inline void driver_token(struct driver *d, const struct effect *e)
{
    const struct reply busy = {450, {4, 3, 0}, SLICE("It is arriving now")};
    bool is_known = slice_eq(e->token, SLICE("known"));
    bool is_busy = slice_eq(e->token, SLICE("busy"));
    d->holds = !is_known && !is_busy;
    submission_token(d->s, is_known ? 7 : 0, is_busy ? &busy : NULL);
}

static inline void driver_reserve(struct driver *d, const struct effect *e)
{
    const struct reply never = {550, {5, 1, 1}, SLICE("Suppressed")};
    const struct reply later = {450, {4, 7, 1}, SLICE("Limit reached")};
    if (slice_starts(e->reserve.address, SLICE("never@")))
        submission_reserved(d->s, &never);
    else if (slice_starts(e->reserve.address, SLICE("later@")))
        submission_reserved(d->s, &later);
    else
        submission_reserved(d->s, NULL);
}

static inline void driver_commit(struct driver *d)
{
    if (!d->commit_err && !d->commit_refusal.code) {
        d->commits++;
        buf_append(&d->committed, buf_slice(&d->body));
        buf_byte(&d->committed, '\n');
    }
    buf_clear(&d->body);
    submission_committed(d->s, d->commit_err, &d->commit_refusal);
}

static inline void driver_answer(struct driver *d, const struct effect *e)
{
    d->owes = EFFECT_NONE;
    switch (e->kind) {
    case EFFECT_START_TLS:
        submission_tls_started(d->s, d->tls_fails ? -EPROTO : 0, SLICE("TLSv1.3 X"));
        return;
    case EFFECT_VERIFY:
        driver_verify(d, e);
        return;
    case EFFECT_TOKEN:
        driver_token(d, e);
        return;
    case EFFECT_RESERVE:
        driver_reserve(d, e);
        return;
    case EFFECT_OPEN:
        d->is_open = !d->open_refusal.code;
        submission_opened(d->s, d->next_id++, DRIVER_AT * SPAN_SECOND, &d->open_refusal);
        return;
    case EFFECT_COMMIT:
        driver_commit(d);
        return;
    default:
        return;
    }
}

/* What each effect needs to have come before it. */
static inline void driver_check_order(struct driver *d, const struct effect *e)
{
    INVARIANT(!d->is_closed);
    INVARIANT(d->owes == EFFECT_NONE || e->kind == EFFECT_ABORT || e->kind == EFFECT_CLOSE);
    switch (e->kind) {
    case EFFECT_TOKEN:
        INVARIANT(!d->is_open && !d->holds && e->token.len > 0);
        d->holds = true;
        return;
    case EFFECT_RESERVE:
        INVARIANT(!d->is_open && (d->holds || e->reserve.is_first));
        d->holds = true;
        return;
    case EFFECT_OPEN:
        INVARIANT(!d->is_open && d->holds);
        return;
    case EFFECT_BODY:
        INVARIANT(d->is_open && e->body.len > 0);
        return;
    case EFFECT_COMMIT:
        INVARIANT(d->is_open);
        d->is_open = false;
        d->holds = false;
        return;
    case EFFECT_ABORT:
        INVARIANT(d->holds);
        d->is_open = false;
        d->holds = false;
        return;
    case EFFECT_CLOSE:
        INVARIANT(!d->holds);
        d->is_closed = true;
        return;
    default:
        INVARIANT(!d->is_open && !d->holds);
        return;
    }
}

static inline void driver_perform(struct driver *d, const struct effect *e)
{
    static const char *const names[] = {
        [EFFECT_START_TLS] = "TLS ", [EFFECT_VERIFY] = "VERIFY ", [EFFECT_RESERVE] = "RESERVE ",
        [EFFECT_OPEN] = "OPEN ",     [EFFECT_BODY] = "",          [EFFECT_COMMIT] = "COMMIT ",
        [EFFECT_ABORT] = "ABORT ",   [EFFECT_CLOSE] = "CLOSE ",   [EFFECT_TOKEN] = "TOKEN ",
    };
    driver_check_order(d, e);
    buf_append(&d->done, slice_of(names[e->kind]));
    switch (e->kind) {
    case EFFECT_BODY:
        buf_append(&d->body, e->body);
        if (d->body_err)
            submission_body_failed(d->s, d->body_err);
        return;
    case EFFECT_ABORT:
        buf_clear(&d->body);
        return;
    case EFFECT_CLOSE:
        return;
    default:
        d->owes = e->kind;
        d->waiting = *e;
        if (!d->answers_late)
            driver_answer(d, e);
        return;
    }
}

/* Performs, answers and reads until the machine waits for the client. */
static inline void driver_settle(struct driver *d)
{
    struct effect e;
    do {
        while (submission_effect(d->s, &e))
            driver_perform(d, &e);
        struct buf *out = submission_out(d->s);
        buf_append(&d->said, buf_slice(out));
        buf_consume(out, out->len);
        if (d->owes != EFFECT_NONE)
            driver_answer(d, &d->waiting);
    } while (submission_out(d->s)->len || d->s->effect_count);
}

/* Gives bytes until they are used or nobody wants them; returns how many were used. */
static inline size_t driver_give(struct driver *d, slice bytes)
{
    size_t used = 0;
    driver_settle(d);
    while (used < bytes.len && submission_wants_input(d->s)) {
        size_t n = submission_input(d->s, slice_from(bytes, used));
        driver_settle(d);
        if (n == 0)
            break;
        used += n;
    }
    return used;
}

/* Gives bytes in reads of at most `step` octets, each time with what was left over in front,
 * in memory of just that size, so that nothing can be read behind it. */
static inline void driver_feed(struct driver *d, slice bytes, size_t step)
{
    size_t from = 0;
    size_t to = 0;
    while (to < bytes.len) {
        to = to + step < bytes.len ? to + step : bytes.len;
        slice part = slice_to(slice_from(bytes, from), to - from);
        char *copy = xcalloc(part.len, 1);
        memcpy(copy, part.ptr, part.len);
        from += driver_give(d, (slice){copy, part.len});
        memset(copy, '#', part.len);
        free(copy);
    }
}

#endif
