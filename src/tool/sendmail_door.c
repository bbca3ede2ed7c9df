#include "tool/sendmail_door.h"

#include "base/secret.h"
#include "codec/dot.h"
#include "codec/ehlo.h"
#include "codec/sasl.h"
#include "tool/sendmail_exit.h"
#include "tool/sendmail_tls.h"
#include "tool/sendmail_wire.h"

#include <errno.h>
#include <inttypes.h>
#include <time.h>
#include <unistd.h>

enum {
    REPLY_WAIT = 5 * SPAN_MINUTE, /* RFC 5321 section 4.5.3.2 */
    END_WAIT = 10 * SPAN_MINUTE,
    BUSY_FOR = 30 * SPAN_SECOND, /* how long a busy service is tried */
    DOWN_FOR = 5 * SPAN_SECOND,  /* and one that does not listen: it may be restarting */
    PAUSE_FIRST = 50 * SPAN_MS,
    PAUSE_LONGEST = SPAN_SECOND,
    GROUP = 100, /* recipients sent before their replies are read */
    PIECE = 64 * 1024,
};

/* What became of an attempt. */
enum outcome { GO_ON, DONE, BUSY, DOWN };

struct delivery {
    struct sendmail_wire wire;
    const struct sendmail_target *target;
    const char *where; /* the socket, or the host */
    const struct sendmail_letter *letter;
    struct buf *text;
    struct ehlo peer;
    bool is_first_line; /* of the reply to EHLO */
    bool has_signed_in;
    int status;
    size_t accepted;
    size_t refused_for_now;
    size_t refused;
};

static enum outcome finish(struct delivery *d, int status)
{
    d->status = status;
    return DONE;
}

/* A line of text for each line of the reply, with its code on each. */
static void tell(struct delivery *d, slice about, const struct reply *r)
{
    slice rest = r->text;
    slice line = {0};
    slice_split(&rest, '\n', &line);
    for (;;) {
        if (about.len)
            buf_printf(d->text, "<%.*s>: ", SLICE_ARG(about));
        buf_printf(d->text, "%u ", r->code);
        if (r->enhanced.class)
            buf_printf(d->text, "%u.%u.%u ", r->enhanced.class, r->enhanced.subject,
                       r->enhanced.detail);
        buf_append(d->text, line);
        buf_byte(d->text, '\n');
        if (!slice_split(&rest, '\n', &line))
            return;
    }
}

static enum outcome refused(struct delivery *d, const struct reply *r)
{
    tell(d, (slice){0}, r);
    return finish(d, sendmail_exit_of(r));
}

/* The connection failed, in the middle of something: nothing was accepted. */
static enum outcome lost(struct delivery *d, int err, const char *when)
{
    if (err == -EPROTO)
        buf_printf(d->text, "%s: what answers at %s does not speak SMTP\n", when, d->where);
    else if (err == -ETIMEDOUT)
        buf_printf(d->text, "%s: the mail service did not answer in time; nothing was sent\n",
                   when);
    else
        buf_printf(d->text, "%s: the connection to the mail service was lost (%s)\n", when,
                   err == -ECONNRESET ? "it closed" : strerror(-err));
    return finish(d, err == -EPROTO ? EX_PROTOCOL : EX_TEMPFAIL);
}

/* Flushes what is to be said and reads the reply. */
static int ask(struct delivery *d, struct reply *r)
{
    int err = sendmail_wire_flush(&d->wire);
    if (err && err != -EPIPE && err != -ECONNRESET)
        return err;
    /* it may have said why it closed */
    int read_err = sendmail_wire_reply(&d->wire, r, NULL, NULL);
    return read_err && err ? err : read_err;
}

static enum outcome connect_failed(struct delivery *d, int err)
{
    bool is_down = err == -ENOENT || err == -ECONNREFUSED;
    buf_printf(d->text, "the mail service cannot be reached at %s: %s%s\n", d->where,
               err == -ENXIO ? "there is no such host" : strerror(-err),
               is_down ? "; is utpostd running?" : "");
    d->status = err == -EACCES || err == -EPERM           ? EX_NOPERM
                : err == -ENAMETOOLONG || err == -ENOTDIR ? EX_CONFIG
                                                          : EX_TEMPFAIL;
    return err == -EAGAIN ? BUSY : is_down ? DOWN : DONE;
}

/* 421: now is a bad time, but nothing was asked yet. */
static enum outcome turned_away(struct delivery *d, const struct reply *r)
{
    refused(d, r);
    return r->code == 421 ? BUSY : DONE;
}

