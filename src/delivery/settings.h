/* settings: what delivery goes by, copied out of the configuration, so that a transport and its
 * connections keep theirs to the end when a reload replaces the configuration. */
#ifndef DELIVERY_SETTINGS_H
#define DELIVERY_SETTINGS_H

#include "dialog/relay.h"
#include "model/conf.h"
#include "policy/retry.h"

struct settings {
    struct arena arena; /* owns the texts */
    enum conf_transport transport;
    uint32_t connections;
    uint32_t messages_per_connection;
    uint32_t recipients_per_message;
    span idle_timeout;
    span connect_timeout;
    span command_timeout;
    span data_timeout;
    span end_timeout;
    struct retry_policy retry;
    const char *capture_dir;
    uint16_t port;
    struct relay_config relay; /* our name, TLS, sign-in */
};

/* secret: the password's file; its first line counts. */
void settings_init(struct settings *s, const struct conf *c, slice secret) NONNULL(1, 2);
/* Wipes the password. */
void settings_fini(struct settings *s) NONNULL(1);

#endif
