#include "dialog/relay_machine.h"
#include "dialog/relay_write.h"

#include "codec/dot.h"

#include <errno.h>
#include <stdlib.h>

enum {
    INPUT_MAX = 1 << 20,                                 /* between two rounds of effects */
    REPLY_OCTETS_MAX = REPLY_LINES_MAX * REPLY_LINE_MAX, /* of one reply */
};

/* Where a failure of each state belongs, and whose deadline runs; AT_ENVELOPE has its steps. */
static const uint8_t stages[] = {
    [AT_START] = STAGE_CONNECT, [AT_GREETING] = STAGE_GREETING, [AT_EHLO] = STAGE_EHLO,
    [AT_HELO] = STAGE_EHLO,     [AT_STARTTLS] = STAGE_STARTTLS, [AT_TLS] = STAGE_TLS,
    [AT_AUTH] = STAGE_AUTH,     [AT_READY] = STAGE_LOCAL,       [AT_ENVELOPE] = STAGE_MAIL,
    [AT_CONTENT] = STAGE_BODY,  [AT_END] = STAGE_END,           [AT_VOID_END] = STAGE_END,
    [AT_RESET] = STAGE_MAIL,    [AT_QUIT] = STAGE_CONNECT,      [AT_CLOSED] = STAGE_LOCAL,
};
static const uint8_t step_stages[] = {
    [STEP_MAIL] = STAGE_MAIL,
    [STEP_RCPT] = STAGE_RCPT,
    [STEP_DATA] = STAGE_DATA,
};

struct relay *relay_new(const struct relay_config *config)
{
    struct relay *r = xcalloc(1, sizeof(*r));
    r->config = config;
    r->in.max = INPUT_MAX;
    r->site.status.class = 2;
    reply_parser_init(&r->parser);
    return r;
}

void relay_free(struct relay **r)
{
    if (!*r)
        return;
    buf_fini(&(*r)->out);
    buf_fini(&(*r)->in);
    arena_fini(&(*r)->arena);
    free((*r)->marks);
    free(*r);
    *r = NULL;
}

struct buf *relay_out(struct relay *r)
{
    return &r->out;
}

const struct ehlo *relay_peer(const struct relay *r)
{
    return &r->peer;
}

uint64_t relay_replies(const struct relay *r)
{
    return r->replies;
}

enum relay_stage relay_waits(const struct relay *r)
{
    if (r->state == AT_ENVELOPE)
        return step_stages[r->step];
    return stages[r->state];
}

struct outcome relay_site_outcome(const struct relay *r, enum relay_stage *stage,
                                  struct reply *reply)
{
    *stage = r->site_stage;
    *reply = r->site_reply;
    return r->site;
}

enum relay_fault relay_site_fault(const struct relay *r)
{
    return r->site_fault;
}

bool relay_has_input(const struct relay *r)
{
    return r->in_at < r->in.len || r->reply_octets > 0;
}

void relay_drop_input(struct relay *r)
{
    buf_clear(&r->in);
    r->in_at = 0;
    r->reply_octets = 0;
    reply_parser_init(&r->parser);
}

void relay_send(struct relay *r, enum relay_state next, slice verb, slice argument)
{
    relay_write_command(&r->out, verb, argument);
    r->state = next;
}

void relay_close(struct relay *r, bool with_quit)
{
    if (r->state >= AT_ENVELOPE && r->state < AT_RESET)
        r->due |= DUE_DONE;
    r->due |= DUE_CLOSE;
    if (with_quit)
        relay_send(r, AT_CLOSED, SLICE("QUIT"), SLICE(""));
    else
        buf_clear(&r->out);
    r->state = AT_CLOSED;
}

void relay_stand_by(struct relay *r)
{
    uint32_t most = r->peer.extensions & EHLO_LIMITS ? r->peer.mail_max : 0;
    if (most && r->transactions >= most) {
        relay_send(r, AT_QUIT, SLICE("QUIT"), SLICE(""));
        return;
    }
    r->state = AT_READY;
    r->due |= DUE_READY;
}

void relay_connected(struct relay *r)
{
    INVARIANT(r->state == AT_START);
    r->state = AT_GREETING;
    if (r->config->tls == RELAY_TLS_IMPLICIT) {
        r->state = AT_TLS;
        r->due |= DUE_TLS;
    }
}

void relay_tls_started(struct relay *r, int err)
{
    if (r->state == AT_CLOSED)
        return;
    INVARIANT(r->state == AT_TLS);
    relay_drop_input(r);
    if (err) {
        r->fault = err == -ENOMEM ? FAULT_LOCAL : FAULT_TLS;
        return;
    }
    r->is_tls = true;
    if (r->config->tls == RELAY_TLS_IMPLICIT)
        r->state = AT_GREETING;
    else
        relay_signon_greet(r);
}

void relay_message(struct relay *r, const struct relay_message *m)
{
    INVARIANT(r->state == AT_READY);
    bool has_spoken = relay_has_input(r);
    r->message = m;
    relay_transaction_begin(r);
    /* What the host said before it was asked cannot be a reply to MAIL; on a kept connection it
     * was saying good-bye. */
    if (has_spoken && r->state == AT_ENVELOPE) {
        relay_drop_input(r);
        r->fault = r->transactions > 1 ? FAULT_CLOSED : FAULT_GARBAGE;
    }
}

void relay_body(struct relay *r, slice bytes)
{
    if (r->state != AT_CONTENT)
        return;
    if (r->is_chunked && bytes.len <= r->left) {
        buf_append(&r->out, bytes);
        r->left -= bytes.len;
    } else if (r->is_chunked) {
        r->is_cut = true; /* more than was announced would be read as commands */
    } else {
        dot_encode(&r->out, bytes, &r->at_line_start);
    }
    /* Kept here, since the owner clears out: a gap must never be followed by a final dot. */
    if (r->out.error)
        r->is_cut = true;
}

