#include "base/id.h"
#include "codec/path.h"
#include "dialog/submission_internal.h"
#include "policy/sender.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    SENDERS_SHOWN = 5, /* permitted addresses that a refusal names */
    SENDERS_SHOWN_MAX = 320,
    RECIPIENTS_FIRST = 4,
};

slice submission_number(struct arena *a, uint64_t n)
{
    return arena_printf(a, "%" PRIu64, n);
}

slice submission_senders_text(struct arena *a, const struct account *account)
{
    bool by_domain = account->right == SENDERS_DOMAINS;
    if (account->sender_count == 0)
        return SLICE("No sender address is permitted yet: ask your provider");
    struct buf text = BUF_INIT;
    buf_append(&text, by_domain ? SLICE("You may send as any address at ")
                                : SLICE("You may send as "));
    size_t shown = 0;
    while (shown < account->sender_count && shown < SENDERS_SHOWN &&
           text.len < SENDERS_SHOWN_MAX) {
        if (shown > 0)
            buf_append(&text, SLICE(", "));
        buf_append(&text, account->senders[shown++]);
    }
    if (shown < account->sender_count)
        buf_printf(&text, " and %zu more", account->sender_count - shown);
    slice copy = arena_dup(a, buf_slice(&text));
    buf_fini(&text);
    return copy;
}

/* RFC 3848, RFC 6531 section 4.3. */
static slice protocol_of(const struct submission *s, bool is_utf8)
{
    static const slice names[2][2][2] = {
        {{SLICE_INIT("ESMTP"), SLICE_INIT("ESMTPA")},
         {SLICE_INIT("ESMTPS"), SLICE_INIT("ESMTPSA")}},
        {{SLICE_INIT("UTF8SMTP"), SLICE_INIT("UTF8SMTPA")},
         {SLICE_INIT("UTF8SMTPS"), SLICE_INIT("UTF8SMTPSA")}},
    };
    if (!s->is_esmtp && !is_utf8)
        return SLICE("SMTP");
    return names[is_utf8][s->is_tls][s->has_authenticated];
}

static void say_params(struct submission *s, enum params_result r, slice bad)
{
    submission_say_about(
        s, r == PARAMS_UNKNOWN ? PHRASE_PARAMETER_UNKNOWN : PHRASE_PARAMETER_SYNTAX, bad,
        (slice){0});
}

bool submission_lets_wait(const struct submission *s)
{
    return s->config->is_local_door || s->is_tls;
}

/* The first keyword that is known but was not offered; empty: none. */
static slice not_offered(const struct submission *s, const struct mail_params *p)
{
    if (p->token.len && !s->account.is_control)
        return SLICE("XTOKEN");
    if (!s->config->is_local_door && p->script.len)
        return SLICE("XSCRIPT");
    if (!s->config->is_local_door && p->directory.len)
        return SLICE("XDIRECTORY");
    if (p->may_wait && !submission_lets_wait(s))
        return SLICE("XQUEUE");
    return p->body == BODY_BINARYMIME ? SLICE("BODY=BINARYMIME") : (slice){0};
}

/* Path and parameters of MAIL; false: refused. */
static bool parse_mail(struct submission *s, const struct command *c, struct path *path,
                       struct mail_params *params)
{
    slice rest = c->argument;
    slice bad = {0};
    if (c->is_malformed || c->argument.len == 0) {
        submission_say(s, PHRASE_MAIL_SYNTAX);
        return false;
    }
    if (path_parse(&rest, path) != PATH_OK || path->is_postmaster) {
        submission_say_about(s, PHRASE_SENDER_SYNTAX, c->argument, (slice){0});
        return false;
    }
    enum params_result r = mail_params_parse(&s->scratch, rest, params, &bad);
    if (r == PARAMS_OK) {
        bad = not_offered(s, params);
        r = bad.len ? PARAMS_UNKNOWN : PARAMS_OK;
    }
    if (r != PARAMS_OK) {
        say_params(s, r, bad);
        return false;
    }
    return true;
}

/* May this account send this message from there? */
static bool permit_mail(struct submission *s, const struct path *path,
                        const struct mail_params *params)
{
    const struct account *account = &s->account;
    uint64_t max = submission_max_size(s);
    if (s->config->max_messages && s->messages >= s->config->max_messages) {
        submission_say_about(s, PHRASE_TOO_MANY_MESSAGES,
                             submission_number(&s->scratch, s->config->max_messages),
                             (slice){0});
        return false;
    }
    if (path->has_utf8 && !params->smtputf8) {
        submission_say(s, PHRASE_SENDER_UTF8);
        return false;
    }
    if (params->has_size && max && params->size > max) {
        submission_say_about(s, PHRASE_SIZE_DECLARED, submission_number(&s->scratch, max),
                             (slice){0});
        return false;
    }
    if (path->is_null && account->right != SENDERS_ANY) {
        submission_say_about(s, PHRASE_NULL_SENDER_DENIED, (slice){0},
                             submission_senders_text(&s->scratch, account));
        return false;
    }
    if (!path->is_null && !sender_may_use(account, path_canonical(&s->scratch, path))) {
        submission_say_about(s, PHRASE_SENDER_DENIED, path->address,
                             submission_senders_text(&s->scratch, account));
        return false;
    }
    return true;
}

