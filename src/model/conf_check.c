/* Relations between the keys of a configuration, and where a listener listens. */
#include "base/utf8.h"
#include "codec/path.h"
#include "model/conf_rows.h"
#include "model/zoneinfo.h"

#include <arpa/inet.h>
#include <errno.h>

struct check {
    const struct conf *conf;
    slice name;
    const struct conf_lines *lines;
    struct buf *errors;
    unsigned problems;
};

/* The line of a key: `value` points at its field. */
static unsigned line_of(const struct check *k, const void *value)
{
    for (size_t i = 0; i < conf_row_count; i++)
        if (!conf_is_named(conf_rows[i].section) &&
            conf_value(k->conf, NULL, &conf_rows[i]) == value)
            return k->lines->keys[i];
    return 0;
}

static unsigned listener_line(const struct check *k, size_t listener, const void *value)
{
    const struct conf_listener *l = &k->conf->listeners[listener];
    const struct conf_named_lines *lines = &k->lines->listeners[listener];
    for (size_t i = 0; i < conf_row_count; i++)
        if (conf_rows[i].section == CONF_IN_LISTENER &&
            conf_value(NULL, l, &conf_rows[i]) == value && lines->keys[i])
            return lines->keys[i];
    return lines->section;
}

#define PROBLEM(k, line, ...) \
    (conf_problem((k)->errors, (k)->name, (line), __VA_ARGS__), (k)->problems++)

enum conf_endpoint_kind conf_endpoint(slice text, struct address *address, uint16_t *port)
{
    if (slice_starts(text, SLICE("/")))
        return CONF_ENDPOINT_UNIX;
    ptrdiff_t colon = slice_rfind(text, ':');
    if (colon <= 0)
        return CONF_ENDPOINT_BAD;
    slice host = slice_to(text, (size_t)colon);
    uint64_t n;
    if (!slice_to_u64(slice_from(text, (size_t)colon + 1), &n) || n == 0 || n > 65535)
        return CONF_ENDPOINT_BAD;
    bool is_bracketed = host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']';
    if (is_bracketed)
        host = slice_make(host.ptr + 1, host.len - 2);
    struct address a;
    if (!address_parse(host, &a) || (a.family == 6 && !is_bracketed))
        return CONF_ENDPOINT_BAD;
    *address = a;
    *port = (uint16_t)n;
    return CONF_ENDPOINT_INET;
}

static void check_endpoint(struct check *k, size_t i)
{
    const struct conf_listener *l = &k->conf->listeners[i];
    struct address a = {0};
    uint16_t port = 0;
    unsigned line = listener_line(k, i, &l->address);
    if (slice_is_empty(l->address)) {
        PROBLEM(k, line, "listener %.*s has no address; add `address = [::]:587`, say",
                SLICE_ARG(l->name));
        return;
    }
    enum conf_endpoint_kind kind = conf_endpoint(l->address, &a, &port);
    if (kind == CONF_ENDPOINT_BAD)
        PROBLEM(k, line,
                "address: `%.*s` is no address with a port; write `0.0.0.0:587`, `[::]:587` or "
                "the path of a Unix socket",
                SLICE_ARG(l->address));
    if (kind == CONF_ENDPOINT_UNIX && l->address.len > CONF_SOCKET_PATH_MAX)
        PROBLEM(k, line, "address: the path is too long for a socket; at most %d octets",
                CONF_SOCKET_PATH_MAX);
    if (kind == CONF_ENDPOINT_INET && l->plaintext_auth && !address_is_loopback(&a))
        PROBLEM(k, listener_line(k, i, &l->plaintext_auth),
                "plaintext-auth would send passwords in the clear to %.*s; it is possible on "
                "127.0.0.1, [::1] and Unix sockets only",
                SLICE_ARG(l->address));
    for (size_t j = 0; j < i; j++) {
        if (slice_eq(k->conf->listeners[j].address, l->address))
            PROBLEM(k, line, "listeners %.*s and %.*s have the same address; one must move",
                    SLICE_ARG(k->conf->listeners[j].name), SLICE_ARG(l->name));
    }
}

static void check_listener(struct check *k, size_t i)
{
    const struct conf_listener *l = &k->conf->listeners[i];
    check_endpoint(k, i);
    if (l->require_tls && l->tls == CONF_TLS_NONE)
        PROBLEM(k, listener_line(k, i, &l->require_tls),
                "listener %.*s requires TLS but does not offer it; set `tls = starttls` or "
                "`tls = implicit`",
                SLICE_ARG(l->name));
}

static bool is_own_machine(slice host)
{
    struct address a;
    return slice_ieq(host, SLICE("localhost")) ||
           (address_parse(host, &a) && address_is_loopback(&a));
}

