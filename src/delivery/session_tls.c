/* How a connection is protected, and what is known of the other end. */
#include "delivery/session.h"

#include <stdio.h>

static bool is_domain(const struct session *s)
{
    return s->site->pool != NULL;
}

/* Names for the certificate of a host that is verified, besides its own: the domain (what DNS
 * says of the host may be forged), or those of the configuration alone. */
static void add_names(const struct session *s, struct arena *a, struct tls_peer *peer)
{
    slice rest = s->site->settings.tls_hosts, name;
    const char **names = arena_array(a, const char *, SESSION_TLS_NAMES_MAX);
    peer->names = names;
    peer->is_only_names = peer->tlsa_count == 0 && !slice_is_empty(rest);
    if (!peer->is_only_names && host_is_name(slice_of(s->site->name), false))
        names[peer->name_count++] = s->site->name;
    while (peer->is_only_names && slice_split(&rest, ' ', &name))
        if (!slice_is_empty(name) && peer->name_count < SESSION_TLS_NAMES_MAX)
            names[peer->name_count++] = arena_cstr(a, name);
}

void session_start_tls(struct session *s)
{
    struct arena a = ARENA_INIT;
    struct tls_peer peer = {.host = s->host};
    if (s->dane && s->dane->says.count > 0) {
        peer.host = s->dane->base;
        peer.tlsa = s->dane->says.list;
        peer.tlsa_count = s->dane->says.count;
    }
    if (is_domain(s))
        add_names(s, &a, &peer);
    stream_start_tls(s->stream, s->site->tls, &peer);
    arena_fini(&a);
}

void session_note_tls(struct session *s)
{
    struct arena a = ARENA_INIT;
    slice text = stream_tls_text(s->stream, &a);
    snprintf(s->tls, sizeof(s->tls), "%.*s", SLICE_ARG(text));
    arena_fini(&a);
}

enum relay_tls session_tls(const struct session *s)
{
    static const enum relay_tls modes[] = {
        [TLS_LEVEL_NONE] = RELAY_TLS_NONE,
        [TLS_LEVEL_OPPORTUNISTIC] = RELAY_TLS_OPPORTUNISTIC,
        [TLS_LEVEL_ENCRYPT] = RELAY_TLS_ENCRYPT,
        [TLS_LEVEL_VERIFY] = RELAY_TLS_VERIFY,
        [TLS_LEVEL_DANE] = RELAY_TLS_VERIFY,
    };
    if (!is_domain(s))
        return s->site->settings.relay.tls;
    return modes[tls_level_of(s->site->settings.tls_level, s->dane ? &s->dane->says : NULL)];
}
