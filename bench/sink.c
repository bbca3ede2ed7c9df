/* sink: an SMTP server on loopback that accepts everything at once, keeps nothing, and counts.
 *
 * The counters are in a shared page, which the runner reads while the sink works. It speaks
 * PIPELINING, and answers all that one read brought with one write. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const char usage[] =
    "sink --stats FILE [--port N] [--address A]: accept mail, count it\n"
    "  --stats FILE   where the counters are (made, 4096 octets)\n"
    "  --port N       to listen on (2600)\n"
    "  --address A    to listen on (127.0.0.1)\n";

/* The page, as bench/measuring.py reads it. */
struct counters {
    uint64_t messages;
    uint64_t recipients;
    uint64_t octets;
    uint64_t connections;
    uint64_t open;
    uint64_t first; /* ns, CLOCK_MONOTONIC: the first and the last message */
    uint64_t last;
};

enum { EVENTS = 256, INPUT = 256 * 1024, LINE = 2048, REPLIES = 16 * 1024, TAIL = 4 };

struct peer {
    int fd;
    bool is_data;
    unsigned recipients; /* of the transaction */
    size_t line_len;
    char line[LINE];
    char tail[TAIL]; /* the last octets of the data */
};

static struct counters *counters;
static char input[INPUT];
static char replies[REPLIES];
static size_t replies_len;

static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void reply(const struct peer *p, const char *text)
{
    size_t len = strlen(text);
    if (replies_len + len > REPLIES) {
        (void)!send(p->fd, replies, replies_len, MSG_NOSIGNAL);
        replies_len = 0;
    }
    memcpy(replies + replies_len, text, len);
    replies_len += len;
}

/* False: it ends. */
static bool on_line(struct peer *p, const char *line)
{
    if (strncasecmp(line, "EHLO", 4) == 0) {
        reply(p, "250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 104857600\r\n");
    } else if (strncasecmp(line, "RCPT", 4) == 0) {
        p->recipients++;
        reply(p, "250 2.1.5 ok\r\n");
    } else if (strncasecmp(line, "DATA", 4) == 0) {
        p->is_data = true;
        memcpy(p->tail, "..\r\n", TAIL);
        reply(p, "354 go\r\n");
    } else if (strncasecmp(line, "QUIT", 4) == 0) {
        reply(p, "221 bye\r\n");
        return false;
    } else {
        if (strncasecmp(line, "MAIL", 4) == 0 || strncasecmp(line, "RSET", 4) == 0)
            p->recipients = 0;
        reply(p, "250 2.0.0 ok\r\n");
    }
    return true;
}

static void on_message(struct peer *p)
{
    p->is_data = false;
    counters->last = now();
    if (counters->messages == 0)
        counters->first = counters->last;
    counters->messages++;
    counters->recipients += p->recipients;
    p->recipients = 0;
    reply(p, "250 2.0.0 ok\r\n");
}

/* The end of the data: how many octets belong to it, or 0 when it does not end here. */
static size_t find_end(struct peer *p, const char *bytes, size_t len)
{
    static const char end[] = "\n.\r\n";
    char seam[2 * TAIL];
    size_t more = len < TAIL ? len : TAIL;
    memcpy(seam, p->tail, TAIL);
    memcpy(seam + TAIL, bytes, more);
    const char *at = memmem(seam, TAIL + more, end, TAIL);
    if (at)
        return (size_t)(at - seam); /* it ends TAIL behind `at`, and TAIL of it came before */
    at = memmem(bytes, len, end, TAIL);
    if (at)
        return (size_t)(at - bytes) + TAIL;
    if (len >= TAIL) {
        memcpy(p->tail, bytes + len - TAIL, TAIL);
    } else {
        memmove(p->tail, p->tail + len, TAIL - len);
        memcpy(p->tail + TAIL - len, bytes, len);
    }
    return 0;
}

/* One step over the input: how many octets were used; 0: it ends. */
static size_t step(struct peer *p, const char *bytes, size_t len)
{
    if (p->is_data) {
        size_t used = find_end(p, bytes, len);
        counters->octets += used ? used : len;
        if (used)
            on_message(p);
        return used ? used : len;
    }
    const char *newline = memchr(bytes, '\n', len);
    size_t used = newline ? (size_t)(newline - bytes) + 1 : len;
    if (p->line_len + used >= LINE)
        return 0;
    memcpy(p->line + p->line_len, bytes, used);
    p->line_len += used;
    if (!newline)
        return used;
    p->line[p->line_len] = 0;
    p->line_len = 0;
    return on_line(p, p->line) ? used : 0;
}

/* False: the connection is over. */
static bool on_input(struct peer *p)
{
    ssize_t n = recv(p->fd, input, INPUT, MSG_DONTWAIT);
    if (n <= 0)
        return n < 0 && errno == EAGAIN;
    size_t used = 1, at = 0;
    while (at < (size_t)n && used > 0) {
        used = step(p, input + at, (size_t)n - at);
        at += used;
    }
    if (replies_len > 0)
        (void)!send(p->fd, replies, replies_len, MSG_NOSIGNAL);
    replies_len = 0;
    return used > 0;
}

static void on_connections(int listener, int epoll)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        struct peer *p = calloc(1, sizeof(*p));
        int on = 1;
        if (!p) {
            close(fd);
            continue;
        }
        p->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        struct epoll_event ev = {.events = EPOLLIN, .data.ptr = p};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev);
        counters->connections++;
        counters->open++;
        static const char greeting[] = "220 sink.test ESMTP\r\n";
        (void)!send(fd, greeting, sizeof(greeting) - 1, MSG_NOSIGNAL);
    }
}

static void serve(int listener)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event events[EVENTS], ev = {.events = EPOLLIN};
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &ev);
    for (;;) {
        int n = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            struct peer *p = events[i].data.ptr;
            if (!p) {
                on_connections(listener, epoll);
            } else if (!on_input(p)) {
                close(p->fd);
                free(p);
                counters->open--;
            }
        }
    }
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void open_counters(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || ftruncate(fd, 4096) != 0)
        die(path);
    counters = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (counters == MAP_FAILED)
        die(path);
    close(fd);
}

static int listen_on(const char *address, int port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET, address, &at.sin_addr) != 1)
        die(address);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)&at, sizeof(at)) != 0 || listen(fd, 4096) != 0)
        die("sink: listen");
    return fd;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"stats", 1, 0, 's'},
                                            {"port", 1, 0, 'p'},
                                            {"address", 1, 0, 'a'},
                                            {"help", 0, 0, 'h'},
                                            {0}};
    const char *stats = NULL, *address = "127.0.0.1";
    int port = 2600, which;
    while ((which = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (which == 's')
            stats = optarg;
        else if (which == 'p')
            port = atoi(optarg);
        else if (which == 'a')
            address = optarg;
        else
            return fputs(usage, which == 'h' ? stdout : stderr), which == 'h' ? 0 : 2;
    }
    if (!stats)
        return fputs(usage, stderr), 2;
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    int listener = listen_on(address, port);
    open_counters(stats); /* whoever waits for the file finds the port open */
    serve(listener);
}
