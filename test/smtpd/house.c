#include "house.h"

#include "smtpd/smtpd.h"
#include "net/query.h"
#include "net/tls.h"

#include "../check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <openssl/ssl.h>
#include <semaphore.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const char *const names[DOORS] = {
    [PLAIN] = "listener:plain",       [STARTTLS] = "listener:starttls",
    [IMPLICIT] = "listener:implicit", [ADDRESS] = "listener:address",
    [LOCAL] = "listener:local",       [QUERY] = "query",
};

/* ---- the disk ---- */

static struct broken_env *broken(struct env *e)
{
    return CONTAINER_OF(CONTAINER_OF(e, struct env_real, env), struct broken_env, real);
}

static struct env_ops real_ops;

static int maybe_sync(struct env *e, int fd)
{
    int err = broken(e)->fail_sync;
    unsigned left = broken(e)->syncs_until_failure;
    if (left > 0 && atomic_fetch_sub(&broken(e)->syncs_until_failure, 1) == 1)
        return -EIO;
    return err ? err : real_ops.fdatasync(e, fd);
}

static ssize_t maybe_write(struct env *e, int fd, const struct iovec *iov, int count,
                           uint64_t at)
{
    int err = broken(e)->fail_write;
    return err ? err : real_ops.pwritev(e, fd, iov, count, at);
}

static int maybe_rename(struct env *e, const char *from, const char *to)
{
    int err = broken(e)->fail_rename;
    return err ? err : real_ops.rename(e, from, to);
}

static int free_space(struct env *e, uint64_t *bytes, uint64_t *inodes)
{
    *bytes = broken(e)->free_bytes;
    *inodes = 1 << 20;
    return 0;
}

static stamp now(struct env *e)
{
    stamp frozen = broken(e)->frozen;
    return (frozen ? frozen : real_ops.now(e)) - broken(e)->clock_back;
}

static span elapsed(struct env *e)
{
    stamp frozen = broken(e)->frozen;
    return frozen ? frozen : real_ops.elapsed(e);
}

static void break_env(struct broken_env *e, int dir_fd)
{
    env_real_init(&e->real, dir_fd);
    real_ops = *e->real.env.ops;
    e->ops = real_ops;
    e->ops.fdatasync = maybe_sync;
    e->ops.pwritev = maybe_write;
    e->ops.rename = maybe_rename;
    e->ops.free_space = free_space;
    e->ops.now = now;
    e->ops.elapsed = elapsed;
    e->real.env.ops = &e->ops;
    e->free_bytes = UINT64_MAX;
}

/* ---- the house ---- */

static void open_port(struct house *h, int door)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    h->fds[door] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(h->fds[door] >= 0);
    assert_int_equal(bind(h->fds[door], (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(h->fds[door], 128), 0);
    assert_int_equal(getsockname(h->fds[door], (struct sockaddr *)&at, &len), 0);
    h->ports[door] = ntohs(at.sin_port);
}

static struct sockaddr_un unix_path(const struct house *h, int door)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(at.sun_path, sizeof(at.sun_path), "%s/%s", h->dir,
             door == LOCAL ? "local.sock" : "query.sock");
    return at;
}

