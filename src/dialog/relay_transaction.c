#include "dialog/relay_machine.h"
#include "dialog/relay_write.h"
#include "codec/dot.h"

#include <stdio.h>

/* The same verdict for every recipient from `from` up to `to` that has none. */
static void sweep(struct relay *r, size_t from, size_t to, struct outcome o,
                  enum relay_fault fault, struct reply reply)
{
    INVARIANT(r->sweep_at == r->sweep_end);
    r->verdict = (struct relay_effect){
        .kind = RELAY_VERDICT,
        .outcome = o,
        .stage = relay_waits(r),
        .fault = fault,
        .reply = reply,
    };
    r->sweep_at = from;
    r->sweep_end = to;
}

/* A verdict of our own about what the host cannot do. */
static void sweep_incapable(struct relay *r, size_t from, enum relay_stage stage,
                            struct enhanced status, slice text)
{
    struct outcome o = outcome_of(stage, NULL, FAULT_CAPABILITY);
    o.status = status;
    if (status.class == 4) {
        o.next = NEXT_RETRY;
        o.scope = SCOPE_RECIPIENT;
    }
    sweep(r, from, r->message->recipient_count, o, FAULT_CAPABILITY,
          (struct reply){.enhanced = status, .text = text});
    r->verdict.stage = stage;
}

/* Can the message go to this host at all? Else every recipient has its verdict. */
static bool is_possible(struct relay *r)
{
    const struct relay_message *m = r->message;
    if (!relay_write_is_safe(m))
        sweep_incapable(r, 0, STAGE_MAIL, (struct enhanced){5, 1, 3},
                        SLICE("an address cannot be written in SMTP"));
    else if (m->needs_8bit && !(r->peer.extensions & EHLO_8BITMIME))
        sweep_incapable(r, 0, STAGE_MAIL, (struct enhanced){5, 6, 3},
                        SLICE("the next host does not take 8-bit text (8BITMIME)"));
    else if (m->needs_utf8 && !(r->peer.extensions & EHLO_SMTPUTF8))
        sweep_incapable(r, 0, STAGE_MAIL, (struct enhanced){5, 6, 7},
                        SLICE("the next host does not take SMTPUTF8"));
    else if (r->peer.size && m->size > r->peer.size) {
        int n = snprintf(r->note, sizeof(r->note), "the next host takes at most %llu octets",
                         (unsigned long long)r->peer.size);
        sweep_incapable(r, 0, STAGE_MAIL, (struct enhanced){5, 3, 4},
                        slice_make(r->note, (size_t)n));
    } else {
        return true;
    }
    return false;
}

static void write_rcpt(struct relay *r, size_t i)
{
    relay_write_rcpt(&r->out, &r->arena, &r->message->recipients[i], &r->peer);
}

static void write_data(struct relay *r)
{
    relay_write_command(&r->out, SLICE("DATA"), SLICE(""));
}

/* The content follows the command at once: no reply invites it. */
static void begin_chunk(struct relay *r)
{
    buf_printf(&r->out, "BDAT %llu LAST\r\n", (unsigned long long)r->message->size);
    r->left = r->message->size;
    r->state = AT_CONTENT;
    r->due |= DUE_BODY;
}

static void cut_to_limit(struct relay *r)
{
    uint32_t most = r->peer.extensions & EHLO_LIMITS ? r->peer.rcpt_max : 0;
    r->limit = r->message->recipient_count;
    if (most == 0 || r->limit <= most)
        return;
    r->limit = most;
    int n = snprintf(r->note, sizeof(r->note),
                     "the next host takes at most %u recipients in one message", most);
    sweep_incapable(r, most, STAGE_RCPT, (struct enhanced){4, 5, 3},
                    slice_make(r->note, (size_t)n));
}

void relay_transaction_begin(struct relay *r)
{
    size_t count = r->message->recipient_count;
    INVARIANT(count > 0 && count <= UINT32_MAX);
    if (r->marks_cap < count) {
        r->marks = xrealloc(r->marks, count, sizeof(r->marks[0]));
        r->marks_cap = count;
    }
    memset(r->marks, MARK_OPEN, count);
    arena_reset(&r->arena);
    r->accepted = 0;
    r->is_open = r->is_lost = r->is_cut = false;
    r->at_line_start = true;
    if (!is_possible(r)) {
        r->due |= DUE_DONE;
        relay_stand_by(r);
        return;
    }
    cut_to_limit(r);
    uint64_t least = r->config->chunk_min;
    r->is_chunked = r->peer.extensions & EHLO_CHUNKING && least && r->message->size >= least;
    r->transactions++;
    r->state = AT_ENVELOPE;
    r->step = STEP_MAIL;
    r->rcpt = 0;
    relay_write_mail(&r->out, &r->arena, r->message, &r->peer);
    r->is_piped = r->peer.extensions & EHLO_PIPELINING;
    if (!r->is_piped)
        return;
    for (size_t i = 0; i < r->limit; i++)
        write_rcpt(r, i);
    if (!r->is_chunked)
        write_data(r);
}

/* Every recipient has its verdict and the conversation can go on. */
static void finish(struct relay *r)
{
    r->due |= DUE_DONE;
    if (r->is_open)
        relay_send(r, AT_RESET, SLICE("RSET"), SLICE(""));
    else
        relay_stand_by(r);
    r->is_open = false;
}

