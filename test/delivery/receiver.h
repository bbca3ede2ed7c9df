/* receiver: a mail host for tests that goes wrong by a script: at one stage, in one way, on the
 * first few of its addresses that are called. One port, several addresses of loopback, one
 * thread per connection. It keeps what it accepted, and who was called in which order. */
#ifndef TEST_DELIVERY_RECEIVER_H
#define TEST_DELIVERY_RECEIVER_H

#include "base/arena.h"
#include "base/buf.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { RECEIVER_HOSTS = 3, RECEIVER_MAIL = 8, RECEIVER_PEERS = 4096 };

/* Where it goes wrong. */
enum receiver_point {
    AT_NOTHING,
    AT_CONNECT, /* REPLY: refuses the connection; SILENCE: the network swallows it */
    AT_BANNER,
    AT_HELLO, /* EHLO, not HELO */
    AT_OLD_HELLO,
    AT_TLS_COMMAND,
    AT_HANDSHAKE,
    AT_SIGN_IN,
    AT_SENDER,
    AT_RECIPIENT,
    AT_DATA_COMMAND,
    AT_CONTENT, /* in the middle of it */
    AT_DOT,
    AT_CLEAR, /* RSET */
    AT_BYE
};

enum receiver_act {
    DOES_REPLY,   /* says `reply` */
    DOES_CLOSE,   /* says `reply`, if any, and closes */
    DOES_RESET,   /* the same, with a TCP reset */
    DOES_SILENCE, /* says nothing and waits */
    DOES_DRIP,    /* the same; receiver_drip lets it say `reply`, an unfinished one */
    DOES_REPEAT,  /* says `reply` for ever */
};

struct receiver_script {
    enum receiver_point point;
    enum receiver_act act;
    const char *reply;
    const char *only;   /* a part of the sender (or at AT_RECIPIENT the address); NULL: all */
    unsigned hosts;     /* of the addresses, in the order of their first call */
    unsigned skip;      /* so many times it goes well before */
    const char *offers; /* lines of the EHLO reply: "250-X\r\n" */
    bool offers_tls;
};

struct receiver_mail {
    unsigned host;
    bool is_secured;
    bool is_chunked;
    char *from;
    char *to; /* "r1@x,r2@x," */
    size_t size;
};

/* One of its addresses. */
struct receiver_ear {
    struct receiver *r;
    unsigned host;
    int fd;
    bool is_deaf, is_waiting;
    int stuffed[2]; /* connections in a line nobody takes from */
    pthread_t thread;
};

struct receiver {
    uint16_t port;
    struct receiver_ear ears[RECEIVER_HOSTS];
    SSL_CTX *tls;

    pthread_mutex_t mutex;
    pthread_cond_t change;
    bool is_stopping;
    pthread_t peers[RECEIVER_PEERS];
    unsigned peer_count;
    struct receiver_script script;
    unsigned order[RECEIVER_HOSTS]; /* hosts in the order of their first call */
    unsigned called;                /* hosts */
    unsigned calls;                 /* connections */
    unsigned
        silent_call; /* connection that is being silent now, by its number among all calls */
    int silent_fd;
    struct receiver_mail mail[RECEIVER_MAIL];
    unsigned mails;
};

struct receiver_peer {
    struct receiver *r;
    int fd;
    unsigned host;
    unsigned rank; /* of the host among those that were called */
    unsigned call; /* its number */
    SSL *tls;
    char in[4096];
    size_t at, len;
    struct buf line, from, to;
    unsigned passed; /* of the script's skip */
};

static inline struct receiver_script receiver_now(struct receiver *r)
{
    pthread_mutex_lock(&r->mutex);
    struct receiver_script s = r->script;
    pthread_mutex_unlock(&r->mutex);
    return s;
}

static inline bool receiver_write(struct receiver_peer *p, const char *text)
{
    size_t len = strlen(text);
    if (p->tls)
        return SSL_write(p->tls, text, (int)len) == (int)len;
    return send(p->fd, text, len, MSG_NOSIGNAL) == (ssize_t)len;
}

static inline bool receiver_fill(struct receiver_peer *p)
{
    ssize_t n =
        p->tls ? SSL_read(p->tls, p->in, sizeof(p->in)) : recv(p->fd, p->in, sizeof(p->in), 0);
    p->at = 0;
    p->len = n > 0 ? (size_t)n : 0;
    return n > 0;
}

