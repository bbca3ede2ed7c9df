/* session: one SMTP connection: the bytes of a stream through the machine of
 * dialog/submission, and that machine's effects on the disk, the directory and the limits.
 *
 * All replies of a turn leave in one write. Input is read in place; only a command line that
 * has not ended, or what a pipelining client has sent behind a command that must wait, is kept.
 * After each change of the directory the session's account is looked up again before the next
 * command. A session owns itself: it is gone when its connection is. */
#ifndef SMTPD_SESSION_H
#define SMTPD_SESSION_H

#include "base/list.h"
#include "net/listen.h"
#include "smtpd/limits.h"
#include "smtpd/settings.h"

struct session;
struct worker;

struct session_origin {
    struct settings *settings;
    const struct door *door; /* of the settings */
    const struct listen_peer *peer;
    enum limits_entry entry; /* counted already; the session gives it back */
};

/* Takes over the descriptor and what limits_enter counted. */
void session_begin(struct worker *w, int fd, const struct session_origin *o) NONNULL(1, 3);

/* Ends it after what it is in the middle of; may be gone at once. */
void session_shutdown(struct session *s) NONNULL(1);
/* Ends it now. */
void session_cut(struct session *s) NONNULL(1);

/* By its place in the worker's list. */
struct session *session_of(struct list *node) NONNULL(1);

#endif
