#include "main/doors.h"

#include "base/log.h"
#include "net/address.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 4096 };

static const char local_door[] = "local.sock";
static const char *const query_doors[ROLE_COUNT] = {
    [ROLE_SMTPD] = "query-smtpd.sock", [ROLE_DELIVERY] = "query-delivery.sock"};

static int fail(int fd)
{
    int err = errno;
    if (fd >= 0)
        close(fd);
    return -err;
}

/* SO_REUSEADDR, since connections of an earlier run may linger in TIME_WAIT; it does not let
 * two programs listen at one address: that fails in bind or in listen. */
static int open_inet(const struct address *a, uint16_t port, bool is_dual)
{
    struct sockaddr_storage at;
    socklen_t len = address_to_sockaddr(a, port, &at);
    int on = 1, v6_only = !is_dual;
    int fd = socket(at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fail(fd);
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0)
        return fail(fd);
    if (a->family == 6 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof(v6_only)) != 0)
        return fail(fd);
    if (bind(fd, (struct sockaddr *)&at, len) != 0 || listen(fd, BACKLOG) != 0)
        return fail(fd);
    return fd;
}

/* 0: nobody listens there, and a socket left behind is gone. -errno. */
static int clear_path(const struct sockaddr_un *at)
{
    struct stat st;
    if (lstat(at->sun_path, &st) != 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(st.st_mode))
        return -ENOTSOCK;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    bool is_served =
        connect(fd, (const struct sockaddr *)at, sizeof(*at)) == 0 || errno == EAGAIN;
    close(fd);
    if (is_served)
        return -EADDRINUSE;
    return unlink(at->sun_path) == 0 ? 0 : -errno;
}

static int open_unix(slice path, uid_t uid, gid_t gid, mode_t mode)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    if (path.len >= sizeof(at.sun_path))
        return -ENAMETOOLONG;
    memcpy(at.sun_path, path.ptr, path.len);
    int err = clear_path(&at);
    if (err)
        return err;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fail(fd);
    if (bind(fd, (struct sockaddr *)&at, sizeof(at)) != 0)
        return fail(fd);
    bool must_give = uid != geteuid() || gid != getegid();
    if ((must_give && chown(at.sun_path, uid, gid) != 0) || chmod(at.sun_path, mode) != 0 ||
        listen(fd, BACKLOG) != 0)
        return fail(fd);
    return fd;
}

static const char *advice(int err)
{
    switch (err) {
    case EADDRINUSE:
        return "is in use: another program listens there (`ss -ltnp` shows which); stop it, or "
               "change the address";
    case EACCES:
    case EPERM:
        return "is not permitted to this user; start utpostd as root with role users, or "
               "choose "
               "a port from 1024 on";
    case EADDRNOTAVAIL:
        return "is not an address of this machine; `ip address` shows them";
    case EAFNOSUPPORT:
        return "is of a family that this machine does not have";
    case ENOTSOCK:
        return "is a file, not a socket; remove it, or change the path";
    default:
        return strerror(err);
    }
}

/* True when another listener takes the port on all IPv4 addresses itself. */
static bool has_ipv4_twin(const struct conf *conf, uint16_t port)
{
    struct address a;
    uint16_t other;
    for (size_t i = 0; i < conf->listener_count; i++)
        if (conf_endpoint(conf->listeners[i].address, &a, &other) == CONF_ENDPOINT_INET &&
            a.family == 4 && other == port)
            return true;
    return false;
}

static int open_listener(const struct conf *conf, const struct conf_listener *l)
{
    struct address a;
    uint16_t port;
    static const struct address any6 = {.family = 6}, any4 = {.family = 4};
    if (conf_endpoint(l->address, &a, &port) == CONF_ENDPOINT_UNIX)
        return open_unix(l->address, geteuid(), getegid(), 0666);
    bool is_any = address_eq(&a, &any6);
    int fd = open_inet(&a, port, is_any && !has_ipv4_twin(conf, port));
    if (fd == -EAFNOSUPPORT && is_any) { /* a machine without IPv6 */
        log_info("no-ipv6", LOG_S("listener", l->name), LOG_C("then", "IPv4 only"));
        fd = open_inet(&any4, port, false);
    }
    return fd;
}

static bool open_listeners(const struct conf *conf, struct handover *h, struct buf *why)
{
    bool ok = true;
    for (size_t i = 0; i < conf->listener_count; i++) {
        const struct conf_listener *l = &conf->listeners[i];
        char name[CHANNEL_NAME_MAX];
        snprintf(name, sizeof(name), "listener:%.*s", SLICE_ARG(l->name));
        int fd = open_listener(conf, l);
        if (fd >= 0) {
            handover_add(h, FOR(ROLE_SMTPD), name, fd);
            continue;
        }
        ok = false;
        buf_printf(why, "listener %.*s: the address %.*s %s\n", SLICE_ARG(l->name),
                   SLICE_ARG(l->address), advice(-fd));
    }
    return ok;
}

