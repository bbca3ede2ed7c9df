#include "dialog/submission.h"

#include "base/secret.h"
#include "codec/line.h"
#include "dialog/submission_internal.h"

#include <stdlib.h>

/* takes: who gets the bytes in this state (NULL: nobody, they stay with the owner). */
static size_t take_line(struct submission *s, slice in);

static const struct {
    const char *name;
    size_t (*takes)(struct submission *s, slice in);
    enum submission_wait waits;
} states[] = {
    [STATE_CONNECTED] = {"connected", take_line, SUBMISSION_WAIT_COMMAND},
    [STATE_GREETED] = {"greeted", take_line, SUBMISSION_WAIT_COMMAND},
    [STATE_READY] = {"ready", take_line, SUBMISSION_WAIT_COMMAND},
    [STATE_MAIL] = {"mail", take_line, SUBMISSION_WAIT_COMMAND},
    [STATE_RCPT] = {"rcpt", take_line, SUBMISSION_WAIT_COMMAND},
    [STATE_CHUNKS] = {"chunks", take_line, SUBMISSION_WAIT_COMMAND},
    [STATE_SASL] = {"sasl", take_line, SUBMISSION_WAIT_COMMAND},
    [STATE_DATA] = {"data", submission_take_data, SUBMISSION_WAIT_BODY},
    [STATE_CHUNK] = {"chunk", submission_take_chunk, SUBMISSION_WAIT_BODY},
    [STATE_CHUNK_REFUSED] = {"chunk-refused", submission_drop_chunk, SUBMISSION_WAIT_BODY},
    [STATE_AWAITS_TLS] = {"awaits-tls", NULL, SUBMISSION_WAIT_ANSWER},
    [STATE_AWAITS_VERIFY] = {"awaits-verify", NULL, SUBMISSION_WAIT_ANSWER},
    [STATE_AWAITS_TOKEN] = {"awaits-token", NULL, SUBMISSION_WAIT_ANSWER},
    [STATE_AWAITS_RESERVE] = {"awaits-reserve", NULL, SUBMISSION_WAIT_ANSWER},
    [STATE_AWAITS_OPEN] = {"awaits-open", NULL, SUBMISSION_WAIT_ANSWER},
    [STATE_AWAITS_COMMIT] = {"awaits-commit", NULL, SUBMISSION_WAIT_ANSWER},
    [STATE_CLOSED] = {"closed", NULL, SUBMISSION_CLOSED},
};

const char *submission_state_name(enum submission_state state)
{
    return states[state].name;
}

static void copy_text(char *to, size_t room, slice from)
{
    from = slice_to(from, room - 1);
    if (from.len)
        memcpy(to, from.ptr, from.len);
    to[from.len] = '\0';
}

struct submission *submission_new(const struct submission_config *c,
                                  const struct submission_peer *p)
{
    struct submission *s = xcalloc(1, sizeof(*s));
    s->config = c;
    s->is_tls = p->tls;
    copy_text(s->client, sizeof(s->client), p->client);
    copy_text(s->tls_text, sizeof(s->tls_text), p->tls_text);
    if (p->account)
        submission_take_account(s, p->account);
    return s;
}

void submission_free(struct submission **s)
{
    struct submission *gone = *s;
    *s = NULL;
    if (!gone)
        return;
    submission_auth_end(gone);
    submission_body_fini(gone);
    arena_fini(&gone->account_arena);
    arena_fini(&gone->scratch);
    arena_fini(&gone->tx_arena);
    buf_fini(&gone->out);
    buf_fini(&gone->deferred);
    free(gone->recipients);
    free(gone->helo);
    free(gone);
}

void submission_start(struct submission *s, const struct reply *refusal)
{
    if (reply_refuses(refusal)) {
        submission_say_reply(s, refusal);
        submission_close(s);
        return;
    }
    submission_say_about(s, PHRASE_GREETING, s->config->hostname, (slice){0});
    submission_enter(s, STATE_CONNECTED);
}

slice submission_client(const struct submission *s)
{
    return slice_of(s->client);
}

slice submission_tls(const struct submission *s)
{
    return slice_of(s->tls_text);
}

uint64_t submission_max_size(const struct submission *s)
{
    uint64_t ours = s->config->max_size;
    uint64_t theirs = s->has_account ? s->account.max_size : 0;
    return ours && (theirs == 0 || ours < theirs) ? ours : theirs;
}

/* Effects. */

void submission_push(struct submission *s, const struct effect *e)
{
    INVARIANT(s->effect_count < EFFECTS_MAX);
    s->effects[s->effect_count++] = *e;
}

bool submission_effect(struct submission *s, struct effect *out)
{
    if (s->effect_count == 0)
        return false;
    *out = s->effects[0];
    s->effect_count--;
    memmove(s->effects, s->effects + 1, s->effect_count * sizeof(s->effects[0]));
    return true;
}

/* Takes back what was not performed, but for promises and releases. */
static void drop_effects(struct submission *s)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < s->effect_count; i++)
        if (s->effects[i].kind == EFFECT_ABORT || s->effects[i].kind == EFFECT_COMMIT)
            s->effects[kept++] = s->effects[i];
    s->effect_count = kept;
}

void submission_abort(struct submission *s)
{
    if (!s->holds)
        return;
    s->holds = false;
    drop_effects(s);
    submission_push(s, &(struct effect){.kind = EFFECT_ABORT});
}

