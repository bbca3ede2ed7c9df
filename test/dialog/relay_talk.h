/* relay_talk: an owner for relay machines under test. It performs every effect at once, writes
 * what happened as text, and counts what must hold of every conversation: one verdict for each
 * recipient, given before DONE, nothing after CLOSE.
 *
 * Events: "tls", "ready", "body", "done", "close", and for a verdict
 * "RECIPIENT=CELL@STAGE/CODE" ("0=Cm-2.0.0@END/250"), where the cell is next (Continue,
 * Address, Retry, Fail, Plain), scope (recipient, message, site), "!" when it closes, and the
 * status; a fault stands as its number behind "#" in place of the code. */
#ifndef TEST_DIALOG_RELAY_TALK_H
#define TEST_DIALOG_RELAY_TALK_H

#include "dialog/relay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { TALK_RECIPIENTS_MAX = 8, TALK_BODY_STEP = 7 };

struct talk {
    struct relay *r;
    const struct relay_config *config;
    const struct relay_message *messages;
    size_t message_count;
    size_t given; /* messages handed over */
    slice body;
    int body_err;
    int tls_err;
    bool keeps_open; /* no QUIT after the last message */
    struct buf sent;
    struct buf events;
    unsigned verdicts[TALK_RECIPIENTS_MAX]; /* of the current message */
    unsigned delivered;                     /* of all messages */
    bool is_busy;                           /* between a message and its DONE */
    bool is_closed;
    struct relay_effect last; /* verdict */
};

static const char *const talk_stages[STAGE_COUNT] = {
    "RESOLVE", "CONNECT", "GREETING", "EHLO", "STARTTLS", "TLS",  "AUTH",
    "MAIL",    "RCPT",    "DATA",     "BODY", "END",      "LOCAL"};

static inline void talk_event(struct talk *t, const char *word)
{
    buf_printf(&t->events, "%s%s", t->events.len ? " " : "", word);
}

static inline void talk_verdict(struct talk *t, const struct relay_effect *e)
{
    const struct outcome *o = &e->outcome;
    assert_true(t->is_busy && e->recipient < t->messages[t->given - 1].recipient_count);
    assert_int_equal(++t->verdicts[e->recipient], 1);
    assert_true(o->next == NEXT_CONTINUE ? e->stage == STAGE_END && e->fault == FAULT_NONE &&
                                               e->reply.code / 100 == 2
                                         : true);
    assert_true((e->reply.code == 0) == (e->fault != FAULT_NONE));
    t->delivered += o->next == NEXT_CONTINUE;
    char text[64];
    int n = snprintf(text, sizeof(text), "%u=%c%c%c%u.%u.%u@%s", e->recipient, "CARFP"[o->next],
                     "rms"[o->scope], o -> close ? '!' : '-', o->status.class,
                     o->status.subject, o->status.detail, talk_stages[e->stage]);
    snprintf(text + n, sizeof(text) - (size_t)n, e->fault ? "#%u" : "/%u",
             e->fault ? e->fault : e->reply.code);
    talk_event(t, text);
    t->last = *e;
}

static inline void talk_body(struct talk *t)
{
    talk_event(t, "body");
    for (slice rest = t->body; rest.len; rest = slice_from(rest, TALK_BODY_STEP))
        relay_body(t->r, slice_to(rest, TALK_BODY_STEP));
    relay_body_end(t->r, t->body_err);
}

static inline void talk_ready(struct talk *t)
{
    talk_event(t, "ready");
    assert_false(t->is_busy);
    if (t->given < t->message_count) {
        memset(t->verdicts, 0, sizeof(t->verdicts));
        t->is_busy = true;
        relay_message(t->r, &t->messages[t->given++]);
    } else if (!t->keeps_open) {
        relay_quit(t->r);
    }
}

static inline void talk_done(struct talk *t)
{
    talk_event(t, "done");
    assert_true(t->is_busy);
    t->is_busy = false;
    for (size_t i = 0; i < t->messages[t->given - 1].recipient_count; i++)
        assert_int_equal(t->verdicts[i], 1);
}

/* Performs all effects, then takes what is in out. */
static inline void talk_pump(struct talk *t)
{
    struct relay_effect e;
    while (relay_effect(t->r, &e)) {
        assert_false(t->is_closed);
        switch (e.kind) {
        case RELAY_START_TLS:
            talk_event(t, "tls");
            buf_append(&t->sent, buf_slice(relay_out(t->r)));
            buf_clear(relay_out(t->r));
            buf_append(&t->sent, SLICE("<tls>"));
            relay_tls_started(t->r, t->tls_err);
            break;
        case RELAY_READY:
            talk_ready(t);
            break;
        case RELAY_BODY:
            talk_body(t);
            break;
        case RELAY_VERDICT:
            talk_verdict(t, &e);
            break;
        case RELAY_DONE:
            talk_done(t);
            break;
        case RELAY_CLOSE:
            talk_event(t, "close");
            assert_false(t->is_busy);
            t->is_closed = true;
            break;
        }
    }
    struct buf *out = relay_out(t->r);
    assert_int_equal(out->error, 0);
    buf_append(&t->sent, buf_slice(out));
    buf_clear(out);
}

static inline void talk_open(struct talk *t)
{
    t->r = relay_new(t->config);
    relay_connected(t->r);
    talk_pump(t);
}

static inline void talk_close(struct talk *t)
{
    relay_free(&t->r);
    assert_null(t->r);
    buf_fini(&t->sent);
    buf_fini(&t->events);
}

/* What the host sends, at once or byte by byte; "!closed" and "!timeout" are what they say. */
static inline void talk_hear(struct talk *t, slice bytes, bool is_trickled)
{
    if (slice_eq(bytes, SLICE("!closed")) || slice_eq(bytes, SLICE("!timeout"))) {
        relay_failed(t->r, bytes.ptr[1] == 'c' ? FAULT_CLOSED : FAULT_TIMEOUT);
        talk_pump(t);
        return;
    }
    size_t step = is_trickled ? 1 : bytes.len;
    for (; bytes.len; bytes = slice_from(bytes, step)) {
        relay_input(t->r, slice_to(bytes, step));
        talk_pump(t);
    }
}

#endif
