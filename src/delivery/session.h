/* session: one connection to a next host: performs the effects of dialog/relay.
 *
 * It takes the next message from the site's queue whenever the host is ready for one, streams
 * the body from the journal with the pace of the connection, and turns verdicts into outcomes.
 * It ends by itself: after its number of messages, when it was idle for long, when the host
 * ends it. */
#ifndef DELIVERY_SESSION_H
#define DELIVERY_SESSION_H

#include "delivery/site.h"
#include "net/stream.h"

enum { SESSION_TLS_MAX = 400, SESSION_TLS_NAMES_MAX = 16 };

struct session {
    struct list node; /* in its site */
    struct list idle; /* in its site's idle ones */
    struct list pool_idle;
    struct site *site;
    struct stream *stream;
    struct relay *relay;
    struct relay_config config;
    struct timer timer;
    enum relay_stage stage; /* whose deadline runs */
    uint64_t replies;       /* had when it began */
    bool has_signed_on;
    bool is_streaming; /* the body */
    bool is_blocked;   /* until on_drain */
    bool has_news;     /* a piece got through: the deadline begins anew */
    bool is_quitting;
    unsigned address; /* index of it */
    unsigned round;   /* the site's, when it was opened */
    unsigned messages;
    char host[TARGET_NAME_MAX + 1];
    char remote[SITE_REMOTE_MAX + 1];
    struct dane *dane;             /* of the host */
    char tls[SESSION_TLS_MAX + 1]; /* see tls_session_text; empty: in plain text */

    /* in hand */
    struct parcel *parcel;
    struct letter letter;
    struct slip *slip;
    struct relay_message message;
    uint32_t *indexes;
    uint32_t *back; /* to be tried at once elsewhere */
    struct relay_recipient *recipients;
    uint32_t count;
    uint32_t back_count;

    bool has_failure; /* of the site, while a message was in hand */
    struct site_failure failure;
    char failure_text[SITE_TEXT_MAX + 1];
};

/* Opens a connection; the session belongs to its site and frees itself. */
void session_open(struct site *s, const struct target_address *to, unsigned index,
                  bool is_plain) NONNULL(1, 2);
/* An idle one: takes the next message; or says good-bye. */
void session_work(struct session *s) NONNULL(1);
void session_quit(struct session *s) NONNULL(1);
/* Ends it now; what it has in hand is tried again later. */
void session_abort(struct session *s) NONNULL(1);

/* Of session_tls.c. What the relay must insist on, by what is wanted for the domain and what
 * DANE says of the host; the handshake, by the same; and what came of it. */
enum relay_tls session_tls(const struct session *s) NONNULL(1);
void session_start_tls(struct session *s) NONNULL(1);
void session_note_tls(struct session *s) NONNULL(1);

#endif
