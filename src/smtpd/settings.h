/* settings: what one reading of the configuration means to sessions: the doors (listeners with
 * their policies), the limits, the TLS context. Immutable and counted: a reload makes new
 * settings for new sessions, while those that run keep theirs. */
#ifndef SMTPD_SETTINGS_H
#define SMTPD_SETTINGS_H

#include "dialog/submission.h"
#include "model/conf.h"
#include "net/role.h"
#include "net/tls.h"
#include "smtpd/deadline.h"

struct door {
    slice name;
    int fd; /* the listening socket, the role's; -1: not given */
    bool has_address_credentials;
    struct submission_config config;
};

struct settings {
    _Atomic unsigned references;
    struct arena arena; /* owns all below */
    struct deadline_limits deadlines;
    struct tls_context *tls; /* NULL: no door has TLS */
    struct door *doors;
    size_t door_count;
};

/* The descriptor of a listener by its name in the configuration ("local": the local door). */
typedef int settings_fd_fn(const void *ctx, const char *name);

/* PEM texts of the certificate and its key. */
struct settings_keys {
    slice certificate;
    slice key;
};

/* From the configuration; everything is copied. NULL with the reason in *why: the TLS context
 * could not be made. `before` (may be NULL): the settings of the last reading, whose doors stay
 * as they are but for what may be reloaded. One reference is the caller's. */
struct settings *settings_new(const struct conf *c, const struct settings_keys *keys,
                              const struct settings *before, settings_fd_fn *fd,
                              const void *fd_ctx, struct buf *why) NONNULL(1, 2, 4, 6);
struct settings *settings_ref(struct settings *s) NONNULL(1);
/* Clears the pointer, takes NULL. Thread-safe. */
void settings_unref(struct settings **s);

#endif