/* Without its CRLF. */
static inline bool receiver_line(struct receiver_peer *p)
{
    buf_clear(&p->line);
    for (;;) {
        if (p->at == p->len && !receiver_fill(p))
            return false;
        char *end = memchr(p->in + p->at, '\n', p->len - p->at);
        size_t n = end ? (size_t)(end - p->in) + 1 - p->at : p->len - p->at;
        buf_append(&p->line, slice_make(p->in + p->at, n));
        p->at += n;
        if (!end)
            continue;
        p->line.len -= p->line.len > 1 && p->line.ptr[p->line.len - 2] == '\r' ? 2 : 1;
        buf_byte(&p->line, '\0');
        p->line.len--;
        return true;
    }
}

/* Until the other side ends the connection. Nothing is taken off the socket at AT_CONTENT, so
 * that the other side cannot go on sending. */
static inline void receiver_be_silent(struct receiver_peer *p, bool reads)
{
    struct pollfd end = {p->fd, (short)(reads ? POLLIN | POLLRDHUP : POLLRDHUP), 0};
    char waste[4096];
    pthread_mutex_lock(&p->r->mutex);
    p->r->silent_call = p->call;
    p->r->silent_fd = p->fd;
    pthread_mutex_unlock(&p->r->mutex);
    while (poll(&end, 1, -1) >= 0) {
        if (end.revents & (POLLHUP | POLLRDHUP | POLLERR))
            break;
        if (recv(p->fd, waste, sizeof(waste), 0) <= 0)
            break;
    }
    pthread_mutex_lock(&p->r->mutex);
    if (p->r->silent_call == p->call)
        p->r->silent_call = 0;
    pthread_mutex_unlock(&p->r->mutex);
}

enum receiver_went { WENT_WELL, WENT_WRONG, WENT_AWAY };

static inline enum receiver_went receiver_act(struct receiver_peer *p,
                                              const struct receiver_script *s)
{
    struct linger hard = {.l_onoff = 1};
    if (s->act == DOES_SILENCE || s->act == DOES_DRIP)
        receiver_be_silent(p, s->point != AT_CONTENT);
    while (s->act == DOES_REPEAT && receiver_write(p, s->reply))
        continue;
    if (s->reply && (s->act == DOES_REPLY || s->act == DOES_CLOSE || s->act == DOES_RESET))
        receiver_write(p, s->reply);
    if (s->act == DOES_RESET)
        setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    if (s->act != DOES_REPLY)
        return WENT_AWAY;
    return s->reply[0] < '4' ? WENT_WELL : WENT_WRONG;
}

/* Goes wrong if the script says so here; else says `usual`, if anything. */
static inline enum receiver_went receiver_go(struct receiver_peer *p, enum receiver_point point,
                                             const char *usual)
{
    struct receiver_script s = receiver_now(p->r);
    const char *subject = point == AT_RECIPIENT ? p->line.ptr : p->from.ptr;
    bool fits = s.point == point && p->rank < s.hosts &&
                (!s.only || (subject && strstr(subject, s.only)));
    if (fits && p->passed < s.skip) {
        p->passed++;
        fits = false;
    }
    if (fits)
        return receiver_act(p, &s);
    if (usual && !receiver_write(p, usual))
        return WENT_AWAY;
    return WENT_WELL;
}

static inline void receiver_keep(struct receiver_peer *p, size_t size, bool is_chunked)
{
    struct receiver *r = p->r;
    pthread_mutex_lock(&r->mutex);
    if (r->mails < RECEIVER_MAIL)
        r->mail[r->mails++] = (struct receiver_mail){
            .host = p->host,
            .is_secured = p->tls != NULL,
            .is_chunked = is_chunked,
            .from = strdup(p->from.ptr),
            .to = strdup(p->to.ptr),
            .size = size,
        };
    pthread_mutex_unlock(&r->mutex);
}

