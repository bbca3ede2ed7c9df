#include "delivery/session.h"

#include "base/arena.h"
#include "base/log.h"
#include "base/secret.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* What a connection may send before it gives way to sites that wait for one. */
enum { FAIR_MESSAGES = 10 };
static const span QUIT_TIMEOUT = 5 * SPAN_SECOND;

static void step(struct session *s);

/* ---- what is in hand ---- */

static void leave_idle(struct session *s)
{
    if (list_is_empty(&s->idle))
        return;
    list_remove(&s->idle);
    list_remove(&s->pool_idle);
    s->site->idle_count--;
}

static void stand_idle(struct session *s)
{
    s->site->idle_count++;
    list_insert_before(s->site->idle.next, &s->idle);
    if (s->site->pool)
        list_push(&s->site->pool->idle, &s->pool_idle);
    timer_set(&s->timer, s->site->settings.idle_timeout);
}

static void drop_letter(struct session *s)
{
    letter_close(&s->letter);
    s->parcel = NULL;
    s->count = s->back_count = 0;
    s->is_streaming = false;
}

/* Takes what is next and reads it; false when there is nothing. */
static bool take_message(struct session *s)
{
    struct site *site = s->site;
    struct courier *c = site->courier;
    for (;;) {
        s->parcel = queue_take(c->queue, &site->destination,
                               site->settings.recipients_per_message, s->indexes, &s->count);
        if (!s->parcel)
            return false;
        int err = letter_open(&s->letter, &s->parcel->facts);
        if (err == 0)
            err = letter_recipients(&s->letter, s->indexes, s->count, s->recipients);
        if (err == 0)
            return true;
        courier_settle_unread(c, &site->settings.retry, s->parcel, s->indexes, s->count, err);
        drop_letter(s);
    }
}

/* The host is ready: the next message, or idleness, or good-bye. */
static void begin(struct session *s)
{
    struct site *site = s->site;
    bool is_in_the_way = site_is_in_the_way(site);
    bool may_more = s->messages < site->settings.messages_per_connection &&
                    (!is_in_the_way || s->messages < FAIR_MESSAGES);
    bool ends = site->is_closing || site->courier->is_draining || site->courier->is_held;
    bool has_work = !ends && may_more && site_may_begin(site) && take_message(s);
    if (!has_work && !ends && may_more && !is_in_the_way) {
        stand_idle(s);
        return;
    }
    if (!has_work) {
        s->is_quitting = true;
        relay_quit(s->relay);
        return;
    }
    s->slip = slip_new(site->courier->settle);
    letter_message(&s->letter, s->recipients, s->count, &s->message);
    relay_message(s->relay, &s->message);
}

/* ---- verdicts ---- */

/* What a fault means in words; a reply speaks for itself. */
static slice text_of(const struct session *s, const struct relay_effect *e, char *out,
                     size_t size)
{
    if (e->reply.code != 0 || e->fault == FAULT_NONE || e->reply.text.len > 0)
        return e->reply.text;
    const char *why = e->fault == FAULT_TLS && s->stream ? stream_error_text(s->stream) : NULL;
    int n = snprintf(out, size, "%s %s%s%s", fault_name(e->fault), stage_name(e->stage),
                     why ? ": " : "", why ? why : "");
    return slice_make(out, (size_t)n < size ? (size_t)n : size - 1);
}

static void note_failure(struct session *s, const struct outcome *o, enum relay_stage stage,
                         slice text)
{
    s->has_failure = true;
    int n = snprintf(s->failure_text, sizeof(s->failure_text), "%.*s",
                     SLICE_ARG(slice_to(text, SITE_TEXT_MAX)));
    s->failure = (struct site_failure){
        .outcome = *o,
        .stage = stage,
        .text = slice_make(s->failure_text, (size_t)n),
        .remote = slice_of(s->remote),
        .address = s->address,
        .round = s->round,
    };
}

/* Is this no attempt at all, to be made again at once: the kept connection was stale, there is
 * another address, or the host takes fewer recipients at a time? */
static bool goes_back(const struct session *s, const struct relay_effect *e)
{
    const struct outcome *o = &e->outcome;
    if (s->site->is_closing && o->next == NEXT_ADDRESS)
        return true;
    if (o->next == NEXT_ADDRESS && o->scope == SCOPE_MESSAGE)
        return true;
    if (o->next == NEXT_ADDRESS)
        return target_has_next(&s->site->target, s->address);
    return o->next == NEXT_RETRY && e->stage == STAGE_RCPT && e->fault == FAULT_CAPABILITY;
}

/* Will the host tell the sender what was asked for? */
static enum notify_taker taker_of(const struct session *s)
{
    return relay_peer(s->relay)->extensions & EHLO_DSN ? NOTIFY_TAKER_DSN
                                                       : NOTIFY_TAKER_WITHOUT;
}

