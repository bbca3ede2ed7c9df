/* sendmail_exit: exit statuses (sysexits.h) as programs that call sendmail read them. */
#ifndef TOOL_SENDMAIL_EXIT_H
#define TOOL_SENDMAIL_EXIT_H

#include "codec/reply.h"

#include <sysexits.h>

/* What a reply that refuses means: EX_TEMPFAIL for every 4xx and nothing else; EX_NOPERM: this
 * user, or this sender, may not; EX_DATAERR: the message or an address is malformed or too
 * large; EX_NOUSER: no such recipient; EX_UNAVAILABLE: anything else that is for good. */
int sendmail_exit_of(const struct reply *r) NONNULL(1);

#endif
