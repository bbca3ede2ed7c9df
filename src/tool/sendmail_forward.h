/* sendmail_forward: where a web host's sendmail gives its mail, when the service runs on
 * another machine: /etc/utpost/sendmail.conf.
 *
 *     [forward]
 *     host = mail.example.com
 *     login = web1@hosts.example.com
 *     password-file = /etc/utpost/sendmail.password
 *     # port = 587, tls = starttls (or implicit), ca-file, hostname, queue = no (or yes)
 *
 *     [accounts]
 *     alice = shop@example.org
 *     1003 = forum@example.org
 *
 * The host signs in with its own credential, which may act for its accounts, and says for which
 * one: that of the real user id, by this file. So whoever can read the password can be any of
 * them: it belongs to a group, and the command is installed with that group's id (mode 2755).
 * The file must be root's, and nobody else's to write. */
#ifndef TOOL_SENDMAIL_FORWARD_H
#define TOOL_SENDMAIL_FORWARD_H

#include "base/arena.h"
#include "base/buf.h"

#include <sys/types.h>

#define SENDMAIL_FORWARD "/etc/utpost/sendmail.conf"

struct sendmail_forward {
    const char *host;
    const char *port;
    bool is_implicit;    /* TLS from the first octet; else STARTTLS, never without */
    const char *ca_file; /* NULL: the system's */
    slice hostname;      /* of this host; empty: the machine's name */
    slice login;
    slice password;
    slice account; /* of the user */
    bool may_wait; /* as with --queue */
};

/* Reads it for this user. EX_OK, or the exit status with why in *why (one line or more, without
 * the last end). Everything lives in the arena. */
int sendmail_forward_read(struct arena *a, const char *path, uid_t user,
                          struct sendmail_forward *out, struct buf *why) MUST_USE
    NONNULL(1, 2, 4, 5);

#endif
