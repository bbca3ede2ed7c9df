/* One connection of the load generator. */
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { INPUT = 4096, HEADER = 512, COMMANDS = 32 * 1024 };

enum state {
    GREETING,
    EHLO,
    STARTTLS,
    HANDSHAKE,
    AUTH,
    IDLE,
    MAIL,
    RCPT,
    DATA,
    END,
    RSET,
    QUIT
};

struct client {
    struct load *load;
    SSL *tls;
    int fd;
    unsigned number;
    enum state state;
    bool writes;      /* epoll tells when it may write */
    bool has_refused; /* something in this transaction */
    unsigned waiting; /* replies to RCPT */
    uint64_t sent;    /* messages over this connection */
    uint64_t message; /* the number of the one in hand */
    uint64_t since;   /* ns, of its MAIL */
    size_t input_len;
    char input[INPUT];
    char header[HEADER];
    struct iovec out[2];
    char *commands; /* the buffer that out[0] may point to */
};

static void client_free(struct client *c)
{
    struct load *l = c->load;
    if (c->state == IDLE && l->options.idle)
        l->ready--;
    SSL_free(c->tls);
    close(c->fd);
    free(c->commands);
    free(c);
    l->living--;
}

/* 1: gone out; 0: the rest later; -1: broken. */
static int put(struct client *c)
{
    while (c->out[0].iov_len + c->out[1].iov_len > 0) {
        int first = c->out[0].iov_len == 0;
        ssize_t n = 0;
        if (!c->tls) {
            struct msghdr m = {.msg_iov = c->out + first, .msg_iovlen = (size_t)(2 - first)};
            n = sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (n < 0)
                return errno == EAGAIN ? 0 : -1;
        } else {
            int rc = SSL_write(c->tls, c->out[first].iov_base, (int)c->out[first].iov_len);
            if (rc <= 0)
                return SSL_get_error(c->tls, rc) == SSL_ERROR_WANT_WRITE ? 0 : -1;
            n = rc;
        }
        for (int i = first; i < 2 && n > 0; i++) {
            size_t step = (size_t)n < c->out[i].iov_len ? (size_t)n : c->out[i].iov_len;
            c->out[i].iov_base = (char *)c->out[i].iov_base + step;
            c->out[i].iov_len -= step;
            n -= (ssize_t)step;
        }
    }
    return 1;
}

static int flush(struct client *c)
{
    int rc = put(c);
    if (rc < 0 || (rc == 0) == c->writes)
        return rc;
    c->writes = rc == 0;
    struct epoll_event ev = {.events = EPOLLIN | (c->writes ? (uint32_t)EPOLLOUT : 0),
                             .data.ptr = c};
    epoll_ctl(c->load->epoll, EPOLL_CTL_MOD, c->fd, &ev);
    return rc;
}

static int say(struct client *c, enum state state, const char *line)
{
    size_t len = strlen(line);
    c->state = state;
    memcpy(c->commands, line, len);
    c->out[0] = (struct iovec){c->commands, len};
    return flush(c);
}

static int begin_auth(struct client *c)
{
    const struct load_options *o = &c->load->options;
    char login[128], plain[256], line[512];
    snprintf(login, sizeof(login), "%s", o->login);
    char *at = strstr(o->login, "%d");
    if (at)
        snprintf(login, sizeof(login), "%.*s%u%s", (int)(at - o->login), o->login,
                 c->number % 100, at + 2);
    int n = snprintf(plain, sizeof(plain), "%c%s%c%s", 0, login, 0, o->password);
    int len = snprintf(line, sizeof(line), "AUTH PLAIN ");
    len += EVP_EncodeBlock((unsigned char *)line + len, (unsigned char *)plain, n);
    snprintf(line + len, sizeof(line) - (size_t)len, "\r\n");
    return say(c, AUTH, line);
}

/* MAIL, and what may follow it at once. */
static int begin_message(struct client *c)
{
    struct load *l = c->load;
    const struct load_options *o = &l->options;
    if (l->begun == o->messages || (o->per_connection && c->sent == o->per_connection))
        return say(c, QUIT, "QUIT\r\n");
    c->message = l->begun++;
    c->sent++;
    c->since = load_now();
    c->has_refused = false;
    c->waiting = o->recipients;
    c->state = MAIL;
    size_t n = (size_t)sprintf(c->commands, "MAIL FROM:<s@x.test>\r\n");
    if (o->login) /* its own address */
        n = (size_t)sprintf(c->commands, "MAIL FROM:<user%u@x.test>\r\n", c->number % 100);
    if (o->pipelining) {
        for (unsigned i = 0; i < o->recipients; i++)
            n += (size_t)sprintf(c->commands + n, "RCPT TO:<r%lu.%u@example.test>\r\n",
                                 c->message, i);
        n += (size_t)sprintf(c->commands + n, "DATA\r\n");
    }
    c->out[0] = (struct iovec){c->commands, n};
    return flush(c);
}

static int send_recipient(struct client *c)
{
    char line[64];
    snprintf(line, sizeof(line), "RCPT TO:<r%lu.%u@example.test>\r\n", c->message, c->waiting);
    return say(c, RCPT, line);
}

static int send_message(struct client *c)
{
    struct load *l = c->load;
    int n = snprintf(c->header, HEADER,
                     "From: Bench <s@x.test>\r\nTo: undisclosed-recipients:;\r\n"
                     "Subject: message %08lu\r\nDate: Sat, 21 Nov 2026 12:00:00 +0000\r\n"
                     "Message-ID: <%08lu.%016lx@x.test>\r\nMIME-Version: 1.0\r\n"
                     "Content-Type: text/plain; charset=us-ascii\r\n\r\n",
                     c->message, c->message, l->start);
    c->state = END;
    c->out[0] = (struct iovec){c->header, (size_t)n};
    c->out[1] = (struct iovec){l->body, l->body_len};
    return flush(c);
}

