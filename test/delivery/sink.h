/* sink: an SMTP server for tests, on a loopback port, one thread per connection. It answers
 * every command with success unless a rule says otherwise, and keeps what it accepted. */
#ifndef TEST_DELIVERY_SINK_H
#define TEST_DELIVERY_SINK_H

#include "base/arena.h"
#include "base/buf.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SINK_MAIL_MAX = 8192, SINK_RULES = 8, SINK_CONNECTIONS = 512 };

/* Commands that begin with `prefix` ("" for the greeting, "." for the end of data) get this
 * reply instead, `times` times, after `skip` of them. */
struct sink_rule {
    const char *prefix;
    const char *reply; /* "550 no\r\n"; NULL: no reply at all */
    unsigned times;
    unsigned skip;
    bool hangs_up; /* afterwards */
};

struct sink_mail {
    char *from;
    char *to;        /* all, one per line */
    struct buf body; /* dots removed */
};

struct sink {
    int fd;
    uint16_t port;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t change;
    struct sink_rule rules[SINK_RULES];
    const char *extensions; /* EHLO lines behind the first, each "250-X\r\n" */
    SSL_CTX *tls;
    struct sink_mail mail[SINK_MAIL_MAX];
    size_t count;
    unsigned connections;
    unsigned secured; /* connections that spoke TLS */
    char auth[128];   /* the last AUTH command's argument */
    pthread_t threads[SINK_CONNECTIONS];
};

struct sink_peer {
    struct sink *sink;
    int fd;
    SSL *tls;
    char in[65536];
    size_t at, len;
    struct sink_mail mail;
    struct buf to;
};

static inline bool sink_write(struct sink_peer *p, const char *text)
{
    size_t len = strlen(text);
    if (p->tls)
        return SSL_write(p->tls, text, (int)len) == (int)len;
    return send(p->fd, text, len, MSG_NOSIGNAL) == (ssize_t)len;
}

static inline bool sink_fill(struct sink_peer *p)
{
    ssize_t n =
        p->tls ? SSL_read(p->tls, p->in, sizeof(p->in)) : recv(p->fd, p->in, sizeof(p->in), 0);
    p->at = 0;
    p->len = n > 0 ? (size_t)n : 0;
    return n > 0;
}

/* A line with its LF. */
static inline bool sink_line(struct sink_peer *p, struct buf *line)
{
    buf_clear(line);
    for (;;) {
        if (p->at == p->len && !sink_fill(p))
            return false;
        char *end = memchr(p->in + p->at, '\n', p->len - p->at);
        size_t n = end ? (size_t)(end - p->in) + 1 - p->at : p->len - p->at;
        buf_append(line, slice_make(p->in + p->at, n));
        p->at += n;
        if (end)
            return true;
    }
}

/* The rule's reply, or the given one. False: the connection ends. */
static inline bool sink_reply(struct sink_peer *p, const char *command, const char *reply)
{
    struct sink *s = p->sink;
    bool hangs_up = false;
    pthread_mutex_lock(&s->mutex);
    for (size_t i = 0; i < SINK_RULES; i++) {
        struct sink_rule *r = &s->rules[i];
        bool fits = r->times && r->prefix &&
                    (*r->prefix ? strncmp(command, r->prefix, strlen(r->prefix)) == 0
                                : *command == '\0');
        if (!fits)
            continue;
        if (r->skip) {
            r->skip--;
            continue;
        }
        r->times--;
        reply = r->reply;
        hangs_up = r->hangs_up;
        break;
    }
    pthread_mutex_unlock(&s->mutex);
    if (reply && !sink_write(p, reply))
        return false;
    return !hangs_up;
}

static inline bool sink_is_good(struct sink_peer *p, const char *command, const char *reply,
                                bool *goes_on)
{
    struct sink *s = p->sink;
    bool has_rule = false;
    pthread_mutex_lock(&s->mutex);
    for (size_t i = 0; i < SINK_RULES; i++)
        if (s->rules[i].times && !s->rules[i].skip && s->rules[i].prefix &&
            *s->rules[i].prefix &&
            strncmp(command, s->rules[i].prefix, strlen(s->rules[i].prefix)) == 0)
            has_rule = !s->rules[i].reply || s->rules[i].reply[0] > '3';
    pthread_mutex_unlock(&s->mutex);
    *goes_on = sink_reply(p, command, reply);
    return !has_rule;
}

static inline void sink_keep(struct sink_peer *p)
{
    struct sink *s = p->sink;
    buf_byte(&p->to, '\0');
    p->mail.to = strdup(p->to.ptr);
    pthread_mutex_lock(&s->mutex);
    if (s->count < SINK_MAIL_MAX)
        s->mail[s->count++] = p->mail;
    pthread_cond_broadcast(&s->change);
    pthread_mutex_unlock(&s->mutex);
    p->mail = (struct sink_mail){0};
}

static inline bool sink_data(struct sink_peer *p, struct buf *line)
{
    bool goes_on;
    if (!sink_is_good(p, "DATA", "354 go\r\n", &goes_on) || !goes_on)
        return goes_on;
    for (;;) {
        if (!sink_line(p, line))
            return false;
        slice l = buf_slice(line);
        if (slice_eq(l, SLICE(".\r\n")))
            break;
        buf_append(&p->mail.body, l.ptr[0] == '.' ? slice_from(l, 1) : l);
    }
    if (p->to.len == 0) {
        buf_clear(&p->mail.body);
        return sink_write(p, "554 no recipients\r\n");
    }
    bool is_good = sink_is_good(p, ".", NULL, &goes_on);
    if (is_good) {
        sink_keep(p);
        goes_on = sink_write(p, "250 2.0.0 kept\r\n") && goes_on;
    }
    buf_clear(&p->to);
    buf_fini(&p->mail.body);
    return goes_on;
}

