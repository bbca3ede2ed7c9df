#include "smtpd/settings.h"

#include <stdatomic.h>
#include <stdlib.h>

static const char local_name[] = "local";

static enum submission_tls tls_of(unsigned conf_tls)
{
    static const enum submission_tls kinds[] = {
        [CONF_TLS_NONE] = SUBMISSION_TLS_NONE,
        [CONF_TLS_STARTTLS] = SUBMISSION_TLS_STARTTLS,
        [CONF_TLS_IMPLICIT] = SUBMISSION_TLS_IMPLICIT,
    };
    return kinds[conf_tls];
}

static uint32_t to_u32(uint64_t n)
{
    return n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

/* What every door has in common, all of it reloadable. */
static void set_common(struct submission_config *s, const struct conf *c, slice hostname)
{
    static const enum trace_detail traces[] = {TRACE_NONE, TRACE_HELO, TRACE_FULL};
    s->hostname = hostname;
    s->trace = traces[c->submission.trace];
    s->max_size = c->submission.max_message;
    s->max_recipients = to_u32(c->submission.max_recipients);
    s->max_header = to_u32(c->submission.max_header);
    s->max_line = to_u32(c->submission.max_line);
    s->max_errors = to_u32(c->submission.max_errors);
    s->max_auth_failures = to_u32(c->submission.max_auth_failures);
    s->max_messages = to_u32(c->submission.max_messages);
    s->hops_max = to_u32(c->submission.hops_max);
}

static void set_local(struct door *d)
{
    d->config.tls = SUBMISSION_TLS_NONE;
    d->config.is_local_door = true;
    d->config.plaintext_auth = true;
    d->config.needs_tls = false;
}

static void add_door(struct settings *s, slice name, int fd)
{
    struct door *d = &s->doors[s->door_count++];
    d->name = arena_dup(&s->arena, name);
    d->config.listener = d->name;
    d->fd = fd;
}

static void add_listener(struct settings *s, const struct conf_listener *l, settings_fd_fn *fd,
                         const void *fd_ctx)
{
    add_door(s, l->name, fd(fd_ctx, arena_cstr(&s->arena, l->name)));
    struct door *d = &s->doors[s->door_count - 1];
    d->has_address_credentials = l->address_credentials;
    d->config.tls = tls_of(l->tls);
    d->config.plaintext_auth = l->plaintext_auth;
    d->config.needs_tls = l->require_tls;
    if (slice_starts(l->address, SLICE("/")))
        set_local(d);
}

static void copy_doors(struct settings *s, const struct settings *before)
{
    s->doors = arena_array(&s->arena, struct door, before->door_count);
    for (size_t i = 0; i < before->door_count; i++) {
        const struct door *old = &before->doors[i];
        add_door(s, old->name, old->fd);
        s->doors[i].has_address_credentials = old->has_address_credentials;
        s->doors[i].config.tls = old->config.tls;
        s->doors[i].config.plaintext_auth = old->config.plaintext_auth;
        s->doors[i].config.needs_tls = old->config.needs_tls;
        s->doors[i].config.is_local_door = old->config.is_local_door;
    }
}

static void make_doors(struct settings *s, const struct conf *c, settings_fd_fn *fd,
                       const void *fd_ctx)
{
    s->doors = arena_array(&s->arena, struct door, c->listener_count + 1);
    for (size_t i = 0; i < c->listener_count; i++)
        add_listener(s, &c->listeners[i], fd, fd_ctx);
    add_door(s, slice_of(local_name), fd(fd_ctx, local_name));
    set_local(&s->doors[s->door_count - 1]);
}

static bool needs_tls_context(const struct settings *s)
{
    for (size_t i = 0; i < s->door_count; i++)
        if (s->doors[i].config.tls != SUBMISSION_TLS_NONE)
            return true;
    return false;
}

struct settings *settings_new(const struct conf *c, const struct settings_keys *keys,
                              const struct settings *before, settings_fd_fn *fd,
                              const void *fd_ctx, struct buf *why)
{
    struct settings *s = xcalloc(1, sizeof(*s));
    s->references = 1;
    s->deadlines = (struct deadline_limits){
        .command = c->submission.command_timeout,
        .data = c->submission.data_timeout,
        .session = c->submission.session_timeout,
    };
    if (before)
        copy_doors(s, before);
    else
        make_doors(s, c, fd, fd_ctx);
    slice hostname = before ? before->doors[0].config.hostname : c->server.hostname;
    hostname = arena_dup(&s->arena, hostname);
    for (size_t i = 0; i < s->door_count; i++)
        set_common(&s->doors[i].config, c, hostname);
    if (!needs_tls_context(s))
        return s;
    struct tls_options options = {.tls13_only = c->tls.min_version == 1};
    s->tls = tls_server(keys->certificate, keys->key, &options, why);
    if (!s->tls)
        settings_unref(&s);
    return s;
}

struct settings *settings_ref(struct settings *s)
{
    atomic_fetch_add(&s->references, 1);
    return s;
}

void settings_unref(struct settings **s)
{
    struct settings *was = *s;
    *s = NULL;
    if (!was || atomic_fetch_sub(&was->references, 1) > 1)
        return;
    tls_unref(&was->tls);
    arena_fini(&was->arena);
    free(was);
}
