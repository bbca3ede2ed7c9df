#include "codec/header.h"
#include "codec/host.h"
#include "dialog/submission_internal.h"
#include "policy/submission_fixup.h"

#include "base/id.h"

#include <errno.h>
#include <inttypes.h>

/* The message is refused, if for no graver reason already: nothing of it is given out any
 * more, and the rest is taken to its end. `about` is for the reply, in the transaction's
 * arena. */
static void refuse(struct submission *s, enum refusal_rank rank, enum phrase p, slice about)
{
    if (rank <= s->rank)
        return;
    s->rank = rank;
    s->verdict = p;
    s->verdict_about = about;
    submission_abort(s);
    buf_fini(&s->header);
    buf_fini(&s->mended);
}

static void refuse_fault(struct submission *s, enum dot_fault fault)
{
    static const enum phrase phrases[] = {
        [DOT_BARE_CR] = PHRASE_CONTENT_BARE_CR,
        [DOT_BARE_LF] = PHRASE_CONTENT_BARE_LF,
        [DOT_NUL] = PHRASE_CONTENT_NUL,
        [DOT_LINE_TOO_LONG] = PHRASE_CONTENT_LINE,
    };
    if (fault != DOT_FINE && s->rank < RANK_CONTENT)
        refuse(s, RANK_CONTENT, phrases[fault],
               submission_number(&s->tx_arena, s->config->max_line));
}

static enum phrase local_phrase(int err)
{
    bool no_space = err == -ENOSPC || err == -EDQUOT || err == -EFBIG;
    return no_space ? PHRASE_NO_SPACE : PHRASE_LOCAL_FAULT;
}

/* What fix-up found, as a reply. */
static const enum phrase fixup_phrases[] = {
    [FIXUP_BAD_HEADER] = PHRASE_BAD_HEADER,
    [FIXUP_FROM_MISSING] = PHRASE_FROM_MISSING,
    [FIXUP_FROM_TWICE] = PHRASE_FROM_TWICE,
    [FIXUP_FROM_SYNTAX] = PHRASE_FROM_SYNTAX,
    [FIXUP_FROM_DENIED] = PHRASE_FROM_DENIED,
    [FIXUP_SENDER_SYNTAX] = PHRASE_SENDER_FIELD_SYNTAX,
    [FIXUP_SENDER_DENIED] = PHRASE_SENDER_FIELD_DENIED,
    [FIXUP_LOOP] = PHRASE_LOOP,
    [FIXUP_DUPLICATE] = PHRASE_FIELD_TWICE,
};

static void give_body(struct submission *s, slice bytes)
{
    if (bytes.len)
        submission_push(s, &(struct effect){.kind = EFFECT_BODY, .body = bytes});
}

static struct trace_facts facts_of(const struct submission *s)
{
    /* a lone recipient is shown with the rest of the client's facts only: it may be a Bcc */
    bool may_show = s->config->trace == TRACE_FULL && s->tx.recipient_count == 1;
    return (struct trace_facts){
        .detail = s->config->trace,
        .helo = host_is_helo(s->tx.helo) ? s->tx.helo : SLICE("unknown"),
        .client = submission_client(s),
        .by = s->config->hostname,
        .protocol = s->tx.protocol,
        .tls = s->tx.tls,
        .for_ = may_show ? s->recipients[0].address : (slice){0},
        .id = s->tx.id,
        .at = s->tx.at,
    };
}

/* The header is whole: it is mended and given out, or the message is refused. */
static void end_header(struct submission *s, slice header)
{
    struct trace_facts facts = facts_of(s);
    struct fixup_request q = {
        .account = &s->account,
        .trace = &facts,
        .hops_max = s->config->hops_max,
    };
    struct fixup_answer answer = {0};
    enum fixup_result r = submission_fixup(&s->tx_arena, &q, header, &s->mended, &answer);
    s->has_header = true;
    if (r != FIXUP_OK) {
        slice about =
            r == FIXUP_LOOP ? submission_number(&s->tx_arena, q.hops_max) : answer.offender;
        refuse(s, RANK_FIXUP, fixup_phrases[r], about);
    } else if (s->mended.error) {
        refuse(s, RANK_LOCAL, local_phrase(s->mended.error), (slice){0});
    } else {
        s->tx.message_id = answer.message_id;
        s->tx.subject = answer.subject;
        give_body(s, buf_slice(&s->mended));
        buf_fini(&s->header);
    }
}

