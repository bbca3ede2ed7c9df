#include "codec/host.h"
#include "dialog/submission_internal.h"

#include <inttypes.h>
#include <stdlib.h>

typedef void verb_fn(struct submission *s, const struct command *c);

static verb_fn run_unknown, run_ehlo, run_helo, run_data, run_rset, run_noop, run_quit;
static verb_fn run_vrfy, run_expn, run_help, run_auth, run_starttls;

enum argument { ARGUMENT_ANY, ARGUMENT_NONE, ARGUMENT_NEEDED };

/* The conversation: each verb with the refusal that it meets in each state (none: it runs). */
static const struct verb_rule {
    verb_fn *run; /* BDAT has none: its octets must be taken, whatever is wrong */
    enum argument argument;
    bool is_mail; /* needs TLS where the listener does, and an account that may send */
    uint8_t refusal[STATE_COMMANDS];
} rules[VERB_COUNT] = {
    [VERB_UNKNOWN] = {run_unknown, ARGUMENT_ANY, false, {0}},
    [VERB_EHLO] = {run_ehlo, ARGUMENT_ANY, false, {0}},
    [VERB_HELO] = {run_helo, ARGUMENT_ANY, false, {0}},
    [VERB_MAIL] = {submission_mail,
                   ARGUMENT_ANY,
                   true,
                   {
                       [STATE_CONNECTED] = PHRASE_EHLO_FIRST,
                       [STATE_GREETED] = PHRASE_SIGN_IN,
                       [STATE_MAIL] = PHRASE_NESTED_MAIL,
                       [STATE_RCPT] = PHRASE_NESTED_MAIL,
                       [STATE_CHUNKS] = PHRASE_NESTED_MAIL,
                   }},
    [VERB_RCPT] = {submission_rcpt,
                   ARGUMENT_ANY,
                   true,
                   {
                       [STATE_CONNECTED] = PHRASE_EHLO_FIRST,
                       [STATE_GREETED] = PHRASE_SIGN_IN,
                       [STATE_READY] = PHRASE_MAIL_FIRST,
                       [STATE_CHUNKS] = PHRASE_IN_CHUNKS,
                   }},
    [VERB_DATA] = {run_data,
                   ARGUMENT_NONE,
                   true,
                   {
                       [STATE_CONNECTED] = PHRASE_EHLO_FIRST,
                       [STATE_GREETED] = PHRASE_SIGN_IN,
                       [STATE_READY] = PHRASE_MAIL_FIRST,
                       [STATE_MAIL] = PHRASE_RCPT_FIRST,
                       [STATE_CHUNKS] = PHRASE_IN_CHUNKS,
                   }},
    [VERB_BDAT] = {NULL,
                   ARGUMENT_ANY,
                   true,
                   {
                       [STATE_CONNECTED] = PHRASE_EHLO_FIRST,
                       [STATE_GREETED] = PHRASE_SIGN_IN,
                       [STATE_READY] = PHRASE_MAIL_FIRST,
                       [STATE_MAIL] = PHRASE_RCPT_FIRST,
                   }},
    [VERB_RSET] = {run_rset, ARGUMENT_NONE, false, {0}},
    [VERB_NOOP] = {run_noop, ARGUMENT_ANY, false, {0}},
    [VERB_QUIT] = {run_quit, ARGUMENT_NONE, false, {0}},
    [VERB_VRFY] = {run_vrfy, ARGUMENT_NEEDED, false, {0}},
    [VERB_EXPN] = {run_expn, ARGUMENT_ANY, false, {0}},
    [VERB_HELP] = {run_help, ARGUMENT_ANY, false, {0}},
    [VERB_AUTH] = {run_auth,
                   ARGUMENT_NEEDED,
                   false,
                   {
                       [STATE_CONNECTED] = PHRASE_EHLO_FIRST,
                       [STATE_MAIL] = PHRASE_IN_TRANSACTION,
                       [STATE_RCPT] = PHRASE_IN_TRANSACTION,
                       [STATE_CHUNKS] = PHRASE_IN_TRANSACTION,
                   }},
    [VERB_STARTTLS] = {run_starttls,
                       ARGUMENT_NONE,
                       false,
                       {
                           [STATE_CONNECTED] = PHRASE_EHLO_FIRST,
                           [STATE_MAIL] = PHRASE_IN_TRANSACTION,
                           [STATE_RCPT] = PHRASE_IN_TRANSACTION,
                           [STATE_CHUNKS] = PHRASE_IN_TRANSACTION,
                       }},
};

static enum phrase why_locked(const struct account *account)
{
    bool for_good = account->until == STAMP_NEVER;
    switch (account->state) {
    case ACCOUNT_LOCKED:
        return for_good ? PHRASE_LOCKED : PHRASE_LOCKED_UNTIL;
    case ACCOUNT_SUSPENDED:
        return for_good ? PHRASE_SUSPENDED : PHRASE_SUSPENDED_UNTIL;
    case ACCOUNT_ACTIVE:
    default:
        return PHRASE_NONE;
    }
}