void relay_body_end(struct relay *r, int err)
{
    if (r->state != AT_CONTENT || r->fault != FAULT_NONE)
        return;
    if (err || r->is_cut || (r->is_chunked && r->left > 0)) {
        r->fault = FAULT_LOCAL;
        return;
    }
    /* The host has spoken before the end: that is no reply to it, and no end is sent. */
    if (relay_has_input(r)) {
        r->fault = FAULT_GARBAGE;
        return;
    }
    if (!r->is_chunked)
        dot_finish(&r->out, r->at_line_start);
    if (r->out.error)
        r->fault = FAULT_LOCAL;
    else
        r->state = AT_END;
}

void relay_quit(struct relay *r)
{
    if (r->state == AT_CLOSED)
        return;
    INVARIANT(r->state == AT_READY);
    relay_send(r, AT_QUIT, SLICE("QUIT"), SLICE(""));
}

void relay_input(struct relay *r, slice bytes)
{
    if (r->state != AT_CLOSED)
        buf_append(&r->in, bytes);
}

void relay_failed(struct relay *r, enum relay_fault fault)
{
    INVARIANT(fault > FAULT_NONE && fault < FAULT_COUNT);
    if (r->fault == FAULT_NONE)
        r->fault = fault;
}

static void fail(struct relay *r, enum relay_fault fault)
{
    r->fault = FAULT_NONE;
    if (r->state < AT_READY)
        relay_signon_failed(r, fault);
    else if (r->state == AT_READY || r->state == AT_QUIT)
        relay_close(r, false);
    else
        relay_transaction_failed(r, fault);
}

static void on_ehlo_line(void *ctx, slice text)
{
    struct relay *r = ctx;
    /* The first line is the host's name and whatever it has to say. */
    if (r->state == AT_EHLO && r->ehlo_lines++ > 0)
        ehlo_line(&r->peer, text);
}

/* The next reply out of what came in, bounded. */
static enum reply_result read_reply(struct relay *r)
{
    slice rest = slice_from(buf_slice(&r->in), r->in_at);
    if (r->in.error)
        return REPLY_BAD;
    if (rest.len == 0)
        return REPLY_MORE;
    enum reply_result result = reply_parse(&r->parser, &rest, &r->reply, on_ehlo_line, r);
    size_t used = r->in.len - r->in_at - rest.len;
    r->in_at += used;
    r->reply_octets += used;
    if (rest.len == 0) {
        buf_clear(&r->in);
        r->in_at = 0;
    }
    if (r->reply_octets > REPLY_OCTETS_MAX)
        return REPLY_BAD;
    if (result != REPLY_DONE)
        return result;
    r->reply_octets = 0;
    r->replies++;
    return result;
}

static void react(struct relay *r)
{
    bool was_piped = r->state == AT_ENVELOPE && r->is_piped && r->step != STEP_DATA;
    if (r->state < AT_READY)
        relay_signon_reply(r);
    else if (r->state == AT_READY || r->state == AT_QUIT)
        relay_close(r, false); /* 421, or out of turn */
    else
        relay_transaction_reply(r);

    /* A good reply to a command that has not left yet belongs to nothing we said. Refusals may
     * come early: they end or refuse what was to follow. */
    bool awaits = r->state < AT_READY || r->state == AT_ENVELOPE || r->state == AT_VOID_END ||
                  r->state == AT_RESET;
    if (!awaits || was_piped || r->in_at == r->in.len)
        return;
    char first = r->in.ptr[r->in_at];
    if (first != '4' && first != '5') {
        relay_drop_input(r);
        r->fault = FAULT_GARBAGE;
    }
}

/* One thing that was noted is acted on; false when there is none. */
static bool advance(struct relay *r)
{
    if (r->state == AT_CLOSED)
        return false;
    if (r->out.error) {
        fail(r, FAULT_LOCAL);
        return true;
    }
    enum reply_result result = r->state == AT_START ? REPLY_MORE : read_reply(r);
    if (result == REPLY_DONE && r->state != AT_TLS) {
        react(r);
        return true;
    }
    if (result != REPLY_MORE) {
        fail(r, FAULT_GARBAGE);
        return true;
    }
    if (r->fault == FAULT_NONE)
        return false;
    fail(r, r->fault);
    return true;
}

static bool next_verdict(struct relay *r, struct relay_effect *out)
{
    while (r->sweep_at < r->sweep_end) {
        size_t i = r->sweep_at++;
        if (r->marks[i] == MARK_GIVEN)
            continue;
        r->marks[i] = MARK_GIVEN;
        *out = r->verdict;
        out->recipient = (uint32_t)i;
        return true;
    }
    return false;
}

static bool next_due(struct relay *r, struct relay_effect *out)
{
    static const struct {
        unsigned due;
        enum relay_effect_kind kind;
    } order[] = {{DUE_TLS, RELAY_START_TLS},
                 {DUE_BODY, RELAY_BODY},
                 {DUE_DONE, RELAY_DONE},
                 {DUE_READY, RELAY_READY},
                 {DUE_CLOSE, RELAY_CLOSE}};
    for (size_t i = 0; i < COUNT_OF(order); i++)
        if (r->due & order[i].due) {
            r->due &= ~order[i].due;
            *out = (struct relay_effect){.kind = order[i].kind};
            return true;
        }
    return false;
}

bool relay_effect(struct relay *r, struct relay_effect *out)
{
    do {
        if (next_verdict(r, out) || next_due(r, out))
            return true;
    } while (advance(r));
    return false;
}