static bool is_header_too_large(struct submission *s, size_t len)
{
    if (s->config->max_header == 0 || len <= s->config->max_header)
        return false;
    refuse(s, RANK_HEADER_SIZE, PHRASE_HEADER_TOO_LARGE,
           submission_number(&s->tx_arena, s->config->max_header));
    return true;
}

/* Collects the header; what is behind it is body. A header that came whole is not copied. */
static void take_header(struct submission *s, slice run)
{
    size_t had = s->header.len;
    if (had == 0) {
        size_t end = header_end(run, 0);
        if (is_header_too_large(s, end ? end : run.len))
            return;
        if (end) {
            end_header(s, slice_to(run, end));
            if (!s->rank)
                give_body(s, slice_from(run, end));
            return;
        }
    }
    size_t room = s->config->max_header ? s->config->max_header + 1 - had : run.len;
    buf_append(&s->header, slice_to(run, room));
    if (s->header.error) {
        refuse(s, RANK_LOCAL, local_phrase(s->header.error), (slice){0});
        return;
    }
    size_t end = header_end(buf_slice(&s->header), had);
    if (is_header_too_large(s, end ? end : s->header.len) || end == 0)
        return;
    end_header(s, slice_to(buf_slice(&s->header), end));
    if (!s->rank)
        give_body(s, slice_from(run, end - had));
}

/* Takes the next bytes of the message, dots removed. */
static void take_run(struct submission *s, slice run, enum dot_fault fault)
{
    uint64_t max = submission_max_size(s);
    s->tx.octets += run.len;
    refuse_fault(s, fault);
    if (max && s->tx.octets > max && s->rank < RANK_SIZE)
        refuse(s, RANK_SIZE, PHRASE_SIZE_REAL, submission_number(&s->tx_arena, max));
    if (s->rank || run.len == 0)
        return;
    if (s->has_header)
        give_body(s, run);
    else
        take_header(s, run);
}

static void begin_message(struct submission *s)
{
    s->has_header = false;
    s->rank = RANK_NONE;
    s->verdict = PHRASE_NONE;
    s->verdict_about = (slice){0};
    s->header = BUF_INIT;
    s->mended = BUF_INIT;
    if (s->is_chunked)
        content_check_init(&s->content, s->config->max_line);
    else
        dot_decoder_init(&s->dot, s->config->max_line);
}

void submission_body_fini(struct submission *s)
{
    buf_fini(&s->header);
    buf_fini(&s->mended);
    s->rank = RANK_NONE;
}

/* The transaction is over, by a refusal. */
static void end_refused(struct submission *s)
{
    slice senders = {0};
    if (s->rank == RANK_FIXUP)
        senders = submission_senders_text(&s->tx_arena, &s->account);
    submission_say_about(s, s->verdict, s->verdict_about, senders);
    submission_forget(s);
    submission_enter(s, submission_base(s));
}

static void end_message(struct submission *s)
{
    if (!s->rank && !s->has_header)
        end_header(s, buf_slice(&s->header));
    if (s->rank) {
        end_refused(s);
        return;
    }
    submission_push(s, &(struct effect){.kind = EFFECT_COMMIT});
    s->holds = false;
    submission_enter(s, STATE_AWAITS_COMMIT);
}

/* DATA. */

static void ask_to_open(struct submission *s)
{
    submission_push(
        s, &(struct effect){.kind = EFFECT_OPEN, .open = {.declared = s->tx.params.size}});
    submission_enter(s, STATE_AWAITS_OPEN);
}

void submission_data(struct submission *s)
{
    s->is_chunked = false;
    ask_to_open(s);
}

size_t submission_take_data(struct submission *s, slice in)
{
    slice rest = in;
    slice run;
    bool ended = dot_decode(&s->dot, &rest, &run);
    take_run(s, run, s->dot.fault);
    if (ended)
        end_message(s);
    return in.len - rest.len;
}

/* BDAT. */

static void end_chunk(struct submission *s)
{
    if (s->is_last) {
        content_check_end(&s->content);
        refuse_fault(s, s->content.fault);
        end_message(s);
    } else if (s->rank) {
        end_refused(s);
    } else {
        slice size = submission_number(&s->scratch, s->chunk_size);
        submission_say_about(s, PHRASE_CHUNK_OK, size, (slice){0});
        submission_enter(s, STATE_CHUNKS);
    }
}