/* The transaction is over; after a lock the next command closes the connection. */
static void apply_lock(struct submission *s)
{
    s->has_told_lock = s->account.state == ACCOUNT_LOCKED;
    submission_forget(s);
}

/* Where the listener says so, or where nobody can sign in without it. */
static bool needs_tls(const struct submission *s)
{
    if (s->is_tls)
        return false;
    bool can_sign_in = s->has_account || s->config->plaintext_auth || s->config->is_local_door;
    return s->config->needs_tls || (s->config->tls == SUBMISSION_TLS_STARTTLS && !can_sign_in);
}

static enum phrase why_not(const struct submission *s, const struct verb_rule *rule)
{
    if (rule->is_mail && s->state > STATE_CONNECTED && needs_tls(s))
        return PHRASE_TLS_FIRST;
    enum phrase p = rule->refusal[s->state];
    if (p == PHRASE_RCPT_FIRST && s->rcpt_tried)
        return PHRASE_NO_RECIPIENT;
    return p;
}

static void run_command(struct submission *s, const struct command *c, enum phrase refusal,
                        slice a, slice b)
{
    const struct verb_rule *rule = &rules[c->verb];
    slice name = slice_of(verb_name(c->verb));
    if (c->verb == VERB_BDAT)
        submission_bdat(s, c->argument, refusal, a, b);
    else if (refusal)
        submission_say_about(s, refusal, a, b);
    else if (rule->argument == ARGUMENT_NONE && c->argument.len)
        submission_say_about(s, PHRASE_ARGUMENT_SURPLUS, name, (slice){0});
    else if (rule->argument == ARGUMENT_NEEDED && c->argument.len == 0)
        submission_say_about(s, PHRASE_ARGUMENT_MISSING, name, (slice){0});
    else
        rule->run(s, c);
}

/* A browser that was led to post to our port: what follows must not be taken for commands. */
static bool is_http(slice line)
{
    static const slice methods[] = {SLICE_INIT("GET "),  SLICE_INIT("POST "),
                                    SLICE_INIT("PUT "),  SLICE_INIT("CONNECT "),
                                    SLICE_INIT("HEAD "), SLICE_INIT("OPTIONS ")};
    for (size_t i = 0; i < COUNT_OF(methods); i++)
        if (slice_istarts(line, methods[i]))
            return true;
    return false;
}

void submission_command(struct submission *s, slice line, bool has_more)
{
    struct command c;
    arena_reset(&s->scratch);
    command_parse(line, &c);
    if (s->has_told_lock && c.verb != VERB_QUIT) {
        submission_say(s, PHRASE_LOCKED_CLOSE);
        return;
    }
    if (c.verb == VERB_UNKNOWN && is_http(line)) {
        submission_say(s, PHRASE_WEB_CLIENT);
        return;
    }
    if (c.verb == VERB_STARTTLS && has_more) {
        submission_say(s, PHRASE_TLS_BYTES_BEHIND);
        submission_close(s);
        return;
    }
    const struct verb_rule *rule = &rules[c.verb];
    bool is_checked = rule->is_mail && s->has_account && s->state >= STATE_READY;
    enum phrase lock = is_checked ? why_locked(&s->account) : PHRASE_NONE;
    if (!lock) {
        run_command(s, &c, why_not(s, rule), (slice){0}, (slice){0});
        return;
    }
    slice reason = submission_lock_reason(&s->scratch, &s->account);
    slice until = submission_lock_until(&s->scratch, &s->account);
    apply_lock(s);
    submission_enter(s, submission_base(s));
    if (s->state != STATE_CLOSED) /* a shutdown waited for the transaction's end */
        run_command(s, &c, lock, reason, until);
}

static void run_unknown(struct submission *s, const struct command *c UNUSED)
{
    submission_say(s, PHRASE_UNKNOWN_COMMAND);
}

/* Mail programs send all sorts of names; only what could not be one at all is refused. */
static bool is_speakable(slice name)
{
    if (name.len == 0 || name.len > HELO_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.ptr[i] < ' ' || name.ptr[i] == 0x7f)
            return false;
    return true;
}

