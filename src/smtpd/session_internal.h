/* session_internal: what the files of the session share. Nobody else's.
 *
 *   session.c          its life: the connection, the bytes, the deadlines
 *   session_effects.c  what the machine asks for: sign-in, body, commit
 */
#ifndef SMTPD_SESSION_INTERNAL_H
#define SMTPD_SESSION_INTERNAL_H

#include "net/stream.h"
#include "smtpd/local.h"
#include "smtpd/session.h"
#include "smtpd/worker.h"

enum { SESSION_TLS_TEXT_MAX = 80 };

struct session {
    struct list node;
    struct worker *worker;
    struct settings *settings; /* one reference */
    const struct door *door;
    struct stream *stream;
    struct submission *dialog; /* NULL until implicit TLS is up */
    struct message *message;   /* open, or committing */
    struct sign_in *sign_in;   /* running */
    struct timer timer;
    span timer_due; /* when it fires; STAMP_NEVER: it is not set */
    struct deadline deadline;
    uint64_t body_octets; /* that came, of all messages */
    struct buf kept;      /* input that was taken from the stream and not yet used */

    uint64_t id;
    struct listen_peer peer;
    enum limits_entry entry;

    /* Who is signed in (0: nobody), counted in limits; and the directory that this was read in.
     */
    uint64_t account;
    uint64_t seat; /* the account in whose number of sessions this one is counted */
    uint64_t credential;
    uint64_t directory_version;
    uint64_t lock_version; /* of limiting, as well */
    struct limiting_view view;
    struct limiting_charge charge; /* what the running transaction holds */
    struct token_claim *token;     /* … and its token, if control has given one */

    bool is_in_turn;     /* answers need not start a turn of their own */
    bool is_handshaking; /* the client owes us a handshake */
    bool is_stalled;     /* the client does not read: nothing more is taken from it */
    bool starts_tls;     /* after what is in out */
    bool ends;           /* after what is in out */
    bool has_answered;   /* a command was answered in this turn */
    bool is_control;     /* control is signed in, for an account or the system */
    char client[LOCAL_CLIENT_MAX];
    char tls_text[SESSION_TLS_TEXT_MAX];
};

/* Performs all effects that are due. */
void session_perform(struct session *s) NONNULL(1);
/* An answer was given to the machine outside of a turn: goes on. May free the session. */
void session_answered(struct session *s) NONNULL(1);
/* Looks the account up again when the directory has changed. */
void session_refresh_account(struct session *s) NONNULL(1);
/* This account is signed in, if it has not its maximum of sessions (control has none). */
bool session_enter_account(struct session *s, const struct account *account) NONNULL(1, 2);
/* Lets go of all that is running or counted. */
void session_leave(struct session *s) NONNULL(1);
/* The account that it is signed in to by where it comes from, or NULL with the refusal that the
 * greeting must be (code 0: none). */
const struct account *session_arrive(struct session *s, struct arena *a,
                                     struct account *account, struct reply *refusal)
    NONNULL(1, 2, 3, 4);

#endif
