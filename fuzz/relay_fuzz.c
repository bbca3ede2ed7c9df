/* relay: a host that says anything. Each recipient gets one verdict, none is delivered unless
 * the host answered 2xx after it was sent the end of the content, the secret is never sent in
 * plain text unless it may be, and every conversation comes to its end.
 *
 * Three bytes choose the configuration, the messages and how input arrives. The rest is what
 * the host sends, but for control characters, which are what else happens: see happen(). */
#include "fuzz.h"

#include "dialog/relay.h"

#include <stdlib.h>

enum { RECIPIENTS = 5, MESSAGES = 3 };

static const struct relay_recipient recipients[RECIPIENTS] = {
    {SLICE_INIT("r0@y.test"), {NOTIFY_FAILURE, SLICE_INIT("rfc822;r0@y.test")}, 0},
    {SLICE_INIT("r1@y.test"), {0}, 1},
    {SLICE_INIT("\"r 2\"@y.test"), {NOTIFY_NEVER, {0}}, 2},
    {SLICE_INIT("r3@y.test"), {0}, 3},
    {SLICE_INIT("r4@y.test"), {0}, 4},
};

static const slice body = SLICE_INIT("Subject: x\r\n\r\n.\r\n..\r\nx.\r\n");

struct owner {
    struct relay *r;
    struct relay_config config;
    struct relay_message messages[MESSAGES];
    size_t given;
    bool is_tls, tls_fails, is_eager;
    bool is_busy, is_streaming, is_closed;
    size_t streamed;
    bool dot_is_sent, host_answered; /* in this order */
    unsigned verdicts[RECIPIENTS];
    size_t effects;
};

/* What is in out goes to the host. */
static void flush(struct owner *o)
{
    struct buf *out = relay_out(o->r);
    slice sent = buf_slice(out);
    INVARIANT(out->error == 0);
    bool may = o->is_tls || o->config.allow_plaintext_auth;
    INVARIANT(may || slice_search(sent, SLICE("c2VjcmV0")) < 0);
    INVARIANT(may || slice_search(sent, SLICE("AUTH")) < 0);
    if (sent.len && !o->is_streaming)
        INVARIANT(slice_ends(sent, SLICE("\r\n")));
    if (o->streamed == body.len && slice_ends(sent, SLICE("\r\n.\r\n")))
        o->dot_is_sent = true;
    buf_clear(out);
}

static void stream(struct owner *o, size_t most)
{
    slice piece = slice_to(slice_from(body, o->streamed), most);
    relay_body(o->r, piece);
    o->streamed += piece.len;
    if (o->streamed < body.len)
        return;
    o->is_streaming = false;
    relay_body_end(o->r, 0);
}

static void on_verdict(struct owner *o, const struct relay_effect *e)
{
    INVARIANT(o->is_busy && e->recipient < o->messages[o->given - 1].recipient_count);
    INVARIANT(++o->verdicts[e->recipient] == 1);
    INVARIANT((e->fault == FAULT_NONE) == (e->reply.code != 0));
    INVARIANT(e->reply.text.len <= REPLY_TEXT_MAX);
    INVARIANT(e->outcome.next != NEXT_PLAIN);
    if (e->outcome.next == NEXT_CONTINUE)
        INVARIANT(e->stage == STAGE_END && e->reply.code / 100 == 2 && o->dot_is_sent &&
                  o->host_answered);
    if (e->outcome.next == NEXT_FAIL)
        INVARIANT(e->reply.code / 100 == 5 || e->fault == FAULT_CAPABILITY);
}

static void on_done(struct owner *o)
{
    INVARIANT(o->is_busy);
    o->is_busy = o->is_streaming = false;
    for (size_t i = 0; i < o->messages[o->given - 1].recipient_count; i++)
        INVARIANT(o->verdicts[i] == 1);
}

static void on_ready(struct owner *o)
{
    INVARIANT(!o->is_busy);
    if (o->given == MESSAGES) {
        relay_quit(o->r);
        return;
    }
    o->is_busy = true;
    o->streamed = 0;
    o->dot_is_sent = o->host_answered = false;
    memset(o->verdicts, 0, sizeof(o->verdicts));
    relay_message(o->r, &o->messages[o->given++]);
}