static void write_extensions(const struct submission *s, struct buf *text)
{
    static const slice mechanisms[] = {[VERIFY_PLAIN] = SLICE_INIT(" PLAIN"),
                                       [VERIFY_LOGIN] = SLICE_INIT(" LOGIN"),
                                       [VERIFY_EXTERNAL] = SLICE_INIT(" EXTERNAL")};
    buf_append(text, SLICE("\nPIPELINING\nSIZE"));
    if (submission_max_size(s))
        buf_printf(text, " %" PRIu64, submission_max_size(s));
    buf_append(text, SLICE("\n8BITMIME\nSMTPUTF8\nENHANCEDSTATUSCODES\nCHUNKING\nDSN"));
    if (s->config->is_local_door)
        buf_append(text, SLICE("\nXSCRIPT"));
    if (submission_lets_wait(s))
        buf_append(text, SLICE("\nXQUEUE"));
    if (s->config->tls == SUBMISSION_TLS_STARTTLS && !s->is_tls && !s->has_authenticated)
        buf_append(text, SLICE("\nSTARTTLS"));
    if (s->has_account && s->account.told_recipients)
        buf_printf(text, "\nLIMITS RCPTMAX=%" PRIu32, s->account.told_recipients);
    bool is_first = true;
    for (enum verify_mechanism m = VERIFY_PLAIN; m <= VERIFY_EXTERNAL; m++) {
        if (!submission_may_auth(s, m))
            continue;
        if (is_first)
            buf_append(text, SLICE("\nAUTH"));
        buf_append(text, mechanisms[m]);
        is_first = false;
    }
}

/* EHLO and HELO begin anew (RFC 5321 section 4.1.4). */
static void say_hello(struct submission *s, const struct command *c, bool is_esmtp)
{
    if (!is_speakable(c->argument)) {
        submission_say_about(s, PHRASE_HELO_SYNTAX, slice_of(verb_name(c->verb)), (slice){0});
        return;
    }
    submission_forget(s);
    free(s->helo);
    s->helo = xcalloc(c->argument.len + 1, 1);
    memcpy(s->helo, c->argument.ptr, c->argument.len);
    s->is_esmtp = is_esmtp;
    if (!is_esmtp) {
        submission_say_about(s, PHRASE_HELO, s->config->hostname, (slice){0});
    } else {
        char room[512];
        struct buf text = {.ptr = room, .cap = sizeof(room), .max = sizeof(room)};
        buf_append(&text, slice_to(s->config->hostname, HELO_MAX));
        write_extensions(s, &text);
        INVARIANT(!text.error);
        submission_say_reply(s, &(struct reply){.code = 250, .text = buf_slice(&text)});
    }
    submission_enter(s, submission_base(s));
}

static void run_ehlo(struct submission *s, const struct command *c)
{
    say_hello(s, c, true);
}

static void run_helo(struct submission *s, const struct command *c)
{
    say_hello(s, c, false);
}

static void run_data(struct submission *s, const struct command *c UNUSED)
{
    submission_data(s);
}

static void run_rset(struct submission *s, const struct command *c UNUSED)
{
    submission_forget(s);
    submission_say(s, PHRASE_RESET);
    submission_enter(s, submission_base(s));
}

static void run_noop(struct submission *s, const struct command *c UNUSED)
{
    submission_say(s, PHRASE_NOOP);
}

static void run_quit(struct submission *s, const struct command *c UNUSED)
{
    submission_say(s, PHRASE_BYE);
    submission_close(s);
}

static void run_vrfy(struct submission *s, const struct command *c UNUSED)
{
    submission_say(s, PHRASE_VRFY);
}

static void run_expn(struct submission *s, const struct command *c UNUSED)
{
    submission_say(s, PHRASE_NO_EXPN);
}

static void run_help(struct submission *s, const struct command *c UNUSED)
{
    submission_say(s, PHRASE_HELP);
}

static void run_auth(struct submission *s, const struct command *c)
{
    submission_auth(s, c->argument);
}

static void run_starttls(struct submission *s, const struct command *c UNUSED)
{
    if (s->is_tls) {
        submission_say(s, PHRASE_TLS_TWICE);
    } else if (s->config->tls != SUBMISSION_TLS_STARTTLS) {
        submission_say(s, PHRASE_TLS_NOT_OFFERED);
    } else if (s->has_authenticated) {
        submission_say(s, PHRASE_TLS_AFTER_AUTH);
    } else {
        submission_say(s, PHRASE_START_TLS);
        submission_push(s, &(struct effect){.kind = EFFECT_START_TLS});
        submission_enter(s, STATE_AWAITS_TLS);
    }
}

/* What was said before TLS is forgotten (RFC 3207 section 4.2). */
void submission_tls_started(struct submission *s, int err, slice tls_text)
{
    if (s->state != STATE_AWAITS_TLS)
        return;
    if (err) {
        submission_close(s);
        return;
    }
    s->is_tls = true;
    tls_text = slice_to(tls_text, sizeof(s->tls_text) - 1);
    if (tls_text.len)
        memcpy(s->tls_text, tls_text.ptr, tls_text.len);
    s->tls_text[tls_text.len] = '\0';
    free(s->helo);
    s->helo = NULL;
    s->errors = 0;
    submission_enter(s, submission_base(s));
}
