#include "net/role.h"

#include "base/log.h"
#include "base/secret.h"
#include "net/channel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct named_fd {
    struct named_fd *next;
    int fd;
    char name[CHANNEL_NAME_MAX];
};

struct named_secret {
    struct named_secret *next;
    struct buf text;
    char name[CHANNEL_NAME_MAX];
};

/* What only this file sees of a role. */
struct role_parts {
    struct role role;
    struct env_real disk;
    struct named_fd *fds;
    struct named_secret *secrets;
    int channel; /* -1: made by a test */
    struct loop_watch *watch;
    /* Between "config" and "go" or "reload": */
    struct buf config;
    struct named_secret *fresh_secrets;
};

static struct role_parts *parts_of(const struct role *r)
{
    return (struct role_parts *)(uintptr_t)r; /* the role is its first member */
}

const char *role_name(enum role_kind k)
{
    static const char *const names[ROLE_COUNT] = {
        [ROLE_SMTPD] = "smtpd", [ROLE_DELIVERY] = "delivery", [ROLE_CONTROL] = "control"};
    return k < ROLE_COUNT ? names[k] : "unknown";
}

struct role *role_new(enum role_kind kind)
{
    struct role_parts *p = xcalloc(1, sizeof(*p));
    p->role.kind = kind;
    p->channel = -1;
    for (size_t i = 0; i < ROLE_COUNT; i++)
        p->role.wake[i] = -1;
    return &p->role;
}

static void free_secrets(struct named_secret **list)
{
    while (*list) {
        struct named_secret *s = *list;
        *list = s->next;
        secret_wipe(s->text.ptr, s->text.len);
        buf_fini(&s->text);
        free(s);
    }
}

/* What role_receive has made, which is not the caller's. */
static void free_received(struct role_parts *p)
{
    loop_unwatch(&p->watch);
    loop_free(&p->role.loop);
    conf_free(&p->role.conf);
    munmap(p->role.pages, sizeof(struct shared_pages));
    for (size_t i = 0; i < ROLE_COUNT; i++)
        if (p->role.wake[i] >= 0)
            close(p->role.wake[i]);
    close(p->channel);
}

void role_free(struct role **at)
{
    if (!*at)
        return;
    struct role_parts *p = parts_of(*at);
    *at = NULL;
    if (p->watch)
        free_received(p);
    while (p->fds) {
        struct named_fd *f = p->fds;
        p->fds = f->next;
        close(f->fd);
        free(f);
    }
    free_secrets(&p->secrets);
    free_secrets(&p->fresh_secrets);
    buf_fini(&p->config);
    free(p);
}

void role_add_fd(struct role *r, const char *name, int fd)
{
    struct role_parts *p = parts_of(r);
    struct named_fd *f = xcalloc(1, sizeof(*f));
    snprintf(f->name, sizeof(f->name), "%s", name);
    f->fd = fd;
    f->next = p->fds;
    p->fds = f;
}

int role_fd(const struct role *r, const char *name)
{
    for (const struct named_fd *f = parts_of(r)->fds; f; f = f->next)
        if (strcmp(f->name, name) == 0)
            return f->fd;
    return -1;
}

static struct named_secret *add_secret(struct named_secret **list, const char *name)
{
    struct named_secret *s = xcalloc(1, sizeof(*s));
    snprintf(s->name, sizeof(s->name), "%s", name);
    s->next = *list; /* the newest of a name is found first */
    *list = s;
    return s;
}

void role_add_secret(struct role *r, const char *name, slice text)
{
    buf_append(&add_secret(&parts_of(r)->secrets, name)->text, text);
}

slice role_secret(const struct role *r, const char *name)
{
    for (const struct named_secret *s = parts_of(r)->secrets; s; s = s->next)
        if (strcmp(s->name, name) == 0)
            return buf_slice(&s->text);
    return SLICE("");
}

void role_ready(struct role *r)
{
    struct role_parts *p = parts_of(r);
    if (p->channel >= 0 && channel_send(p->channel, "ready", -1) != 0)
        log_error("parent-gone", LOG_C("while", "ready"));
}