static void check_smarthost(struct check *k)
{
    const struct conf_smarthost *s = &k->conf->smarthost;
    struct address a;
    if (slice_is_empty(s->host)) {
        if (k->conf->delivery.transport == CONF_SMARTHOST)
            PROBLEM(k, line_of(k, &k->conf->delivery.transport),
                    "transport = smarthost needs the next host; set `host` in [smarthost]");
        return;
    }
    if (!host_is_name(s->host, false) && !address_parse(s->host, &a))
        PROBLEM(k, line_of(k, &s->host),
                "host: `%.*s` is neither a host name nor an address; write `mail.example.com`, "
                "`192.0.2.1` or `2001:db8::1`, the port apart",
                SLICE_ARG(s->host));
    if (slice_is_empty(s->login) != slice_is_empty(s->secret_file))
        PROBLEM(k, line_of(k, slice_is_empty(s->login) ? &s->secret_file : &s->login),
                "login and password-file belong together; set both or none");
    if (s->plaintext_auth && !is_own_machine(s->host))
        PROBLEM(k, line_of(k, &s->plaintext_auth),
                "plaintext-auth would send the password in the clear to %.*s; it is possible "
                "for hosts on loopback only",
                SLICE_ARG(s->host));
    if (s->login.len && !s->plaintext_auth && s->tls == CONF_RELAY_TLS_NONE)
        PROBLEM(k, line_of(k, &s->tls),
                "the password would travel in the clear; set `tls = verify`");
}

bool conf_next_name_server(slice *list, struct conf_name_server *out)
{
    slice word = SLICE("");
    *list = slice_trim(*list);
    if (!slice_split(list, ' ', &word))
        return false;
    *out = (struct conf_name_server){.text = word, .port = 53};
    ptrdiff_t at = slice_find(word, '@');
    uint64_t port = 53;
    struct address a;
    if (!address_parse(at < 0 ? word : slice_to(word, (size_t)at), &a))
        return true;
    if (at >= 0 &&
        (!slice_to_u64(slice_from(word, (size_t)at + 1), &port) || port == 0 || port > 65535))
        return true;
    out->address = a;
    out->port = (uint16_t)port;
    return true;
}

static void check_resolver(struct check *k)
{
    const struct conf_resolver *r = &k->conf->resolver;
    unsigned line = line_of(k, &r->forward);
    slice rest = r->forward;
    struct conf_name_server server;
    unsigned count = 0;
    if (slice_eq(rest, SLICE("none")))
        return;
    while (conf_next_name_server(&rest, &server)) {
        if (server.address.family == 0)
            PROBLEM(
                k, line,
                "forward: `%.*s` is no address of a name server; write `192.0.2.1` or, with "
                "a port, `192.0.2.1@5353`, or `none`",
                SLICE_ARG(server.text));
        if (++count == CONF_NAME_SERVERS_MAX + 1)
            PROBLEM(k, line, "forward: too many name servers; at most %d",
                    CONF_NAME_SERVERS_MAX);
    }
}

static void check_path(struct check *k, const slice *path, const char *key)
{
    unsigned line = line_of(k, path); /* 0: derived from one that is told */
    if (line && !slice_is_empty(*path) && path->ptr[0] != '/')
        PROBLEM(k, line, "%s: `%.*s` is not absolute; begin it with `/`", key,
                SLICE_ARG(*path));
}

static void check_paths(struct check *k)
{
    const struct conf *c = k->conf;
    check_path(k, &c->server.state_dir, "state-dir");
    check_path(k, &c->server.run_dir, "run-dir");
    check_path(k, &c->tls.certificate, "certificate");
    check_path(k, &c->tls.key, "key");
    check_path(k, &c->smarthost.ca_file, "ca-file");
    check_path(k, &c->smarthost.secret_file, "password-file");
    check_path(k, &c->resolver.trust_anchor, "trust-anchor");
    check_path(k, &c->delivery.ca_file, "ca-file");
    check_path(k, &c->api.socket, "socket");
    slice capture = c->delivery.capture_dir;
    if (slice_starts(capture, SLICE("/")) || slice_search(capture, SLICE("..")) >= 0)
        PROBLEM(k, line_of(k, &c->delivery.capture_dir),
                "capture-dir: `%.*s` is outside the state directory; write a path below it, "
                "without `..`",
                SLICE_ARG(capture));
    /* The sockets in it get names of up to 19 octets. */
    if (c->server.run_dir.len + 20 > CONF_SOCKET_PATH_MAX ||
        c->api.socket.len > CONF_SOCKET_PATH_MAX)
        PROBLEM(k, line_of(k, &c->server.run_dir),
                "run-dir: the path is too long for sockets in it; at most %d octets",
                CONF_SOCKET_PATH_MAX - 20);
}

static void check_api(struct check *k)
{
    const struct conf_api *api = &k->conf->api;
    struct address a;
    uint16_t port;
    if (api->listen.len > 0 && conf_endpoint(api->listen, &a, &port) != CONF_ENDPOINT_INET)
        PROBLEM(k, line_of(k, &api->listen),
                "listen: `%.*s` is no address with a port; write `127.0.0.1:8025`, say",
                SLICE_ARG(api->listen));
}

