#include "net/process.h"

#include "base/log.h"
#include "net/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

static int become(const struct process_user *u)
{
    if (!u->is_set)
        return 0;
    if (setgroups(u->group_count, u->groups) != 0 || setresgid(u->gid, u->gid, u->gid) != 0 ||
        setresuid(u->uid, u->uid, u->uid) != 0)
        return -errno;
    /* It must be for good. */
    if (u->uid != 0 && setresuid(0, 0, 0) == 0)
        return -EPERM;
    return 0;
}

static int arrange_descriptors(int channel)
{
    int null = open("/dev/null", O_RDONLY);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0)
        return -errno;
    if (channel == CHANNEL_FD) {
        if (fcntl(channel, F_SETFD, 0) != 0)
            return -errno;
    } else if (dup2(channel, CHANNEL_FD) < 0) {
        return -errno;
    }
    return close_range(CHANNEL_FD + 1, ~0U, 0) == 0 ? 0 : -errno;
}

static void restore_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    for (int sig = 1; sig < NSIG; sig++)
        if (sig != SIGKILL && sig != SIGSTOP)
            signal(sig, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* After fork: the parent has one thread, so all functions may be called. */
NORETURN static void begin(const char *const argv[], const struct process_user *user,
                           int channel, pid_t parent)
{
    int err = arrange_descriptors(channel);
    restore_signals();
    if (err == 0)
        err = become(user);
    /* After the change of user, which would forget it. */
    if (err == 0 &&
        (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0))
        err = -errno;
    if (err == 0 && getppid() != parent)
        _exit(EXIT_FAILURE); /* it has gone already */
    if (err == 0) {
        execv("/proc/self/exe", (char *const *)(uintptr_t)argv);
        err = -errno;
    }
    log_error("role-not-started", LOG_E("error", err));
    _exit(127);
}

pid_t process_spawn(const char *const argv[], const struct process_user *user, int channel)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0)
        begin(argv, user, channel, parent);
    return pid < 0 ? -errno : pid;
}
