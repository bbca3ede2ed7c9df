#include "delivery/transport.h"

#include "base/arena.h"

#include <stdlib.h>

/* The resolver is opened when it is first needed, and kept. */
static struct direct *open_direct(struct courier *c, const struct conf *conf, struct buf *why)
{
    if (!c->resolver)
        c->resolver = resolver_new(c->loop, &conf->resolver, why);
    return c->resolver ? direct_new(c, conf, why) : NULL;
}

struct transport *transport_new(struct courier *c, struct role *role, struct buf *why)
{
    const struct conf *conf = role->conf;
    struct transport *t = xcalloc(1, sizeof(*t));
    list_init(&t->node);
    if (conf->delivery.transport == CONF_CAPTURE)
        t->capture = capture_new(c, conf);
    else if (conf->delivery.transport == CONF_DIRECT)
        t->direct = open_direct(c, conf, why);
    else
        t->site = site_new(c, conf, role_secret(role, "smarthost-password"),
                           role_secret(role, "smarthost-ca"), why);
    if (!t->site && !t->direct && !t->capture)
        transport_free(&t);
    return t;
}

void transport_abort(struct transport *t)
{
    if (t->site)
        site_abort(t->site);
    else if (t->direct)
        direct_abort(t->direct);
}

void transport_free(struct transport **t)
{
    if (!*t)
        return;
    site_free(&(*t)->site);
    direct_free(&(*t)->direct);
    capture_free(&(*t)->capture);
    free(*t);
    *t = NULL;
}

struct destination *transport_destination(struct transport *t)
{
    return t->site     ? &t->site->destination
           : t->direct ? &t->direct->destination
                       : &t->capture->destination;
}

void transport_pump(struct transport *t)
{
    if (t->site)
        site_pump(t->site);
    else if (t->direct)
        direct_pump(t->direct);
    else
        capture_pump(t->capture);
}

void transport_hurry(struct transport *t, struct destination *to)
{
    if (t->site)
        site_hurry(t->site);
    else if (t->direct)
        direct_hurry(t->direct, to);
}

void transport_close(struct transport *t)
{
    if (t->site)
        site_close(t->site);
    else if (t->direct)
        direct_close(t->direct);
    else
        capture_close(t->capture);
}

bool transport_is_idle(const struct transport *t)
{
    return t->site     ? site_is_idle(t->site)
           : t->direct ? direct_is_idle(t->direct)
                       : capture_is_idle(t->capture);
}

const char *transport_name(const struct transport *t)
{
    return t->site ? "smarthost" : t->direct ? "direct" : "capture";
}

uint64_t transport_ready(const struct transport *t)
{
    struct direct_numbers n;
    if (!t->direct)
        return t->site ? t->site->destination.ready : t->capture->destination.ready;
    direct_numbers(t->direct, &n);
    return n.ready;
}

const struct site *transport_site(const struct transport *t, const struct parcel *p)
{
    return t->direct ? direct_site(t->direct, p) : t->site;
}

const struct site *transport_domain_site(const struct transport *t, slice domain)
{
    return t->direct ? map_get(&t->direct->sites, domain) : t->site;
}
