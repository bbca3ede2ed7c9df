#include "main/supervise.h"

#include "base/log.h"
#include "main/doors.h"
#include "main/keys.h"
#include "main/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* A role that ends is started again at once; one that ends again and again a little later each
 * time, up to a second, for ever. */
#define DELAY_FIRST (50 * SPAN_MS)
#define DELAY_LONGEST SPAN_SECOND
#define STEADY (10 * SPAN_SECOND)
#define DRAIN_TIME (30 * SPAN_SECOND)

struct child {
    pid_t pid; /* 0: does not run */
    int channel;
    bool is_ready;
    span started;
    span restart_at; /* when pid is 0 */
    span delay;
};

struct supervisor {
    struct supervised *s;
    struct child children[ROLE_COUNT];
    int signals;
    bool was_ready;   /* READY was told */
    bool is_draining; /* no role is started any more */
    bool was_killed;
    span deadline; /* of the drain */
};

static void signal_set(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGHUP);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGCHLD);
}

void supervise_block_signals(void)
{
    sigset_t set;
    signal_set(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static span now(const struct supervisor *v)
{
    return env_elapsed(v->s->env);
}

static void hang_up(struct child *c)
{
    if (c->channel >= 0)
        close(c->channel);
    c->channel = -1;
}

/* 0 or -errno. */
static int role_start(struct supervisor *v, enum role_kind k)
{
    struct child *c = &v->children[k];
    const char *const argv[] = {"utpostd", "--role", role_name(k), NULL};
    int ends[2];
    int err = channel_pair(ends);
    if (err)
        return err;
    pid_t pid = process_spawn(argv, &v->s->users[k], ends[1]);
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return pid;
    }
    c->pid = pid;
    c->channel = ends[0];
    c->is_ready = false;
    c->started = now(v);
    atomic_fetch_add(&v->s->pages->stats.started[k], 1);
    fcntl(c->channel, F_SETFL, O_NONBLOCK); /* a role that hangs must not hang its parent */
    err = handover_send(&v->s->keys, k, c->channel);
    if (err == 0)
        err = handover_send(&v->s->fixed, k, c->channel);
    if (err == 0)
        err = channel_send(c->channel, "go", -1);
    if (err) /* it ends, and is started again */
        hang_up(c);
    log_info("role-started", LOG_C("name", role_name(k)), LOG_I("process", pid));
    return 0;
}

static void start_due(struct supervisor *v)
{
    for (enum role_kind k = 0; k < ROLE_COUNT; k++) {
        struct child *c = &v->children[k];
        if (c->pid || v->is_draining || c->restart_at > now(v))
            continue;
        int err = role_start(v, k);
        if (err) {
            log_error("role-not-started", LOG_C("name", role_name(k)), LOG_E("error", err));
            c->restart_at = now(v) + DELAY_LONGEST;
        }
    }
}

static void log_end(enum role_kind k, pid_t pid, int status, bool is_expected)
{
    enum log_level level = is_expected ? LOG_INFO : LOG_ERROR;
    if (WIFSIGNALED(status))
        LOG_EVENT(level, "role-killed", LOG_C("name", role_name(k)), LOG_I("process", pid),
                  LOG_I("signal", WTERMSIG(status)));
    else
        LOG_EVENT(level, "role-ended", LOG_C("name", role_name(k)), LOG_I("process", pid),
                  LOG_I("status", WEXITSTATUS(status)));
}

static void role_ended(struct supervisor *v, enum role_kind k, int status)
{
    struct child *c = &v->children[k];
    log_end(k, c->pid, status, v->is_draining);
    hang_up(c);
    if (now(v) - c->started >= STEADY)
        c->delay = 0;
    c->restart_at = now(v) + c->delay;
    c->delay = c->delay ? c->delay * 2 : DELAY_FIRST;
    if (c->delay > DELAY_LONGEST)
        c->delay = DELAY_LONGEST;
    c->pid = 0;
    c->is_ready = false;
}

static void reap(struct supervisor *v)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (enum role_kind k = 0; k < ROLE_COUNT; k++)
            if (v->children[k].pid == pid)
                role_ended(v, k, status);
}

static void tell_ready(struct supervisor *v)
{
    for (enum role_kind k = 0; k < ROLE_COUNT; k++)
        if (!v->children[k].is_ready)
            return;
    if (v->was_ready)
        return;
    v->was_ready = true;
    notify_send("READY=1\nSTATUS=Accepting mail");
    log_info("ready", LOG_S("state", v->s->conf->server.state_dir));
}

static void hear(struct supervisor *v, enum role_kind k)
{
    struct child *c = &v->children[k];
    char name[CHANNEL_NAME_MAX];
    int fd;
    int got = channel_receive(c->channel, false, name, &fd);
    if (got == -EAGAIN)
        return;
    if (got <= 0) {
        hang_up(c); /* its end is told by SIGCHLD */
        return;
    }
    if (fd >= 0)
        close(fd);
    if (strcmp(name, "ready") == 0) {
        c->is_ready = true;
        tell_ready(v);
    }
}

