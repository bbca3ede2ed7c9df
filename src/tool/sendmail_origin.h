/* sendmail_origin: which program sends, as evidence for whoever looks for a hijacked script.
 *
 * It says nothing about who is accounted: that is the uid, which the service asks the kernel.
 * The script is what PHP writes into the header (X-PHP-Originating-Script, with
 * mail.add_x_header), else SCRIPT_FILENAME of a web server, else the command line of the
 * program that has started us, shells left out. */
#ifndef TOOL_SENDMAIL_ORIGIN_H
#define TOOL_SENDMAIL_ORIGIN_H

#include "base/arena.h"

struct sendmail_origin {
    slice script;    /* printable ASCII, at most PARAMS_SCRIPT_MAX; empty: not known */
    slice directory; /* the working directory, likewise */
};

/* header: CRLF lines without the empty one. All in the arena. */
void sendmail_origin_find(struct arena *a, slice header, struct sendmail_origin *out)
    NONNULL(1, 3);

#endif
