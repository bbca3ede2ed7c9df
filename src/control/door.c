#include "control/door.h"

#include "base/id.h"
#include "base/list.h"
#include "base/secret.h"
#include "codec/params.h"
#include "codec/sasl.h"
#include "policy/wording.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

enum {
    DOOR_THREADS = 1,
    DOOR_QUEUE_MAX = 256,
    PIECE = 4096,
    RCPT_GROUP = 32, /* recipients that are named before their replies are read */
};
#define DOOR_TIMEOUT SPAN_MINUTE

struct door {
    char *path;
    struct buf secret;
    struct buf hostname;
    struct loop *loop;
    struct jobs *jobs;
    struct list posts; /* letters that door_post has */
};

/* A letter for another thread to send. */
struct post {
    struct job job;
    struct list node;
    const struct door *door;
    struct arena arena; /* owns what the letter points at */
    struct door_letter letter;
    struct door_answer answer;
    door_fn *fn;
    void *ctx;
};

static void post_free(struct post *p)
{
    list_remove(&p->node);
    arena_fini(&p->arena);
    free(p);
}

/* One conversation, blocking. After the first error nothing more is said. */
struct talk {
    int fd;
    int error;
    uint64_t deadline; /* of uv_hrtime */
    struct reply_parser parser;
    size_t begin, end; /* of what was read and not used */
    char in[PIECE];
};

struct door *door_new(const struct door_config *c)
{
    struct door *d = xcalloc(1, sizeof(*d));
    list_init(&d->posts);
    d->path = strdup(c->path);
    INVARIANT(d->path);
    buf_append(&d->secret, c->secret);
    buf_append(&d->hostname, c->hostname);
    d->loop = c->loop;
    d->jobs = jobs_new(DOOR_THREADS, DOOR_QUEUE_MAX);
    if (!d->jobs)
        door_free(&d);
    return d;
}

void door_free(struct door **at)
{
    struct door *d = *at;
    *at = NULL;
    if (!d)
        return;
    jobs_free(&d->jobs);
    LIST_EACH (&d->posts, node)
        post_free(LIST_ITEM(node, struct post, node));
    if (d->secret.ptr)
        secret_wipe(d->secret.ptr, d->secret.len);
    buf_fini(&d->secret);
    buf_fini(&d->hostname);
    free(d->path);
    free(d);
}

/* ---- the wire ---- */

/* Gives the next blocking call what is left of the time. */
static bool limit(struct talk *t, int direction)
{
    uint64_t now = uv_hrtime();
    if (t->error == 0 && now >= t->deadline)
        t->error = -ETIMEDOUT;
    if (t->error)
        return false;
    uint64_t left = (t->deadline - now) / 1000 + 1;
    struct timeval v = {(time_t)(left / 1000000), (suseconds_t)(left % 1000000)};
    if (setsockopt(t->fd, SOL_SOCKET, direction, &v, sizeof(v)) != 0)
        t->error = -errno;
    return t->error == 0;
}

static void fail(struct talk *t)
{
    if (errno != EINTR)
        t->error = errno == EAGAIN || errno == EINPROGRESS ? -ETIMEDOUT : -errno;
}

static void open_talk(struct talk *t, const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    t->deadline = uv_hrtime() + (uint64_t)DOOR_TIMEOUT * 1000;
    reply_parser_init(&t->parser);
    t->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (t->fd < 0)
        t->error = -errno;
    else if (strlen(path) >= sizeof(to.sun_path))
        t->error = -ENAMETOOLONG;
    if (!limit(t, SO_SNDTIMEO))
        return;
    memcpy(to.sun_path, path, strlen(path) + 1);
    if (connect(t->fd, (struct sockaddr *)&to, sizeof(to)) != 0)
        t->error = errno == EAGAIN ? -ETIMEDOUT : -errno;
}

