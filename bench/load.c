/* load: drives a mail server on loopback with many SMTP sessions at once and reports, as one
 * line of JSON, how fast it accepted. */
#include "load.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>

static const char usage[] =
    "load [options]: send mail to 127.0.0.1 and report as JSON\n"
    "  --port N             the server's port (2525)\n"
    "  --sessions N         connections at once (10)\n"
    "  --messages N         in all (1000)\n"
    "  --per-connection N   messages, then QUIT and connect again (0: no end)\n"
    "  --size OCTETS        of a message (10240)\n"
    "  --recipients N       per message, at most 500 (1)\n"
    "  --starttls           before anything is sent\n"
    "  --login NAME --password TEXT   sign in; %d in NAME: 0 to 99, by connection\n"
    "  --pipelining         MAIL, RCPT and DATA in one write\n"
    "  --idle               sign on with all sessions, report, stay until standard input ends\n"
    "  --limit SECONDS      give up after that (120)\n";

enum {
    PORT = 1,
    SESSIONS,
    MESSAGES,
    PER,
    SIZE,
    RECIPIENTS,
    TLS,
    LOGIN,
    PASSWORD,
    PIPE,
    IDLE,
    LIMIT,
    HELP
};

static const struct option options[] = {
    {"port", 1, 0, PORT},         {"sessions", 1, 0, SESSIONS},
    {"messages", 1, 0, MESSAGES}, {"per-connection", 1, 0, PER},
    {"size", 1, 0, SIZE},         {"recipients", 1, 0, RECIPIENTS},
    {"starttls", 0, 0, TLS},      {"login", 1, 0, LOGIN},
    {"password", 1, 0, PASSWORD}, {"pipelining", 0, 0, PIPE},
    {"idle", 0, 0, IDLE},         {"limit", 1, 0, LIMIT},
    {"help", 0, 0, HELP},         {0},
};

static void fail(const char *what)
{
    fprintf(stderr, "load: %s; see load --help\n", what);
    exit(2);
}

static unsigned long number(const char *text, unsigned long most)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    if (*end || n > most)
        fail(text);
    return n;
}

static void take_option(struct load_options *o, int which)
{
    switch (which) {
    case PORT:
        o->port = (uint16_t)number(optarg, 65535);
        break;
    case SESSIONS:
        o->sessions = (unsigned)number(optarg, 100000);
        break;
    case MESSAGES:
        o->messages = number(optarg, 100000000);
        break;
    case PER:
        o->per_connection = number(optarg, 100000000);
        break;
    case SIZE:
        o->size = number(optarg, 100 << 20);
        break;
    case RECIPIENTS:
        o->recipients = (unsigned)number(optarg, 500);
        break;
    case TLS:
        o->starttls = true;
        break;
    case LOGIN:
        o->login = optarg;
        break;
    case PASSWORD:
        o->password = optarg;
        break;
    case PIPE:
        o->pipelining = true;
        break;
    case IDLE:
        o->idle = true;
        break;
    case LIMIT:
        o->limit = (unsigned)number(optarg, 86400);
        break;
    case HELP:
        fputs(usage, stdout);
        exit(0);
    default:
        exit(2);
    }
}

/* Lines of 76 letters up to the size, and the dot. */
static void make_body(struct load *l)
{
    static const char line[] = "The quick brown fox jumps over the lazy dog and runs away from "
                               "it at once....\r\n";
    enum { LINE = sizeof(line) - 1, HEADER_ABOUT = 260, DOT = 5 };
    size_t want = l->options.size > HEADER_ABOUT ? l->options.size - HEADER_ABOUT : 0;
    l->body = malloc(want + DOT);
    if (!l->body)
        fail("out of memory");
    for (size_t i = 0; i < want; i++)
        l->body[i] = line[i % LINE];
    if (want > 0 && l->body[want - 1] == '\r')
        l->body[want - 1] = '.';
    size_t skip = want > 0 && l->body[want - 1] == '\n' ? 2 : 0;
    memcpy(l->body + want, &"\r\n.\r\n"[skip], DOT - skip);
    l->body_len = want + DOT - skip;
}

static int by_size(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double percentile(const struct load *l, double share)
{
    if (l->accepted == 0)
        return 0;
    return l->latency[(size_t)((double)(l->accepted - 1) * share)] / 1000.0;
}

static void report(struct load *l)
{
    struct rusage used;
    double seconds = l->last > l->start ? (double)(l->last - l->start) / 1e9 : 0;
    getrusage(RUSAGE_SELF, &used);
    qsort(l->latency, l->accepted, sizeof(*l->latency), by_size);
    printf("{\"accepted\": %lu, \"refused_for_now\": %lu, \"refused_for_good\": %lu, "
           "\"errors\": %lu, \"handshakes\": %lu, \"seconds\": %.4f, \"rate\": %.1f, "
           "\"p50_ms\": %.3f, \"p99_ms\": %.3f, \"p999_ms\": %.3f, \"cpu\": %.3f, "
           "\"start_ns\": %lu, \"segments\": [",
           l->accepted, l->refused_for_now, l->refused_for_good, l->errors, l->handshakes,
           seconds, seconds > 0 ? (double)l->accepted / seconds : 0, percentile(l, 0.5),
           percentile(l, 0.99), percentile(l, 0.999),
           (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
               (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6,
           l->start);
    uint64_t since = l->start;
    for (int i = 0; i < LOAD_SEGMENTS && l->segment_end[i]; i++) {
        double took = (double)(l->segment_end[i] - since) / 1e9;
        since = l->segment_end[i];
        printf("%s%.4f", i ? ", " : "", took);
    }
    puts("]}");
}

int main(int argc, char **argv)
{
    struct load l = {.options = {.port = 2525,
                                 .sessions = 10,
                                 .messages = 1000,
                                 .size = 10240,
                                 .recipients = 1,
                                 .limit = 120}};
    int which;
    while ((which = getopt_long(argc, argv, "", options, NULL)) != -1)
        take_option(&l.options, which);
    if (optind < argc || l.options.sessions == 0 || l.options.messages == 0 ||
        l.options.recipients == 0 || (l.options.login && !l.options.password))
        fail("these options do not make sense together");
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    l.server = (struct sockaddr_in){.sin_family = AF_INET,
                                    .sin_port = htons(l.options.port),
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    l.epoll = epoll_create1(EPOLL_CLOEXEC);
    l.latency = malloc(l.options.messages * sizeof(*l.latency));
    if (l.epoll < 0 || !l.latency)
        fail("out of memory");
    make_body(&l);
    l.tls = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_verify(l.tls, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_mode(l.tls, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    load_run(&l);
    if (!l.options.idle)
        report(&l);
    return 0;
}
