/* sendmail_options: the command line that programs have given to sendmail for forty years.
 *
 * What changes where mail comes from and goes to is done; what tuned a sendmail of its own
 * (queues, logs, configuration files) is accepted and does nothing, so that no option makes it
 * write or read a file that the caller names. */
#ifndef TOOL_SENDMAIL_OPTIONS_H
#define TOOL_SENDMAIL_OPTIONS_H

#include "base/buf.h"
#include "codec/params.h"

enum sendmail_mode {
    SENDMAIL_DELIVER, /* -bm */
    SENDMAIL_SESSION, /* -bs: SMTP on standard input and output */
    SENDMAIL_QUEUE,   /* -bp, mailq */
    SENDMAIL_ALIASES, /* -bi, -I, newaliases */
    SENDMAIL_RUN,     /* -q alone: the queue needs nobody to run it */
    SENDMAIL_HELP,
    SENDMAIL_VERSION,
};

struct sendmail_options {
    enum sendmail_mode mode;
    const char *config;            /* --config; NULL: not given */
    const char *forward;           /* --forward; NULL: not given */
    bool reads_recipients;         /* -t */
    bool dots_are_text;            /* -i */
    bool is_verbose;               /* -v */
    bool may_wait;                 /* --queue */
    const char *sender;            /* -f or -r; NULL: not given */
    const char *full_name;         /* -F; NULL: not given */
    unsigned notify;               /* -N, enum dsn_notify; 0: not given */
    enum dsn_ret ret;              /* -R */
    const char *envid;             /* -V; NULL: not given */
    const char *const *recipients; /* argv's */
    size_t recipient_count;
};

/* Reads the command line; argv[0] counts too. argv may be reordered. False: what is wrong with
 * it is appended to *why, as one line without its end. */
bool sendmail_options_read(struct sendmail_options *o, int argc, char **argv, struct buf *why)
    NONNULL(1, 3, 4);

#endif
