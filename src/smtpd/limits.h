/* limits: what one client, one account and all of them together may take of this process:
 * connections, memory for arriving messages, disk space; and how failed sign-ins are slowed.
 *
 * Shared by all loops; thread-safe. Everything here is of this run only: the limits of people
 * (messages per day) are the limiter's. What was not authenticated acts on the client's network
 * alone (address_network), never on an account. */
#ifndef SMTPD_LIMITS_H
#define SMTPD_LIMITS_H

#include "base/env.h"
#include "codec/host.h"
#include "model/conf.h"

enum {
    /* Below this many free inodes new mail is refused: segments and large bodies need some. */
    LIMITS_MIN_INODES = 1024,
    /* Connections over the maximum that are being refused at a time; more are just closed. */
    LIMITS_REFUSALS = 256,
    /* Networks whose failed sign-ins are remembered. */
    LIMITS_FAILURES = 65536,
};
#define LIMITS_LONGEST_DELAY (30 * SPAN_SECOND)
/* One failed sign-in is forgotten after this. */
#define LIMITS_DECAY (60 * SPAN_SECOND)

struct limits;

struct limits *limits_new(struct env *env, const struct conf_submission *c) NONNULL(1, 2);
void limits_free(struct limits **l);
/* A reload: the new maxima hold from now on, for those that come. */
void limits_configure(struct limits *l, const struct conf_submission *c) NONNULL(1, 2);

enum limits_entry {
    LIMITS_OK,
    LIMITS_TOTAL,   /* refuse: too many connections in all */
    LIMITS_ADDRESS, /* refuse: too many from this network */
    LIMITS_FLOOD,   /* close without a word; nothing was counted */
};

/* A connection comes and goes. All but FLOOD count until limits_leave with the same verdict;
 * family 0 (local) has no limit per address. */
enum limits_entry limits_enter(struct limits *l, const struct address *client) NONNULL(1, 2);
void limits_leave(struct limits *l, const struct address *client, enum limits_entry verdict)
    NONNULL(1, 2);
uint64_t limits_sessions(struct limits *l) NONNULL(1);

/* A session is signed in to the account: false when it has its maximum already. */
bool limits_account_enter(struct limits *l, uint64_t account) NONNULL(1);
void limits_account_leave(struct limits *l, uint64_t account) NONNULL(1);

/* Memory for arriving messages: false when it would pass the maximum. */
bool limits_memory_take(struct limits *l, size_t bytes) NONNULL(1);
void limits_memory_give(struct limits *l, size_t bytes) NONNULL(1);
uint64_t limits_memory(struct limits *l) NONNULL(1);

/* The journals' sizes, as their writers tell them, and the bound at which new mail is refused
 * (0: none). Without this call nothing is bounded. */
void limits_bound_journals(struct limits *l, const _Atomic uint64_t *bytes, size_t count,
                           uint64_t max) NONNULL(1, 2);

/* Is there disk space for new mail? Asks the disk at most once per second; a disk that cannot
 * say is taken to be full. */
bool limits_has_space(struct limits *l) NONNULL(1);

/* A sign-in from here failed: how long after its beginning the answer is due. */
span limits_sign_in_failed(struct limits *l, const struct address *client) NONNULL(1, 2);

#endif
