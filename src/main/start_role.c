#include "main/start_role.h"

#include "base/log.h"
#include "net/channel.h"
#include "net/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* Mail goes first: when the machine is full the ledger falls behind, and catches up. The API is
 * as patient as that, since it shares the process. */
enum { CONTROL_NICE = 5 };

/* Blocks from this size on are mapped, and go back to the system when they are freed. Left to
 * itself the C library takes the next snapshot's image from the heap once one was freed, where
 * what is allocated behind it keeps it. */
enum { MAPPED_FROM = 1024 * 1024 };

static enum role_kind find_kind(const char *name)
{
    enum role_kind k = 0;
    while (k < ROLE_COUNT && strcmp(name, role_name(k)) != 0)
        k++;
    return k;
}

/* The parent alone answers to signals; a terminal and a service manager send them to all. */
static void ignore_signals(void)
{
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
}

/* SQLite's temporary files: the rest of the disk is out of reach. */
static void set_temporary_dir(const struct conf *conf)
{
    struct arena a = ARENA_INIT;
    slice path = arena_printf(&a, "%.*s/control", SLICE_ARG(conf->server.state_dir));
    setenv("SQLITE_TMPDIR", path.ptr, 1);
    arena_fini(&a);
}

static int confine(const struct role *r)
{
    unsigned applied = 0;
    if (!r->conf->server.sandbox) {
        log_warning("no-sandbox", LOG_C("why", "the configuration says so"));
        return 0;
    }
    int err = sandbox_apply(r->kind, r->conf, role_fd(r, "state"), &applied);
    if (err)
        log_error("sandbox-failed", LOG_E("error", err));
    else if (applied != (SANDBOX_LANDLOCK | SANDBOX_SECCOMP))
        log_warning("sandbox-partly",
                    LOG_C("landlock", applied & SANDBOX_LANDLOCK ? "yes" : "no"),
                    LOG_C("seccomp", applied & SANDBOX_SECCOMP ? "yes" : "no"));
    return err;
}

int start_role(const char *name, role_run_fn *const runs[ROLE_COUNT])
{
    enum role_kind kind = find_kind(name);
    if (kind == ROLE_COUNT || fcntl(CHANNEL_FD, F_SETFD, FD_CLOEXEC) != 0) {
        fprintf(stderr, "utpostd: --role is for utpostd itself; try `utpostd --help`\n");
        return 2;
    }
    ignore_signals();
    umask(027);
    mallopt(M_MMAP_THRESHOLD, MAPPED_FROM);
    log_setup(role_name(kind), LOG_LOGFMT, LOG_INFO);
    struct role *r;
    int err = role_receive(&r, kind, CHANNEL_FD);
    if (err) {
        log_error("role-not-started", LOG_E("error", err));
        return EXIT_FAILURE;
    }
    if (kind == ROLE_CONTROL) {
        set_temporary_dir(r->conf);
        (void)setpriority(PRIO_PROCESS, 0, CONTROL_NICE);
    }
    if (confine(r) != 0)
        return EXIT_FAILURE;
    return runs[kind](r);
}