static void say(struct talk *t, slice bytes)
{
    while (bytes.len > 0 && limit(t, SO_SNDTIMEO)) {
        ssize_t n = send(t->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (n < 0)
            fail(t);
        else
            bytes = slice_from(bytes, (size_t)n);
    }
}

static void say_buf(struct talk *t, struct buf *text)
{
    if (text->error && t->error == 0)
        t->error = text->error;
    say(t, buf_slice(text));
    buf_clear(text);
}

static bool read_more(struct talk *t)
{
    while (limit(t, SO_RCVTIMEO)) {
        ssize_t n = recv(t->fd, t->in, sizeof(t->in), 0);
        if (n > 0) {
            t->begin = 0;
            t->end = (size_t)n;
            return true;
        }
        if (n == 0)
            t->error = -ECONNRESET;
        else
            fail(t);
    }
    return false;
}

/* The next reply; code 0 when there is none (t->error). Its text is valid until the next. */
static struct reply hear(struct talk *t)
{
    struct reply r = {0};
    for (;;) {
        slice in = slice_make(t->in + t->begin, t->end - t->begin);
        enum reply_result result = reply_parse(&t->parser, &in, &r, NULL, NULL);
        t->begin = t->end - in.len;
        if (result == REPLY_DONE)
            return r;
        if (result == REPLY_BAD)
            t->error = -EPROTO;
        if (t->error || !read_more(t))
            return (struct reply){0};
    }
}

/* ---- the conversation ---- */

static void note_limit(struct door_limit *out, const struct wording_data *data)
{
    *out = (struct door_limit){.is_there = true,
                               .used = data->used,
                               .max = data->max,
                               .again = data->again ? data->again : STAMP_NEVER};
    snprintf(out->rule, sizeof(out->rule), "%.*s", SLICE_ARG(data->rule));
}

static void note(struct door_answer *out, const struct reply *r, ptrdiff_t recipient)
{
    out->result = DOOR_REFUSED;
    out->code = r->code;
    out->enhanced = r->enhanced;
    out->recipient = recipient;
    slice text = r->text;
    ptrdiff_t last = slice_rfind(text, '\n');
    struct wording_data data;
    if (last >= 0 && wording_read_data(slice_from(text, (size_t)last + 1), &data)) {
        note_limit(&out->limit, &data);
        text = slice_to(text, (size_t)last);
    }
    snprintf(out->text, sizeof(out->text), "%.*s", SLICE_ARG(text));
}

/* Is the reply of that class? If not, the answer is written. */
static bool expect(struct talk *t, unsigned class, ptrdiff_t recipient, struct door_answer *out)
{
    struct reply r = hear(t);
    if (r.code / 100 == class)
        return true;
    if (r.code != 0)
        note(out, &r, recipient);
    return false;
}

/* "Queued as ID" */
static bool take_id(struct talk *t, const struct reply *r, struct door_answer *out)
{
    slice text = r->text;
    slice id = slice_from(text, text.len < ID_TEXT_LEN ? text.len : text.len - ID_TEXT_LEN);
    if (id_parse(id, &out->id))
        return true;
    t->error = -EPROTO;
    return false;
}

static bool sign_in(struct talk *t, const struct door *d, const struct door_letter *l,
                    struct door_answer *out)
{
    struct arena a = ARENA_INIT;
    struct buf line = BUF_INIT;
    struct buf message = BUF_INIT;
    slice client = l->client.len ? l->client : SLICE("control");
    if (l->account)
        buf_printf(&message, "%llu", (unsigned long long)l->account);
    buf_append(&message, slice_make("", 1));
    buf_append(&message, client);
    buf_append(&message, slice_make("", 1));
    buf_append(&message, buf_slice(&d->secret));
    bool ok = expect(t, 2, -1, out);
    if (ok) {
        buf_printf(&line, "EHLO %.*s\r\n", SLICE_ARG(buf_slice(&d->hostname)));
        say_buf(t, &line);
        ok = expect(t, 2, -1, out);
    }
    slice text = base64_encode(&a, buf_slice(&message));
    if (ok) {
        buf_printf(&line, "AUTH UTPOST-CONTROL %.*s\r\n", SLICE_ARG(text));
        say_buf(t, &line);
        ok = expect(t, 2, -1, out);
    }
    secret_wipe((void *)(uintptr_t)text.ptr, text.len);
    secret_wipe(message.ptr, message.len);
    if (line.ptr)
        secret_wipe(line.ptr, line.cap);
    buf_fini(&message);
    buf_fini(&line);
    arena_fini(&a);
    return ok;
}

static bool is_8bit(slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] & 0x80)
            return true;
    return false;
}

static bool needs_utf8(const struct door_letter *l)
{
    bool needs = is_8bit(l->sender);
    for (size_t i = 0; i < l->recipient_count; i++)
        needs |= is_8bit(l->recipients[i]);
    return needs;
}

