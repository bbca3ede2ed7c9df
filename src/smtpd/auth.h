/* auth: checks who signs in.
 *
 * Generated secrets ("blake2b") are checked at once by a keyed hash. Chosen passwords
 * ("argon2id") are checked on two threads of their own; what was found right is remembered for
 * ten minutes under a keyed hash of credential, verifier and password, so that a program which
 * signs in for each message costs one password hash and a changed credential is not taken for
 * the old one.
 *
 * All failures look alike: each costs at least one argon2id (of a verifier that nobody has the
 * password of, when the account has none or does not exist), gets one text, and is answered at
 * the same time after it began, which grows with each recent failure from the client's network
 * and never acts on the account. Signing in as somebody else (SASL authorisation id) needs a
 * credential that may act for that account.
 *
 * Control signs in at the local door alone, with the secret that the parent makes at each
 * start: for an account, by its id and counted on it like on every other door, or for the
 * system itself (account 0, which has no limits). */
#ifndef SMTPD_AUTH_H
#define SMTPD_AUTH_H

#include "codec/reply.h"
#include "dialog/effect.h"
#include "model/directory.h"
#include "net/jobs.h"
#include "smtpd/limits.h"

enum {
    AUTH_THREADS = 2,
    AUTH_QUEUE_MAX = 256, /* password hashes that wait */
    AUTH_CACHE_MAX = 16384,
};
#define AUTH_CACHE_AGE (10 * SPAN_MINUTE)

struct auth;
/* Starts the threads and libsodium; NULL when either fails. directory and limits outlive it. */
struct auth *auth_new(struct env *env, struct directory *directory, struct limits *limits);
/* Control signs in with this secret (empty: it cannot). Copied, once. */
void auth_set_control(struct auth *a, slice secret) NONNULL(1);
/* No sign-in may be running on a loop that still runs. */
void auth_free(struct auth **a);

struct auth_question {
    enum verify_mechanism mechanism;
    struct sasl_identity identity;
    struct address client;
    bool is_local; /* a Unix socket: uid is the peer's */
    uint32_t uid;
};

enum auth_result {
    AUTH_OK,
    AUTH_WRONG,      /* login or password, or no such login */
    AUTH_NO_MAPPING, /* the local user has no account */
    AUTH_NOT_FOR,    /* right, but may not act for the account it asks for */
    AUTH_BUSY,       /* too many wait */
    AUTH_NO_ACCOUNT, /* control names an account that is not there */
};

/* What came out, valid during the call: account is NULL and refusal set, or the reverse. */
struct auth_answer {
    enum auth_result result;
    const struct account *account;
    const struct reply *refusal;
    slice login; /* as it was given; empty with EXTERNAL */
};

typedef void auth_fn(void *ctx, const struct auth_answer *answer);

/* Checks, and calls fn once on the loop: before auth_begin returns (then NULL is returned), or
 * later. What the question points at is copied and wiped afterwards. */
struct sign_in;
struct sign_in *auth_begin(struct auth *a, struct loop *l, const struct auth_question *q,
                           auth_fn *fn, void *ctx) NONNULL(1, 2, 3, 4);
/* fn will not be called. Clears the pointer, takes NULL. */
void auth_cancel(struct sign_in **s);

const char *auth_result_name(enum auth_result r);

/* For tests: how many argon2id verifications have run. */
uint64_t auth_hashes(const struct auth *a) NONNULL(1);
/* … and the verifier that stands for those that are not there. */
const char *auth_nobody(const struct auth *a) NONNULL(1);

#endif