static void note_extension(void *ctx, slice line)
{
    struct delivery *d = ctx;
    if (!d->is_first_line)
        ehlo_line(&d->peer, line);
    d->is_first_line = false;
}

static bool start_tls(struct delivery *d)
{
    const struct sendmail_forward *f = d->target->forward;
    return sendmail_tls_start(&d->wire, f->host, f->ca_file, d->text);
}

static enum outcome say_hello(struct delivery *d)
{
    struct reply r;
    buf_printf(&d->wire.out, "EHLO %.*s\r\n", SLICE_ARG(d->target->hostname));
    d->peer = (struct ehlo){0};
    d->is_first_line = true;
    int err = sendmail_wire_flush(&d->wire);
    if (err == 0)
        err = sendmail_wire_reply(&d->wire, &r, note_extension, d);
    if (err)
        return lost(d, err, "EHLO");
    return r.code == 250 ? GO_ON : turned_away(d, &r);
}

static enum outcome greet(struct delivery *d)
{
    struct reply r;
    const struct sendmail_forward *f = d->target->forward;
    d->wire.wait = REPLY_WAIT;
    int err = f ? sendmail_tls_connect(&d->wire, f->host, f->port)
                : sendmail_wire_connect(&d->wire, d->target->path);
    if (err)
        return connect_failed(d, err);
    if (f && f->is_implicit && !start_tls(d))
        return finish(d, EX_TEMPFAIL);
    err = sendmail_wire_reply(&d->wire, &r, NULL, NULL);
    if (err) {
        enum outcome o = lost(d, err, "greeting");
        return err == -ECONNRESET ? DOWN : o;
    }
    if (r.code != 220)
        return turned_away(d, &r);
    return say_hello(d);
}

/* Nothing is said without TLS: no mail, and no password. */
static enum outcome upgrade(struct delivery *d)
{
    const struct sendmail_forward *f = d->target->forward;
    struct reply r;
    if (!f || f->is_implicit)
        return GO_ON;
    if (!(d->peer.extensions & EHLO_STARTTLS)) {
        buf_printf(d->text, "%s does not offer TLS; nothing was sent\n", d->where);
        return finish(d, EX_UNAVAILABLE);
    }
    buf_append(&d->wire.out, SLICE("STARTTLS\r\n"));
    int err = ask(d, &r);
    if (err)
        return lost(d, err, "STARTTLS");
    if (r.code != 220)
        return turned_away(d, &r);
    return start_tls(d) ? say_hello(d) : finish(d, EX_TEMPFAIL);
}

/* As the host, for the account of the user. */
static enum outcome sign_in_host(struct delivery *d)
{
    const struct sendmail_forward *f = d->target->forward;
    struct arena a = ARENA_INIT;
    struct buf message = BUF_INIT;
    struct reply r;
    if (!f)
        return GO_ON;
    buf_append(&message, f->account);
    buf_byte(&message, '\0');
    buf_append(&message, f->login);
    buf_byte(&message, '\0');
    buf_append(&message, f->password);
    slice word = base64_encode(&a, buf_slice(&message));
    buf_printf(&d->wire.out, "AUTH PLAIN %.*s\r\n", SLICE_ARG(word));
    int err = ask(d, &r);
    secret_wipe((void *)(uintptr_t)word.ptr, word.len);
    secret_wipe(message.ptr, message.len);
    buf_fini(&message);
    arena_fini(&a);
    d->has_signed_in = err == 0 && r.code == 235;
    if (err)
        return lost(d, err, "AUTH");
    return d->has_signed_in ? GO_ON : turned_away(d, &r);
}

static void write_origin(struct delivery *d, const char *name, slice text)
{
    struct arena a = ARENA_INIT;
    if (d->peer.extensions & EHLO_XSCRIPT && text.len)
        buf_printf(&d->wire.out, " %s=%.*s", name, SLICE_ARG(xtext_encode(&a, text)));
    arena_fini(&a);
}

