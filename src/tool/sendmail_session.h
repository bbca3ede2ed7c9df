/* sendmail_session: -bs, a program that speaks SMTP on standard input and output. The session
 * is passed through to the local door as it is, so the same rules hold as for everybody. */
#ifndef TOOL_SENDMAIL_SESSION_H
#define TOOL_SENDMAIL_SESSION_H

#include "base/attr.h"

/* Passes octets on until the door ends the session. The exit status. A door that cannot be
 * reached is told to the program as a 421 reply, and on standard error. */
int sendmail_session_run(const char *path) NONNULL(1);

#endif