static int map_pages(struct role_parts *p, int fd)
{
    void *at =
        mmap(NULL, sizeof(struct shared_pages), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        return -errno;
    p->role.pages = at;
    return 0;
}

static int take_wake(struct role_parts *p, const char *name, int fd)
{
    for (enum role_kind k = 0; k < ROLE_COUNT; k++) {
        if (strcmp(name, role_name(k)) == 0) {
            p->role.wake[k] = fd;
            return 0;
        }
    }
    return -EPROTO;
}

static const char *behind(const char *name, const char *prefix)
{
    size_t n = strlen(prefix);
    return strncmp(name, prefix, n) == 0 ? name + n : NULL;
}

/* One message that brings something; every descriptor is taken or closed. 0 or -errno. */
static int take(struct role_parts *p, const char *name, int fd)
{
    const char *rest;
    int err = 0;
    if (strcmp(name, "config") == 0) {
        buf_clear(&p->config);
        err = channel_contents(fd, &p->config);
    } else if ((rest = behind(name, "secret:"))) {
        err = channel_contents(fd, &add_secret(&p->fresh_secrets, rest)->text);
    } else if (strcmp(name, "pages") == 0) {
        err = map_pages(p, fd);
    } else if ((rest = behind(name, "wake:"))) {
        err = take_wake(p, rest, fd);
        if (err == 0)
            return 0;
    } else if (fd >= 0) {
        role_add_fd(&p->role, name, fd);
        return 0;
    } else {
        err = -EPROTO;
    }
    if (fd >= 0)
        close(fd);
    return err;
}

static struct conf *parse_config(struct role_parts *p)
{
    struct buf errors = BUF_INIT;
    struct conf *c = conf_parse(SLICE("configuration"), buf_slice(&p->config), &errors);
    if (!c) /* the parent has read the same text: a bug, but not one to die of */
        log_error("configuration-refused", LOG_S("why", buf_slice(&errors)));
    buf_fini(&errors);
    buf_fini(&p->config);
    return c;
}

static void swap_secrets(struct role_parts *p)
{
    struct named_secret *old = p->secrets;
    p->secrets = p->fresh_secrets;
    p->fresh_secrets = old;
}

static void apply_log(const struct role *r)
{
    log_setup(role_name(r->kind), (enum log_format)r->conf->log.format,
              (enum log_level)r->conf->log.level);
}

static void reload(struct role_parts *p)
{
    struct conf *fresh = parse_config(p);
    if (!fresh) {
        free_secrets(&p->fresh_secrets);
        return;
    }
    struct conf *old = p->role.conf;
    p->role.conf = fresh;
    swap_secrets(p);
    apply_log(&p->role);
    if (p->role.on_reload)
        p->role.on_reload(p->role.ctx);
    conf_free(&old);
    free_secrets(&p->fresh_secrets);
}

static void on_channel(void *ctx)
{
    struct role_parts *p = ctx;
    char name[CHANNEL_NAME_MAX];
    int fd;
    int got = channel_receive(p->channel, false, name, &fd);
    if (got == -EAGAIN)
        return;
    if (got <= 0) {
        log_warning("parent-gone", LOG_C("then", "exit"));
        _exit(EXIT_FAILURE);
    }
    if (strcmp(name, "reload") == 0) {
        reload(p);
    } else if (strcmp(name, "drain") == 0) {
        log_debug("drain-asked", LOG_C("by", "parent"));
        if (p->role.on_drain)
            p->role.on_drain(p->role.ctx);
        else
            loop_stop(p->role.loop);
    } else {
        int err = take(p, name, fd);
        if (err)
            log_error("handover-failed", LOG_C("what", name), LOG_E("error", err));
    }
}

static int receive_all(struct role_parts *p)
{
    for (;;) {
        char name[CHANNEL_NAME_MAX];
        int fd;
        int got = channel_receive(p->channel, true, name, &fd);
        if (got <= 0)
            return got < 0 ? got : -EPIPE;
        if (strcmp(name, "go") == 0)
            return 0;
        int err = take(p, name, fd);
        if (err) {
            log_error("handover-failed", LOG_C("what", name), LOG_E("error", err));
            return err;
        }
    }
}

int role_receive(struct role **out, enum role_kind kind, int channel)
{
    struct role *r = role_new(kind);
    struct role_parts *p = parts_of(r);
    p->channel = channel;
    int err = receive_all(p);
    int root = role_fd(r, "state");
    if (err == 0)
        r->conf = parse_config(p);
    if (err == 0 && (!r->conf || !r->pages || root < 0))
        err = -EPROTO;
    if (err == 0 && !(r->loop = loop_new()))
        err = -ENOMEM;
    if (err) {
        conf_free(&r->conf);
        role_free(&r);
        return err;
    }
    swap_secrets(p);
    apply_log(r);
    env_real_init(&p->disk, root);
    r->env = &p->disk.env;
    p->watch = loop_watch(r->loop, channel, on_channel, p);
    *out = r;
    return 0;
}
