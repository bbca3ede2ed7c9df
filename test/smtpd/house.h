/* house: the whole role, run in a thread over real sockets on loopback and a state directory of
 * its own; control's journal is written by the test. */
#ifndef TEST_SMTPD_HOUSE_H
#define TEST_SMTPD_HOUSE_H

#include "fixture.h"

#include "base/env.h"
#include "journal/reader.h"
#include "journal/writer.h"
#include "net/role.h"

#include <pthread.h>

enum { PLAIN, STARTTLS, IMPLICIT, ADDRESS, LOCAL, QUERY, DOORS };

/* The real disk, but for what the test breaks. */
struct broken_env {
    struct env_real real;
    struct env_ops ops;
    _Atomic int fail_sync;  /* -errno of every fdatasync, or 0 */
    _Atomic int fail_write; /* of every write */
    _Atomic int fail_rename;
    _Atomic unsigned syncs_until_failure; /* the n-th from now gives -EIO; 0: none */
    _Atomic uint64_t free_bytes;
    _Atomic span clock_back; /* how much the clock was set back */
    _Atomic stamp frozen;    /* 0: both clocks run */
};

struct house {
    char dir[64];
    int dir_fd;
    struct broken_env env;
    struct conf *conf;
    struct shared_pages pages;
    struct role *role; /* while it runs */
    struct env *disk;  /* env, as the role sees it */
    int wake[ROLE_COUNT];
    struct buf certificate;
    struct buf key;
    int fds[DOORS];
    uint16_t ports[DOORS];
    pthread_t thread;
    bool runs;
    int status;
    struct journal_writer *control;
    struct people people; /* what the test has written to control's journal */
};

/* Made, but not running: change h->conf first. */
struct house *house_new(void);
void house_start(struct house *h);
/* Control's journal is opened; from here on people_… write to it and wait until it is read. */
void house_open_control(struct house *h);
void house_close_control(struct house *h);
/* As SIGTERM; waits for the role's end and gives its status. */
int house_drain(struct house *h);
void house_begin_drain(struct house *h);
int house_wait(struct house *h);
/* As SIGHUP. */
void house_reload(struct house *h);
/* Both clocks stand still at this moment: set it again to move them. */
void house_set_clock(struct house *h, stamp at);
void house_free(struct house *h);

/* The role's answer to a question, to be freed. */
char *house_ask(struct house *h, const char *question);
/* Waits until the number of this name in the status is `want`. */
void house_wait_for(struct house *h, const char *name, long long want);

/* Record number n (from 0) of that type in smtpd's journal: its header, and copies of its
 * fields and body in the arena. False: there are not so many. */
struct house_record {
    struct record_header header;
    slice fields;
    slice body;
};
bool house_record(struct house *h, enum record_type type, unsigned n, struct arena *a,
                  struct house_record *out);

/* A client: blocking, ten seconds of patience. */
struct client {
    int fd;
    void *ssl;
    struct buf in;
    struct buf line;
};
struct client client_connect(struct house *h, int door);
/* Takes little off the server at a time. */
struct client client_connect_narrow(struct house *h, int door);
void client_tls(struct client *c);
void client_send(struct client *c, const char *text);
void client_send_n(struct client *c, const void *bytes, size_t len);
/* The next reply's last line, without CRLF; "" when the connection is closed. Valid until the
 * next call. */
const char *client_reply(struct client *c);
void client_close(struct client *c);

/* Sends `send` (NULL: nothing) and checks that the reply begins so. */
#define TALK(c, send, want) client_talk(c, send, want, __LINE__)
void client_talk(struct client *c, const char *send, const char *want, int line);

#endif
