/* load: what the files of the load generator share.
 *
 *   load.c         options, the report
 *   load_loop.c    the event loop: opens connections, waits, ends
 *   load_client.c  one connection: the dialogue of a mail program */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <openssl/ssl.h>

enum { LOAD_SEGMENTS = 10 };

struct load_options {
    uint16_t port;
    unsigned sessions;
    uint64_t messages;
    uint64_t per_connection; /* 0: as many as there are */
    size_t size;             /* octets of a message */
    unsigned recipients;     /* per message */
    unsigned limit;          /* seconds */
    const char *login;       /* "%d" in it is the number of the connection modulo 100 */
    const char *password;
    bool starttls;
    bool pipelining;
    bool idle; /* sign on, then do nothing until the standard input ends */
};

struct load {
    struct load_options options;
    struct sockaddr_in server;
    SSL_CTX *tls;
    int epoll;
    char *body; /* what follows the header of each message */
    size_t body_len;
    uint64_t begun; /* messages */
    uint64_t accepted;
    uint64_t refused_for_now;
    uint64_t refused_for_good;
    uint64_t errors; /* connections that broke */
    uint64_t handshakes;
    unsigned living; /* connections */
    unsigned ready;  /* of these, idle and signed on */
    uint64_t start;  /* ns, CLOCK_MONOTONIC */
    uint64_t last;   /* the last acceptance */
    uint64_t segment_end[LOAD_SEGMENTS];
    uint32_t *latency; /* µs, of each accepted message */
};

struct client;

uint64_t load_now(void);
/* Runs everything; returns when it is over. */
void load_run(struct load *l);

/* Begins to connect; false: could not. */
bool client_open(struct load *l, unsigned number);
/* What epoll says; the client may be gone afterwards. */
void client_event(struct client *c, uint32_t events);

#endif