static inline bool receiver_data(struct receiver_peer *p)
{
    size_t size = 0;
    enum receiver_went went = receiver_go(p, AT_DATA_COMMAND, "354 go\r\n");
    if (went != WENT_WELL)
        return went != WENT_AWAY;
    for (bool is_first = true; receiver_line(p); is_first = false) {
        if (is_first && receiver_go(p, AT_CONTENT, NULL) == WENT_AWAY)
            return false;
        if (strcmp(p->line.ptr, ".") == 0) {
            went = receiver_go(p, AT_DOT, NULL);
            if (went != WENT_WELL)
                return went != WENT_AWAY;
            receiver_keep(p, size, false);
            return receiver_write(p, "250 2.0.0 kept\r\n");
        }
        size += p->line.len + 2 - (p->line.ptr[0] == '.');
    }
    return false;
}

/* "BDAT n LAST": one chunk is all that this client sends. */
static inline bool receiver_chunk(struct receiver_peer *p)
{
    size_t size = strtoul(p->line.ptr + 5, NULL, 10), left = size;
    if (!strstr(p->line.ptr, " LAST"))
        return receiver_write(p, "501 5.5.4 one chunk, please\r\n");
    for (bool is_first = true; left > 0; is_first = false) {
        if (p->at == p->len && !receiver_fill(p))
            return false;
        if (is_first && receiver_go(p, AT_CONTENT, NULL) == WENT_AWAY)
            return false;
        size_t n = p->len - p->at < left ? p->len - p->at : left;
        p->at += n;
        left -= n;
    }
    enum receiver_went went = receiver_go(p, AT_DOT, NULL);
    if (went != WENT_WELL)
        return went != WENT_AWAY;
    receiver_keep(p, size, true);
    return receiver_write(p, "250 2.0.0 kept\r\n");
}

static inline bool receiver_starttls(struct receiver_peer *p)
{
    enum receiver_went went = receiver_go(p, AT_TLS_COMMAND, "220 go\r\n");
    if (went != WENT_WELL)
        return went != WENT_AWAY;
    if (receiver_go(p, AT_HANDSHAKE, NULL) == WENT_AWAY)
        return false;
    p->tls = SSL_new(p->r->tls);
    SSL_set_fd(p->tls, p->fd);
    return SSL_accept(p->tls) == 1;
}

static inline bool receiver_ehlo(struct receiver_peer *p)
{
    struct receiver_script s = receiver_now(p->r);
    char reply[1024];
    snprintf(reply, sizeof(reply), "250-receiver\r\n%s%s250 SIZE 100000000\r\n",
             s.offers ? s.offers : "", s.offers_tls && !p->tls ? "250-STARTTLS\r\n" : "");
    return receiver_go(p, AT_HELLO, reply) != WENT_AWAY;
}

static inline void receiver_note(struct buf *into, const char *line, const char *end)
{
    const char *from = strchr(line, '<');
    const char *to = from ? strchr(from, '>') : NULL;
    if (!to)
        return;
    if (into->len > 0 && into->ptr[into->len - 1] == '\0')
        into->len--;
    buf_append(into, slice_make(from + 1, (size_t)(to - from - 1)));
    buf_append(into, slice_of(end));
    buf_byte(into, '\0');
}

static inline bool receiver_command(struct receiver_peer *p)
{
    slice l = buf_slice(&p->line);
    if (slice_istarts(l, SLICE("EHLO")))
        return receiver_ehlo(p);
    if (slice_istarts(l, SLICE("HELO")))
        return receiver_go(p, AT_OLD_HELLO, "250 receiver\r\n") != WENT_AWAY;
    if (slice_istarts(l, SLICE("STARTTLS")))
        return receiver_starttls(p);
    if (slice_istarts(l, SLICE("AUTH")))
        return receiver_go(p, AT_SIGN_IN, "235 2.7.0 welcome\r\n") != WENT_AWAY;
    if (slice_istarts(l, SLICE("MAIL"))) {
        buf_clear(&p->from);
        buf_clear(&p->to);
        buf_byte(&p->to, '\0');
        receiver_note(&p->from, p->line.ptr, "");
        return receiver_go(p, AT_SENDER, "250 2.1.0 ok\r\n") != WENT_AWAY;
    }
    if (slice_istarts(l, SLICE("RCPT"))) {
        enum receiver_went went = receiver_go(p, AT_RECIPIENT, "250 2.1.5 ok\r\n");
        if (went == WENT_WELL)
            receiver_note(&p->to, p->line.ptr, ",");
        return went != WENT_AWAY;
    }
    if (slice_istarts(l, SLICE("DATA")) || slice_istarts(l, SLICE("BDAT"))) {
        bool has_recipients = p->to.len > 1;
        if (!has_recipients)
            return receiver_write(p, "554 5.5.1 no valid recipients\r\n");
        return l.ptr[0] == 'D' ? receiver_data(p) : receiver_chunk(p);
    }
    if (slice_istarts(l, SLICE("RSET")))
        return receiver_go(p, AT_CLEAR, "250 2.0.0 ok\r\n") != WENT_AWAY;
    if (slice_istarts(l, SLICE("QUIT"))) {
        receiver_go(p, AT_BYE, "221 2.0.0 bye\r\n");
        return false;
    }
    return receiver_write(p, "500 5.5.2 what?\r\n");
}

