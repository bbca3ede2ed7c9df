#include "net/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Debian 12's header is older than the kernels that run below it. */
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif
#define ACCESS_IOCTL_DEV (1ULL << 15)
#define NET_BIND_TCP (1ULL << 0)
#define NET_CONNECT_TCP (1ULL << 1)
#define SCOPE_ABSTRACT_UNIX (1ULL << 0)
#define SCOPE_SIGNAL (1ULL << 1)

/* struct landlock_ruleset_attr as newer kernels know it; an older one is given less of it. */
struct ruleset {
    uint64_t fs;
    uint64_t net;
    uint64_t scoped;
};

enum {
    ABI_REFER = 2, /* before it no rename between directories is possible at all */
    ABI_TRUNCATE = 3,
    ABI_NET = 4,
    ABI_IOCTL = 5,
    ABI_SCOPE = 6,
};

#define READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define REMOVE LANDLOCK_ACCESS_FS_REMOVE_FILE
#define WRITE                                                                      \
    (READ | REMOVE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG | \
     LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_REFER | LANDLOCK_ACCESS_FS_TRUNCATE)
#define DEVICE (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE)
#define ALL_FS_1 ((1ULL << 13) - 1)

struct path_rule {
    const char *path;
    uint64_t access;
};

enum { RULES_MOST = 8 };

/* Below the state directory. All may list directories (to sync them), see state_rules. */
static const struct path_rule sandbox_paths[ROLE_COUNT][RULES_MOST] = {
    [ROLE_SMTPD] =
        {
            {"journal/smtpd", WRITE},
            {"large", WRITE},
            {"snapshot/smtpd", WRITE},
            {"journal/control", READ},
            {"journal/delivery", READ},
            {"snapshot/delivery", READ},
            {"snapshot/control", READ},
        },
    [ROLE_DELIVERY] =
        {
            {"journal/delivery", WRITE},
            {"snapshot/delivery", WRITE},
            {"snapshot/smtpd", READ},
            {"large", READ | REMOVE},
            {"journal/smtpd", READ},
            {"journal/control", READ},
            {"snapshot/control", READ},
        },
    [ROLE_CONTROL] =
        {
            {"control", WRITE},
            {"journal/control", WRITE},
            {"snapshot/control", WRITE},
            {"journal/smtpd", READ},
            {"journal/delivery", READ},
            {"snapshot", READ},
        },
};

/* What the C library, OpenSSL and model/zoneinfo read at any time. */
static const struct path_rule system_paths[] = {
    {"/usr/lib", READ},
    {"/usr/share/ca-certificates", READ},
    {"/usr/local/share/ca-certificates", READ},
    {"/usr/share/zoneinfo", READ},
    {"/lib", READ},
    {"/lib64", READ},
    {"/etc/ssl", READ},
    {"/etc/hosts", READ},
    {"/etc/host.conf", READ},
    {"/etc/gai.conf", READ},
    {"/etc/nsswitch.conf", READ},
    {"/etc/resolv.conf", READ},
    {"/etc/services", READ},
    {"/etc/passwd", READ},
    {"/etc/group", READ},
    {"/etc/localtime", READ},
    {"/etc/ld.so.cache", READ},
    {"/run/systemd/resolve", READ},
    {"/sys/devices/system/cpu", READ},
    {"/proc/sys", READ},
    {"/dev/null", DEVICE},
    {"/dev/urandom", READ},
};

static int landlock_abi(void)
{
    return (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

static int ruleset_new(enum role_kind kind, int abi, struct ruleset *r)
{
    size_t size = sizeof(r->fs);
    *r = (struct ruleset){.fs = ALL_FS_1 | LANDLOCK_ACCESS_FS_REFER};
    if (abi >= ABI_TRUNCATE)
        r->fs |= LANDLOCK_ACCESS_FS_TRUNCATE;
    if (abi >= ABI_IOCTL)
        r->fs |= ACCESS_IOCTL_DEV;
    if (abi >= ABI_NET) {
        r->net = kind == ROLE_DELIVERY ? NET_BIND_TCP : NET_BIND_TCP | NET_CONNECT_TCP;
        size += sizeof(r->net);
    }
    if (abi >= ABI_SCOPE) {
        r->scoped = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL;
        size += sizeof(r->scoped);
    }
    int fd = (int)syscall(SYS_landlock_create_ruleset, r, size, 0);
    return fd < 0 ? -errno : fd;
}

/* A path that is not there needs no rule. */
static int allow(int rules, const struct ruleset *r, int dir, const char *path, uint64_t access)
{
    int fd = openat(dir, path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    struct landlock_path_beneath_attr rule = {.parent_fd = fd};
    rule.allowed_access = access & r->fs;
    int err = (int)syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    if (err != 0 && errno == EINVAL) { /* a file: rights of directories do not apply */
        rule.allowed_access &= DEVICE | LANDLOCK_ACCESS_FS_TRUNCATE;
        err = (int)syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    }
    err = err != 0 ? -errno : 0;
    close(fd);
    return err;
}

static int allow_state(int rules, const struct ruleset *r, enum role_kind kind,
                       const struct conf *conf, int state)
{
    int err = allow(rules, r, state, ".", LANDLOCK_ACCESS_FS_READ_DIR);
    for (size_t i = 0; i < RULES_MOST && err == 0; i++) {
        const struct path_rule *p = &sandbox_paths[kind][i];
        if (p->path)
            err = allow(rules, r, state, p->path, p->access);
    }
    if (err == 0 && kind == ROLE_DELIVERY) {
        struct arena a = ARENA_INIT;
        err = allow(rules, r, state, arena_cstr(&a, conf->delivery.capture_dir), WRITE);
        const slice files[] = {conf->resolver.trust_anchor, conf->delivery.ca_file};
        for (size_t i = 0; i < COUNT_OF(files) && err == 0; i++)
            if (files[i].len > 0)
                err = allow(rules, r, AT_FDCWD, arena_cstr(&a, files[i]), READ);
        arena_fini(&a);
    }
    return err;
}

static int allow_system(int rules, const struct ruleset *r, enum role_kind kind)
{
    int err = 0;
    for (size_t i = 0; i < COUNT_OF(system_paths) && err == 0; i++)
        err = allow(rules, r, AT_FDCWD, system_paths[i].path, system_paths[i].access);
    /* resolv.conf is replaced when the network changes: a rule on the file would be lost. What
     * root may read in /etc is no business of a role, though. */
    if (err == 0 && kind == ROLE_DELIVERY && geteuid() != 0)
        err = allow(rules, r, AT_FDCWD, "/etc", READ);
    return err;
}

int sandbox_files(enum role_kind kind, const struct conf *conf, int state)
{
    int abi = landlock_abi();
    if (abi < ABI_REFER)
        return 0;
    struct ruleset r;
    int rules = ruleset_new(kind, abi, &r);
    if (rules < 0)
        return rules;
    int err = allow_state(rules, &r, kind, conf, state);
    if (err == 0)
        err = allow_system(rules, &r, kind);
    if (err == 0 && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
                     syscall(SYS_landlock_restrict_self, rules, 0) != 0))
        err = -errno;
    close(rules);
    return err < 0 ? err : 1;
}

int sandbox_apply(enum role_kind kind, const struct conf *conf, int state, unsigned *applied)
{
    int files = sandbox_files(kind, conf, state);
    if (files < 0)
        return files;
    int calls = sandbox_calls(kind);
    if (calls < 0)
        return calls;
    *applied = (files ? SANDBOX_LANDLOCK : 0U) | (calls ? SANDBOX_SECCOMP : 0U);
    return 0;
}