static void send_reload(struct supervisor *v)
{
    for (enum role_kind k = 0; k < ROLE_COUNT; k++) {
        struct child *c = &v->children[k];
        if (c->pid == 0 || c->channel < 0)
            continue; /* it gets the new configuration when it starts */
        int err = handover_send(&v->s->keys, k, c->channel);
        if (err == 0)
            err = channel_send(c->channel, "reload", -1);
        if (err == 0)
            continue;
        log_error("reload-not-taken", LOG_C("name", role_name(k)), LOG_E("error", err),
                  LOG_C("then", "the role is started again"));
        kill(c->pid, SIGKILL);
    }
}

static void log_lines(const char *event, slice text)
{
    slice line;
    while (slice_split(&text, '\n', &line))
        log_error(event, LOG_S("why", line));
}

/* A bad configuration or key never replaces a good one. */
static void reload(struct supervisor *v)
{
    struct supervised *s = v->s;
    struct buf why = BUF_INIT, kept = BUF_INIT;
    struct handover keys = {0};
    notify_reloading();
    struct conf *fresh = conf_read(s->config_path, &why);
    if (fresh && conf_keep_fixed(fresh, s->conf, &kept) > 0)
        log_warning("restart-needed", LOG_S("for", buf_slice(&kept)));
    if (fresh && keys_read(fresh, s->state, &keys, &why)) {
        conf_free(&s->conf);
        s->conf = fresh;
        handover_fini(&s->keys);
        s->keys = keys;
        log_setup("parent", (enum log_format)fresh->log.format,
                  (enum log_level)fresh->log.level);
        send_reload(v);
        log_info("configuration-reloaded", LOG_C("file", s->config_path));
    } else {
        conf_free(&fresh);
        log_lines("configuration-refused", buf_slice(&why));
    }
    buf_fini(&why);
    buf_fini(&kept);
    if (v->was_ready)
        notify_send("READY=1");
}

static void kill_all(struct supervisor *v)
{
    for (enum role_kind k = 0; k < ROLE_COUNT; k++) {
        if (v->children[k].pid == 0)
            continue;
        log_warning("role-does-not-end", LOG_C("name", role_name(k)), LOG_C("then", "kill"));
        kill(v->children[k].pid, SIGKILL);
    }
    v->was_killed = true;
}

static void drain(struct supervisor *v)
{
    if (v->is_draining) { /* asked twice: somebody is in a hurry */
        kill_all(v);
        return;
    }
    v->is_draining = true;
    v->deadline = now(v) + DRAIN_TIME;
    notify_send("STOPPING=1");
    log_info("stopping", LOG_I("seconds-at-most", DRAIN_TIME / SPAN_SECOND));
    for (enum role_kind k = 0; k < ROLE_COUNT; k++) {
        struct child *c = &v->children[k];
        if (c->pid && (c->channel < 0 || channel_send(c->channel, "drain", -1) != 0))
            kill(c->pid, SIGKILL);
    }
    doors_shut(&v->s->fixed);
}

static void answer_signal(struct supervisor *v)
{
    struct signalfd_siginfo info;
    if (read(v->signals, &info, sizeof(info)) != sizeof(info))
        return;
    if (info.ssi_signo == SIGCHLD)
        reap(v);
    else if (info.ssi_signo == SIGHUP && !v->is_draining)
        reload(v);
    else if (info.ssi_signo != SIGHUP)
        drain(v);
}

/* Milliseconds until something is due; -1: never. */
static int wait_time(const struct supervisor *v)
{
    span due = STAMP_NEVER;
    if (v->is_draining)
        due = v->was_killed ? STAMP_NEVER : v->deadline;
    for (enum role_kind k = 0; k < ROLE_COUNT && !v->is_draining; k++)
        if (v->children[k].pid == 0 && v->children[k].restart_at < due)
            due = v->children[k].restart_at;
    if (due == STAMP_NEVER)
        return -1;
    span left = due - now(v);
    return left <= 0 ? 0 : (int)((left + SPAN_MS - 1) / SPAN_MS);
}

static bool is_over(const struct supervisor *v)
{
    for (enum role_kind k = 0; k < ROLE_COUNT; k++)
        if (v->children[k].pid)
            return false;
    return v->is_draining;
}

static void turn(struct supervisor *v)
{
    struct pollfd fds[1 + ROLE_COUNT] = {{.fd = v->signals, .events = POLLIN}};
    for (enum role_kind k = 0; k < ROLE_COUNT; k++)
        fds[1 + k] = (struct pollfd){.fd = v->children[k].channel, .events = POLLIN};
    if (poll(fds, COUNT_OF(fds), wait_time(v)) < 0)
        return;
    for (enum role_kind k = 0; k < ROLE_COUNT; k++)
        if (fds[1 + k].revents)
            hear(v, k);
    if (fds[0].revents)
        answer_signal(v);
    if (v->is_draining && !v->was_killed && now(v) >= v->deadline)
        kill_all(v);
}

int supervise_run(struct supervised *s)
{
    struct supervisor v = {.s = s};
    sigset_t set;
    signal_set(&set);
    v.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (v.signals < 0) {
        log_error("start-failed", LOG_C("what", "signalfd"), LOG_E("error", errno));
        return EXIT_FAILURE;
    }
    for (enum role_kind k = 0; k < ROLE_COUNT; k++)
        v.children[k].channel = -1;
    while (!is_over(&v)) {
        start_due(&v);
        turn(&v);
    }
    close(v.signals);
    log_info("stopped", LOG_C("how", v.was_killed ? "killed" : "drained"));
    return v.was_killed ? EXIT_FAILURE : EXIT_SUCCESS;
}
