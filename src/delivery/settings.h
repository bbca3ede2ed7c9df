/* settings: what delivery goes by, copied out of the configuration, so that a transport and its
 * connections keep theirs to the end when a reload replaces the configuration. */
#ifndef DELIVERY_SETTINGS_H
#define DELIVERY_SETTINGS_H

#include "dialog/relay.h"
#include "model/conf.h"
#include "policy/retry.h"
#include "policy/tls_level.h"

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
    /* direct: */
    const struct conf_destination *destinations;
    size_t destination_count;
    enum tls_level tls_level; /* of the destination */
    slice tls_hosts;          /* names for its certificate, with blanks between */
};

/* secret: the password's file; its first line counts. */
void settings_init(struct settings *s, const struct conf *c, slice secret) NONNULL(1, 2);
/* What the configuration says of the domain is put in its place. */
void settings_for(struct settings *s, slice domain) NONNULL(1);
/* Wipes the password. */
void settings_fini(struct settings *s) NONNULL(1);

#endif