void submission_mail(struct submission *s, const struct command *c)
{
    struct path path;
    struct mail_params params = {0};
    if (!parse_mail(s, c, &path, &params) || !permit_mail(s, &path, &params))
        return;
    s->tx = (struct submission_transaction){
        .reverse_path = path.is_null ? (slice){0} : arena_dup(&s->tx_arena, path.address),
        .params = params,
        .helo = slice_of(s->helo),
        .protocol = protocol_of(s, params.smtputf8),
        .tls = submission_tls(s),
        .account = &s->account,
    };
    s->tx.params.auth = arena_dup(&s->tx_arena, params.auth);
    s->tx.params.envid = arena_dup(&s->tx_arena, params.envid);
    s->tx.params.token = arena_dup(&s->tx_arena, params.token);
    s->tx.params.script = arena_dup(&s->tx_arena, params.script);
    s->tx.params.directory = arena_dup(&s->tx_arena, params.directory);
    if (s->tx.params.token.len == 0) {
        submission_say(s, PHRASE_MAIL_OK);
        submission_enter(s, STATE_MAIL);
        return;
    }
    s->holds = true;
    submission_push(s, &(struct effect){.kind = EFFECT_TOKEN, .token = s->tx.params.token});
    submission_enter(s, STATE_AWAITS_TOKEN);
}

void submission_token(struct submission *s, uint64_t first_id, const struct reply *refusal)
{
    if (s->state != STATE_AWAITS_TOKEN)
        return;
    if (first_id == 0 && !reply_refuses(refusal)) {
        submission_say(s, PHRASE_MAIL_OK);
        submission_enter(s, STATE_MAIL);
        return;
    }
    s->holds = false; /* nothing was taken */
    submission_forget(s);
    if (first_id == 0) {
        submission_say_reply(s, refusal);
    } else {
        char id[ID_TEXT_LEN + 1];
        id_format(first_id, id);
        submission_say_about(s, PHRASE_QUEUED, slice_of(id), (slice){0});
    }
    submission_enter(s, submission_base(s));
}

static bool parse_rcpt(struct submission *s, const struct command *c, struct path *path,
                       struct rcpt_params *params)
{
    slice rest = c->argument;
    slice bad = {0};
    if (c->is_malformed || c->argument.len == 0) {
        submission_say(s, PHRASE_RCPT_SYNTAX);
        return false;
    }
    if (path_parse(&rest, path) != PATH_OK || path->is_null) {
        submission_say_about(s, PHRASE_RECIPIENT_SYNTAX, c->argument, (slice){0});
        return false;
    }
    enum params_result r = rcpt_params_parse(&s->scratch, rest, params, &bad);
    if (r != PARAMS_OK) {
        say_params(s, r, bad);
        return false;
    }
    if (path->has_utf8 && !s->tx.params.smtputf8) {
        submission_say(s, PHRASE_RECIPIENT_UTF8);
        return false;
    }
    return true;
}

static uint32_t max_recipients(const struct submission *s)
{
    uint32_t ours = s->config->max_recipients;
    uint32_t theirs = s->account.max_recipients;
    return ours && (theirs == 0 || ours < theirs) ? ours : theirs;
}

/* Room for one more recipient, before it is reserved. */
static bool make_room(struct submission *s)
{
    if (s->tx.recipient_count < s->recipient_room)
        return true;
    size_t room = s->recipient_room ? s->recipient_room * 2 : RECIPIENTS_FIRST;
    /* bounded by max_recipients, so that the product cannot overflow */
    struct submission_recipient *grown = realloc(s->recipients, room * sizeof(*grown));
    if (!grown)
        return false;
    s->recipients = grown;
    s->recipient_room = room;
    s->tx.recipients = grown;
    return true;
}

void submission_rcpt(struct submission *s, const struct command *c)
{
    struct path path;
    struct rcpt_params params = {0};
    uint32_t max = max_recipients(s);
    s->rcpt_tried++;
    if (!parse_rcpt(s, c, &path, &params))
        return;
    if (max && s->tx.recipient_count >= max) {
        submission_say_about(s, PHRASE_TOO_MANY_RECIPIENTS, submission_number(&s->scratch, max),
                             (slice){0});
        return;
    }
    if (!make_room(s)) {
        submission_say(s, PHRASE_NO_SPACE);
        return;
    }
    /* RFC 5321 section 4.5.1: <Postmaster> is ours */
    slice address = path.is_postmaster ? arena_printf(&s->scratch, "postmaster@%.*s",
                                                      SLICE_ARG(s->config->hostname))
                                       : arena_dup(&s->scratch, path.address);
    slice canonical = path.is_postmaster ? address : path_canonical(&s->scratch, &path);
    s->candidate = (struct submission_recipient){.address = address, .params = params};
    struct effect e = {.kind = EFFECT_RESERVE,
                       .reserve = {.address = canonical, .is_first = !s->tx.recipient_count}};
    s->holds = true;
    submission_push(s, &e);
    submission_enter(s, STATE_AWAITS_RESERVE);
}

void submission_reserved(struct submission *s, const struct reply *refusal)
{
    if (s->state != STATE_AWAITS_RESERVE)
        return;
    if (reply_refuses(refusal)) {
        submission_say_reply(s, refusal);
    } else {
        s->candidate.address = arena_dup(&s->tx_arena, s->candidate.address);
        s->candidate.params.orcpt = arena_dup(&s->tx_arena, s->candidate.params.orcpt);
        s->recipients[s->tx.recipient_count++] = s->candidate;
        submission_say(s, PHRASE_RCPT_OK);
    }
    submission_enter(s, s->tx.recipient_count ? STATE_RCPT : STATE_MAIL);
}
