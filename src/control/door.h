/* door: control as a client of smtpd's local door: how reports, notices and the API send mail.
 *
 * Control signs in with the secret that the parent has given to both, and sends as the system
 * (counted on nobody) or for an account (counted on it, refused, locked and checked for its
 * sender like at every other door). A letter with a token is taken once: the same token of the
 * same account within 24 hours, over restarts too, is answered with the first one's id, so that
 * whoever does not know whether a letter was taken may send it again.
 *
 * All recipients are taken, or none. */
#ifndef CONTROL_DOOR_H
#define CONTROL_DOOR_H

#include "base/stamp.h"
#include "codec/reply.h"
#include "net/jobs.h"
#include "policy/rule.h"

struct door;
struct door_config {
    const char *path;  /* of the local door's socket */
    slice secret;      /* role_secret(role, "control") at the start of the role */
    slice hostname;    /* said in EHLO */
    struct loop *loop; /* of the one who calls door_post */
};
/* Everything is copied. NULL: no thread could be started. */
struct door *door_new(const struct door_config *c) NONNULL(1);
/* Letters that door_post has not begun with are dropped, without their fn. The loop has ended.
 * Clears the pointer, takes NULL. */
void door_free(struct door **d);

struct door_letter {
    uint64_t account; /* its id; 0: the system */
    slice client;     /* who has asked, for the record: an address, "uid=0"; empty: "control" */
    slice sender;     /* reverse-path without brackets; empty: <> (the system's alone, or of an
                       * account that may send as anybody) */
    const slice *recipients; /* without brackets */
    size_t recipient_count;
    slice token;   /* printable ASCII, at most PARAMS_TOKEN_MAX octets; empty: none */
    slice message; /* header and body, lines ended by CRLF, not dot-stuffed */
};

enum door_result {
    DOOR_QUEUED,
    DOOR_REPEATED, /* its token was known: id is the first one's */
    DOOR_REFUSED,  /* code, enhanced and text are smtpd's reply; 4xx: later is worth a try */
    DOOR_FAILED,   /* not known: smtpd could not be reached, or broke off. error says why */
};

/* What a limit that refused has said of itself. */
struct door_limit {
    bool is_there;
    uint64_t used;
    uint64_t max;
    stamp again; /* from then on it works; STAMP_NEVER: no moment can be named */
    char rule[RULE_TEXT_MAX + 1];
};

struct door_answer {
    enum door_result result;
    uint64_t id;
    int error; /* -errno */
    uint16_t code;
    struct enhanced enhanced;
    ptrdiff_t recipient; /* REFUSED: the first recipient that was, or -1: not about one */
    char text[REPLY_TEXT_MAX + 1];
    struct door_limit limit;
};

/* Sends, and waits for the answer, at most a minute: for threads that may wait. Thread-safe. */
void door_send(const struct door *d, const struct door_letter *l, struct door_answer *out)
    NONNULL(1, 2, 3);

/* The same without waiting: the letter is copied, fn is called once on the loop. -EAGAIN: too
 * many wait already, fn will not be called. On the loop's thread. */
typedef void door_fn(void *ctx, const struct door_answer *answer);
int door_post(struct door *d, const struct door_letter *l, door_fn *fn, void *ctx) MUST_USE
    NONNULL(1, 2, 3);

#endif
