#include "delivery/settings.h"

#include "base/secret.h"

/* Values of the key `tls` of [smarthost], in their order. */
static const enum relay_tls tls_of[] = {RELAY_TLS_NONE, RELAY_TLS_OPPORTUNISTIC,
                                        RELAY_TLS_ENCRYPT, RELAY_TLS_VERIFY,
                                        RELAY_TLS_IMPLICIT};

static slice first_line(slice text)
{
    slice line = {0};
    if (!slice_split(&text, '\n', &line))
        return line;
    while (line.len > 0 && line.ptr[line.len - 1] == '\r')
        line.len--;
    return line;
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
        s->port = (uint16_t)d->direct_port;
        s->relay = (struct relay_config){.helo = arena_dup(&s->arena, c->server.hostname),
                                         .tls = RELAY_TLS_OPPORTUNISTIC};
        return;
    }
    s->capture_dir = arena_cstr(&s->arena, d->capture_dir);
    s->relay = (struct relay_config){
        .helo = arena_dup(&s->arena, c->server.hostname),
        .tls = tls_of[h->tls],
        .login = arena_dup(&s->arena, h->login),
        .secret = arena_dup(&s->arena, first_line(secret)),
        .allow_plaintext_auth = h->plaintext_auth,
    };
}

void settings_fini(struct settings *s)
{
    slice secret = s->relay.secret;
    if (secret.len > 0)
        secret_wipe((char *)(uintptr_t)secret.ptr, secret.len);
    arena_fini(&s->arena);
}