static inline void *receiver_serve(void *arg)
{
    struct receiver_peer *p = arg;
    bool goes_on = receiver_go(p, AT_BANNER, "220 receiver ESMTP\r\n") != WENT_AWAY;
    while (goes_on && receiver_line(p))
        goes_on = receiver_command(p);
    buf_fini(&p->line);
    buf_fini(&p->from);
    buf_fini(&p->to);
    SSL_free(p->tls);
    close(p->fd);
    free(p);
    return NULL;
}

static inline unsigned receiver_rank(struct receiver *r, unsigned host)
{
    for (unsigned i = 0; i < r->called; i++)
        if (r->order[i] == host)
            return i;
    r->order[r->called] = host;
    return r->called++;
}

/* Takes the calls of one address. While it is deaf its socket does not listen, or listens
 * without anybody who would take calls. */
static inline void *receiver_accept(void *arg)
{
    struct receiver_ear *ear = arg;
    struct receiver *r = ear->r;
    for (;;) {
        pthread_mutex_lock(&r->mutex);
        while (ear->is_deaf && !r->is_stopping) {
            ear->is_waiting = true;
            pthread_cond_broadcast(&r->change);
            pthread_cond_wait(&r->change, &r->mutex);
        }
        ear->is_waiting = false;
        bool is_stopping = r->is_stopping;
        pthread_mutex_unlock(&r->mutex);
        if (is_stopping)
            return NULL;
        int on = 1, fd = accept(ear->fd, NULL, NULL);
        if (fd < 0)
            continue;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        struct receiver_peer *p = xcalloc(1, sizeof(*p));
        pthread_mutex_lock(&r->mutex);
        *p = (struct receiver_peer){.r = r, .fd = fd, .host = ear->host};
        p->rank = receiver_rank(r, ear->host);
        p->call = ++r->calls;
        INVARIANT(r->peer_count < RECEIVER_PEERS);
        INVARIANT(pthread_create(&r->peers[r->peer_count++], NULL, receiver_serve, p) == 0);
        pthread_mutex_unlock(&r->mutex);
    }
}

static inline struct sockaddr_in receiver_address(const struct receiver *r, unsigned host)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(r->port)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK + host);
    return at;
}