static void begin_chunk(struct submission *s)
{
    submission_enter(s, STATE_CHUNK);
    if (s->chunk_left == 0)
        end_chunk(s);
}

size_t submission_take_chunk(struct submission *s, slice in)
{
    slice run = slice_to(in, s->chunk_left);
    s->chunk_left -= run.len;
    content_check_feed(&s->content, run);
    take_run(s, run, s->content.fault);
    if (s->chunk_left == 0)
        end_chunk(s);
    return run.len;
}

/* The octets of a refused chunk are taken before its reply is given (RFC 3030 section 2); that
 * is ready in `deferred`. */
static void refuse_chunk(struct submission *s, enum phrase p, enum submission_state resume)
{
    s->deferred_phrase = p;
    s->resume = resume;
    submission_enter(s, STATE_CHUNK_REFUSED);
    if (s->chunk_left == 0)
        submission_drop_chunk(s, (slice){0});
}

size_t submission_drop_chunk(struct submission *s, slice in)
{
    size_t used = in.len < s->chunk_left ? in.len : (size_t)s->chunk_left;
    s->chunk_left -= used;
    if (s->chunk_left)
        return used;
    submission_say_rendered(s, s->deferred_phrase, buf_slice(&s->deferred));
    buf_fini(&s->deferred);
    submission_enter(s, s->resume);
    return used;
}

void submission_bdat(struct submission *s, slice argument, enum phrase refusal, slice a,
                     slice b)
{
    uint64_t size;
    bool is_last;
    if (!chunk_parse(argument, &size, &is_last)) {
        submission_say(s, PHRASE_CHUNK_SYNTAX);
        submission_close(s);
        return;
    }
    s->chunk_size = size;
    s->chunk_left = size;
    s->is_last = is_last;
    if (refusal) {
        submission_render(&s->deferred, refusal, a, b);
        refuse_chunk(s, refusal, s->state);
    } else if (s->state == STATE_CHUNKS) {
        begin_chunk(s);
    } else {
        s->is_chunked = true;
        ask_to_open(s);
    }
}

/* Answers. */

void submission_opened(struct submission *s, uint64_t id, stamp at, const struct reply *refusal)
{
    if (s->state != STATE_AWAITS_OPEN)
        return;
    if (!reply_refuses(refusal)) {
        s->tx.id = id;
        s->tx.at = at;
        begin_message(s);
        if (s->is_chunked) {
            begin_chunk(s);
        } else {
            submission_say(s, PHRASE_GO_AHEAD);
            submission_enter(s, STATE_DATA);
        }
    } else if (s->is_chunked) {
        reply_write(&s->deferred, refusal->code, refusal->enhanced, refusal->text);
        submission_forget(s);
        refuse_chunk(s, PHRASE_NONE, submission_base(s));
    } else {
        submission_say_reply(s, refusal);
        submission_enter(s, STATE_RCPT);
    }
}

/* Takes back a COMMIT that was not performed yet. */
static bool recall_commit(struct submission *s)
{
    for (unsigned i = 0; i < s->effect_count; i++) {
        if (s->effects[i].kind == EFFECT_COMMIT) {
            s->effect_count = i;
            return true;
        }
    }
    return false;
}

void submission_body_failed(struct submission *s, int err)
{
    bool is_in_body =
        s->state == STATE_DATA || s->state == STATE_CHUNK || s->state == STATE_CHUNKS;
    bool is_recalled = s->state == STATE_AWAITS_COMMIT && recall_commit(s);
    if (!is_in_body && !is_recalled)
        return;
    if (is_recalled)
        s->holds = true;
    refuse(s, RANK_LOCAL, local_phrase(err), (slice){0});
    if (is_recalled)
        end_refused(s);
}

void submission_committed(struct submission *s, int err, const struct reply *refusal)
{
    if (s->state != STATE_AWAITS_COMMIT)
        return;
    if (err) {
        submission_say(s, local_phrase(err));
    } else if (reply_refuses(refusal)) {
        INVARIANT(refusal->code >= 400);
        submission_say_reply(s, refusal);
    } else {
        char id[ID_TEXT_LEN + 1];
        id_format(s->tx.id, id);
        s->messages++;
        submission_say_about(s, PHRASE_QUEUED, slice_of(id), (slice){0});
    }
    submission_forget(s);
    submission_enter(s, submission_base(s));
}
