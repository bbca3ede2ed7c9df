/* submission: the server's side of an SMTP conversation, as a pure machine.
 *
 * Bytes and answers go in, effects and reply bytes come out; the machine does no I/O, reads no
 * clock and allocates only in its arenas, so that every conversation runs in a unit test. The
 * owner (smtpd/session, or a test) drives it so:
 *
 *     submission_start(s);
 *     for (;;) {
 *         struct effect e;
 *         while (submission_effect(s, &e))   // perform each, in order
 *             perform(&e);                   // may call an answer function at once, or later
 *         write out(s);                      // replies; may be written while it waits
 *         if (submission_wants_input(s) && there are bytes)
 *             used = submission_input(s, bytes);
 *         else
 *             wait for bytes, an answer or a deadline;
 *     }
 *
 * While an answer is due the machine takes no input: what a pipelining client has sent stays
 * with the owner. Replies to a pipelined group are gathered in `out` and need not be written
 * before the machine waits or has used all input (RFC 2920).
 *
 * Guarantees: a message ends at CRLF.CRLF (or the last BDAT octet) only; never 250 to end of
 * data without submission_committed(…, 0 …); a local fault gives 4xx; after any refusal the
 * machine's state is what RFC 5321 4.1.4 says. Nothing secret stays in memory after its answer.
 */
#ifndef DIALOG_SUBMISSION_H
#define DIALOG_SUBMISSION_H

#include "base/arena.h"
#include "base/buf.h"
#include "codec/params.h"
#include "codec/reply.h"
#include "codec/sasl.h"
#include "codec/trace.h"
#include "dialog/effect.h"
#include "policy/account.h"

enum submission_tls { SUBMISSION_TLS_NONE, SUBMISSION_TLS_STARTTLS, SUBMISSION_TLS_IMPLICIT };

/* What does not change while sessions of a listener live; shared, the owner's. */
struct submission_config {
    slice hostname;
    enum submission_tls tls;
    bool plaintext_auth; /* AUTH without TLS (loopback only; checked by the configuration) */
    bool is_local_door;  /* AUTH EXTERNAL is offered; the peer is a local user */
    bool needs_tls;      /* mail is refused before TLS, even when the client is authenticated */
    slice listener;
    enum trace_detail trace;
    uint64_t max_size; /* octets of a message; 0: none */
    uint32_t max_recipients;
    uint32_t max_header; /* octets of the header */
    uint32_t max_line;   /* octets of a body line with CRLF; 0: none */
    uint32_t max_errors; /* bad commands before 421 */
    uint32_t max_auth_failures;
    uint32_t max_messages; /* per connection; 0: any */
    unsigned hops_max;
};

/* What is true of this connection. */
struct submission_peer {
    slice client; /* address text, or "uid=N" at the local door */
    /* Signed in by where it comes from (address or uid credential), else NULL. Copied. */
    const struct account *account;
    bool tls; /* implicit TLS is up */
    slice tls_text;
};

struct submission; /* opaque */

struct submission *submission_new(const struct submission_config *c,
                                  const struct submission_peer *p) NONNULL(1, 2);
void submission_free(struct submission **s);

/* Greets, or refuses with this reply and closes (code 0: greets). */
void submission_start(struct submission *s, const struct reply *refusal) NONNULL(1);

/* The next effect to perform; false when there is none. Slices in it are valid until the next
 * call of submission_input or an answer. */
bool submission_effect(struct submission *s, struct effect *out) NONNULL(1, 2);
/* Reply bytes that wait to be written; the owner consumes them (buf_consume). */
struct buf *submission_out(struct submission *s) NONNULL(1);

bool submission_wants_input(const struct submission *s) NONNULL(1);
/* Takes bytes and returns how many it used (>= 1 when it wants input and len >= 1, and for
 * incomplete command lines 0: offer again with more behind them). Stops
 * early when an effect or an answer is due. */
size_t submission_input(struct submission *s, slice bytes) NONNULL(1);

/* Answers, each to the effect of its name. */
void submission_tls_started(struct submission *s, int err, slice tls_text) NONNULL(1);
/* account: NULL with a refusal (its reply), else copied. */
void submission_verified(struct submission *s, const struct account *account,
                         const struct reply *refusal) NONNULL(1);
/* code 0 and first_id 0: the token is new and taken; first_id: the message that was accepted
 * with it, which is the answer to this one too; else the refusal. */
void submission_token(struct submission *s, uint64_t first_id, const struct reply *refusal)
    NONNULL(1);
/* code 0: the recipient is reserved; else the refusal. */
void submission_reserved(struct submission *s, const struct reply *refusal) NONNULL(1);
/* The message may begin: its id and the time for its trace field; or a refusal (code not 0)
 * instead of 354 / before BDAT's octets. */
void submission_opened(struct submission *s, uint64_t id, stamp at, const struct reply *refusal)
    NONNULL(1);
/* The last EFFECT_BODY could not be kept: refuse at the end with 452 4.3.1 (no space) or
 * 451 4.3.0, after taking the rest. May be called while performing EFFECT_BODY. */
void submission_body_failed(struct submission *s, int err) NONNULL(1);
/* The message is on disk (err 0), or it is not: 451/452. refusal: a verdict at end of data
 * (limits), code 0 for none. */
void submission_committed(struct submission *s, int err, const struct reply *refusal)
    NONNULL(1);

/* The account as the directory has it now (after a change): a lock holds from the next command
 * on; NULL: it is gone. Copied. */
void submission_account_changed(struct submission *s, const struct account *account) NONNULL(1);

/* Deadlines and ends, from the owner. */
void submission_timeout(struct submission *s) NONNULL(1);  /* 421 4.4.2, close */
void submission_shutdown(struct submission *s) NONNULL(1); /* 421 4.3.2 before the next command
                                                            * or transaction; a message in DATA
                                                            * is finished first */
void submission_gone(struct submission *s) NONNULL(1);     /* the peer closed: abort effects */

/* Which deadline runs: what the machine is waiting for. */
enum submission_wait {
    SUBMISSION_WAIT_COMMAND,
    SUBMISSION_WAIT_BODY,
    SUBMISSION_WAIT_ANSWER, /* ours: no deadline of the client runs */
    SUBMISSION_CLOSED,
};
enum submission_wait submission_waits(const struct submission *s) NONNULL(1);

/* Facts about the running transaction, for the limits, the record and the log. Valid from its
 * first EFFECT_RESERVE (id and at from the answer to EFFECT_OPEN) until the answer to
 * EFFECT_COMMIT or EFFECT_ABORT (when that comes they are gone). */
struct submission_recipient {
    slice address; /* as given, without brackets */
    struct rcpt_params params;
};
struct submission_transaction {
    slice reverse_path; /* without brackets; empty for <> */
    struct mail_params params;
    const struct submission_recipient *recipients;
    size_t recipient_count;
    uint64_t id;
    stamp at;
    uint64_t octets;  /* received, dots removed, so far */
    slice message_id; /* after the header has been read, as is: */
    slice subject;    /* its beginning, unfolded */
    slice helo;
    slice protocol; /* "ESMTPSA" */
    slice tls;
    const struct account *account;
};
const struct submission_transaction *submission_transaction(const struct submission *s)
    NONNULL(1);

#endif