bool conf_next_word(slice *list, slice *word)
{
    *list = slice_trim(*list);
    return slice_split(list, ' ', word);
}

static bool is_account_by(slice word)
{
    return slice_eq(word, SLICE("login")) || slice_eq(word, SLICE("client")) ||
           slice_eq(word, SLICE("sender"));
}

static void check_policy_service(struct check *k)
{
    const struct conf_policy_service *p = &k->conf->policy_service;
    struct address a;
    struct cidr network;
    uint16_t port;
    slice word;
    if (p->address.len > 0 && (p->address.len > CONF_SOCKET_PATH_MAX ||
                               conf_endpoint(p->address, &a, &port) == CONF_ENDPOINT_BAD))
        PROBLEM(k, line_of(k, &p->address),
                "address: `%.*s` is no address with a port; write `127.0.0.1:10031`, say, or "
                "the path of a Unix socket (at most %d octets)",
                SLICE_ARG(p->address), CONF_SOCKET_PATH_MAX);
    for (slice rest = p->clients; conf_next_word(&rest, &word);)
        if (!cidr_parse(word, &network))
            PROBLEM(k, line_of(k, &p->clients),
                    "clients: `%.*s` is no network; write `127.0.0.0/8` or `192.0.2.1`, say",
                    SLICE_ARG(word));
    for (slice rest = p->account_by; conf_next_word(&rest, &word);)
        if (!is_account_by(word))
            PROBLEM(k, line_of(k, &p->account_by),
                    "account-by: `%.*s` is not known; write `login`, `client`, `sender`, or "
                    "several of them",
                    SLICE_ARG(word));
    if (slice_is_empty(slice_trim(p->account_by)))
        PROBLEM(k, line_of(k, &p->account_by), "account-by: write `login`, say");
}

static void check_address(struct check *k, const slice *address, const char *key)
{
    struct path p;
    if (address->len > 0 &&
        (mailbox_parse(*address, &p) != PATH_OK || !utf8_is_ascii(*address)))
        PROBLEM(k, line_of(k, address),
                "%s: `%.*s` is no address; write `postmaster@example.com`, say", key,
                SLICE_ARG(*address));
}

static void check_notices(struct check *k)
{
    struct zone zone;
    if (zoneinfo_read(k->conf->notices.time_zone, &zone) == -ENOENT)
        PROBLEM(k, line_of(k, &k->conf->notices.time_zone),
                "time-zone: `%.*s` is no time zone that this machine knows "
                "(/usr/share/zoneinfo); write `Europe/Oslo`, say",
                SLICE_ARG(k->conf->notices.time_zone));
    check_address(k, &k->conf->notices.operator_address, "operator");
    check_address(k, &k->conf->notices.from, "from");
}

static void check_numbers(struct check *k)
{
    const struct conf *c = k->conf;
    if (!host_is_name(c->server.hostname, false))
        PROBLEM(k, line_of(k, &c->server.hostname),
                "hostname: `%.*s` is no host name; write `mail.example.com`, say",
                SLICE_ARG(c->server.hostname));
    if (c->tls.key.len && !c->tls.certificate.len)
        PROBLEM(k, line_of(k, &c->tls.key),
                "a key without its certificate; set `certificate` too, or leave both out");
    if (c->delivery.retry_first > c->delivery.retry_longest)
        PROBLEM(k, line_of(k, &c->delivery.retry_first),
                "retry-first is longer than retry-longest; make it shorter");
}

static void check_destination(struct check *k, size_t i)
{
    const struct conf_destination *d = &k->conf->destinations[i];
    unsigned line = k->lines->destinations[i].section;
    slice rest = d->hosts, name;
    if (!slice_is_empty(d->hosts) && d->tls != CONF_DESTINATION_TLS_VERIFY)
        PROBLEM(k, line, "destination %.*s has `hosts`, which only `tls = verify` looks at",
                SLICE_ARG(d->name));
    while (slice_split(&rest, ' ', &name)) {
        slice host = slice_starts(name, SLICE(".")) ? slice_from(name, 1) : name;
        if (!slice_is_empty(name) && !host_is_name(host, false))
            PROBLEM(
                k, line,
                "hosts: `%.*s` is no host name; write `mx.example.com`, or `.example.com` for "
                "any name below it",
                SLICE_ARG(name));
    }
}

unsigned conf_check(const struct conf *c, slice name, const struct conf_lines *lines,
                    struct buf *errors)
{
    struct check k = {c, name, lines, errors, 0};
    check_paths(&k);
    check_numbers(&k);
    check_smarthost(&k);
    check_resolver(&k);
    check_api(&k);
    check_policy_service(&k);
    check_notices(&k);
    for (size_t i = 0; i < c->listener_count; i++)
        check_listener(&k, i);
    for (size_t i = 0; i < c->destination_count; i++)
        check_destination(&k, i);
    return k.problems;
}
