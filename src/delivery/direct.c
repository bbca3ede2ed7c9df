#include "delivery/direct.h"

#include "base/arena.h"
#include "base/log.h"
#include "codec/path.h"
#include "net/address.h"

#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdlib.h>
#include <unistd.h>

/* Messages that are sorted in one turn; the others come in the next one. */
enum { SORTED_MAX = 200, CA_FILE_MAX = 4 * 1024 * 1024 };

static const span SWEEP = 10 * SPAN_SECOND;

/* ---- beginning and end ---- */

/* The addresses of this machine: where an MX points to one of them, mail would come back. */
static void find_own(struct direct *x)
{
    struct ifaddrs *all = NULL;
    size_t n = 0;
    if (getifaddrs(&all) != 0) {
        log_warning("own-addresses-unknown", LOG_E("error", -errno));
        return;
    }
    for (struct ifaddrs *i = all; i; i = i->ifa_next)
        n++;
    x->own = xcalloc(n, sizeof(*x->own));
    for (struct ifaddrs *i = all; i; i = i->ifa_next) {
        struct address *a = &x->own[x->policy.own_count];
        uint16_t port;
        if (!i->ifa_addr)
            continue;
        address_from_sockaddr(i->ifa_addr, a, &port);
        if (a->family != 0 && !address_is_loopback(a))
            x->policy.own_count++;
    }
    x->policy.own = x->own;
    freeifaddrs(all);
}

static void on_sweep(void *ctx);

static void on_more(void *ctx)
{
    (void)ctx; /* the turn's end looks */
}

static int read_file(const char *path, struct buf *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int err = 0;
    ssize_t n = 1;
    while (err == 0 && n > 0) {
        err = buf_reserve(out, 4096);
        n = err < 0 ? 0 : read(fd, out->ptr + out->len, 4096);
        if (n < 0)
            err = -errno;
        else
            out->len += (size_t)n;
    }
    close(fd);
    return err;
}

/* NULL, too, with the reason in *why. */
static struct tls_context *make_verifying(const struct conf *conf, struct buf *why)
{
    struct arena a = ARENA_INIT;
    struct buf pem = BUF_BOUNDED(CA_FILE_MAX);
    struct tls_options trusted = {.verify = true};
    struct tls_context *tls = NULL;
    slice file = conf->delivery.ca_file;
    int err = slice_is_empty(file) ? 0 : read_file(arena_cstr(&a, file), &pem);
    trusted.ca_pem = buf_slice(&pem);
    if (err < 0)
        buf_printf(why, "%.*s: %s", SLICE_ARG(file), strerror(-err));
    else if (pem.len == 0 && !slice_is_empty(file))
        buf_printf(why, "%.*s is empty", SLICE_ARG(file));
    else
        tls = tls_client(&trusted, why);
    buf_fini(&pem);
    arena_fini(&a);
    return tls;
}

static bool make_tls(struct direct *x, const struct conf *conf, struct buf *why)
{
    const struct tls_options any_certificate = {0};
    bool wants_verifying = false;
    for (size_t i = 0; i < conf->destination_count; i++)
        wants_verifying =
            wants_verifying || conf->destinations[i].tls == CONF_DESTINATION_TLS_VERIFY;
    x->tls = tls_client(&any_certificate, why);
    if (x->tls && wants_verifying)
        x->verifying = make_verifying(conf, why);
    return x->tls && (x->verifying || !wants_verifying);
}

struct direct *direct_new(struct courier *c, const struct conf *conf, struct buf *why)
{
    struct direct *x = xcalloc(1, sizeof(*x));
    x->courier = c;
    if (!make_tls(x, conf, why)) {
        tls_unref(&x->tls);
        free(x);
        return NULL;
    }
    settings_init(&x->settings, conf, (slice){0});
    x->policy.hostname = x->settings.relay.helo;
    x->policy.allow_special = conf->delivery.allow_private;
    x->policy.uses_dane = conf->delivery.dane;
    x->policy.port = x->settings.port;
    find_own(x);
    destination_init(c->queue, &x->destination);
    map_init(&x->sites, c->queue->seed);
    site_pool_init(&x->pool, (unsigned)conf->delivery.connections_all);
    letter_init(&x->letter, c->env, c->store);
    timer_init(&x->more, c->loop, on_more, x);
    timer_init(&x->sweep, c->loop, on_sweep, x);
    timer_set(&x->sweep, SWEEP);
    return x;
}

void direct_abort(struct direct *x)
{
    size_t at = 0;
    void *site;
    x->is_closing = true;
    while (map_next(&x->sites, &at, NULL, &site))
        site_abort(site);
}

static void free_site(struct direct *x, struct site *s)
{
    map_remove(&x->sites, slice_of(s->name));
    site_free(&s);
}

void direct_free(struct direct **at)
{
    struct direct *x = *at;
    size_t i = 0;
    void *site;
    if (!x)
        return;
    *at = NULL;
    while (map_next(&x->sites, &i, NULL, &site))
        free_site(x, site);
    map_fini(&x->sites);
    timer_cancel(&x->more);
    timer_cancel(&x->sweep);
    letter_fini(&x->letter);
    destination_fini(&x->destination);
    tls_unref(&x->tls);
    tls_unref(&x->verifying);
    settings_fini(&x->settings);
    free(x->own);
    free(x);
}