static inline bool sink_starttls(struct sink_peer *p)
{
    if (!sink_reply(p, "STARTTLS", "220 go\r\n"))
        return false;
    p->tls = SSL_new(p->sink->tls);
    SSL_set_fd(p->tls, p->fd);
    if (SSL_accept(p->tls) != 1)
        return false;
    pthread_mutex_lock(&p->sink->mutex);
    p->sink->secured++;
    pthread_mutex_unlock(&p->sink->mutex);
    return true;
}

static inline bool sink_command(struct sink_peer *p, struct buf *line)
{
    bool goes_on;
    slice l = slice_to(buf_slice(line), line->len - 2);
    char *text = strndup(l.ptr, l.len);
    if (slice_istarts(l, SLICE("EHLO"))) {
        char reply[512];
        snprintf(reply, sizeof(reply), "250-sink\r\n%s%s250 8BITMIME\r\n",
                 p->sink->extensions ? p->sink->extensions : "250-PIPELINING\r\n",
                 p->sink->tls && !p->tls ? "250-STARTTLS\r\n" : "");
        goes_on = sink_reply(p, text, reply);
    } else if (slice_istarts(l, SLICE("MAIL"))) {
        if (sink_is_good(p, text, "250 ok\r\n", &goes_on)) {
            free(p->mail.from);
            p->mail.from = strdup(text + 10);
            buf_clear(&p->to);
        }
    } else if (slice_istarts(l, SLICE("RCPT"))) {
        if (sink_is_good(p, text, "250 ok\r\n", &goes_on)) {
            buf_append(&p->to, slice_from(l, 8));
            buf_byte(&p->to, '\n');
        }
    } else if (slice_istarts(l, SLICE("DATA"))) {
        goes_on = sink_data(p, line);
    } else if (slice_istarts(l, SLICE("STARTTLS"))) {
        goes_on = p->sink->tls && sink_starttls(p);
    } else if (slice_istarts(l, SLICE("AUTH"))) {
        snprintf(p->sink->auth, sizeof(p->sink->auth), "%.100s", text + 5);
        goes_on = sink_reply(p, text, "235 ok\r\n");
    } else if (slice_istarts(l, SLICE("QUIT"))) {
        sink_reply(p, text, "221 bye\r\n");
        goes_on = false;
    } else {
        goes_on = sink_reply(p, text, "250 ok\r\n");
    }
    free(text);
    return goes_on;
}

static inline void *sink_serve(void *arg)
{
    struct sink_peer *p = arg;
    struct buf line = BUF_INIT;
    bool goes_on = sink_reply(p, "", "220 sink\r\n");
    while (goes_on && sink_line(p, &line))
        goes_on = sink_command(p, &line);
    buf_fini(&line);
    buf_fini(&p->to);
    buf_fini(&p->mail.body);
    free(p->mail.from);
    if (p->tls) {
        SSL_shutdown(p->tls);
        SSL_free(p->tls);
    }
    shutdown(p->fd, SHUT_RDWR);
    close(p->fd);
    free(p);
    return NULL;
}

static inline void *sink_accept(void *arg)
{
    struct sink *s = arg;
    for (;;) {
        int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            return NULL;
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        struct sink_peer *p = xcalloc(1, sizeof(*p));
        p->sink = s;
        p->fd = fd;
        INVARIANT(s->connections < SINK_CONNECTIONS);
        INVARIANT(pthread_create(&s->threads[s->connections++], NULL, sink_serve, p) == 0);
    }
}

static inline int sink_listen(uint16_t *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t len = sizeof(at);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at.sin_port = htons(*port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    INVARIANT(bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(fd, 128) == 0);
    INVARIANT(getsockname(fd, (struct sockaddr *)&at, &len) == 0);
    *port = ntohs(at.sin_port);
    return fd;
}

/* Takes a free port and listens; nobody is answered before sink_start. */
static inline struct sink *sink_new(void)
{
    struct sink *s = xcalloc(1, sizeof(*s));
    pthread_mutex_init(&s->mutex, NULL);
    pthread_cond_init(&s->change, NULL);
    s->fd = sink_listen(&s->port);
    return s;
}

static inline void sink_start(struct sink *s)
{
    INVARIANT(pthread_create(&s->thread, NULL, sink_accept, s) == 0);
}

static inline size_t sink_count(struct sink *s)
{
    pthread_mutex_lock(&s->mutex);
    size_t n = s->count;
    pthread_mutex_unlock(&s->mutex);
    return n;
}

/* Waits until it has n messages; false after 20 s. */
static inline bool sink_wait(struct sink *s, size_t n)
{
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += 20;
    pthread_mutex_lock(&s->mutex);
    int err = 0;
    while (s->count < n && err == 0)
        err = pthread_cond_timedwait(&s->change, &s->mutex, &end);
    bool has = s->count >= n;
    pthread_mutex_unlock(&s->mutex);
    return has;
}

/* Every client must have gone. */
static inline void sink_free(struct sink *s, bool was_started)
{
    shutdown(s->fd, SHUT_RDWR);
    if (was_started) {
        pthread_join(s->thread, NULL);
        for (unsigned i = 0; i < s->connections; i++)
            pthread_join(s->threads[i], NULL);
    }
    close(s->fd);
    for (size_t i = 0; i < s->count; i++) {
        free(s->mail[i].from);
        free(s->mail[i].to);
        buf_fini(&s->mail[i].body);
    }
    if (s->tls)
        SSL_CTX_free(s->tls);
    free(s);
}

#endif
