/* The parent with roles of our own: this program is also its children (`--role NAME`). */
#include "main/start.h"

#include "base/buf.h"
#include "net/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* The roles: smtpd tells each client who it is, the others only run. */

static void on_client(void *ctx, int fd, const struct listen_peer *peer)
{
    const struct role *r = ctx;
    (void)peer;
    dprintf(fd, "pid=%d uid=%d connections=%d key=%d started=%d privileges=%d\n", (int)getpid(),
            (int)getuid(), (int)r->conf->delivery.connections,
            (int)role_secret(r, "tls-key").len,
            (int)atomic_load(&r->pages->stats.started[r->kind]),
            prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    close(fd);
}

static int run_smtpd(struct role *r)
{
    struct listener *l = listener_new(r->loop, role_fd(r, "listener:test"), on_client, r);
    int fd = env_open(r->env, "journal/smtpd/mine", ENV_CREATE);
    if (fd < 0 && fd != -EEXIST)
        return EXIT_FAILURE;
    role_ready(r);
    loop_run(r->loop);
    listener_free(&l);
    return EXIT_SUCCESS;
}

static int run_other(struct role *r)
{
    if (role_fd(r, r->kind == ROLE_CONTROL ? "api" : "query") < 0)
        return EXIT_FAILURE;
    role_ready(r);
    loop_run(r->loop);
    return EXIT_SUCCESS;
}

static role_run_fn *const fakes[ROLE_COUNT] = {run_smtpd, run_other, run_other};

/* One daemon on a state directory of its own. */
struct daemon_case {
    char dir[32];
    char conf[64];
    char door[64];
    char notify_path[64];
    int notify; /* its service manager */
    int log;    /* its standard error */
    pid_t pid;
    struct buf text; /* of the log so far */
};

static void write_conf(const struct daemon_case *d, const char *more)
{
    FILE *f = fopen(d->conf, "w");
    assert_non_null(f);
    fprintf(f,
            "[server]\nhostname = mail.example.com\nstate-dir = %s/state\n%s"
            "[listener test]\naddress = %s\ntls = none\n",
            d->dir, more, d->door);
    fclose(f);
}

static int setup(void **state)
{
    struct daemon_case *d = calloc(1, sizeof(*d));
    snprintf(d->dir, sizeof(d->dir), "/tmp/start-test-XXXXXX");
    if (!mkdtemp(d->dir) || chmod(d->dir, 0755) != 0)
        return -1;
    snprintf(d->conf, sizeof(d->conf), "%s/utpost.conf", d->dir);
    snprintf(d->door, sizeof(d->door), "%s/door.sock", d->dir);
    snprintf(d->notify_path, sizeof(d->notify_path), "%s/notify.sock", d->dir);
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    memcpy(at.sun_path, d->notify_path, strlen(d->notify_path));
    d->notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    d->log = -1;
    if (bind(d->notify, (struct sockaddr *)&at, sizeof(at)) != 0)
        return -1;
    setenv("NOTIFY_SOCKET", d->notify_path, 1);
    write_conf(d, "");
    *state = d;
    return 0;
}

static int teardown(void **state)
{
    struct daemon_case *d = *state;
    if (d->pid > 0) {
        kill(d->pid, SIGKILL);
        waitpid(d->pid, NULL, 0);
    }
    char command[64];
    snprintf(command, sizeof(command), "rm -rf %s", d->dir);
    int err = system(command);
    close(d->notify);
    if (d->log >= 0)
        close(d->log);
    buf_fini(&d->text);
    free(d);
    return err;
}

static pid_t spawn(struct daemon_case *d, const char *option, int *out)
{
    int pipe_ends[2];
    assert_int_equal(pipe2(pipe_ends, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(pipe_ends[1], STDERR_FILENO);
        dup2(pipe_ends[1], STDOUT_FILENO);
        execl("/proc/self/exe", "utpostd", "--config", d->conf, option, (char *)NULL);
        _exit(126);
    }
    close(pipe_ends[1]);
    *out = pipe_ends[0];
    return pid;
}

static void start(struct daemon_case *d)
{
    if (d->log >= 0)
        close(d->log);
    d->pid = spawn(d, NULL, &d->log);
}

/* Reads on until the log has the word, or ends: did it come? Fails after a minute. */
static bool log_has(struct daemon_case *d, const char *word)
{
    for (;;) {
        if (slice_search(buf_slice(&d->text), slice_of(word)) >= 0)
            return true;
        struct pollfd p = {.fd = d->log, .events = POLLIN};
        if (poll(&p, 1, 60000) != 1)
            fail_msg("waited for \"%s\":\n%.*s", word, SLICE_ARG(buf_slice(&d->text)));
        assert_int_equal(buf_reserve(&d->text, 4096), 0);
        ssize_t n = read(d->log, d->text.ptr + d->text.len, 4096);
        if (n <= 0)
            return false;
        d->text.len += (size_t)n;
    }
}

static void await_notice(struct daemon_case *d, const char *want)
{
    for (;;) {
        char text[256] = "";
        struct pollfd p = {.fd = d->notify, .events = POLLIN};
        if (poll(&p, 1, 60000) != 1) {
            log_has(d, "\1"); /* fails with the log */
            fail_msg("no notice %s", want);
        }
        assert_true(recv(d->notify, text, sizeof(text) - 1, 0) > 0);
        if (strncmp(text, want, strlen(want)) == 0)
            return;
    }
}

static int await_exit(struct daemon_case *d)
{
    int status;
    assert_int_equal(waitpid(d->pid, &status, 0), d->pid);
    d->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

/* Starts it, expects it to fail, with these words in its log. */
static void fails(struct daemon_case *d, const char *word, const char *other)
{
    buf_clear(&d->text);
    start(d);
    bool has_word = log_has(d, word);
    bool has_other = log_has(d, other);
    if (!has_word || !has_other)
        fail_msg("\"%s\" and \"%s\" are not in:\n%.*s", word, other,
                 SLICE_ARG(buf_slice(&d->text)));
    assert_int_equal(await_exit(d), EXIT_FAILURE);
}

struct greeting {
    int pid, uid, connections, key, started, privileges;
};

/* False: nobody listens. */
static bool greet(const struct daemon_case *d, struct greeting *g)
{
    char text[200] = "";
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    memcpy(at.sun_path, d->door, strlen(d->door));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0 &&
              recv(fd, text, sizeof(text) - 1, MSG_WAITALL) > 0;
    close(fd);
    if (!ok)
        return false;
    assert_int_equal(
        sscanf(text, "pid=%d uid=%d connections=%d key=%d started=%d privileges=%d", &g->pid,
               &g->uid, &g->connections, &g->key, &g->started, &g->privileges),
        6);
    return true;
}

static mode_t mode_of(const struct daemon_case *d, const char *path)
{
    char full[128];
    struct stat st;
    snprintf(full, sizeof(full), "%s/state/%s", d->dir, path);
    assert_int_equal(stat(full, &st), 0);
    return st.st_mode & 07777;
}

/* An orphan that nobody has reaped yet does not run. */
static bool is_running(int pid)
{
    char path[32], text[128] = "";
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    FILE *f = fopen(path, "r");
    if (!f)
        return false;
    const char *got = fgets(text, sizeof(text), f);
    fclose(f);
    const char *state = got ? strrchr(text, ')') : NULL;
    return state && state[2] != 'Z' && state[2] != 'X';
}

static void a_daemon_starts_serves_and_drains(void **state)
{
    struct daemon_case *d = *state;
    start(d);
    await_notice(d, "READY=1");
    struct greeting g;
    assert_true(greet(d, &g));
    assert_true(g.pid != d->pid);
    assert_int_equal(g.connections, 20);
    assert_true(g.key > 100); /* made at the first start */
    assert_int_equal(g.privileges, 1);
    assert_int_equal(mode_of(d, "tls"), 0700);
    assert_int_equal(mode_of(d, "tls/key.pem"), 0600);
    assert_int_equal(mode_of(d, "control"), 0700);
    assert_int_equal(mode_of(d, "journal/smtpd"), 0750);
    assert_int_equal(mode_of(d, "large"), 02770);
    assert_int_equal(mode_of(d, "run/local.sock"), 0666);
    assert_int_equal(mode_of(d, "run/query-smtpd.sock"), 0660);
    assert_int_equal(mode_of(d, "run/api.sock"), 0660);
    kill(d->pid, SIGTERM);
    await_notice(d, "STOPPING=1");
    assert_int_equal(await_exit(d), EXIT_SUCCESS);
    assert_false(greet(d, &g));
    assert_false(is_running(g.pid));
    char path[64];
    snprintf(path, sizeof(path), "%s/state/run/api.sock", d->dir);
    assert_int_equal(access(path, F_OK), -1);
}

static void a_killed_role_is_back_and_nobody_is_turned_away(void **state)
{
    struct daemon_case *d = *state;
    start(d);
    await_notice(d, "READY=1");
    struct greeting before, after;
    assert_true(greet(d, &before));
    for (int i = 2; i <= 4; i++) {
        kill(before.pid, SIGKILL);
        assert_true(greet(d, &after));  /* waits in the socket that the parent holds */
        while (after.pid == before.pid) /* accepted before it died */
            assert_true(greet(d, &after));
        assert_int_equal(after.started, i);
        before = after;
    }
}

static void a_reload_gives_the_new_values_and_refuses_bad_ones(void **state)
{
    struct daemon_case *d = *state;
    start(d);
    await_notice(d, "READY=1");
    write_conf(d, "node = 7\n[delivery]\nconnections = 33\n");
    kill(d->pid, SIGHUP);
    await_notice(d, "RELOADING=1\nMONOTONIC_USEC=");
    await_notice(d, "READY=1");
    assert_true(log_has(d, "event=restart-needed for=server.node"));
    struct greeting g;
    do
        assert_true(greet(d, &g));
    while (g.connections != 33);
    assert_int_equal(g.started, 1);

    write_conf(d, "[delivery]\nconnections = many\n");
    kill(d->pid, SIGHUP);
    await_notice(d, "READY=1");
    assert_true(log_has(d, "connections: `many` is not possible; 1 to 10000 connections"));
    write_conf(d, "[tls]\ncertificate = /nonexistent.pem\n");
    kill(d->pid, SIGHUP);
    await_notice(d, "READY=1");
    assert_true(log_has(d, "certificate: /nonexistent.pem: No such file or directory"));
    assert_true(greet(d, &g));
    assert_int_equal(g.connections, 33);
    assert_int_equal(g.started, 1);
}

static void a_second_daemon_is_refused(void **state)
{
    struct daemon_case *d = *state;
    start(d);
    await_notice(d, "READY=1");
    struct daemon_case second = *d;
    second.text = BUF_INIT;
    second.log = -1;
    char word[64];
    snprintf(word, sizeof(word), "process %d", (int)d->pid);
    fails(&second, "already", word);
    buf_fini(&second.text);
    close(second.log);
    struct greeting g;
    assert_true(greet(d, &g));
}

static void after_a_killed_parent_the_next_one_waits_for_its_roles(void **state)
{
    struct daemon_case *d = *state;
    start(d);
    await_notice(d, "READY=1");
    struct greeting before, after;
    assert_true(greet(d, &before));
    kill(d->pid, SIGKILL);
    assert_int_equal(await_exit(d), 255);
    start(d);
    await_notice(d, "READY=1");
    assert_true(greet(d, &after));
    assert_true(after.pid != before.pid);
    assert_false(is_running(before.pid)); /* before the second one had the lock */
    assert_int_equal(after.key, before.key);
}

static void what_stops_a_start_is_told(void **state)
{
    struct daemon_case *d = *state;
    write_conf(d, "nodes = 7\n");
    fails(d, "utpost.conf:4: unknown key `nodes` in [server]", "did you mean `node`?");
    write_conf(d, "[tls]\ncertificate = /nonexistent.pem\n");
    fails(d, "certificate: /nonexistent.pem: No such file or directory", "readable");
    char more[128];
    snprintf(more, sizeof(more), "[tls]\ncertificate = %s\n", d->conf);
    write_conf(d, more);
    fails(d, "utpost.conf: the certificate file has no certificate", "PEM");
    write_conf(d, "smtpd-user = no-such-user-here\n");
    fails(d, "smtpd-user: there is no user `no-such-user-here`", "useradd");

    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int taken = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(taken, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(taken, 1), 0);
    assert_int_equal(getsockname(taken, (struct sockaddr *)&at, &len), 0);
    char word[64];
    snprintf(more, sizeof(more), "[listener one]\naddress = 127.0.0.1:%d\n",
             ntohs(at.sin_port));
    snprintf(word, sizeof(word), "listener one: the address 127.0.0.1:%d is in use",
             ntohs(at.sin_port));
    write_conf(d, more);
    fails(d, word, "ss -ltnp");
    close(taken);
}

static void check_reads_and_makes_nothing(void **state)
{
    struct daemon_case *d = *state;
    d->pid = spawn(d, "--check", &d->log);
    assert_true(log_has(d, ": good\n"));
    assert_int_equal(await_exit(d), EXIT_SUCCESS);
    char path[64];
    snprintf(path, sizeof(path), "%s/state", d->dir);
    assert_int_equal(access(path, F_OK), -1);
    write_conf(d, "[smarthost]\nhost = a.example\nca-file = /nonexistent\n");
    close(d->log);
    d->pid = spawn(d, "--check", &d->log);
    assert_true(log_has(d, "ca-file: /nonexistent: No such file or directory"));
    assert_int_equal(await_exit(d), EXIT_FAILURE);
}

static void each_role_has_its_user(void **state)
{
    struct daemon_case *d = *state;
    if (geteuid() != 0)
        skip();
    write_conf(d, "smtpd-user = daemon\ndelivery-user = mail\ncontrol-user = bin\n");
    start(d);
    await_notice(d, "READY=1");
    struct greeting g;
    assert_true(greet(d, &g));
    assert_int_equal(g.uid, 1);
    char full[128];
    struct stat st;
    snprintf(full, sizeof(full), "%s/state/journal/smtpd/mine", d->dir);
    assert_int_equal(stat(full, &st), 0);
    assert_int_equal(st.st_uid, 1);
    snprintf(full, sizeof(full), "%s/state/large/tmp", d->dir);
    assert_int_equal(stat(full, &st), 0);
    assert_int_equal(st.st_uid, 1);
    assert_int_equal(st.st_gid, 8); /* delivery's, to read and remove */
    assert_int_equal(st.st_mode & 07777, 02750);
    kill(d->pid, SIGINT);
    assert_int_equal(await_exit(d), EXIT_SUCCESS);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return start_main(argc, argv, fakes);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_daemon_starts_serves_and_drains, setup, teardown),
        cmocka_unit_test_setup_teardown(a_killed_role_is_back_and_nobody_is_turned_away, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_reload_gives_the_new_values_and_refuses_bad_ones,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_second_daemon_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(after_a_killed_parent_the_next_one_waits_for_its_roles,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(what_stops_a_start_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(check_reads_and_makes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(each_role_has_its_user, setup, teardown),
    };
    return cmocka_run_group_tests_name("main/start", tests, NULL, NULL);
}