static void open_unix(struct house *h, int door)
{
    struct sockaddr_un at = unix_path(h, door);
    h->fds[door] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(h->fds[door], (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(h->fds[door], 128), 0);
}

static struct conf *make_conf(const struct house *h)
{
    static const char listeners[] =
        "[listener plain]\naddress = 127.0.0.1:10001\ntls = none\nplaintext-auth = yes\n"
        "[listener starttls]\naddress = 127.0.0.1:10002\ntls = starttls\n"
        "[listener implicit]\naddress = 127.0.0.1:10003\ntls = implicit\n"
        "[listener address]\naddress = 127.0.0.1:10004\ntls = none\n"
        "address-credentials = yes\n";
    struct buf text = BUF_INIT;
    struct buf errors = BUF_INIT;
    buf_printf(&text, "[server]\nhostname = mx.test\nthreads = 2\nnode = 3\nstate-dir = %s\n",
               h->dir);
    buf_append(&text, slice_of(listeners));
    struct conf *c = conf_parse(SLICE("test"), buf_slice(&text), &errors);
    if (!c)
        fail_msg("%.*s", SLICE_ARG(buf_slice(&errors)));
    c->submission.auth_delay = 0;
    buf_fini(&text);
    return c;
}

struct house *house_new(void)
{
    struct house *h = xcalloc(1, sizeof(*h));
    snprintf(h->dir, sizeof(h->dir), "/tmp/utpost-smtpd-XXXXXX");
    assert_non_null(mkdtemp(h->dir));
    h->dir_fd = open(h->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(h->dir_fd >= 0);
    break_env(&h->env, h->dir_fd);
    h->conf = make_conf(h);
    for (int i = PLAIN; i <= ADDRESS; i++)
        open_port(h, i);
    open_unix(h, LOCAL);
    open_unix(h, QUERY);
    assert_int_equal(tls_make_certificate("mx.test", &h->certificate, &h->key), 0);
    h->disk = &h->env.real.env;
    for (int i = 0; i < ROLE_COUNT; i++)
        h->wake[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return h;
}

static void *run(void *ctx)
{
    struct house *h = ctx;
    h->status = smtpd_run(h->role);
    return NULL;
}

static void make_role(struct house *h)
{
    struct role *r = role_new(ROLE_SMTPD);
    r->conf = h->conf;
    r->env = h->disk;
    r->pages = &h->pages;
    r->loop = loop_new();
    assert_non_null(r->loop);
    memcpy(r->wake, h->wake, sizeof(r->wake));
    for (int i = 0; i < DOORS; i++)
        role_add_fd(r, names[i], fcntl(h->fds[i], F_DUPFD_CLOEXEC, 0));
    role_add_secret(r, "tls-certificate", buf_slice(&h->certificate));
    role_add_secret(r, "tls-key", buf_slice(&h->key));
    role_add_secret(r, "control", SLICE("between us"));
    h->role = r;
}

void house_start(struct house *h)
{
    make_role(h);
    assert_int_equal(pthread_create(&h->thread, NULL, run, h), 0);
    h->runs = true;
    free(house_ask(h, "{}")); /* answered when it serves */
}

static void append_change(void *ctx, slice fields)
{
    struct house *h = ctx;
    struct journal_entry e = {.header = {.type = RECORD_DIRECTORY}, .fields = fields};
    e.header.at = env_now(h->disk);
    assert_int_equal(journal_append_wait(h->control, &e), 0);
    if (h->runs)
        house_wait_for(h, "directory.version", (long long)h->people.version);
}

void house_open_control(struct house *h)
{
    struct journal_config c = {
        .env = h->disk,
        .dir = "journal/control",
        .self = ID_CONTROL,
        .watermark = &h->pages.watermark[ROLE_CONTROL],
        .wake = &h->wake[ROLE_SMTPD],
        .wake_count = 1,
    };
    struct journal_recovery recovery;
    assert_int_equal(journal_writer_open(&h->control, &c, &recovery), 0);
    people_on_change = append_change;
    people_ctx = h;
    people_begin(&h->people);
}

void house_close_control(struct house *h)
{
    journal_writer_close(&h->control);
    people_on_change = NULL;
}

struct posted {
    struct loop_task task;
    struct house *h;
    bool reload;
    sem_t is_done;
};

static void on_posted(struct loop_task *t)
{
    struct posted *p = CONTAINER_OF(t, struct posted, task);
    if (p->reload)
        p->h->role->on_reload(p->h->role->ctx);
    else
        p->h->role->on_drain(p->h->role->ctx);
    sem_post(&p->is_done);
}

static void post(struct house *h, bool reload)
{
    struct posted p = {.task.fn = on_posted, .h = h, .reload = reload};
    sem_init(&p.is_done, 0, 0);
    loop_post(h->role->loop, &p.task);
    while (sem_wait(&p.is_done) < 0)
        continue;
    sem_destroy(&p.is_done);
}

void house_begin_drain(struct house *h)
{
    post(h, false);
}

int house_wait(struct house *h)
{
    pthread_join(h->thread, NULL);
    h->runs = false;
    struct loop *loop = h->role->loop;
    role_free(&h->role);
    loop_free(&loop);
    return h->status;
}

int house_drain(struct house *h)
{
    house_begin_drain(h);
    return house_wait(h);
}

void house_reload(struct house *h)
{
    role_add_secret(h->role, "tls-key", buf_slice(&h->key));
    post(h, true);
}

void house_set_clock(struct house *h, stamp at)
{
    h->env.frozen = at;
}

static void remove_tree(const char *dir)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    assert_int_equal(system(command), 0);
}

void house_free(struct house *h)
{
    if (h->runs)
        assert_int_equal(house_drain(h), 0);
    if (h->control)
        house_close_control(h);
    for (int i = 0; i < DOORS; i++)
        close(h->fds[i]);
    for (int i = 0; i < ROLE_COUNT; i++)
        close(h->wake[i]);
    close(h->dir_fd);
    conf_free(&h->conf);
    buf_fini(&h->certificate);
    buf_fini(&h->key);
    remove_tree(h->dir);
    free(h);
}

char *house_ask(struct house *h, const char *question)
{
    struct sockaddr_un at = unix_path(h, QUERY);
    struct buf answer = BUF_INIT;
    assert_int_equal(query_ask(at.sun_path, slice_of(question), 5 * SPAN_SECOND, &answer), 0);
    buf_byte(&answer, '\0');
    return answer.ptr;
}

static long long status_number(struct house *h, const char *name)
{
    char *text = house_ask(h, "{\"question\":\"status\"}");
    json_t *status = json_loads(text, 0, NULL);
    assert_non_null(status);
    json_t *at = status;
    slice path = slice_of(name);
    slice part;
    while (slice_split(&path, '.', &part))
        at = json_object_getn(at, part.ptr, part.len);
    assert_true(json_is_integer(at));
    long long n = json_integer_value(at);
    json_decref(status);
    free(text);
    return n;
}

void house_wait_for(struct house *h, const char *name, long long want)
{
    span give_up = env_elapsed(h->disk) + 10 * SPAN_SECOND;
    long long n = status_number(h, name);
    while (n != want && env_elapsed(h->disk) < give_up)
        n = status_number(h, name);
    check_int(name, n, want);
}

static void copy_record(struct house *h, const struct journal_record *r, struct arena *a,
                        struct house_record *out)
{
    struct journal_store *store;
    assert_int_equal(journal_store_open(&store, h->disk, "journal/smtpd"), 0);
    char *body = arena_alloc(a, r->header.body_len);
    if (r->header.body_len)
        assert_int_equal(journal_pread(store, r->body_position, body, r->header.body_len), 0);
    journal_store_close(&store);
    *out = (struct house_record){
        .header = r->header,
        .fields = arena_dup(a, r->fields),
        .body = slice_make(body, r->header.body_len),
    };
}

bool house_record(struct house *h, enum record_type type, unsigned n, struct arena *a,
                  struct house_record *out)
{
    struct journal_reader *reader;
    struct journal_record r;
    bool found = false;
    assert_int_equal(journal_reader_open(&reader, h->disk, "journal/smtpd",
                                         &h->pages.watermark[ROLE_SMTPD], 0),
                     0);
    int got;
    while (!found && (got = journal_next(reader, &r)) != 0) {
        assert_int_equal(got, 1);
        found = r.header.type == type && n-- == 0;
        if (found)
            copy_record(h, &r, a, out);
    }
    journal_reader_close(&reader);
    return found;
}

/* ---- the client ---- */

static int connect_to(struct house *h, int door, int receive_buffer)
{
    struct sockaddr_un local = unix_path(h, door);
    struct sockaddr_in tcp = {.sin_family = AF_INET,
                              .sin_port = htons(h->ports[door]),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(door >= LOCAL ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receive_buffer)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
    struct timeval patience = {.tv_sec = 10};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (door >= LOCAL)
        assert_int_equal(connect(fd, (struct sockaddr *)&local, sizeof(local)), 0);
    else
        assert_int_equal(connect(fd, (struct sockaddr *)&tcp, sizeof(tcp)), 0);
    return fd;
}

struct client client_connect(struct house *h, int door)
{
    return (struct client){.fd = connect_to(h, door, 0)};
}

struct client client_connect_narrow(struct house *h, int door)
{
    return (struct client){.fd = connect_to(h, door, 4096)};
}

void client_tls(struct client *c)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(ctx);
    SSL_CTX_free(ctx);
    SSL_set_fd(ssl, c->fd);
    assert_int_equal(SSL_connect(ssl), 1);
    c->ssl = ssl;
}

void client_send_n(struct client *c, const void *bytes, size_t len)
{
    for (size_t at = 0; at < len;) {
        const char *p = (const char *)bytes + at;
        ssize_t n = c->ssl ? SSL_write(c->ssl, p, (int)(len - at))
                           : send(c->fd, p, len - at, MSG_NOSIGNAL);
        if (n <= 0)
            return; /* the peer has closed; its last words are still to be read */
        at += (size_t)n;
    }
}

void client_send(struct client *c, const char *text)
{
    client_send_n(c, text, strlen(text));
}

static bool receive(struct client *c)
{
    char bytes[4096];
    ssize_t n =
        c->ssl ? SSL_read(c->ssl, bytes, sizeof(bytes)) : recv(c->fd, bytes, sizeof(bytes), 0);
    if (n < 0 && !c->ssl && (errno == EAGAIN || errno == EWOULDBLOCK))
        fail_msg("no reply in time");
    if (n <= 0)
        return false;
    buf_append(&c->in, slice_make(bytes, (size_t)n));
    return true;
}

const char *client_reply(struct client *c)
{
    for (;;) {
        ptrdiff_t end = slice_find(buf_slice(&c->in), '\n');
        if (end < 0) {
            if (!receive(c))
                return "";
            continue;
        }
        buf_clear(&c->line);
        buf_append(&c->line, slice_to(buf_slice(&c->in), (size_t)end - 1));
        buf_byte(&c->line, '\0');
        buf_consume(&c->in, (size_t)end + 1);
        if (c->line.len < 5 || c->line.ptr[3] != '-')
            return c->line.ptr;
    }
}

void client_close(struct client *c)
{
    SSL_free(c->ssl);
    close(c->fd);
    buf_fini(&c->in);
    buf_fini(&c->line);
}

void client_talk(struct client *c, const char *send_text, const char *want, int line)
{
    if (send_text)
        client_send(c, send_text);
    const char *got = client_reply(c);
    bool is_same = *want ? strncmp(got, want, strlen(want)) == 0 : *got == '\0';
    if (!is_same)
        fail_msg("line %d: got \"%s\", not \"%s\"", line, got, want);
}