static int signed_on(struct client *c)
{
    if (!c->load->options.idle)
        return begin_message(c);
    c->state = IDLE;
    c->load->ready++;
    return 1;
}

static int handshake(struct client *c)
{
    int rc = SSL_connect(c->tls);
    if (rc == 1) {
        c->load->handshakes++;
        return say(c, EHLO, "EHLO load.x.test\r\n");
    }
    int why = SSL_get_error(c->tls, rc);
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? 1 : -1;
}

static int begin_tls(struct client *c)
{
    c->tls = SSL_new(c->load->tls);
    if (!c->tls || SSL_set_fd(c->tls, c->fd) != 1)
        return -1;
    c->state = HANDSHAKE;
    return handshake(c);
}

static void count_acceptance(struct client *c)
{
    struct load *l = c->load;
    uint64_t now = load_now();
    uint64_t segment = l->accepted * LOAD_SEGMENTS / l->options.messages;
    l->latency[l->accepted++] = (uint32_t)((now - c->since) / 1000);
    l->segment_end[segment] = now;
    l->last = now;
}

static int on_refusal(struct client *c, unsigned code)
{
    struct load *l = c->load;
    if (c->state < MAIL || c->state > END)
        return -1;
    if (code < 500)
        l->refused_for_now++;
    else
        l->refused_for_good++;
    if (c->state == END)
        return begin_message(c);
    return l->options.pipelining ? -1 : say(c, RSET, "RSET\r\n");
}

static int on_recipient(struct client *c)
{
    if (--c->waiting > 0)
        return c->load->options.pipelining ? 1 : send_recipient(c);
    if (!c->load->options.pipelining)
        return say(c, DATA, "DATA\r\n");
    c->state = DATA;
    return 1;
}

/* The last line of a reply: 1 or 0: go on; -1: the connection is to be closed. */
static int on_reply(struct client *c, unsigned code)
{
    const struct load_options *o = &c->load->options;
    if (code >= 400)
        return on_refusal(c, code);
    switch (c->state) {
    case GREETING:
        return say(c, EHLO, "EHLO load.x.test\r\n");
    case EHLO:
        if (o->starttls && !c->tls)
            return say(c, STARTTLS, "STARTTLS\r\n");
        return o->login ? begin_auth(c) : signed_on(c);
    case STARTTLS:
        return begin_tls(c);
    case AUTH:
        return signed_on(c);
    case MAIL:
        if (!o->pipelining)
            return send_recipient(c);
        c->state = RCPT;
        return 1;
    case RCPT:
        return on_recipient(c);
    case DATA:
        return send_message(c);
    case END:
        count_acceptance(c);
        return begin_message(c);
    case RSET:
        return begin_message(c);
    default:
        return -1; /* QUIT is answered, or an idle connection is spoken to */
    }
}

static int take_lines(struct client *c)
{
    char *at = c->input, *end = c->input + c->input_len, *newline;
    int rc = 1;
    while (rc >= 0 && (newline = memchr(at, '\n', (size_t)(end - at)))) {
        if (newline - at >= 4 && at[3] == ' ')
            rc = on_reply(c, (unsigned)atoi(at));
        at = newline + 1;
    }
    c->input_len = (size_t)(end - at);
    memmove(c->input, at, c->input_len);
    return c->input_len == INPUT ? -1 : rc;
}

static int take_input(struct client *c)
{
    for (;;) {
        size_t room = INPUT - c->input_len;
        ssize_t n;
        if (c->tls) {
            int rc = SSL_read(c->tls, c->input + c->input_len, (int)room);
            if (rc <= 0)
                return SSL_get_error(c->tls, rc) == SSL_ERROR_WANT_READ ? 1 : -1;
            n = rc;
        } else {
            n = recv(c->fd, c->input + c->input_len, room, MSG_DONTWAIT);
            if (n < 0 && errno == EAGAIN)
                return 1;
            if (n <= 0)
                return -1;
        }
        c->input_len += (size_t)n;
        if (take_lines(c) < 0)
            return -1;
        if (!c->tls && (size_t)n < room)
            return 1; /* epoll tells of more */
    }
}

static int go_on(struct client *c, uint32_t events)
{
    if (c->state == HANDSHAKE) {
        int rc = handshake(c);
        return rc < 0 || c->state == HANDSHAKE ? rc : take_input(c);
    }
    if ((events & EPOLLOUT) && flush(c) < 0)
        return -1;
    return events & (EPOLLIN | EPOLLHUP | EPOLLERR) ? take_input(c) : 1;
}

void client_event(struct client *c, uint32_t events)
{
    if (go_on(c, events) >= 0)
        return;
    if (c->state != QUIT)
        c->load->errors++;
    client_free(c);
}

bool client_open(struct load *l, unsigned number)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct client *c = calloc(1, sizeof(*c));
    size_t room = l->options.idle ? 512 : COMMANDS;
    int on = 1;
    if (!c || !(c->commands = malloc(room)) || fd < 0 ||
        connect(fd, (struct sockaddr *)&l->server, sizeof(l->server)) != 0) {
        if (c)
            free(c->commands);
        free(c);
        if (fd >= 0)
            close(fd);
        l->errors++;
        return false;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    fcntl(fd, F_SETFL, O_NONBLOCK); /* after the connect, which is at once on loopback */
    c->load = l;
    c->fd = fd;
    c->number = number;
    l->living++;
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &ev);
    return true;
}
