#include "smtpd/session_internal.h"

#include "base/log.h"

#include <stdlib.h>

enum {
    KEPT_MAX = 256 * 1024, /* bounds what a stream may offer on top of an unfinished line */
    OUT_KEPT = 256,        /* an idle session holds no larger reply buffer than this */
};

struct session *session_of(struct list *node)
{
    return LIST_ITEM(node, struct session, node);
}

/* The last step of every session. */
static void session_end(struct session *s, bool flush)
{
    struct worker *w = s->worker;
    log_debug("session-ends", LOG_ID("session", s->id), LOG_S("client", slice_of(s->client)));
    timer_cancel(&s->timer);
    stream_close(&s->stream, flush);
    session_leave(s);
    submission_free(&s->dialog);
    buf_fini(&s->kept);
    settings_unref(&s->settings);
    worker_remove(w, &s->node);
    free(s);
}

/* Counts and logs each refusal among the replies. */
static void note_refusals(const struct session *s, slice replies)
{
    slice line;
    while (slice_split(&replies, '\n', &line)) {
        bool refuses = line.len > 4 && (line.ptr[0] == '4' || line.ptr[0] == '5');
        if (!refuses || line.ptr[3] != ' ')
            continue;
        atomic_fetch_add(&s->worker->service->stats->refused, 1);
        log_info("refused", LOG_ID("session", s->id), LOG_S("client", slice_of(s->client)),
                 LOG_I("account", s->account), LOG_S("reply", slice_to(line, line.len - 1)));
    }
}

static void write_replies(struct session *s)
{
    struct buf *out = submission_out(s->dialog);
    if (out->len == 0)
        return;
    s->has_answered = true;
    note_refusals(s, buf_slice(out));
    if (!stream_write(s->stream, buf_slice(out))) {
        s->is_stalled = true;
        stream_pause(s->stream);
    }
    buf_consume(out, out->len);
    if (out->cap > OUT_KEPT)
        buf_fini(out);
}

static void arm_timer(struct session *s)
{
    span due = deadline_due(&s->deadline);
    if (due == STAMP_NEVER || due >= s->timer_due)
        return; /* a timer that fires too early looks again */
    s->timer_due = due;
    timer_set(&s->timer, due - loop_time(s->worker->loop));
}

static void update_deadline(struct session *s)
{
    struct deadline_facts facts = {
        .wait = s->is_handshaking ? SUBMISSION_WAIT_COMMAND : submission_waits(s->dialog),
        .has_answered = s->has_answered,
        .is_in_message = s->message && !message_is_committing(s->message),
        .octets = s->body_octets,
    };
    s->has_answered = false;
    deadline_update(&s->deadline, &s->settings->deadlines, loop_time(s->worker->loop), &facts);
    arm_timer(s);
}

static void start_tls(struct session *s)
{
    s->starts_tls = false;
    s->is_handshaking = true;
    stream_start_tls(s->stream, s->settings->tls, NULL);
}

/* Ends a turn: writes the replies, and does what comes after them. False: the session is gone.
 */
static bool settle(struct session *s)
{
    write_replies(s);
    if (s->ends) {
        session_end(s, true);
        return false;
    }
    if (s->starts_tls)
        start_tls(s);
    update_deadline(s);
    return true;
}

static bool may_take(const struct session *s)
{
    return !s->ends && !s->starts_tls && !s->is_stalled && submission_wants_input(s->dialog);
}

static void take_command_or_body(struct session *s, slice in, size_t *used)
{
    if (submission_waits(s->dialog) == SUBMISSION_WAIT_COMMAND) {
        session_refresh_account(s);
        session_perform(s);
        if (!may_take(s))
            return;
    }
    bool was_body = submission_waits(s->dialog) == SUBMISSION_WAIT_BODY;
    *used = submission_input(s->dialog, in);
    bool is_body = submission_waits(s->dialog) == SUBMISSION_WAIT_BODY;
    if (was_body || is_body || s->message)
        s->body_octets += *used; /* with the commands among them: they are few */
    if (s->message)
        message_hold(s->message, submission_transaction(s->dialog)->octets);
    session_perform(s);
}

/* Gives input to the machine as long as it wants some; how many bytes it used. */
static size_t feed(struct session *s, slice in)
{
    size_t used = 0;
    s->is_in_turn = true;
    session_perform(s);
    while (used < in.len && may_take(s)) {
        size_t step = 0;
        take_command_or_body(s, slice_from(in, used), &step);
        if (step == 0)
            break;
        used += step;
    }
    s->is_in_turn = false;
    return used;
}

static void feed_kept(struct session *s)
{
    size_t used = feed(s, buf_slice(&s->kept));
    buf_consume(&s->kept, used);
    if (s->kept.len == 0)
        buf_fini(&s->kept);
    else if (!submission_wants_input(s->dialog))
        stream_pause(s->stream); /* what is kept must not grow meanwhile */
}

