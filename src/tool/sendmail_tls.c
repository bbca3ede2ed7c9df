#include "tool/sendmail_tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECT_WAIT (30 * SPAN_SECOND)

static int await_connected(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    int err = 0;
    socklen_t len = sizeof(err);
    int n;
    do
        n = poll(&p, 1, (int)(CONNECT_WAIT / SPAN_MS));
    while (n < 0 && errno == EINTR);
    if (n == 0)
        return -ETIMEDOUT;
    if (n < 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) != 0)
        return -errno;
    return -err;
}

static int connect_one(struct sendmail_wire *w, const struct addrinfo *to)
{
    int fd = socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int err = connect(fd, to->ai_addr, to->ai_addrlen) == 0 ? 0
              : errno == EINPROGRESS                        ? await_connected(fd)
                                                            : -errno;
    if (err)
        close(fd);
    else
        w->fd = fd;
    return err;
}

int sendmail_tls_connect(struct sendmail_wire *w, const char *host, const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *list;
    int found = getaddrinfo(host, port, &hints, &list);
    if (found != 0)
        return found == EAI_AGAIN || found == EAI_SYSTEM ? -EHOSTUNREACH : -ENXIO;
    int err = -ENXIO;
    for (const struct addrinfo *to = list; to && err; to = to->ai_next)
        err = connect_one(w, to);
    freeaddrinfo(list);
    return err;
}

static SSL_CTX *context(const char *ca_file)
{
    SSL_CTX *c = SSL_CTX_new(TLS_client_method());
    bool is_good = c && SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION) == 1 &&
                   (ca_file ? SSL_CTX_load_verify_locations(c, ca_file, NULL)
                            : SSL_CTX_set_default_verify_paths(c)) == 1;
    if (is_good)
        SSL_CTX_set_verify(c, SSL_VERIFY_PEER, NULL);
    else
        SSL_CTX_free(c);
    return is_good ? c : NULL;
}

/* A name is verified as one, and said to the server; an address as an address. */
static bool expect_host(SSL *ssl, const char *host)
{
    struct in6_addr room;
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    if (inet_pton(AF_INET, host, &room) == 1 || inet_pton(AF_INET6, host, &room) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1;
    return SSL_set_tlsext_host_name(ssl, host) == 1 && SSL_set1_host(ssl, host) == 1;
}

/* What the call wants; 0: it has failed for good. */
static short events_of(SSL *ssl, int result)
{
    int err = SSL_get_error(ssl, result);
    return err == SSL_ERROR_WANT_READ ? POLLIN : err == SSL_ERROR_WANT_WRITE ? POLLOUT : 0;
}

static bool shake_hands(struct sendmail_wire *w)
{
    span deadline = sendmail_wire_now() + w->wait;
    for (;;) {
        int result = SSL_connect(w->tls);
        short events = result == 1 ? 0 : events_of(w->tls, result);
        if (result == 1)
            return true;
        if (events == 0 || sendmail_wire_await(w, events, deadline) != 0)
            return false;
    }
}

bool sendmail_tls_start(struct sendmail_wire *w, const char *host, const char *ca_file,
                        struct buf *why)
{
    SSL_CTX *c = context(ca_file);
    if (!c) {
        buf_printf(why, "the certificate authorities cannot be read from %s\n",
                   ca_file ? ca_file : "the system's files");
        return false;
    }
    w->tls = SSL_new(c);
    SSL_CTX_free(c); /* the connection has its own reference */
    bool is_up =
        w->tls && SSL_set_fd(w->tls, w->fd) == 1 && expect_host(w->tls, host) && shake_hands(w);
    if (is_up)
        return true;
    long verdict = w->tls ? SSL_get_verify_result(w->tls) : X509_V_OK;
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    buf_printf(why, "TLS with %s failed: %s\n", host,
               verdict != X509_V_OK ? X509_verify_cert_error_string(verdict)
               : reason             ? reason
                                    : "no answer in time, or the connection was lost");
    return false;
}

static ssize_t result_of(struct sendmail_wire *w, int result, short *events)
{
    if (result > 0)
        return result;
    if (SSL_get_error(w->tls, result) == SSL_ERROR_ZERO_RETURN)
        return 0;
    *events = events_of(w->tls, result);
    errno = *events ? EAGAIN : ECONNRESET;
    return -1;
}

ssize_t sendmail_tls_write(struct sendmail_wire *w, slice bytes, short *events)
{
    int len = bytes.len > INT16_MAX ? INT16_MAX : (int)bytes.len;
    ERR_clear_error();
    return result_of(w, SSL_write(w->tls, bytes.ptr, len), events);
}

ssize_t sendmail_tls_read(struct sendmail_wire *w, void *out, size_t len, short *events)
{
    ERR_clear_error();
    return result_of(w, SSL_read(w->tls, out, (int)len), events);
}

void sendmail_tls_end(struct sendmail_wire *w)
{
    SSL_free(w->tls);
    w->tls = NULL;
}