/* A kept connection that ends before MAIL was answered had been given up by its server: no
 * reason to make the site wait. */
static bool is_stale(const struct relay *r, enum relay_fault fault)
{
    bool has_gone = fault == FAULT_CLOSED || (fault == FAULT_NONE && r->reply.code == 421);
    return has_gone && r->transactions > 1 && r->state == AT_ENVELOPE && r->step == STEP_MAIL;
}

/* What a reply or fault means for all that have no verdict, and for the connection. */
static void conclude(struct relay *r, struct outcome o, enum relay_fault fault)
{
    if (is_stale(r, fault)) {
        o.next = NEXT_ADDRESS;
        o.scope = SCOPE_MESSAGE;
    }
    sweep(r, 0, r->limit, o, fault, fault ? (struct reply){0} : r->reply);
    r->is_lost = true;
    /* QUIT is a command only where no content is awaited and no reply is outstanding. */
    bool is_quiet = r->state != AT_CONTENT &&
                    !(r->state == AT_ENVELOPE && r->is_piped && r->step != STEP_DATA);
    if (o.close)
        relay_close(r, is_quiet && !fault && r->reply.code >= 400 && r->reply.code != 421);
}

void relay_transaction_failed(struct relay *r, enum relay_fault fault)
{
    if (r->state == AT_VOID_END || r->state == AT_RESET) {
        relay_close(r, false);
        return;
    }
    conclude(r, outcome_of(relay_waits(r), NULL, fault), fault);
    if (r->state != AT_CLOSED)
        relay_close(r, false);
}

static void on_mail(struct relay *r, struct outcome o)
{
    if (o.next == NEXT_CONTINUE)
        r->is_open = true;
    else
        conclude(r, o, FAULT_NONE);
    if (r->state == AT_CLOSED)
        return;
    if (r->is_lost && !r->is_piped) {
        finish(r);
        return;
    }
    r->step = STEP_RCPT;
    if (!r->is_piped)
        write_rcpt(r, 0);
}

static void judge_rcpt(struct relay *r, struct outcome o)
{
    if (r->is_lost) {
        if (o.close)
            relay_close(r, false);
    } else if (o.next == NEXT_CONTINUE) {
        r->marks[r->rcpt] = MARK_ACCEPTED;
        r->accepted++;
    } else if (o.scope == SCOPE_RECIPIENT) {
        sweep(r, r->rcpt, r->rcpt + 1, o, FAULT_NONE, r->reply);
    } else {
        conclude(r, o, FAULT_NONE);
    }
}

static void on_rcpt(struct relay *r, struct outcome o)
{
    judge_rcpt(r, o);
    if (r->state == AT_CLOSED)
        return;
    if (++r->rcpt == r->limit)
        r->step = STEP_DATA;
    if (r->is_piped && !(r->is_chunked && r->step == STEP_DATA))
        return;
    if (r->is_lost || (r->step == STEP_DATA && r->accepted == 0))
        finish(r);
    else if (r->step == STEP_RCPT)
        write_rcpt(r, r->rcpt);
    else if (r->is_chunked)
        begin_chunk(r);
    else
        write_data(r);
}

static void on_data(struct relay *r, struct outcome o)
{
    bool is_wanted = r->accepted > 0 && !r->is_lost;
    if (o.next == NEXT_CONTINUE && is_wanted) {
        r->state = AT_CONTENT;
        r->due |= DUE_BODY;
    } else if (o.next == NEXT_CONTINUE) {
        dot_finish(&r->out, true);
        r->state = AT_VOID_END;
    } else if (is_wanted) {
        conclude(r, o, FAULT_NONE);
        if (r->state != AT_CLOSED)
            finish(r);
    } else if (o.close) {
        relay_close(r, false);
    } else {
        finish(r);
    }
}

static void on_envelope(struct relay *r, struct outcome o)
{
    switch (r->step) {
    case STEP_MAIL:
        on_mail(r, o);
        break;
    case STEP_RCPT:
        on_rcpt(r, o);
        break;
    case STEP_DATA:
        on_data(r, o);
        break;
    }
}

void relay_transaction_reply(struct relay *r)
{
    struct outcome o = outcome_of(relay_waits(r), &r->reply, FAULT_NONE);
    switch (r->state) {
    case AT_ENVELOPE:
        on_envelope(r, o);
        break;
    case AT_CONTENT: /* too early: the content is not all there */
        conclude(r, o, FAULT_NONE);
        INVARIANT(r->state == AT_CLOSED);
        break;
    case AT_END:
        /* After a chunk that was refused only RSET is sure to end the transaction (RFC 3030
         * section 2). */
        r->is_open = r->is_chunked && r->reply.code / 100 != 2;
        conclude(r, o, FAULT_NONE);
        if (r->state != AT_CLOSED)
            finish(r);
        break;
    case AT_VOID_END:
        r->is_open = false;
        if (o.close)
            relay_close(r, false);
        else
            finish(r);
        break;
    case AT_RESET:
        if (r->reply.code / 100 == 2)
            relay_stand_by(r);
        else
            relay_close(r, r->reply.code != 421);
        break;
    default:
        IMPOSSIBLE("a reply outside a transaction");
    }
}