/* A line that has not ended is kept here; what must wait for an answer stays in the stream. */
static size_t on_data(void *ctx, slice bytes)
{
    struct session *s = ctx;
    size_t used = bytes.len;
    if (s->kept.len > 0) {
        buf_append(&s->kept, bytes);
        feed_kept(s);
    } else {
        used = feed(s, bytes);
        if (used < bytes.len && may_take(s)) {
            buf_append(&s->kept, slice_from(bytes, used));
            used = bytes.len;
        }
    }
    bool has_surplus = used < bytes.len || s->kept.len > 0;
    if (s->kept.error || (s->starts_tls && has_surplus)) {
        session_end(s, false); /* no memory, or bytes before TLS that nobody has refused */
        return bytes.len;
    }
    settle(s);
    return used;
}

static void go_on(struct session *s)
{
    if (s->kept.len > 0)
        feed_kept(s);
    else
        feed(s, (slice){0});
    if (settle(s) && !s->is_stalled && !s->is_handshaking && submission_wants_input(s->dialog))
        stream_resume(s->stream);
}

void session_answered(struct session *s)
{
    if (!s->is_in_turn)
        go_on(s);
}

static void on_drain(void *ctx)
{
    struct session *s = ctx;
    if (!s->is_stalled)
        return;
    s->is_stalled = false;
    go_on(s);
}

static void on_end(void *ctx, int err)
{
    struct session *s = ctx;
    if (s->dialog) {
        submission_gone(s->dialog);
        s->is_in_turn = true;
        session_perform(s);
        s->is_in_turn = false;
    }
    if (err < 0)
        log_debug("connection-lost", LOG_ID("session", s->id), LOG_E("error", err));
    session_end(s, false);
}

static void greet(struct session *s)
{
    struct arena arena = ARENA_INIT;
    struct account account;
    struct reply refusal;
    struct submission_peer peer = {
        .client = slice_of(s->client),
        .account = session_arrive(s, &arena, &account, &refusal),
        .tls = stream_is_tls(s->stream),
        .tls_text = slice_of(s->tls_text),
    };
    s->dialog = submission_new(&s->door->config, &peer);
    arena_fini(&arena);
    submission_start(s->dialog, &refusal);
    go_on(s);
}

static void note_tls(struct session *s)
{
    struct arena arena = ARENA_INIT;
    slice text = slice_to(stream_tls_text(s->stream, &arena), sizeof(s->tls_text) - 1);
    if (text.len > 0)
        memcpy(s->tls_text, text.ptr, text.len);
    arena_fini(&arena);
}

static void on_tls(void *ctx, int err)
{
    struct session *s = ctx;
    s->is_handshaking = false;
    if (err < 0) {
        log_info("tls-failed", LOG_ID("session", s->id), LOG_S("client", slice_of(s->client)),
                 LOG_C("reason", stream_error_text(s->stream)));
        if (s->dialog)
            submission_gone(s->dialog);
        session_end(s, false);
        return;
    }
    note_tls(s);
    if (!s->dialog) {
        greet(s);
        return;
    }
    submission_tls_started(s->dialog, 0, slice_of(s->tls_text));
    session_answered(s);
}

static void on_timer(void *ctx)
{
    struct session *s = ctx;
    s->timer_due = STAMP_NEVER;
    if (loop_time(s->worker->loop) < deadline_due(&s->deadline)) {
        arm_timer(s);
        return;
    }
    log_info("session-timeout", LOG_ID("session", s->id), LOG_S("client", slice_of(s->client)));
    if (s->is_handshaking) {
        session_end(s, false);
        return;
    }
    submission_timeout(s->dialog);
    go_on(s);
}

static const struct stream_events session_events = {
    .on_data = on_data,
    .on_drain = on_drain,
    .on_tls = on_tls,
    .on_end = on_end,
};

static struct session *session_new(struct worker *w, const struct session_origin *o)
{
    struct service *service = w->service;
    struct session *s = xcalloc(1, sizeof(*s));
    s->worker = w;
    s->settings = settings_ref(o->settings);
    s->door = o->door;
    s->kept = BUF_BOUNDED(KEPT_MAX);
    s->id = id_next(&service->ids, env_now(service->env));
    s->peer = *o->peer;
    s->entry = o->entry;
    local_client_text(&s->peer, s->client);
    timer_init(&s->timer, w->loop, on_timer, s);
    s->timer_due = STAMP_NEVER;
    deadline_init(&s->deadline, &s->settings->deadlines, loop_time(w->loop));
    list_init(&s->node);
    worker_add(w, &s->node);
    return s;
}

void session_begin(struct worker *w, int fd, const struct session_origin *o)
{
    struct session *s = session_new(w, o);
    log_debug("session-begins", LOG_ID("session", s->id), LOG_S("client", slice_of(s->client)),
              LOG_S("listener", s->door->name));
    s->stream = stream_accept(w->loop, fd, &session_events, s);
    if (!s->stream) {
        session_end(s, false);
        return;
    }
    if (s->door->config.tls != SUBMISSION_TLS_IMPLICIT) {
        greet(s);
        return;
    }
    start_tls(s);
    arm_timer(s);
}

void session_shutdown(struct session *s)
{
    if (!s->dialog) {
        session_end(s, false);
        return;
    }
    submission_shutdown(s->dialog);
    go_on(s);
}

void session_cut(struct session *s)
{
    session_end(s, false);
}