static void on_verdict(struct session *s, const struct relay_effect *e)
{
    char words[SITE_TEXT_MAX];
    slice text = text_of(s, e, words, sizeof(words));
    INVARIANT(s->parcel && e->recipient < s->count);
    if (e->outcome.scope == SCOPE_SITE && e->outcome.next != NEXT_CONTINUE && !s->has_failure)
        note_failure(s, &e->outcome, e->stage, text);
    const struct relay_recipient *r = &s->recipients[e->recipient];
    if (goes_back(s, e)) {
        s->back[s->back_count++] = r->index;
        return;
    }
    struct attempt a = {
        .letter = &s->letter,
        .parcel = s->parcel,
        .recipient = r,
        .outcome = e->outcome,
        .stage = e->stage,
        .code = e->reply.code,
        .text = text,
        .remote = slice_of(s->remote),
        .taker = taker_of(s),
    };
    courier_settle(s->site->courier, &s->site->settings.retry, s->slip, &a);
}

static void finish_message(struct session *s)
{
    struct courier *c = s->site->courier;
    slip_set_tls(s->slip, slice_of(s->tls));
    courier_hand_in(c, s->slip, &s->letter, slice_of(s->remote));
    s->slip = NULL;
    queue_put_back(c->queue, s->parcel, s->back, s->back_count);
    drop_letter(s);
    s->messages++;
}

/* ---- the connection ---- */

static void session_free(struct session *s)
{
    struct site *site = s->site;
    leave_idle(s);
    list_remove(&s->node);
    if (!s->has_signed_on)
        site->opening--;
    timer_cancel(&s->timer);
    stream_close(&s->stream, true);
    relay_free(&s->relay);
    letter_fini(&s->letter);
    dane_unref(&s->dane);
    free(s->indexes);
    free(s->back);
    free(s->recipients);
    free(s);
    site_closed(site);
}

/* The last effect: tells the site why, if that says anything about it. */
static void end(struct session *s)
{
    struct site *site = s->site;
    if (!s->has_signed_on) {
        enum relay_stage stage;
        struct reply reply;
        char words[SITE_TEXT_MAX];
        struct outcome o = relay_site_outcome(s->relay, &stage, &reply);
        struct relay_effect e = {
            .stage = stage, .reply = reply, .fault = relay_site_fault(s->relay)};
        if (o.next != NEXT_CONTINUE)
            note_failure(s, &o, stage, text_of(s, &e, words, sizeof(words)));
        s->failure.is_local = e.fault == FAULT_LOCAL;
    }
    bool has_failure = s->has_failure;
    struct site_failure f = s->failure;
    char text[SITE_TEXT_MAX + 1], remote[SITE_REMOTE_MAX + 1];
    memcpy(text, s->failure_text, sizeof(text));
    memcpy(remote, s->remote, sizeof(remote));
    f.text = slice_of(text);
    f.remote = slice_of(remote);
    session_free(s);
    if (has_failure)
        site_failed(site, &f);
}

static void flush(struct session *s)
{
    struct buf *out = relay_out(s->relay);
    if (out->len == 0)
        return;
    /* What is broken takes no more of the body: its end will be told. */
    if (s->stream && (!stream_write(s->stream, buf_slice(out)) || stream_is_broken(s->stream)))
        s->is_blocked = true;
    if (!s->has_signed_on) /* it may have held the password */
        secret_wipe(out->ptr, out->len);
    buf_clear(out);
    if (out->cap > 2 * LETTER_PIECE)
        buf_fini(out);
}

/* False: the session is gone. */
static bool perform(struct session *s, const struct relay_effect *e)
{
    switch (e->kind) {
    case RELAY_START_TLS:
        flush(s);
        session_start_tls(s);
        return true;
    case RELAY_READY:
        if (!s->has_signed_on) {
            s->has_signed_on = true;
            s->site->opening--;
            site_reached(s->site);
        }
        begin(s);
        return true;
    case RELAY_BODY:
        s->is_streaming = true;
        return true;
    case RELAY_VERDICT:
        on_verdict(s, e);
        return true;
    case RELAY_DONE:
        finish_message(s);
        return true;
    case RELAY_CLOSE:
        flush(s);
        end(s);
        return false;
    }
    return true;
}

/* The next piece of the body, and its end with the last one, so that a message of one piece
 * leaves in one write. */
static void feed(struct session *s)
{
    slice piece;
    int more = letter_piece(&s->letter, &piece);
    if (more > 0)
        relay_body(s->relay, piece);
    if (more > 0 && s->letter.given < s->letter.size) {
        flush(s);
        return;
    }
    if (more < 0)
        log_error("message-unreadable", LOG_ID("id", s->letter.id), LOG_E("error", more));
    relay_body_end(s->relay, more < 0 ? more : 0);
    s->is_streaming = false;
    flush(s);
}

static span timeout_of(const struct session *s, enum relay_stage stage)
{
    const struct settings *x = &s->site->settings;
    if (s->is_quitting)
        return QUIT_TIMEOUT;
    switch (stage) {
    case STAGE_CONNECT:
        return s->has_signed_on ? QUIT_TIMEOUT : x->connect_timeout;
    case STAGE_BODY:
        return x->data_timeout;
    case STAGE_END:
        return x->end_timeout;
    default:
        return x->command_timeout;
    }
}