/* MAIL: true when a transaction has begun. A token that is known is the answer. */
static bool begin(struct talk *t, const struct door_letter *l, struct door_answer *out)
{
    struct arena a = ARENA_INIT;
    struct buf line = BUF_INIT;
    buf_printf(&line, "MAIL FROM:<%.*s> SIZE=%zu", SLICE_ARG(l->sender), l->message.len);
    if (is_8bit(l->message))
        buf_append(&line, SLICE(" BODY=8BITMIME"));
    if (needs_utf8(l))
        buf_append(&line, SLICE(" SMTPUTF8"));
    if (l->token.len)
        buf_printf(&line, " XTOKEN=%.*s", SLICE_ARG(xtext_encode(&a, l->token)));
    buf_append(&line, SLICE("\r\n"));
    say_buf(t, &line);
    buf_fini(&line);
    arena_fini(&a);
    struct reply r = hear(t);
    if (r.code / 100 != 2) {
        if (r.code != 0)
            note(out, &r, -1);
        return false;
    }
    bool is_repeated = r.enhanced.subject == 0; /* 2.0.0: queued; 2.1.0: sender accepted */
    if (is_repeated && take_id(t, &r, out))
        out->result = DOOR_REPEATED;
    return !is_repeated;
}

static bool name_recipients(struct talk *t, const struct door_letter *l,
                            struct door_answer *out)
{
    struct buf lines = BUF_INIT;
    bool ok = true;
    for (size_t i = 0; i < l->recipient_count && ok; i += RCPT_GROUP) {
        size_t end = i + RCPT_GROUP < l->recipient_count ? i + RCPT_GROUP : l->recipient_count;
        for (size_t k = i; k < end; k++)
            buf_printf(&lines, "RCPT TO:<%.*s>\r\n", SLICE_ARG(l->recipients[k]));
        say_buf(t, &lines);
        for (size_t k = i; k < end && ok; k++)
            ok = expect(t, 2, (ptrdiff_t)k, out);
    }
    buf_fini(&lines);
    return ok;
}

static void give_message(struct talk *t, const struct door_letter *l, struct door_answer *out)
{
    char line[64];
    snprintf(line, sizeof(line), "BDAT %zu LAST\r\n", l->message.len);
    say(t, slice_of(line));
    say(t, l->message);
    struct reply r = hear(t);
    if (r.code / 100 == 2 && take_id(t, &r, out))
        out->result = DOOR_QUEUED;
    else if (r.code / 100 != 2 && r.code != 0)
        note(out, &r, -1);
}

/* Nothing in them may end a command line early. */
static bool is_plain(slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] < ' ' || s.ptr[i] == '<' || s.ptr[i] == '>' ||
            s.ptr[i] == 0x7f)
            return false;
    return true;
}

static bool is_sendable(const struct door_letter *l)
{
    bool ok = is_plain(l->sender) && is_plain(l->client) && l->recipient_count > 0;
    for (size_t i = 0; i < l->recipient_count; i++)
        ok = ok && is_plain(l->recipients[i]);
    return ok;
}

void door_send(const struct door *d, const struct door_letter *l, struct door_answer *out)
{
    struct talk *t = xcalloc(1, sizeof(*t));
    *out = (struct door_answer){.result = DOOR_FAILED, .recipient = -1};
    t->fd = -1;
    if (is_sendable(l))
        open_talk(t, d->path);
    else
        t->error = -EINVAL;
    if (t->error == 0 && sign_in(t, d, l, out) && begin(t, l, out) &&
        name_recipients(t, l, out))
        give_message(t, l, out);
    if (t->error == 0)
        say(t, SLICE("QUIT\r\n")); /* its end tells smtpd to let go at once */
    if (out->result == DOOR_FAILED)
        out->error = t->error ? t->error : -EPROTO;
    if (t->fd >= 0)
        close(t->fd);
    free(t);
}

/* ---- without waiting ---- */

static void post_work(struct job *j)
{
    struct post *p = CONTAINER_OF(j, struct post, job);
    door_send(p->door, &p->letter, &p->answer);
}

static void post_done(struct job *j)
{
    struct post *p = CONTAINER_OF(j, struct post, job);
    p->fn(p->ctx, &p->answer);
    post_free(p);
}

int door_post(struct door *d, const struct door_letter *l, door_fn *fn, void *ctx)
{
    struct post *p = xcalloc(1, sizeof(*p));
    list_push(&d->posts, &p->node);
    struct arena *a = &p->arena;
    slice *recipients = arena_array(a, slice, l->recipient_count);
    for (size_t i = 0; i < l->recipient_count; i++)
        recipients[i] = arena_dup(a, l->recipients[i]);
    p->door = d;
    p->letter = (struct door_letter){
        .account = l->account,
        .client = arena_dup(a, l->client),
        .sender = arena_dup(a, l->sender),
        .recipients = recipients,
        .recipient_count = l->recipient_count,
        .token = arena_dup(a, l->token),
        .message = arena_dup(a, l->message),
    };
    p->fn = fn;
    p->ctx = ctx;
    p->job = (struct job){.work = post_work, .done = post_done, .loop = d->loop};
    int err = jobs_submit(d->jobs, &p->job);
    if (err < 0)
        post_free(p);
    return err;
}