static void perform(struct owner *o, const struct relay_effect *e)
{
    INVARIANT(!o->is_closed);
    switch (e->kind) {
    case RELAY_START_TLS:
        flush(o);
        o->is_tls = !o->tls_fails;
        relay_tls_started(o->r, o->tls_fails ? -71 : 0);
        break;
    case RELAY_READY:
        on_ready(o);
        break;
    case RELAY_BODY:
        INVARIANT(o->is_busy);
        o->is_streaming = true;
        if (o->is_eager)
            stream(o, body.len);
        break;
    case RELAY_VERDICT:
        on_verdict(o, e);
        break;
    case RELAY_DONE:
        on_done(o);
        break;
    case RELAY_CLOSE:
        INVARIANT(!o->is_busy);
        o->is_closed = true;
        break;
    }
}

static void pump(struct owner *o)
{
    struct relay_effect e;
    while (relay_effect(o->r, &e)) {
        o->effects++;
        perform(o, &e);
    }
    INVARIANT(o->effects < 64);
    INVARIANT((unsigned)relay_waits(o->r) < STAGE_COUNT);
    flush(o);
}

/* Control characters of the input: faults, and the owner's own doings. */
static bool happen(struct owner *o, char c)
{
    switch (c) {
    case 1:
        relay_failed(o->r, FAULT_CLOSED);
        return true;
    case 2:
        relay_failed(o->r, FAULT_TIMEOUT);
        return true;
    case 3:
        if (o->is_streaming)
            stream(o, 5);
        return true;
    case 4:
        if (o->is_streaming)
            relay_body_end(o->r, -5);
        return true;
    case 5: /* effects now, in the middle of a reply */
        return true;
    default:
        return false;
    }
}

static void listen_to(struct owner *o, slice in, size_t step)
{
    while (in.len && !o->is_closed) {
        size_t n = 0;
        while (n < in.len && n < step && (unsigned char)in.ptr[n] > 5)
            n++;
        if (n) {
            o->host_answered = o->dot_is_sent;
            relay_input(o->r, slice_to(in, n));
        } else {
            n = happen(o, in.ptr[0]);
            /* a NUL of the host's */
            if (n == 0) {
                n = 1;
                o->host_answered = o->dot_is_sent;
                relay_input(o->r, slice_to(in, 1));
            }
        }
        in = slice_from(in, n);
        pump(o);
    }
}

static void check_end(struct owner *o)
{
    if (!o->is_closed) {
        relay_failed(o->r, FAULT_CLOSED);
        pump(o);
    }
    INVARIANT(o->is_closed && !o->is_busy);
    enum relay_stage stage;
    struct reply reply;
    struct outcome site = relay_site_outcome(o->r, &stage, &reply);
    INVARIANT((site.next == NEXT_CONTINUE) == (o->given > 0));
    INVARIANT(site.next != NEXT_PLAIN || o->config.tls == RELAY_TLS_OPPORTUNISTIC);
    INVARIANT(site.next != NEXT_FAIL);
    INVARIANT((relay_site_fault(o->r) == FAULT_NONE) ==
              (reply.code != 0 || site.next == NEXT_CONTINUE));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slice in = fuzz_slice(data, size);
    unsigned how = fuzz_byte(&in);
    unsigned what = fuzz_byte(&in);
    unsigned step = fuzz_byte(&in);
    struct owner o = {
        .config = {.helo = SLICE_INIT("us.test"), .tls = how % 5},
        .tls_fails = how & 0x20,
        .is_eager = how & 0x40,
    };
    o.config.allow_plaintext_auth = how & 0x80;
    if (how & 0x08) {
        o.config.login = SLICE("user");
        o.config.secret = how & 0x10 ? SLICE("secret") : SLICE("");
    }
    for (size_t i = 0; i < MESSAGES; i++)
        o.messages[i] = (struct relay_message){
            .reverse_path = SLICE_INIT("a@x.test"),
            .size = body.len,
            .needs_8bit = what & 0x40,
            .needs_utf8 = i == 1 && what & 0x80,
            .envid = SLICE_INIT("e"),
            .ret = RET_HDRS,
            .recipients = recipients,
            .recipient_count = 1 + (what + i) % RECIPIENTS,
        };
    o.r = relay_new(&o.config);
    relay_connected(o.r);
    pump(&o);
    listen_to(&o, in, step ? step : SIZE_MAX);
    check_end(&o);
    relay_free(&o.r);
    return 0;
}