static inline bool receiver_bind(struct receiver_ear *ear, int backlog)
{
    struct sockaddr_in at = receiver_address(ear->r, ear->host);
    int on = 1, small = 4096; /* so that content is soon stuck when nobody reads */
    ear->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(ear->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    setsockopt(ear->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    return bind(ear->fd, (struct sockaddr *)&at, sizeof(at)) == 0 &&
           listen(ear->fd, backlog) == 0;
}

static inline void receiver_listen(struct receiver_ear *ear, int backlog)
{
    INVARIANT(receiver_bind(ear, backlog));
}

/* Listens on 127.0.0.1 to 127.0.0.3, at a port that is free on all of them. */
static inline bool receiver_try_port(struct receiver *r)
{
    socklen_t len = sizeof(struct sockaddr_in);
    struct sockaddr_in at;
    r->port = 0;
    for (unsigned i = 0; i < RECEIVER_HOSTS; i++) {
        struct receiver_ear *ear = &r->ears[i];
        *ear = (struct receiver_ear){.r = r, .host = i};
        bool is_free = receiver_bind(ear, 64);
        INVARIANT(getsockname(ear->fd, (struct sockaddr *)&at, &len) == 0);
        r->port = ntohs(at.sin_port);
        for (unsigned j = 0; j <= i && !is_free; j++)
            close(r->ears[j].fd);
        if (!is_free)
            return false;
    }
    return true;
}

static inline void receiver_start(struct receiver *r)
{
    pthread_mutex_init(&r->mutex, NULL);
    pthread_cond_init(&r->change, NULL);
    while (!receiver_try_port(r))
        continue;
    for (unsigned i = 0; i < RECEIVER_HOSTS; i++)
        INVARIANT(pthread_create(&r->ears[i].thread, NULL, receiver_accept, &r->ears[i]) == 0);
}

static inline void receiver_hang_up(struct receiver_ear *ear)
{
    for (unsigned i = 0; i < COUNT_OF(ear->stuffed); i++) {
        if (ear->stuffed[i] > 0)
            close(ear->stuffed[i]);
        ear->stuffed[i] = 0;
    }
    if (ear->fd >= 0)
        close(ear->fd);
    ear->fd = -1;
}

/* With the mutex. It refuses calls, or (swallows) lets them hang. */
static inline void receiver_deafen(struct receiver_ear *ear, bool swallows)
{
    struct sockaddr_in at = receiver_address(ear->r, ear->host);
    ear->is_deaf = true;
    shutdown(ear->fd, SHUT_RDWR); /* the thread wakes up and waits */
    while (!ear->is_waiting)
        pthread_cond_wait(&ear->r->change, &ear->r->mutex);
    receiver_hang_up(ear);
    if (!swallows)
        return;
    /* A line of callers that nobody takes: the kernel drops those who come behind it. */
    receiver_listen(ear, 0);
    for (unsigned i = 0; i < COUNT_OF(ear->stuffed); i++) {
        ear->stuffed[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (connect(ear->stuffed[i], (struct sockaddr *)&at, sizeof(at)) != 0)
            INVARIANT(errno == EINPROGRESS);
    }
}

static inline void receiver_undeafen(struct receiver_ear *ear)
{
    if (!ear->is_deaf)
        return;
    receiver_hang_up(ear);
    receiver_listen(ear, 64);
    ear->is_deaf = false;
    pthread_cond_broadcast(&ear->r->change);
}

/* What it got so far is forgotten. */
static inline void receiver_set(struct receiver *r, const struct receiver_script *s)
{
    pthread_mutex_lock(&r->mutex);
    r->script = *s;
    r->called = r->calls = 0;
    for (unsigned i = 0; i < r->mails; i++) {
        free(r->mail[i].from);
        free(r->mail[i].to);
    }
    r->mails = 0;
    for (unsigned i = 0; i < s->hosts && s->point == AT_CONNECT; i++)
        receiver_deafen(&r->ears[i], s->act == DOES_SILENCE);
    pthread_mutex_unlock(&r->mutex);
}

/* From now on all goes well. */
static inline void receiver_mend(struct receiver *r)
{
    pthread_mutex_lock(&r->mutex);
    r->script.point = AT_NOTHING;
    if (r->silent_call > 0) /* content that nobody took hides the end from it */
        shutdown(r->silent_fd, SHUT_RDWR);
    for (unsigned i = 0; i < RECEIVER_HOSTS; i++)
        receiver_undeafen(&r->ears[i]);
    pthread_mutex_unlock(&r->mutex);
}

static inline void receiver_drip(struct receiver *r)
{
    pthread_mutex_lock(&r->mutex);
    if (r->silent_call > 0)
        send(r->silent_fd, r->script.reply, strlen(r->script.reply), MSG_NOSIGNAL);
    pthread_mutex_unlock(&r->mutex);
}

/* Every client must have gone. */
static inline void receiver_stop(struct receiver *r)
{
    static const struct receiver_script nothing;
    receiver_mend(r);
    pthread_mutex_lock(&r->mutex);
    r->is_stopping = true;
    pthread_cond_broadcast(&r->change);
    pthread_mutex_unlock(&r->mutex);
    for (unsigned i = 0; i < RECEIVER_HOSTS; i++) {
        shutdown(r->ears[i].fd, SHUT_RDWR);
        pthread_join(r->ears[i].thread, NULL);
        close(r->ears[i].fd);
    }
    for (unsigned i = 0; i < r->peer_count; i++)
        pthread_join(r->peers[i], NULL);
    receiver_set(r, &nothing);
    SSL_CTX_free(r->tls);
}

#endif
