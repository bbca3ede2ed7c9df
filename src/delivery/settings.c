#include "delivery/settings.h"

#include "base/secret.h"

/* Smaller content gains nothing by BDAT. */
enum { CHUNK_MIN = 64 * 1024 };

/* Values of the key `tls` of [smarthost], in their order. */
static const enum relay_tls tls_of[] = {RELAY_TLS_NONE, RELAY_TLS_OPPORTUNISTIC,
                                        RELAY_TLS_ENCRYPT, RELAY_TLS_VERIFY,
                                        RELAY_TLS_IMPLICIT};

/* Values of the key `tls` of [destination], in their order. */
static const enum tls_level level_of[] = {TLS_LEVEL_NONE, TLS_LEVEL_OPPORTUNISTIC,
                                          TLS_LEVEL_ENCRYPT, TLS_LEVEL_VERIFY};

static slice first_line(slice text)
{
    slice line = {0};
    if (!slice_split(&text, '\n', &line))
        return line;
    while (line.len > 0 && line.ptr[line.len - 1] == '\r')
        line.len--;
    return line;
}

static void init_direct(struct settings *s, const struct conf *c)
{
    size_t count = c->destination_count;
    struct conf_destination *list = arena_array(&s->arena, struct conf_destination, count);
    for (size_t i = 0; i < count; i++) {
        list[i] = c->destinations[i];
        list[i].name = arena_dup(&s->arena, list[i].name);
        list[i].hosts = arena_dup(&s->arena, list[i].hosts);
    }
    s->destinations = list;
    s->destination_count = count;
    s->port = (uint16_t)c->delivery.direct_port;
    s->relay = (struct relay_config){.helo = arena_dup(&s->arena, c->server.hostname),
                                     .chunk_min = c->delivery.chunking ? CHUNK_MIN : 0};
}

void settings_for(struct settings *s, slice domain)
{
    const struct conf_destination *d =
        conf_destination_find(s->destinations, s->destination_count, domain);
    INVARIANT(!d || d->tls < COUNT_OF(level_of));
    s->tls_level = d ? level_of[d->tls] : TLS_LEVEL_OPPORTUNISTIC;
    s->tls_hosts = d ? d->hosts : SLICE("");
}

void settings_init(struct settings *s, const struct conf *c, slice secret)
{
    const struct conf_delivery *d = &c->delivery;
    const struct conf_smarthost *h = &c->smarthost;
    INVARIANT(h->tls < COUNT_OF(tls_of));
    *s = (struct settings){
        .transport = (enum conf_transport)d->transport,
        .connections = (uint32_t)d->connections,
        .messages_per_connection = (uint32_t)d->messages_per_connection,
        .recipients_per_message = (uint32_t)d->recipients_per_message,
        .idle_timeout = d->idle_timeout,
        .connect_timeout = d->connect_timeout,
        .command_timeout = d->command_timeout,
        .data_timeout = d->data_timeout,
        .end_timeout = d->end_timeout,
        .retry = {d->retry_first, d->retry_longest, d->expiry},
        .port = (uint16_t)h->port,
    };
    if (s->transport == CONF_DIRECT) {
        init_direct(s, c);
        return;
    }
    s->capture_dir = arena_cstr(&s->arena, d->capture_dir);
    s->relay = (struct relay_config){
        .helo = arena_dup(&s->arena, c->server.hostname),
        .tls = tls_of[h->tls],
        .login = arena_dup(&s->arena, h->login),
        .secret = arena_dup(&s->arena, first_line(secret)),
        .allow_plaintext_auth = h->plaintext_auth,
        .chunk_min = d->chunking ? CHUNK_MIN : 0,
    };
}

void settings_fini(struct settings *s)
{
    slice secret = s->relay.secret;
    if (secret.len > 0)
        secret_wipe((char *)(uintptr_t)secret.ptr, secret.len);
    arena_fini(&s->arena);
}