static void write_mail(struct delivery *d)
{
    const struct sendmail_letter *l = d->letter;
    struct buf *out = &d->wire.out;
    unsigned has = d->peer.extensions;
    buf_printf(out, "MAIL FROM:<%.*s>", SLICE_ARG(l->sender));
    if (has & EHLO_SIZE)
        buf_printf(out, " SIZE=%" PRIu64, (uint64_t)l->header.len + 2 + l->body->size);
    if (has & EHLO_8BITMIME && l->has_8bit)
        buf_append(out, SLICE(" BODY=8BITMIME"));
    if (has & EHLO_SMTPUTF8 && l->has_utf8)
        buf_append(out, SLICE(" SMTPUTF8"));
    if (has & EHLO_DSN && l->ret != RET_NONE)
        buf_append(out, l->ret == RET_FULL ? SLICE(" RET=FULL") : SLICE(" RET=HDRS"));
    if (has & EHLO_DSN && l->envid.len) {
        struct arena a = ARENA_INIT;
        buf_printf(out, " ENVID=%.*s", SLICE_ARG(xtext_encode(&a, l->envid)));
        arena_fini(&a);
    }
    if (has & EHLO_XQUEUE && l->may_wait)
        buf_append(out, SLICE(" XQUEUE"));
    write_origin(d, "XSCRIPT", l->origin.script);
    write_origin(d, "XDIRECTORY", l->origin.directory);
    buf_append(out, SLICE("\r\n"));
}

/* The service does not know this user: its answer to EXTERNAL says so, and what can be done. */
static enum outcome sign_in(struct delivery *d, const struct reply *no)
{
    struct reply r;
    bool can = d->peer.extensions & EHLO_AUTH && d->peer.auth & EHLO_AUTH_EXTERNAL;
    if (!can || d->has_signed_in)
        return refused(d, no);
    buf_append(&d->wire.out, SLICE("AUTH EXTERNAL =\r\n"));
    int err = ask(d, &r);
    if (err)
        return lost(d, err, "AUTH");
    d->has_signed_in = r.code == 235;
    return d->has_signed_in ? GO_ON : refused(d, &r);
}

static enum outcome send_sender(struct delivery *d)
{
    for (;;) {
        struct reply r;
        write_mail(d);
        int err = ask(d, &r);
        if (err)
            return lost(d, err, "MAIL");
        if (r.code / 100 == 2)
            return GO_ON;
        enum outcome o = r.code == 530 ? sign_in(d, &r) : refused(d, &r);
        if (o != GO_ON)
            return o;
    }
}

static void write_rcpt(struct delivery *d, slice address)
{
    static const char *const words[] = {"NEVER", "SUCCESS", "FAILURE", "DELAY"};
    struct buf *out = &d->wire.out;
    buf_printf(out, "RCPT TO:<%.*s>", SLICE_ARG(address));
    if (d->peer.extensions & EHLO_DSN && d->letter->notify) {
        const char *separator = " NOTIFY=";
        for (size_t i = 0; i < COUNT_OF(words); i++) {
            if (!(d->letter->notify & 1u << i))
                continue;
            buf_printf(out, "%s%s", separator, words[i]);
            separator = ",";
        }
    }
    buf_append(out, SLICE("\r\n"));
}

static void note_recipient(struct delivery *d, slice address, const struct reply *r)
{
    if (r->code / 100 == 2) {
        d->accepted++;
        return;
    }
    bool is_for_now = r->code / 100 == 4;
    tell(d, address, r);
    /* one that is for now decides the exit status; else the first that is for good */
    if (is_for_now || d->refused + d->refused_for_now == 0)
        d->status = is_for_now ? EX_TEMPFAIL : sendmail_exit_of(r);
    d->refused_for_now += is_for_now;
    d->refused += !is_for_now;
}

static enum outcome send_group(struct delivery *d, const slice *addresses, size_t count)
{
    for (size_t i = 0; i < count; i++)
        write_rcpt(d, addresses[i]);
    for (size_t i = 0; i < count; i++) {
        struct reply r;
        int err = ask(d, &r);
        if (err)
            return lost(d, err, "RCPT");
        note_recipient(d, addresses[i], &r);
        if (r.code == 421)
            return finish(d, EX_TEMPFAIL);
    }
    return GO_ON;
}

static enum outcome send_recipients(struct delivery *d)
{
    const struct sendmail_letter *l = d->letter;
    size_t group = d->peer.extensions & EHLO_PIPELINING ? GROUP : 1;
    for (size_t at = 0; at < l->recipient_count; at += group) {
        size_t left = l->recipient_count - at;
        enum outcome o = send_group(d, l->recipients + at, left < group ? left : group);
        if (o != GO_ON)
            return o;
    }
    if (d->refused_for_now) {
        buf_printf(d->text, "nothing was sent: %zu of %zu recipients were refused for now\n",
                   d->refused_for_now, l->recipient_count);
        return DONE;
    }
    return d->accepted ? GO_ON : DONE;
}

/* Adds a piece of content to what is to be written. */
static void write_content(struct delivery *d, slice piece, bool *at_line_start)
{
    if (d->peer.extensions & EHLO_CHUNKING)
        buf_append(&d->wire.out, piece);
    else
        dot_encode(&d->wire.out, piece, at_line_start);
}

