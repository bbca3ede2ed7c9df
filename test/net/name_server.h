/* name_server: a name server on loopback for tests, which says what its script says, on a
 * thread of its own, over UDP and TCP. */
#ifndef TEST_NET_NAME_SERVER_H
#define TEST_NET_NAME_SERVER_H

#include "base/slice.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* A script is lines "NAME TYPE VALUE": type A, AAAA, MX ("10 host", "0 .") or CNAME; or for a
 * value of any type NXDOMAIN, SERVFAIL, REFUSED, DROP (no reply), GARBAGE (rdata that makes no
 * sense). A name that has lines has no data of the types that are not there; other names do not
 * exist. CNAMEs are followed. */
struct name_server {
    const char *script;
    int udp, tcp;
    int stop[2];
    uint16_t port;
    pthread_t thread;
    atomic_uint questions;
    atomic_uint tcp_questions;
};

static inline void ns_put16(unsigned char **at, unsigned n)
{
    *(*at)++ = (unsigned char)(n >> 8);
    *(*at)++ = (unsigned char)n;
}

static inline void ns_put_name(unsigned char **at, slice name)
{
    slice label;
    while (!slice_eq(name, SLICE(".")) && slice_split(&name, '.', &label)) {
        *(*at)++ = (unsigned char)label.len;
        memcpy(*at, label.ptr, label.len);
        *at += label.len;
    }
    *(*at)++ = 0;
}

static inline unsigned ns_type(slice word)
{
    static const struct {
        const char *word;
        unsigned type;
    } types[] = {{"A", 1}, {"CNAME", 5}, {"MX", 15}, {"AAAA", 28}};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (slice_eq(word, slice_of(types[i].word)))
            return types[i].type;
    return 0;
}

static inline void ns_put_record(unsigned char **at, slice owner, unsigned type, slice value)
{
    char text[64];
    slice word;
    snprintf(text, sizeof(text), "%.*s", (int)value.len, value.ptr);
    ns_put_name(at, owner);
    ns_put16(at, type);
    ns_put16(at, 1);
    ns_put16(at, 0);
    ns_put16(at, 300); /* time to live */
    unsigned char *length = *at;
    *at += 2;
    if (slice_eq(value, SLICE("GARBAGE"))) {
        memcpy(*at, "\7x", 2);
        *at += 2;
    } else if (type == 1) {
        inet_pton(AF_INET, text, *at);
        *at += 4;
    } else if (type == 28) {
        inet_pton(AF_INET6, text, *at);
        *at += 16;
    } else {
        if (type == 15) {
            slice_split(&value, ' ', &word);
            ns_put16(at, (unsigned)atoi(text));
        }
        ns_put_name(at, value);
    }
    unsigned size = (unsigned)(*at - length - 2);
    ns_put16(&length, size);
}

/* Writes the answers for the name; the rcode, or -1 for no reply. Follows one CNAME at a time.
 */
static inline int ns_answer(const struct name_server *s, slice name, unsigned type,
                            unsigned char **at, unsigned *count, int depth)
{
    slice rest = slice_of(s->script), line, owner, word;
    bool exists = false;
    while (slice_split(&rest, '\n', &line)) {
        slice_split(&line, ' ', &owner);
        if (!slice_ieq(owner, name))
            continue;
        exists = true;
        slice_split(&line, ' ', &word);
        if (ns_type(word) == 5 && depth < 8) {
            ns_put_record(at, name, 5, line);
            (*count)++;
            return ns_answer(s, line, type, at, count, depth + 1);
        }
        if (ns_type(word) != type)
            continue;
        if (slice_eq(line, SLICE("DROP")))
            return -1;
        if (slice_eq(line, SLICE("SERVFAIL")))
            return 2;
        if (slice_eq(line, SLICE("NXDOMAIN")))
            return 3;
        if (slice_eq(line, SLICE("REFUSED")))
            return 5;
        ns_put_record(at, name, type, line);
        (*count)++;
    }
    return exists ? 0 : 3;
}

