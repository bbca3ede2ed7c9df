/* sendmail_door: gives one message to the service, over SMTP on its Unix socket, or over TLS to
 * another machine, signed in as the host for one of its accounts.
 *
 * Who sends is not said: the service asks the kernel for the user id behind the connection. The
 * answer is an exit status and, when it is not EX_OK, text for people; the reply of the service
 * is in it whole. With EX_TEMPFAIL nobody got the message, and all of it may be tried again.
 * When some recipients are refused for good, the others get it, and EX_NOUSER says that not all
 * did. A service that is busy or starting again is tried for a while before anything is sent.
 */
#ifndef TOOL_SENDMAIL_DOOR_H
#define TOOL_SENDMAIL_DOOR_H

#include "codec/params.h"
#include "tool/sendmail_forward.h"
#include "tool/sendmail_origin.h"
#include "tool/sendmail_spool.h"

struct sendmail_letter {
    slice sender; /* reverse-path; empty: the null one */
    const slice *recipients;
    size_t recipient_count;
    slice header; /* CRLF lines, without the empty one */
    const struct sendmail_spool *body;
    bool has_8bit; /* in header or body */
    bool has_utf8; /* in an address: only a server with SMTPUTF8 can take it */
    /* for servers that offer DSN; to others they are not said */
    unsigned notify;
    enum dsn_ret ret;
    slice envid;
    bool may_wait; /* what a limit refuses for now waits, where the service offers it */
    struct sendmail_origin origin; /* said to a local door only */
};

/* Where it goes. */
struct sendmail_target {
    const char *path;                       /* the socket; NULL: it is forwarded */
    const struct sendmail_forward *forward; /* with its host, login, account */
    slice hostname;                         /* for EHLO */
};

/* Sends it; the exit status. Lines for people are appended to *text: the refusal, or the
 * acceptance (with EX_OK). */
int sendmail_door_send(const struct sendmail_target *target,
                       const struct sendmail_letter *letter, struct buf *text) MUST_USE
    NONNULL(1, 2, 3);

#endif
