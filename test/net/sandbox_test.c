#include "net/resolve.h"
#include "net/sandbox.h"

#include "name_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* What a role tries: 0 or errno. Runs in a child, in the state directory. */
static int done(long result)
{
    return result < 0 ? errno : 0;
}

static int try_write(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    return fd < 0 ? errno : done(close(fd));
}

static int try_read(const char *path)
{
    int fd = open(path, O_RDONLY);
    return fd < 0 ? errno : done(close(fd));
}

static int write_journal_smtpd(void)
{
    return try_write("journal/smtpd/new");
}
static int write_journal_delivery(void)
{
    return try_write("journal/delivery/new");
}
static int write_journal_control(void)
{
    return try_write("journal/control/new");
}
static int write_control(void)
{
    return try_write("control/new");
}
static int write_capture(void)
{
    return try_write("capture/new/x");
}
static int write_elsewhere(void)
{
    return try_write("/tmp/utpost-sandbox-test");
}
static int read_journal_smtpd(void)
{
    return try_read("journal/smtpd/a");
}
static int read_journal_delivery(void)
{
    return try_read("journal/delivery/a");
}
static int read_journal_control(void)
{
    return try_read("journal/control/a");
}
static int read_directory_db(void)
{
    return try_read("control/a");
}
static int read_tls_key(void)
{
    return try_read("tls/a");
}
static int read_snapshot_queue(void)
{
    return try_read("snapshot/delivery/a");
}
static int read_shadow(void)
{
    return try_read("/etc/shadow") == ENOENT ? EACCES : try_read("/etc/shadow");
}
static int read_resolv_conf(void)
{
    int err = try_read("/etc/hosts");
    return err == ENOENT ? 0 : err;
}
static int remove_large(void)
{
    return done(unlink("large/a"));
}
static int write_large(void)
{
    return try_write("large/tmp/new");
}
static int read_large(void)
{
    return try_read("large/a");
}
static int read_capture(void)
{
    return try_read("capture/new/a");
}
static int write_snapshot_smtpd(void)
{
    return try_write("snapshot/smtpd/new");
}
static int write_snapshot_delivery(void)
{
    return try_write("snapshot/delivery/new");
}
static int write_tls(void)
{
    return try_write("tls/new");
}
static int cut_journal(void)
{
    return done(truncate("journal/smtpd/a", 0));
}
static int rename_large(void)
{
    return done(rename("large/tmp/b", "large/b"));
}
static int sync_state(void)
{
    int fd = open(".", O_RDONLY | O_DIRECTORY);
    return fd < 0 ? errno : done(fsync(fd));
}
static int run_program(void)
{
    return done(execl("/bin/true", "true", (char *)NULL));
}
static int make_process(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    return done(pid);
}
static void *nothing(void *arg)
{
    return arg;
}
static int make_thread(void)
{
    pthread_t t;
    int err = pthread_create(&t, NULL, nothing, NULL);
    return err ? err : pthread_join(t, NULL);
}
static int trace_parent(void)
{
    return done(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL));
}
static int kill_parent(void)
{
    return done(kill(getppid(), 0));
}
static int become_root(void)
{
    return done(setuid(0));
}
static int socket_of(int family)
{
    int fd = socket(family, SOCK_STREAM, 0);
    return fd < 0 ? errno : done(close(fd));
}
static int open_inet(void)
{
    return socket_of(AF_INET);
}
static int open_unix(void)
{
    return socket_of(AF_UNIX);
}
static int open_raw(void)
{
    int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
    return fd < 0 ? errno : 0;
}
static int open_raw6(void)
{
    int fd = socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6);
    return fd < 0 ? errno : 0;
}
static int open_routes(void)
{
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    return fd < 0 ? errno : 0;
}
static int open_audit(void)
{
    int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_AUDIT);
    return fd < 0 ? errno : 0;
}
static int mount_something(void)
{
    return done(mount("none", "/mnt", "tmpfs", 0, NULL));
}
static int leave_namespace(void)
{
    return done(unshare(CLONE_NEWNET));
}
static int set_up_ring(void)
{
    return done(syscall(SYS_io_uring_setup, 1, NULL));
}
static int open_packet(void)
{
    int fd = socket(AF_PACKET, SOCK_RAW, 0);
    return fd < 0 ? errno : 0;
}
/* Sockets that were opened before: what the calls on them give. */
static int inherited = -1;
static int inherited_datagrams = -1;
static int port;
static int connect_out(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return done(connect(inherited, (struct sockaddr *)&to, sizeof(to)));
}
static int bind_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return done(bind(inherited, (struct sockaddr *)&at, sizeof(at)));
}
static int bind_datagrams(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    return done(bind(inherited_datagrams, (struct sockaddr *)&at, sizeof(at)));
}
static int listen_port(void)
{
    return done(listen(inherited, 1));
}

/* ANY: Landlock of the newer kernels says no, seccomp alone cannot tell. */
enum { NO = EACCES, YES = 0, ANY = -1 };