static bool open_api(const struct conf *conf, struct handover *h, struct buf *why)
{
    struct address a;
    uint16_t port;
    if (conf->api.listen.len == 0 ||
        conf_endpoint(conf->api.listen, &a, &port) != CONF_ENDPOINT_INET)
        return true;
    int fd = open_inet(&a, port, false);
    if (fd >= 0)
        handover_add(h, FOR(ROLE_CONTROL), "api-tcp", fd);
    else
        buf_printf(why, "[api] listen: the address %.*s %s\n", SLICE_ARG(conf->api.listen),
                   advice(-fd));
    return fd >= 0;
}

/* A Unix socket is for a Postfix that runs as a user of its own. */
static bool open_policy_service(const struct conf *conf, struct handover *h, struct buf *why)
{
    slice text = conf->policy_service.address;
    struct address a;
    uint16_t port;
    if (text.len == 0)
        return true;
    int fd = conf_endpoint(text, &a, &port) == CONF_ENDPOINT_UNIX
                 ? open_unix(text, geteuid(), getegid(), 0666)
                 : open_inet(&a, port, false);
    if (fd >= 0)
        handover_add(h, FOR(ROLE_SMTPD), "policy-service", fd);
    else
        buf_printf(why, "[policy-service] address: the address %.*s %s\n", SLICE_ARG(text),
                   advice(-fd));
    return fd >= 0;
}

struct unix_door {
    slice path;
    const char *name;
    unsigned roles;
    uid_t uid;
    gid_t gid;
    mode_t mode;
};

static bool open_door(const struct unix_door *d, struct handover *h, struct buf *why)
{
    int fd = open_unix(d->path, d->uid, d->gid, d->mode);
    if (fd >= 0)
        handover_add(h, d->roles, d->name, fd);
    else
        buf_printf(why, "the socket %.*s %s\n", SLICE_ARG(d->path), advice(-fd));
    return fd >= 0;
}

/* Group of the API's socket; an unknown one is told by control. */
static gid_t api_group(const struct conf *conf, gid_t otherwise)
{
    struct arena a = ARENA_INIT;
    const struct group *found =
        conf->api.group.len ? getgrnam(arena_cstr(&a, conf->api.group)) : NULL;
    arena_fini(&a);
    return found ? found->gr_gid : otherwise;
}

static slice in_run_dir(struct arena *a, const struct conf *conf, const char *name)
{
    return arena_printf(a, "%.*s/%s", SLICE_ARG(conf->server.run_dir), name);
}

bool doors_open(const struct conf *conf, const struct process_user users[ROLE_COUNT],
                struct handover *h, struct buf *why)
{
    struct arena a = ARENA_INIT;
    const struct process_user *control = &users[ROLE_CONTROL];
    struct unix_door doors[] = {
        {in_run_dir(&a, conf, local_door), "listener:local", FOR(ROLE_SMTPD), geteuid(),
         getegid(), 0666},
        {in_run_dir(&a, conf, query_doors[ROLE_SMTPD]), "query", FOR(ROLE_SMTPD),
         users[ROLE_SMTPD].uid, control->gid, 0660},
        {in_run_dir(&a, conf, query_doors[ROLE_DELIVERY]), "query", FOR(ROLE_DELIVERY),
         users[ROLE_DELIVERY].uid, control->gid, 0660},
        {conf->api.socket, "api", FOR(ROLE_CONTROL), control->uid,
         api_group(conf, control->gid), 0660},
    };
    bool ok = open_listeners(conf, h, why);
    ok = open_api(conf, h, why) && ok;
    ok = open_policy_service(conf, h, why) && ok;
    for (size_t i = 0; i < COUNT_OF(doors); i++)
        ok = open_door(&doors[i], h, why) && ok;
    arena_fini(&a);
    if (!ok)
        handover_fini(h);
    return ok;
}

void doors_shut(const struct handover *h)
{
    for (size_t i = 0; i < h->count; i++)
        if (strncmp(h->items[i].name, "listener:", 9) == 0 ||
            strcmp(h->items[i].name, "policy-service") == 0)
            shutdown(h->items[i].fd, SHUT_RDWR);
}

static void remove_one(slice path)
{
    struct arena a = ARENA_INIT;
    unlink(arena_cstr(&a, path)); /* one that is left is replaced at the next start */
    arena_fini(&a);
}

void doors_remove(const struct conf *conf)
{
    struct arena a = ARENA_INIT;
    remove_one(in_run_dir(&a, conf, local_door));
    remove_one(in_run_dir(&a, conf, query_doors[ROLE_SMTPD]));
    remove_one(in_run_dir(&a, conf, query_doors[ROLE_DELIVERY]));
    remove_one(conf->api.socket);
    for (size_t i = 0; i < conf->listener_count; i++)
        if (slice_starts(conf->listeners[i].address, SLICE("/")))
            remove_one(conf->listeners[i].address);
    if (slice_starts(conf->policy_service.address, SLICE("/")))
        remove_one(conf->policy_service.address);
    arena_fini(&a);
}
