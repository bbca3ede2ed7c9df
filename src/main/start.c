#include "main/start.h"

#include "base/log.h"
#include "base/secret.h"
#include "main/doors.h"
#include "main/keys.h"
#include "main/layout.h"
#include "main/start_role.h"
#include "main/supervise.h"
#include "main/users.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EXIT_USAGE = 2 };

static const char default_config[] = "/etc/utpost/utpost.conf";

static const char help[] =
    "utpostd: accepts and delivers outgoing mail.\n"
    "\n"
    "usage: utpostd [--config FILE] [--check]\n"
    "\n"
    "  --config FILE  the configuration (default /etc/utpost/utpost.conf)\n"
    "  --check        read the configuration and the keys that it names, say what is wrong,\n"
    "                 and end\n"
    "  --version      the version\n"
    "  --help         this text\n"
    "\n"
    "It stays in the foreground and logs to standard error. SIGHUP: read the configuration\n"
    "again; SIGTERM: finish what runs and end. Customers, accounts and the queue are the\n"
    "business of the command `utpost`.\n";

struct options {
    const char *config;
    const char *role; /* internal: which role this process is */
    bool only_check;
    int exit; /* -1: go on */
};

static struct options read_options(int argc, char **argv)
{
    static const struct option known[] = {
        {"config", required_argument, NULL, 'c'}, {"check", no_argument, NULL, 'k'},
        {"role", required_argument, NULL, 'r'},   {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
    };
    struct options o = {.config = default_config, .exit = -1};
    int c;
    while ((c = getopt_long(argc, argv, "c:h", known, NULL)) != -1) {
        if (c == 'c') {
            o.config = optarg;
        } else if (c == 'k') {
            o.only_check = true;
        } else if (c == 'r') {
            o.role = optarg;
        } else if (c == 'v') {
            puts("utpostd " UTPOST_VERSION);
            o.exit = EXIT_SUCCESS;
        } else if (c == 'h') {
            fputs(help, stdout);
            o.exit = EXIT_SUCCESS;
        } else {
            fputs("Try `utpostd --help`.\n", stderr);
            o.exit = EXIT_USAGE;
        }
    }
    if (o.exit < 0 && optind < argc) {
        fprintf(stderr, "utpostd: unexpected `%s`; try `utpostd --help`\n", argv[optind]);
        o.exit = EXIT_USAGE;
    }
    return o;
}

/* What stops a start, for people: a line each, without a time. */
static void tell(const char *prefix, slice text)
{
    slice line;
    while (slice_split(&text, '\n', &line))
        fprintf(stderr, "%s%.*s\n", prefix, SLICE_ARG(line));
}

static int check(const char *path)
{
    struct buf errors = BUF_INIT;
    struct handover keys = {0};
    struct process_user users[ROLE_COUNT];
    struct conf *conf = conf_read(path, &errors);
    bool is_good =
        conf && keys_read(conf, -1, &keys, &errors) && users_find(conf, users, &errors);
    handover_fini(&keys);
    conf_free(&conf);
    tell("", buf_slice(&errors));
    if (is_good)
        printf("%s: good\n", path);
    buf_fini(&errors);
    return is_good ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Sessions are descriptors: as many as we may have. */
static void raise_limits(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* By which smtpd knows control at the local door. It stays as long as this parent runs. */
static bool make_secret(struct supervised *s, struct buf *why)
{
    unsigned char bytes[32];
    char text[2 * sizeof(bytes) + 1];
    int fd = getentropy(bytes, sizeof(bytes)) == 0 ? 0 : -errno;
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    if (fd == 0)
        fd = channel_sealed("utpost-control", slice_of(text));
    secret_wipe(bytes, sizeof(bytes));
    secret_wipe(text, sizeof(text));
    if (fd < 0) {
        buf_printf(why, "a secret for control: %s", strerror(-fd));
        return false;
    }
    handover_add(&s->fixed, FOR(ROLE_SMTPD) | FOR(ROLE_CONTROL), "secret:control", fd);
    return true;
}

static bool make_shared(struct supervised *s, struct buf *why)
{
    int fd = memfd_create("utpost-pages", MFD_CLOEXEC);
    void *at = MAP_FAILED;
    if (fd >= 0 && ftruncate(fd, sizeof(*s->pages)) == 0)
        at = mmap(NULL, sizeof(*s->pages), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd >= 0)
        handover_add(&s->fixed, FOR_ALL, "pages", fd);
    if (at == MAP_FAILED) {
        buf_printf(why, "shared memory: %s", strerror(errno));
        return false;
    }
    s->pages = at;
    for (enum role_kind k = 0; k < ROLE_COUNT; k++) {
        char name[CHANNEL_NAME_MAX];
        int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (event < 0) {
            buf_printf(why, "eventfd: %s", strerror(errno));
            return false;
        }
        snprintf(name, sizeof(name), "wake:%s", role_name(k));
        handover_add(&s->fixed, FOR_ALL, name, event);
    }
    return true;
}

/* Everything that needs rights or may fail, before a role is started. */
static bool prepare(struct supervised *s, struct buf *why)
{
    const struct conf *c = s->conf;
    if (!users_find(c, s->users, why))
        return false;
    s->state = layout_open(c, why);
    if (s->state < 0)
        return false;
    handover_add(&s->fixed, FOR_ALL, "state", s->state);
    int lock = layout_lock(c, s->state, why);
    if (lock < 0)
        return false;
    /* Each role keeps it too: a daemon has gone only when all of it has. */
    handover_add(&s->fixed, FOR_ALL, "lock", lock);
    if (!layout_make(c, s->state, s->users, why) || !keys_read(c, s->state, &s->keys, why))
        return false;
    struct handover doors = {0};
    if (!doors_open(c, s->users, &doors, why))
        return false;
    for (size_t i = 0; i < doors.count; i++)
        handover_add(&s->fixed, doors.items[i].roles, doors.items[i].name, doors.items[i].fd);
    return make_secret(s, why) && make_shared(s, why);
}

static int run_parent(const char *path)
{
    struct buf why = BUF_INIT;
    struct supervised s = {.config_path = path, .state = -1};
    struct env_real real;
    int status = EXIT_FAILURE;
    s.conf = conf_read(path, &why);
    if (!s.conf) {
        tell("", buf_slice(&why));
        buf_fini(&why);
        return EXIT_FAILURE;
    }
    umask(027);
    raise_limits();
    supervise_block_signals();
    log_setup("parent", (enum log_format)s.conf->log.format, (enum log_level)s.conf->log.level);
    if (prepare(&s, &why)) {
        env_real_init(&real, s.state);
        s.env = &real.env;
        status = supervise_run(&s);
        doors_remove(s.conf);
    } else {
        tell("utpostd: ", buf_slice(&why));
    }
    handover_fini(&s.keys);
    handover_fini(&s.fixed);
    conf_free(&s.conf);
    buf_fini(&why);
    return status;
}

int start_main(int argc, char **argv, role_run_fn *const runs[ROLE_COUNT])
{
    struct options o = read_options(argc, argv);
    if (o.exit >= 0)
        return o.exit;
    if (o.role)
        return start_role(o.role, runs);
    return o.only_check ? check(o.config) : run_parent(o.config);
}