static const struct attempt {
    const char *name;
    int (*try)(void);
    int want[ROLE_COUNT]; /* smtpd, delivery, control */
} attempts[] = {
    {"write journal/smtpd", write_journal_smtpd, {YES, NO, NO}},
    {"write journal/delivery", write_journal_delivery, {NO, YES, NO}},
    {"write journal/control", write_journal_control, {NO, NO, YES}},
    {"write control", write_control, {NO, NO, YES}},
    {"write the capture", write_capture, {NO, YES, NO}},
    {"write elsewhere", write_elsewhere, {NO, NO, NO}},
    {"read journal/smtpd", read_journal_smtpd, {YES, YES, YES}},
    {"read journal/delivery", read_journal_delivery, {YES, YES, YES}},
    {"read journal/control", read_journal_control, {YES, YES, YES}},
    {"read the directory's database", read_directory_db, {NO, NO, YES}},
    {"read the TLS key", read_tls_key, {NO, NO, NO}},
    {"read delivery's snapshot", read_snapshot_queue, {YES, YES, YES}},
    {"read the system's hosts", read_resolv_conf, {YES, YES, YES}},
    {"read a large body", read_large, {YES, YES, NO}},
    {"publish a large body", rename_large, {YES, NO, NO}},
    {"remove a large body", remove_large, {YES, YES, NO}},
    {"begin a large body", write_large, {YES, NO, NO}},
    {"cut smtpd's journal", cut_journal, {YES, NO, NO}},
    {"read the capture", read_capture, {NO, YES, NO}},
    {"write smtpd's snapshot", write_snapshot_smtpd, {YES, NO, NO}},
    {"write delivery's snapshot", write_snapshot_delivery, {NO, YES, NO}},
    {"write a certificate", write_tls, {NO, NO, NO}},
    {"read the passwords of the system", read_shadow, {NO, NO, NO}},
    {"sync the state directory", sync_state, {YES, YES, YES}},
    {"run a program", run_program, {NO, NO, NO}},
    {"make a process", make_process, {NO, NO, NO}},
    {"make a thread", make_thread, {YES, YES, YES}},
    {"trace the parent", trace_parent, {NO, NO, NO}},
    {"signal the parent", kill_parent, {NO, NO, NO}},
    {"become another user", become_root, {NO, NO, NO}},
    {"open an Internet socket", open_inet, {NO, YES, NO}},
    {"open a Unix socket", open_unix, {NO, NO, YES}},
    {"open a socket for packets", open_packet, {NO, NO, NO}},
    {"open a raw socket", open_raw, {NO, NO, NO}},
    {"open a raw socket of IPv6", open_raw6, {NO, NO, NO}},
    {"ask for the routes", open_routes, {NO, YES, NO}},
    {"open the kernel's audit", open_audit, {NO, NO, NO}},
    {"mount a file system", mount_something, {NO, NO, NO}},
    {"make a network of its own", leave_namespace, {NO, NO, NO}},
    {"set up an io_uring", set_up_ring, {NO, NO, NO}},
    {"bind a port", bind_port, {NO, ANY, NO}},
    {"bind for datagrams", bind_datagrams, {NO, YES, NO}},
    {"listen", listen_port, {NO, NO, NO}},
};

static void make_file(int dir, const char *path)
{
    int fd = openat(dir, path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    close(fd);
}

struct state_dir {
    char path[64];
    int fd;
};

static void state_make(struct state_dir *s)
{
    static const char *const dirs[] = {
        "journal",   "journal/smtpd",  "journal/delivery",  "journal/control",
        "snapshot",  "snapshot/smtpd", "snapshot/delivery", "large",
        "large/tmp", "capture",        "capture/new",       "control",
        "tls"};
    snprintf(s->path, sizeof(s->path), "/tmp/sandbox-test-XXXXXX");
    assert_non_null(mkdtemp(s->path));
    s->fd = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; i < COUNT_OF(dirs); i++) {
        char file[64];
        assert_int_equal(mkdirat(s->fd, dirs[i], 0700), 0);
        snprintf(file, sizeof(file), "%s/a", dirs[i]);
        make_file(s->fd, file);
    }
    make_file(s->fd, "large/tmp/b");
}

static void state_remove(struct state_dir *s)
{
    char command[96];
    snprintf(command, sizeof(command), "rm -rf %s", s->path);
    assert_int_equal(system(command), 0);
    close(s->fd);
}

static struct conf *make_conf(void)
{
    struct buf errors = BUF_INIT;
    struct conf *c = conf_parse(SLICE("t"), SLICE(""), &errors);
    assert_non_null(c);
    return c;
}

