#include "main/layout.h"

#include "base/stamp.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LOCK_TRIES = 100, LOCK_PAUSE_MS = 50 };

/* Whose a path is: a role's, or the parent's. */
enum { PARENT = ROLE_COUNT };

static const struct path {
    const char *path;
    unsigned owner;
    unsigned group;
    mode_t mode;
} paths[] = {
    {".", PARENT, PARENT, 0755},
    {"journal", PARENT, PARENT, 0755},
    {"journal/smtpd", ROLE_SMTPD, ROLE_SMTPD, 0750},
    {"journal/delivery", ROLE_DELIVERY, ROLE_DELIVERY, 0750},
    {"journal/control", ROLE_CONTROL, ROLE_CONTROL, 0750},
    {"snapshot", PARENT, PARENT, 0755},
    {"snapshot/smtpd", ROLE_SMTPD, ROLE_SMTPD, 0750},
    {"snapshot/delivery", ROLE_DELIVERY, ROLE_DELIVERY, 0750},
    {"snapshot/control", ROLE_CONTROL, ROLE_CONTROL, 0750},
    /* smtpd makes large bodies, delivery reads and removes them: theirs is delivery's group. */
    {"large", ROLE_SMTPD, ROLE_DELIVERY, 02770},
    {"large/tmp", ROLE_SMTPD, ROLE_DELIVERY, 02750},
    {"control", ROLE_CONTROL, ROLE_CONTROL, 0700},
    {"tls", PARENT, PARENT, 0700},
};

static uid_t owner_of(unsigned who, const struct process_user users[ROLE_COUNT])
{
    return who == PARENT ? geteuid() : users[who].uid;
}

static gid_t group_of(unsigned who, const struct process_user users[ROLE_COUNT])
{
    return who == PARENT ? getegid() : users[who].gid;
}

/* 0 or errno. */
static int give(int dir, const char *path, uid_t uid, gid_t gid, mode_t mode)
{
    struct stat st;
    if (fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno;
    if (!S_ISDIR(st.st_mode))
        return ENOTDIR;
    if ((st.st_uid != uid || st.st_gid != gid) &&
        fchownat(dir, path, uid, gid, AT_SYMLINK_NOFOLLOW) != 0)
        return errno;
    /* After the change of owner, which clears the bit that hands on the group. */
    if (fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno;
    if ((st.st_mode & 07777) != mode && fchmodat(dir, path, mode, 0) != 0)
        return errno;
    return 0;
}

static bool make(const struct conf *conf, int state, const char *path, uid_t uid, gid_t gid,
                 mode_t mode, struct buf *why)
{
    int err = mkdirat(state, path, 0700) == 0 || errno == EEXIST ? 0 : errno;
    if (err == 0)
        err = give(state, path, uid, gid, mode);
    if (err)
        buf_printf(why,
                   "%.*s/%s: %s; the state directory must be on a disk that utpostd may "
                   "write, and its parts owned by it",
                   SLICE_ARG(conf->server.state_dir), path, strerror(err));
    return err == 0;
}

/* `mkdir -p`, for directories of everybody. */
static int make_all(const char *path)
{
    char part[512];
    size_t len = strlen(path);
    if (len >= sizeof(part))
        return -ENAMETOOLONG;
    for (size_t i = 1; i <= len; i++) {
        if (i < len && path[i] != '/')
            continue;
        snprintf(part, sizeof(part), "%.*s", (int)i, path);
        if (mkdir(part, 0755) != 0 && errno != EEXIST)
            return -errno;
    }
    return 0;
}

int layout_open(const struct conf *conf, struct buf *why)
{
    struct arena a = ARENA_INIT;
    const char *path = arena_cstr(&a, conf->server.state_dir);
    int fd = make_all(path);
    if (fd == 0)
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        buf_printf(why, "state-dir: %s: %s; make it, or name another one in [server]", path,
                   strerror(fd == -1 ? errno : -fd));
    arena_fini(&a);
    return fd < 0 ? -1 : fd;
}

/* The process that has the lock, as it wrote it; 0: unknown. */
static pid_t holder(int lock)
{
    char text[24] = "";
    ssize_t n = pread(lock, text, sizeof(text) - 1, 0);
    return n > 0 ? (pid_t)atoi(text) : 0;
}

static bool is_alive(pid_t pid)
{
    return pid > 0 && (kill(pid, 0) == 0 || errno == EPERM);
}

/* 0 or errno. */
static int take_lock(int lock)
{
    for (int i = 0; i < LOCK_TRIES; i++) {
        if (flock(lock, LOCK_EX | LOCK_NB) == 0)
            return 0;
        if (errno != EWOULDBLOCK || is_alive(holder(lock)))
            return errno;
        /* The roles of a parent that was killed are ending. */
        const struct timespec pause = {.tv_nsec = LOCK_PAUSE_MS * 1000000L};
        nanosleep(&pause, NULL);
    }
    return EWOULDBLOCK;
}

int layout_lock(const struct conf *conf, int state, struct buf *why)
{
    int lock = openat(state, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    int err = lock < 0 ? errno : take_lock(lock);
    char text[24];
    int len = snprintf(text, sizeof(text), "%d\n", (int)getpid());
    if (err == 0 && (ftruncate(lock, 0) != 0 || pwrite(lock, text, (size_t)len, 0) != len))
        err = errno;
    if (err == 0)
        return lock;
    if (err == EWOULDBLOCK)
        buf_printf(why,
                   "another utpostd (process %d) runs on %.*s already; stop it, or give this "
                   "one a state-dir of its own",
                   (int)holder(lock), SLICE_ARG(conf->server.state_dir));
    else
        buf_printf(why, "%.*s/lock: %s; the state directory must be writable",
                   SLICE_ARG(conf->server.state_dir), strerror(err));
    if (lock >= 0)
        close(lock);
    return -1;
}

static bool make_capture(const struct conf *conf, int state,
                         const struct process_user users[ROLE_COUNT], struct buf *why)
{
    struct arena a = ARENA_INIT;
    char *path = arena_cstr(&a, conf->delivery.capture_dir);
    bool ok = true;
    /* It may be several names deep; all of them are delivery's. */
    for (char *slash = strchr(path, '/'); ok && slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        ok = make(conf, state, path, users[ROLE_DELIVERY].uid, users[ROLE_DELIVERY].gid, 0750,
                  why);
        *slash = '/';
    }
    ok = ok &&
         make(conf, state, path, users[ROLE_DELIVERY].uid, users[ROLE_DELIVERY].gid, 0750, why);
    arena_fini(&a);
    return ok;
}

static bool make_run_dir(const struct conf *conf, struct buf *why)
{
    struct arena a = ARENA_INIT;
    const char *path = arena_cstr(&a, conf->server.run_dir);
    int err = -make_all(path);
    if (err == 0)
        err = give(AT_FDCWD, path, geteuid(), getegid(), 0755);
    if (err)
        buf_printf(why, "run-dir: %s: %s; make it, or name another one in [server]", path,
                   strerror(err));
    arena_fini(&a);
    return err == 0;
}

bool layout_make(const struct conf *conf, int state,
                 const struct process_user users[ROLE_COUNT], struct buf *why)
{
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        const struct path *p = &paths[i];
        if (!make(conf, state, p->path, owner_of(p->owner, users), group_of(p->group, users),
                  p->mode, why))
            return false;
    }
    return make_capture(conf, state, users, why) && make_run_dir(conf, why);
}