void submission_forget(struct submission *s)
{
    submission_abort(s);
    submission_body_fini(s);
    arena_fini(&s->tx_arena);
    free(s->recipients);
    s->recipients = NULL;
    s->recipient_room = 0;
    s->rcpt_tried = 0;
    s->tx = (struct submission_transaction){0};
}

struct buf *submission_out(struct submission *s)
{
    return &s->out;
}

/* States. */

enum submission_state submission_base(const struct submission *s)
{
    if (!s->helo)
        return STATE_CONNECTED;
    return s->has_account ? STATE_READY : STATE_GREETED;
}

/* May the connection end here for this reason? A message that is arriving is finished before
 * a shutdown. */
static bool may_end(const struct submission *s)
{
    if (s->ending == ENDING_TIMEOUT)
        return states[s->state].waits != SUBMISSION_WAIT_ANSWER;
    return s->ending == ENDING_SHUTDOWN && s->state <= STATE_SASL && s->state != STATE_CHUNKS;
}

static void end_if_due(struct submission *s)
{
    if (s->state != STATE_CLOSED && may_end(s))
        submission_say(s, s->ending == ENDING_TIMEOUT ? PHRASE_TIMEOUT : PHRASE_SHUTDOWN);
}

void submission_enter(struct submission *s, enum submission_state state)
{
    if (s->state == STATE_CLOSED)
        return;
    s->state = state;
    end_if_due(s);
}

void submission_close(struct submission *s)
{
    if (s->state == STATE_CLOSED)
        return;
    submission_abort(s);
    drop_effects(s);
    submission_auth_end(s);
    submission_push(s, &(struct effect){.kind = EFFECT_CLOSE});
    s->state = STATE_CLOSED;
}

bool submission_wants_input(const struct submission *s)
{
    return states[s->state].takes && s->effect_count == 0;
}

enum submission_wait submission_waits(const struct submission *s)
{
    return states[s->state].waits;
}

/* Input. */

static enum phrase line_phrase(enum line_result r, bool is_sasl)
{
    switch (r) {
    case LINE_TOO_LONG:
        return is_sasl ? PHRASE_AUTH_TOO_LONG : PHRASE_LINE_TOO_LONG;
    case LINE_BARE_CR:
        return PHRASE_LINE_BARE_CR;
    case LINE_BARE_LF:
        return PHRASE_LINE_BARE_LF;
    default:
        return PHRASE_LINE_NUL;
    }
}

/* Drops a bad line; its end is answered. A bad response ends the exchange. */
static size_t skip_line(struct submission *s, slice in)
{
    bool ended;
    size_t used = line_skip(in, &ended);
    if (!ended)
        return used;
    enum phrase p = s->skip;
    s->skip = PHRASE_NONE;
    submission_say(s, p);
    if (s->state == STATE_SASL) {
        submission_auth_end(s);
        submission_enter(s, submission_base(s));
    }
    return used;
}

static size_t take_line(struct submission *s, slice in)
{
    if (s->skip)
        return skip_line(s, in);
    bool is_sasl = s->state == STATE_SASL || slice_istarts(in, SLICE("AUTH "));
    slice line;
    size_t used;
    enum line_result r =
        line_next(in, is_sasl ? SASL_LINE_MAX : COMMAND_LINE_MAX, &line, &used);
    if (r == LINE_MORE)
        return 0;
    if (r != LINE_OK) {
        s->skip = line_phrase(r, is_sasl);
        return skip_line(s, in);
    }
    if (s->state == STATE_SASL)
        submission_sasl_line(s, line);
    else
        submission_command(s, line, used < in.len);
    return used;
}

size_t submission_input(struct submission *s, slice bytes)
{
    size_t used = 0;
    while (used < bytes.len && submission_wants_input(s)) {
        size_t n = states[s->state].takes(s, slice_from(bytes, used));
        if (n == 0)
            break;
        used += n;
    }
    return used;
}

/* The account. */

static void copy_account(struct arena *a, const struct account *from, struct account *to)
{
    *to = *from;
    to->login = arena_dup(a, from->login);
    to->language = arena_dup(a, from->language);
    to->reason = arena_dup(a, from->reason);
    slice *senders = arena_array(a, slice, from->sender_count);
    for (size_t i = 0; i < from->sender_count; i++)
        senders[i] = arena_dup(a, from->senders[i]);
    to->senders = senders;
}

void submission_take_account(struct submission *s, const struct account *account)
{
    struct arena fresh = ARENA_INIT;
    struct account copy;
    copy_account(&fresh, account, &copy);
    arena_fini(&s->account_arena);
    s->account_arena = fresh;
    s->account = copy;
    s->has_account = true;
}

void submission_account_changed(struct submission *s, const struct account *account)
{
    if (!s->has_account)
        return;
    if (account) {
        submission_take_account(s, account);
        return;
    }
    s->account.state = ACCOUNT_LOCKED;
    s->account.until = STAMP_NEVER;
    s->account.reason = SLICE("it was removed");
}

/* Ends. */

void submission_timeout(struct submission *s)
{
    if (s->state == STATE_AWAITS_TLS) {
        submission_close(s); /* nothing can be said in a handshake */
        return;
    }
    s->ending = ENDING_TIMEOUT;
    end_if_due(s);
}

void submission_shutdown(struct submission *s)
{
    if (s->ending == ENDING_NONE)
        s->ending = ENDING_SHUTDOWN;
    end_if_due(s);
}

void submission_gone(struct submission *s)
{
    submission_close(s);
}

const struct submission_transaction *submission_transaction(const struct submission *s)
{
    return &s->tx;
}