/* In a child of its own per attempt: what it gives under the sandbox of `kind`. */
static int under_sandbox(enum role_kind kind, const struct conf *conf, int state,
                         int (*try)(void))
{
    pid_t child = fork();
    if (child == 0) {
        unsigned applied;
        int err = sandbox_apply(kind, conf, state, &applied);
        if (err || applied != (SANDBOX_LANDLOCK | SANDBOX_SECCOMP) || fchdir(state) != 0)
            _exit(254);
        _exit(try());
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

static bool has_landlock(const struct conf *c, int state)
{
    pid_t child = fork();
    if (child == 0)
        _exit(sandbox_files(ROLE_SMTPD, c, state) == 1 ? 0 : 1);
    int status;
    waitpid(child, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void each_role_can_do_its_work_and_nothing_else(void **state)
{
    (void)state;
    struct conf *c = make_conf();
    inherited = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    inherited_datagrams = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    for (enum role_kind k = 0; k < ROLE_COUNT; k++) {
        struct state_dir s;
        state_make(&s);
        if (!has_landlock(c, s.fd)) {
            state_remove(&s);
            conf_free(&c);
            skip();
        }
        for (size_t i = 0; i < COUNT_OF(attempts); i++) {
            int got = under_sandbox(k, c, s.fd, attempts[i].try);
            if (attempts[i].want[k] != ANY && got != attempts[i].want[k])
                fail_msg("%s: %s: %d (%s)", role_name(k), attempts[i].name, got, strerror(got));
        }
        state_remove(&s);
    }
    close(inherited);
    close(inherited_datagrams);
    conf_free(&c);
}

static void only_delivery_connects(void **state)
{
    (void)state;
    struct conf *c = make_conf();
    struct state_dir s;
    state_make(&s);
    if (!has_landlock(c, s.fd)) {
        state_remove(&s);
        conf_free(&c);
        skip();
    }
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listening, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(listening, 8), 0);
    assert_int_equal(getsockname(listening, (struct sockaddr *)&at, &len), 0);
    port = ntohs(at.sin_port);
    for (enum role_kind k = 0; k < ROLE_COUNT; k++) {
        inherited = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int got = under_sandbox(k, c, s.fd, connect_out);
        if (k == ROLE_DELIVERY)
            assert_int_equal(got, 0);
        else if (k == ROLE_SMTPD)
            assert_int_equal(got, EACCES);
        close(inherited);
    }
    close(listening);
    state_remove(&s);
    conf_free(&c);
}

static const struct conf_resolver *resolver_conf;

static void stop_loop(void *ctx)
{
    loop_stop(ctx);
}

/* 0: a route was found. */
static int ask_dns(void)
{
    static const struct route_policy policy = {.hostname = SLICE_INIT("out.example.com")};
    struct buf errors = BUF_INIT;
    struct loop *l = loop_new();
    struct resolver *r = l ? resolver_new(l, resolver_conf, &errors) : NULL;
    if (!r)
        return 253;
    struct resolve *x = resolve_new(r, &policy, SLICE("example.org"), 1, stop_loop, l);
    loop_run(l);
    int missing = resolve_route(x)->target_count == 2 ? 0 : 252;
    resolve_free(&x);
    resolver_free(&r);
    loop_free(&l);
    return missing;
}

static void delivery_can_ask_dns(void **state)
{
    (void)state;
    static const char anchor[] =
        "signed.example. IN DS 4711 13 2 0123456789abcdef0123456789abcdef"
        "0123456789abcdef0123456789abcdef\n";
    char path[] = "/tmp/sandbox-anchor-XXXXXX", forward[40];
    struct state_dir s;
    struct name_server server;
    int fd = mkstemp(path);
    assert_int_equal(write(fd, anchor, sizeof(anchor) - 1), sizeof(anchor) - 1);
    close(fd);
    state_make(&s);
    struct conf *c = make_conf();
    ns_start(&server, "example.org MX 1 mx.example.org\nmx.example.org A 1.1.1.1\n"
                      "mx.example.org AAAA 2a00::1\n");
    snprintf(forward, sizeof(forward), "127.0.0.1@%u", server.port);
    c->resolver.forward = slice_of(forward);
    c->resolver.trust_anchor = slice_of(path);
    resolver_conf = &c->resolver;
    if (has_landlock(c, s.fd))
        assert_int_equal(under_sandbox(ROLE_DELIVERY, c, s.fd, ask_dns), 0);
    ns_stop(&server);
    state_remove(&s);
    unlink(path);
    conf_free(&c);
}

static const char *outside; /* a file that the configuration names */

static int read_outside(void)
{
    return try_read(outside);
}

static void only_delivery_reads_what_it_trusts(void **state)
{
    (void)state;
    char path[] = "/tmp/sandbox-ca-XXXXXX";
    struct conf *c = make_conf();
    struct state_dir s;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    outside = path;
    state_make(&s);
    for (enum role_kind k = 0; k < ROLE_COUNT && has_landlock(c, s.fd); k++) {
        c->delivery.ca_file = SLICE("");
        assert_int_equal(under_sandbox(k, c, s.fd, read_outside), EACCES);
        c->delivery.ca_file = slice_of(path);
        assert_int_equal(under_sandbox(k, c, s.fd, read_outside),
                         k == ROLE_DELIVERY ? 0 : EACCES);
    }
    state_remove(&s);
    unlink(path);
    conf_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_role_can_do_its_work_and_nothing_else),
        cmocka_unit_test(only_delivery_connects),
        cmocka_unit_test(delivery_can_ask_dns),
        cmocka_unit_test(only_delivery_reads_what_it_trusts),
    };
    return cmocka_run_group_tests_name("net/sandbox", tests, NULL, NULL);
}