/* The length of the reply, 0 for none. */
static inline size_t ns_reply(struct name_server *s, const unsigned char *in, size_t len,
                              unsigned char *out, size_t max)
{
    char name[256];
    size_t n = 0, at = 12;
    atomic_fetch_add(&s->questions, 1);
    if (len < 17)
        return 0;
    while (at < len && in[at]) {
        if (n)
            name[n++] = '.';
        memcpy(name + n, in + at + 1, in[at]);
        n += in[at];
        at += 1u + in[at];
    }
    unsigned type = (unsigned)(in[at + 1] << 8 | in[at + 2]);
    at += 5;
    memcpy(out, in, at);
    unsigned char *end = out + at;
    unsigned count = 0;
    int rcode = ns_answer(s, slice_make(name, n), type, &end, &count, 0);
    if (rcode < 0)
        return 0;
    out[2] = 0x81; /* QR, RD */
    out[3] = (unsigned char)(0x80 | rcode);
    if ((size_t)(end - out) > max) { /* truncated: ask again over TCP */
        out[2] |= 2;
        count = 0;
        end = out + at;
    }
    memset(out + 4, 0, 8);
    out[5] = 1;
    out[6] = (unsigned char)(count >> 8);
    out[7] = (unsigned char)count;
    return (size_t)(end - out);
}

static inline void ns_serve_tcp(struct name_server *s)
{
    static _Thread_local unsigned char in[2048], out[65536];
    int fd = accept(s->tcp, NULL, NULL);
    ssize_t n = fd < 0 ? -1 : read(fd, in, sizeof(in)); /* the kernel has it in one piece */
    if (n > 2) {
        atomic_fetch_add(&s->tcp_questions, 1);
        size_t len = ns_reply(s, in + 2, (size_t)n - 2, out + 2, sizeof(out) - 2);
        out[0] = (unsigned char)(len >> 8);
        out[1] = (unsigned char)len;
        if (len && write(fd, out, len + 2) < 0)
            perror("write");
    }
    if (fd >= 0)
        close(fd);
}

static inline void ns_serve_udp(struct name_server *s)
{
    static _Thread_local unsigned char in[2048], out[65536];
    struct sockaddr_in peer;
    socklen_t peer_len = sizeof(peer);
    ssize_t n = recvfrom(s->udp, in, sizeof(in), 0, (struct sockaddr *)&peer, &peer_len);
    size_t len = n > 0 ? ns_reply(s, in, (size_t)n, out, 1232) : 0;
    if (len)
        sendto(s->udp, out, len, 0, (struct sockaddr *)&peer, peer_len);
}

static inline void *ns_run(void *ctx)
{
    struct name_server *s = ctx;
    struct pollfd fds[] = {{s->udp, POLLIN, 0}, {s->tcp, POLLIN, 0}, {s->stop[0], POLLIN, 0}};
    while (poll(fds, 3, -1) > 0 && !fds[2].revents) {
        if (fds[0].revents)
            ns_serve_udp(s);
        if (fds[1].revents)
            ns_serve_tcp(s);
    }
    return NULL;
}

static inline void ns_start(struct name_server *s, const char *script)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    memset(s, 0, sizeof(*s));
    s->script = script;
    s->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    s->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (bind(s->tcp, (struct sockaddr *)&at, len) || listen(s->tcp, 16) ||
        getsockname(s->tcp, (struct sockaddr *)&at, &len) ||
        bind(s->udp, (struct sockaddr *)&at, len) || pipe(s->stop) ||
        pthread_create(&s->thread, NULL, ns_run, s)) {
        perror("name server");
        abort();
    }
    s->port = ntohs(at.sin_port);
}

static inline void ns_stop(struct name_server *s)
{
    if (write(s->stop[1], "", 1) != 1)
        abort();
    pthread_join(s->thread, NULL);
    close(s->stop[0]);
    close(s->stop[1]);
    close(s->udp);
    close(s->tcp);
}

#endif