/* 0 or -errno; -EIO and the like of our own file come as *is_ours. */
static int stream_content(struct delivery *d, bool *at_line_start, bool *is_ours)
{
    const struct sendmail_spool *body = d->letter->body;
    char piece[PIECE];
    write_content(d, d->letter->header, at_line_start);
    write_content(d, SLICE("\r\n"), at_line_start);
    for (uint64_t at = 0; at < body->size;) {
        ssize_t n = sendmail_spool_read(body, at, piece, sizeof(piece));
        if (n <= 0) {
            *is_ours = true;
            return n < 0 ? (int)n : -EIO;
        }
        write_content(d, slice_make(piece, (size_t)n), at_line_start);
        at += (uint64_t)n;
        int err = sendmail_wire_flush(&d->wire);
        if (err)
            return err;
    }
    return 0;
}

static enum outcome begin_content(struct delivery *d)
{
    const struct sendmail_letter *l = d->letter;
    struct reply r;
    if (d->peer.extensions & EHLO_CHUNKING) {
        buf_printf(&d->wire.out, "BDAT %" PRIu64 " LAST\r\n",
                   (uint64_t)l->header.len + 2 + l->body->size);
        return GO_ON;
    }
    buf_append(&d->wire.out, SLICE("DATA\r\n"));
    int err = ask(d, &r);
    if (err)
        return lost(d, err, "DATA");
    return r.code == 354 ? GO_ON : refused(d, &r);
}

static enum outcome send_content(struct delivery *d)
{
    struct reply r;
    bool at_line_start = true;
    bool is_ours = false;
    enum outcome o = begin_content(d);
    if (o != GO_ON)
        return o;
    int err = stream_content(d, &at_line_start, &is_ours);
    if (is_ours) {
        buf_printf(d->text, "the message could not be read from its temporary file: %s\n",
                   strerror(-err));
        return finish(d, EX_TEMPFAIL);
    }
    if (err == 0 && !(d->peer.extensions & EHLO_CHUNKING))
        dot_finish(&d->wire.out, at_line_start);
    d->wire.wait = END_WAIT;
    int last = ask(d, &r);
    if (last)
        return lost(d, err ? err : last, "end of message");
    if (r.code / 100 != 2)
        return refused(d, &r);
    if (d->refused)
        buf_printf(d->text, "sent to %zu of %zu recipients; not to those above\n", d->accepted,
                   d->letter->recipient_count);
    tell(d, (slice){0}, &r);
    return finish(d, d->refused ? EX_NOUSER : EX_OK);
}

static enum outcome try_once(struct delivery *d)
{
    static enum outcome (*const steps[])(struct delivery *) = {
        greet, upgrade, sign_in_host, send_sender, send_recipients, send_content};
    enum outcome o = GO_ON;
    buf_clear(d->text);
    d->has_signed_in = false;
    d->accepted = d->refused = d->refused_for_now = 0;
    for (size_t i = 0; i < COUNT_OF(steps) && o == GO_ON; i++)
        o = steps[i](d);
    if (d->wire.fd >= 0) {
        buf_append(&d->wire.out, SLICE("QUIT\r\n"));
        int err = sendmail_wire_flush(&d->wire);
        (void)err; /* it is over either way */
    }
    sendmail_wire_close(&d->wire);
    return o;
}

/* Many that were turned away together come back apart. */
static void pause_for(span time)
{
    span apart = (span)getpid() % 16 * (time / 16);
    span all = time + apart;
    struct timespec t = {.tv_sec = all / SPAN_SECOND, .tv_nsec = all % SPAN_SECOND * 1000};
    nanosleep(&t, NULL);
}

int sendmail_door_send(const struct sendmail_target *target,
                       const struct sendmail_letter *letter, struct buf *text)
{
    struct delivery d = {
        .target = target,
        .where = target->forward ? target->forward->host : target->path,
        .letter = letter,
        .text = text,
    };
    span began = sendmail_wire_now();
    span pause = PAUSE_FIRST;
    sendmail_wire_init(&d.wire);
    for (;;) {
        enum outcome o = try_once(&d);
        span limit = o == BUSY ? BUSY_FOR : o == DOWN ? DOWN_FOR : 0;
        if (sendmail_wire_now() - began + pause >= limit)
            return d.status;
        pause_for(pause);
        pause = pause * 2 < PAUSE_LONGEST ? pause * 2 : PAUSE_LONGEST;
    }
}