/* Sites with nothing to do and nothing to remember are forgotten. */
static void on_sweep(void *ctx)
{
    struct direct *x = ctx;
    span now = loop_time(x->courier->loop);
    size_t at = 0;
    void *value;
    timer_set(&x->sweep, SWEEP);
    while (map_next(&x->sites, &at, NULL, &value)) {
        struct site *s = value;
        if (s->destination.parcels == 0 && site_is_idle(s) && s->pause_until <= now)
            free_site(x, s);
    }
}

/* ---- sorting ---- */

static slice domain_of(slice address)
{
    ptrdiff_t at = slice_rfind(address, '@');
    return at < 0 ? SLICE("") : slice_from(address, (size_t)at + 1);
}

static struct site *find_site(struct direct *x, struct arena *a, slice address)
{
    slice domain = path_domain(a, domain_of(address));
    struct site *s = map_get(&x->sites, domain);
    if (s)
        return s;
    settings_for(&x->settings, domain);
    bool verifies = x->settings.tls_level == TLS_LEVEL_VERIFY;
    s = site_new_domain(x->courier, &x->settings, verifies ? x->verifying : x->tls, &x->policy,
                        &x->pool, domain);
    map_put(&x->sites, slice_of(s->name), s);
    return s;
}

static void put_off(struct direct *x, struct parcel *p, int err)
{
    struct courier *c = x->courier;
    uint32_t *indexes = xcalloc(p->ready, sizeof(*indexes));
    uint32_t count = queue_take_from(c->queue, p, p->ready, indexes);
    courier_settle_unread(c, &x->settings.retry, p, indexes, count, err);
    free(indexes);
}

/* Each of its recipients to its domain's site. */
static void sort(struct direct *x, struct parcel *p)
{
    struct courier *c = x->courier;
    struct arena a = ARENA_INIT;
    uint32_t *indexes = arena_array(&a, uint32_t, p->count);
    uint32_t *at = arena_array(&a, uint32_t, p->count);
    uint32_t n = 0;
    for (uint32_t i = 0; i < p->count; i++)
        if (p->recipients[i].state <= RECIPIENT_HELD) {
            at[n] = i;
            indexes[n++] = p->recipients[i].index;
        }
    struct relay_recipient *recipients = arena_array(&a, struct relay_recipient, n);
    struct destination **to = arena_array(&a, struct destination *, p->count);
    int err = letter_open_envelope(&x->letter, &p->facts);
    if (err == 0)
        err = letter_recipients(&x->letter, indexes, n, recipients);
    for (uint32_t i = 0; i < n && err == 0; i++)
        to[at[i]] = &find_site(x, &a, recipients[i].address)->destination;
    if (err < 0)
        put_off(x, p, err);
    else
        queue_part(c->queue, p, to, env_now(c->env));
    letter_close(&x->letter);
    arena_fini(&a);
}

/* ---- the turn ---- */

static void wake_all(struct direct *x)
{
    size_t at = 0;
    void *site;
    while (map_next(&x->sites, &at, NULL, &site))
        site_wake(site);
}

void direct_pump(struct direct *x)
{
    struct courier *c = x->courier;
    bool may_send = !x->is_closing && courier_may_send(c);
    if (may_send != x->could_send)
        wake_all(x); /* idle connections end, or everything begins */
    x->could_send = may_send;
    struct parcel *p;
    for (unsigned i = 0; may_send && i < SORTED_MAX && (p = queue_next(&x->destination)); i++)
        sort(x, p);
    struct list awake;
    list_init(&awake);
    list_splice(&awake, &x->pool.awake);
    struct list *node;
    while ((node = list_pop(&awake)))
        site_pump(site_of(CONTAINER_OF(node, struct destination, node)));
    if (!list_is_empty(&x->pool.awake) || (may_send && queue_next(&x->destination)))
        timer_set(&x->more, 0);
}

void direct_close(struct direct *x)
{
    size_t at = 0;
    void *site;
    x->is_closing = true;
    timer_cancel(&x->sweep);
    while (map_next(&x->sites, &at, NULL, &site))
        site_close(site);
}

bool direct_is_idle(const struct direct *x)
{
    return x->pool.count == 0;
}

void direct_hurry(struct direct *x, struct destination *d)
{
    if (d != &x->destination)
        site_hurry(site_of(d));
}

/* ---- for people ---- */

const struct site *direct_site(const struct direct *x, const struct parcel *p)
{
    struct destination *d = parcel_destination(p);
    return d == &x->destination ? NULL : site_of(d);
}

void direct_numbers(const struct direct *x, struct direct_numbers *out)
{
    span now = loop_time(x->courier->loop);
    size_t at = 0;
    void *value;
    *out = (struct direct_numbers){.ready = x->destination.ready, .connections = x->pool.count};
    while (map_next(&x->sites, &at, NULL, &value)) {
        const struct site *s = value;
        out->ready += s->destination.ready;
        out->paused += s->pause_until > now;
    }
    out->sites = x->sites.count;
}