/* A deadline runs from when a stage begins, or from the last reply or piece that got through. A
 * line is none: whoever says "250-" every few minutes would keep us for hours. */
static void set_deadline(struct session *s)
{
    enum relay_stage stage = relay_waits(s->relay);
    uint64_t replies = relay_replies(s->relay);
    if (!list_is_empty(&s->idle))
        return;
    if (stage == s->stage && !s->has_news && replies == s->replies && heap_has(&s->timer.node))
        return;
    s->stage = stage;
    s->has_news = false;
    s->replies = replies;
    timer_set(&s->timer, timeout_of(s, stage));
}

/* Does all that can be done now. The session may be gone afterwards. */
static void step(struct session *s)
{
    struct relay_effect e;
    do {
        while (relay_effect(s->relay, &e))
            if (!perform(s, &e))
                return;
        if (!s->is_streaming || s->is_blocked)
            break;
        feed(s);
    } while (true);
    flush(s);
    set_deadline(s);
}

/* ---- what happens ---- */

static size_t on_data(void *ctx, slice bytes)
{
    struct session *s = ctx;
    relay_input(s->relay, bytes);
    leave_idle(s); /* whatever it says, it ends the idleness */
    step(s);
    return bytes.len;
}

static void on_drain(void *ctx)
{
    struct session *s = ctx;
    s->is_blocked = false;
    s->has_news = true;
    step(s);
}

static enum relay_fault fault_of(int err)
{
    switch (err) {
    case -ETIMEDOUT:
        return FAULT_TIMEOUT;
    case -EMFILE:
    case -ENFILE:
    case -ENOMEM:
    case -ENOBUFS:
    case -EADDRNOTAVAIL:
    case -EACCES:
    case -EPERM:
        return FAULT_LOCAL;
    case 0:
    case -ECONNRESET:
    case -EPIPE:
        return FAULT_CLOSED;
    case -EPROTO:
        return FAULT_TLS;
    default:
        return FAULT_REFUSED;
    }
}

static void on_connect(void *ctx, int err)
{
    struct session *s = ctx;
    if (err < 0) {
        relay_failed(s->relay, fault_of(err) == FAULT_CLOSED ? FAULT_REFUSED : fault_of(err));
    } else {
        relay_connected(s->relay);
        stream_resume(s->stream);
    }
    step(s);
}

static void on_tls(void *ctx, int err)
{
    struct session *s = ctx;
    relay_tls_started(s->relay, err);
    if (err == 0) {
        session_note_tls(s);
        stream_resume(s->stream);
    }
    step(s);
}

static void on_end(void *ctx, int err)
{
    struct session *s = ctx;
    leave_idle(s);
    relay_failed(s->relay, fault_of(err));
    step(s);
}

static const struct stream_events events = {
    .on_data = on_data,
    .on_drain = on_drain,
    .on_connect = on_connect,
    .on_tls = on_tls,
    .on_end = on_end,
};

static void on_timer(void *ctx)
{
    struct session *s = ctx;
    if (!list_is_empty(&s->idle)) {
        session_quit(s);
        return;
    }
    relay_failed(s->relay, FAULT_TIMEOUT);
    step(s);
}

void session_open(struct site *site, const struct target_address *to, unsigned index,
                  bool is_plain)
{
    struct courier *c = site->courier;
    struct session *s = xcalloc(1, sizeof(*s));
    uint32_t most = site->settings.recipients_per_message;
    char address[ADDRESS_TEXT_MAX];
    s->site = site;
    s->config = site->settings.relay;
    s->dane = dane_ref(to->dane);
    s->config.tls = session_tls(s);
    if (is_plain && s->config.tls == RELAY_TLS_OPPORTUNISTIC)
        s->config.tls = RELAY_TLS_NONE;
    s->relay = relay_new(&s->config);
    s->address = index;
    s->round = site->round;
    s->indexes = xcalloc(most, sizeof(*s->indexes));
    s->back = xcalloc(most, sizeof(*s->back));
    s->recipients = xcalloc(most, sizeof(*s->recipients));
    letter_init(&s->letter, c->env, c->store);
    timer_init(&s->timer, c->loop, on_timer, s);
    address_format(&to->address, address);
    memcpy(s->host, to->host, sizeof(s->host));
    snprintf(s->remote, sizeof(s->remote), "%.64s [%s]:%u", s->host, address,
             site->settings.port);
    list_init(&s->idle);
    list_init(&s->pool_idle);
    list_push(&site->sessions, &s->node);
    site_opened(site);
    atomic_fetch_add_explicit(&c->stats->connections_out, 1, memory_order_relaxed);
    s->stream = stream_connect(c->loop, &to->address, site->settings.port, &events, s);
    if (!s->stream)
        relay_failed(s->relay, fault_of(-errno));
    step(s);
}

void session_work(struct session *s)
{
    leave_idle(s);
    begin(s);
    step(s);
}

void session_quit(struct session *s)
{
    leave_idle(s);
    s->is_quitting = true;
    relay_quit(s->relay);
    step(s);
}

void session_abort(struct session *s)
{
    leave_idle(s);
    relay_failed(s->relay, FAULT_TIMEOUT);
    step(s);
}
