#include "policy/outcome.h"

#include "policy/blocked.h"

/* Sets of stages and of events, so that a row of the table speaks for many pairs. */
#define ON(stage) (1u << STAGE_##stage)
#define EV(event) (1u << EVENT_##event)
#define ANY 0xffffffffu

enum event {
    /* The first ones have the numbers of enum relay_fault; a reply of the wrong class is
     * GARBAGE. */
    EVENT_TIMEOUT = FAULT_TIMEOUT,
    EVENT_CLOSED = FAULT_CLOSED,
    EVENT_UNREACHED = FAULT_REFUSED,
    EVENT_GARBAGE = FAULT_GARBAGE,
    EVENT_TLS = FAULT_TLS,
    EVENT_NO_TLS = FAULT_NO_TLS,
    EVENT_NO_AUTH = FAULT_NO_AUTH,
    EVENT_CAPABILITY = FAULT_CAPABILITY,
    EVENT_LOCAL = FAULT_LOCAL,
    EVENT_NO_HOST = FAULT_NO_HOST,
    EVENT_DNS = FAULT_DNS,
    /* replies */
    EVENT_FINE = FAULT_COUNT, /* what the stage hopes for */
    EVENT_SHUTDOWN,           /* 421 */
    EVENT_LATER,              /* 4xx */
    EVENT_REFUSED,            /* 5xx */
    EVENT_ABOUT_US,           /* 5xx: our address or our rights, whatever the mail */
    EVENT_BLOCKED,            /* 5xx: our address, or else the sender's */
    EVENT_COUNT
};

_Static_assert(EVENT_COUNT < 32 && STAGE_COUNT < 32, "sets are 32 bits");

/* Which first digits a stage hopes for, as bits; 0: no reply belongs there. */
static const uint8_t hoped[STAGE_COUNT] = {
    [STAGE_GREETING] = 1 << 2, [STAGE_EHLO] = 1 << 2,
    [STAGE_STARTTLS] = 1 << 2, [STAGE_AUTH] = 1 << 2 | 1 << 3, /* 334: go on */
    [STAGE_MAIL] = 1 << 2,     [STAGE_RCPT] = 1 << 2,
    [STAGE_DATA] = 1 << 3,     [STAGE_END] = 1 << 2,
};

/* 5xx replies that mean something other than their class says. First match counts. */
static const struct reading {
    uint32_t stages;
    uint16_t code;            /* 0: any 5xx */
    uint16_t subject, detail; /* ANY_ENHANCED in subject: whatever it is, or none */
    enum event event;
} readings[] = {
#define ANY_ENHANCED 0xffff
#define SEEN_MAIL (ON(MAIL) | ON(RCPT) | ON(DATA))
    {SEEN_MAIL, 530, ANY_ENHANCED, 0, EVENT_ABOUT_US}, /* RFC 3207, RFC 4954: must first */
    {SEEN_MAIL | ON(END), 0, 7, 25, EVENT_ABOUT_US},   /* RFC 7372: no reverse DNS */
    {SEEN_MAIL | ON(END), 0, 7, 28, EVENT_ABOUT_US},   /* registered: mail flood detected */
    {ON(MAIL), 550, 7, 1, EVENT_BLOCKED},
    {ON(MAIL), 554, 7, 1, EVENT_BLOCKED},
    {ON(RCPT), 552, 0, 0, EVENT_LATER}, /* RFC 5321 4.5.3.1.10 */
    {ON(RCPT), 552, 5, 3, EVENT_LATER},
};

#define SIGNING_ON (ON(GREETING) | ON(EHLO) | ON(STARTTLS) | ON(TLS) | ON(AUTH))
#define ENVELOPE (ON(MAIL) | ON(RCPT) | ON(DATA))
#define CONTENT (ON(BODY) | ON(END))
#define CONNECTED (SIGNING_ON | ENVELOPE | CONTENT)
#define CUT (EV(TIMEOUT) | EV(CLOSED) | EV(UNREACHED) | EV(TLS))
#define LATER_OR_REFUSED (EV(LATER) | EV(REFUSED))

/* The table. First match counts; the last row matches all. The status's class is set from
 * `next` when it is read. */
static const struct row {
    uint32_t stages;
    uint32_t events;
    enum outcome_next next;
    enum outcome_scope scope;
    bool close;
    uint16_t subject, detail;
} table[] = {
    {ON(RCPT), EV(FINE), NEXT_CONTINUE, SCOPE_RECIPIENT, false, 1, 5},
    {ANY, EV(FINE), NEXT_CONTINUE, SCOPE_MESSAGE, false, 0, 0},

    /* Ours: never anybody's failure (I6). */
    {ON(RESOLVE) | ON(CONNECT) | SIGNING_ON, EV(LOCAL), NEXT_RETRY, SCOPE_SITE, true, 3, 0},
    {ENVELOPE | CONTENT, EV(LOCAL), NEXT_RETRY, SCOPE_MESSAGE, true, 3, 0},
    {ON(LOCAL), EV(LOCAL), NEXT_RETRY, SCOPE_MESSAGE, false, 3, 0},

    /* The host cannot carry this message, now or later. */
    {ANY, EV(CAPABILITY), NEXT_FAIL, SCOPE_MESSAGE, false, 6, 3},

    /* Finding the host. */
    {ON(RESOLVE), EV(NO_HOST), NEXT_FAIL, SCOPE_SITE, false, 1, 2},
    {ON(RESOLVE), ANY, NEXT_RETRY, SCOPE_SITE, false, 4, 3},
    {ON(CONNECT), EV(NO_HOST) | EV(DNS), NEXT_ADDRESS, SCOPE_SITE, true, 4, 3},
    {ON(CONNECT), ANY, NEXT_ADDRESS, SCOPE_SITE, true, 4, 1},

    /* Signing on: the site's or ours. */
    {ON(AUTH), EV(REFUSED), NEXT_RETRY, SCOPE_SITE, true, 7, 8},
    {SIGNING_ON, EV(NO_AUTH), NEXT_RETRY, SCOPE_SITE, true, 7, 0},
    {SIGNING_ON, EV(NO_TLS), NEXT_ADDRESS, SCOPE_SITE, true, 7, 10},
    {SIGNING_ON, EV(TLS), NEXT_ADDRESS, SCOPE_SITE, true, 7, 5},
    {SIGNING_ON, EV(SHUTDOWN), NEXT_ADDRESS, SCOPE_SITE, true, 3, 2},
    {ON(GREETING) | ON(EHLO), LATER_OR_REFUSED, NEXT_ADDRESS, SCOPE_SITE, true, 3, 2},
    {ON(STARTTLS) | ON(AUTH), LATER_OR_REFUSED, NEXT_ADDRESS, SCOPE_SITE, true, 7, 0},

    /* The connection or the conversation breaks. */
    {ENVELOPE, EV(SHUTDOWN), NEXT_ADDRESS, SCOPE_SITE, true, 3, 2},
    {CONTENT, EV(SHUTDOWN), NEXT_RETRY, SCOPE_MESSAGE, true, 3, 2},
    {SIGNING_ON | ENVELOPE, CUT, NEXT_ADDRESS, SCOPE_SITE, true, 4, 2},
    {CONTENT, CUT, NEXT_RETRY, SCOPE_MESSAGE, true, 4, 2},
    {SIGNING_ON | ENVELOPE, EV(GARBAGE), NEXT_ADDRESS, SCOPE_SITE, true, 5, 0},
    {CONTENT, EV(GARBAGE), NEXT_RETRY, SCOPE_MESSAGE, true, 5, 0},

    /* The host has seen the mail and refuses. */
    {ENVELOPE | CONTENT, EV(ABOUT_US), NEXT_RETRY, SCOPE_SITE, true, 7, 0},
    {ON(RCPT), EV(BLOCKED), NEXT_RETRY, SCOPE_RECIPIENT, false, 7, 1},
    {ON(MAIL) | ON(DATA) | ON(END), EV(BLOCKED), NEXT_RETRY, SCOPE_MESSAGE, false, 7, 1},
    {ON(RCPT), EV(LATER), NEXT_RETRY, SCOPE_RECIPIENT, false, 0, 0},
    {ON(RCPT), EV(REFUSED), NEXT_FAIL, SCOPE_RECIPIENT, false, 0, 0},
    {ON(BODY), EV(LATER), NEXT_RETRY, SCOPE_MESSAGE, true, 0, 0},
    {ON(BODY), EV(REFUSED), NEXT_FAIL, SCOPE_MESSAGE, true, 0, 0},
    {ON(MAIL) | ON(DATA) | ON(END), EV(LATER), NEXT_RETRY, SCOPE_MESSAGE, false, 0, 0},
    {ON(MAIL) | ON(DATA) | ON(END), EV(REFUSED), NEXT_FAIL, SCOPE_MESSAGE, false, 0, 0},

    /* What cannot be. */
    {CONNECTED, ANY, NEXT_RETRY, SCOPE_MESSAGE, true, 0, 0},
    {ANY, ANY, NEXT_RETRY, SCOPE_MESSAGE, false, 0, 0},
};

/* What a bare code says in the words of RFC 3463, where RFC 5321 4.2.3, 4954 and 5248 leave no
 * doubt; used when the table has nothing better than X.0.0. */
static const struct code_status {
    uint16_t code, subject, detail;
} code_statuses[] = {
    {451, 3, 0}, {452, 3, 1}, {454, 7, 0}, {455, 5, 4}, {500, 5, 2}, {501, 5, 4},  {502, 5, 1},
    {503, 5, 1}, {504, 5, 4}, {551, 1, 6}, {553, 1, 3}, {555, 5, 4}, {556, 1, 10},
};

static bool is_block(enum relay_stage stage, const struct reply *reply)
{
    bool may = reply->enhanced.class == 0 || reply->enhanced.subject == 7;
    return may && (SEEN_MAIL | ON(END)) & 1u << stage && blocked_is_our_address(reply->text);
}

static enum event read_refusal(enum relay_stage stage, const struct reply *reply)
{
    for (size_t i = 0; i < COUNT_OF(readings); i++) {
        const struct reading *x = &readings[i];
        if (!(x->stages & 1u << stage) || (x->code && x->code != reply->code))
            continue;
        if (x->subject == ANY_ENHANCED ||
            (x->subject == reply->enhanced.subject && x->detail == reply->enhanced.detail))
            return x->event;
    }
    return is_block(stage, reply) ? EVENT_BLOCKED : EVENT_REFUSED;
}

static enum event read_reply(enum relay_stage stage, const struct reply *reply)
{
    unsigned digit = reply->code / 100u;
    if (digit < 8 && hoped[stage] & 1u << digit)
        return EVENT_FINE;
    if (reply->code == 421)
        return EVENT_SHUTDOWN;
    if (digit == 4)
        return EVENT_LATER;
    if (digit == 5)
        return read_refusal(stage, reply);
    return EVENT_GARBAGE;
}

static enum event read_event(enum relay_stage stage, const struct reply *reply,
                             enum relay_fault fault)
{
    INVARIANT((unsigned)stage < STAGE_COUNT);
    if (reply)
        return read_reply(stage, reply);
    INVARIANT(fault > FAULT_NONE && fault < FAULT_COUNT);
    return (enum event)fault;
}

static struct enhanced status_of(const struct row *row, const struct reply *reply)
{
    static const uint16_t class_of[] = {
        [NEXT_CONTINUE] = 2, [NEXT_ADDRESS] = 4, [NEXT_RETRY] = 4,
        [NEXT_FAIL] = 5,     [NEXT_PLAIN] = 4,
    };
    struct enhanced status = {class_of[row->next], row->subject, row->detail};
    if (!reply)
        return status;
    if (reply->enhanced.class) {
        status.subject = reply->enhanced.subject;
        status.detail = reply->enhanced.detail;
        return status;
    }
    if (status.subject || status.detail)
        return status;
    for (size_t i = 0; i < COUNT_OF(code_statuses); i++)
        if (code_statuses[i].code == reply->code) {
            status.subject = code_statuses[i].subject;
            status.detail = code_statuses[i].detail;
        }
    return status;
}

struct outcome outcome_of(enum relay_stage stage, const struct reply *reply,
                          enum relay_fault fault)
{
    enum event event = read_event(stage, reply, fault);
    const struct row *row = table;
    while (!(row->stages & 1u << stage && row->events & 1u << event))
        row++;
    return (struct outcome){
        .next = row->next,
        .scope = row->scope,
        .close = row->close,
        .status = status_of(row, reply),
    };
}

bool outcome_plain_helps(enum relay_stage stage, const struct reply *reply,
                         enum relay_fault fault)
{
    uint32_t event = 1u << read_event(stage, reply, fault);
    if (stage == STAGE_STARTTLS)
        return event & (EV(LATER) | EV(REFUSED) | EV(GARBAGE) | EV(CLOSED) | EV(TIMEOUT));
    return stage == STAGE_TLS && event & (CUT | EV(GARBAGE));
}

const char *stage_name(enum relay_stage s)
{
    static const char *const names[STAGE_COUNT] = {
        [STAGE_RESOLVE] = "while looking up the host",
        [STAGE_CONNECT] = "while connecting",
        [STAGE_GREETING] = "while waiting for the greeting",
        [STAGE_EHLO] = "while sending EHLO",
        [STAGE_STARTTLS] = "while sending STARTTLS",
        [STAGE_TLS] = "while negotiating TLS",
        [STAGE_AUTH] = "while signing in",
        [STAGE_MAIL] = "while sending MAIL FROM",
        [STAGE_RCPT] = "while sending RCPT TO",
        [STAGE_DATA] = "while sending DATA",
        [STAGE_BODY] = "while sending the content",
        [STAGE_END] = "while waiting for the reply to the content",
        [STAGE_LOCAL] = "on this machine",
    };
    return (unsigned)s < STAGE_COUNT ? names[s] : "at an unknown stage";
}

const char *fault_name(enum relay_fault f)
{
    static const char *const names[FAULT_COUNT] = {
        [FAULT_NONE] = "none",
        [FAULT_TIMEOUT] = "no answer in time",
        [FAULT_CLOSED] = "connection lost",
        [FAULT_REFUSED] = "connection refused or host unreachable",
        [FAULT_GARBAGE] = "the host does not speak SMTP",
        [FAULT_TLS] = "TLS failed",
        [FAULT_NO_TLS] = "TLS is required and not offered",
        [FAULT_NO_AUTH] = "no way to sign in is offered",
        [FAULT_CAPABILITY] = "the host cannot take this message",
        [FAULT_LOCAL] = "local error",
        [FAULT_NO_HOST] = "the host does not exist",
        [FAULT_DNS] = "no answer from DNS",
    };
    return (unsigned)f < FAULT_COUNT ? names[f] : "unknown fault";
}

const char *outcome_name(enum outcome_kind k)
{
    static const char *const names[] = {
        [OUTCOME_DELIVERED] = "delivered", [OUTCOME_RETRY] = "retry",
        [OUTCOME_FAILED] = "failed",       [OUTCOME_EXPIRED] = "expired",
        [OUTCOME_REMOVED] = "removed",     [OUTCOME_SUPPRESSED] = "suppressed",
    };
    return (unsigned)k < COUNT_OF(names) && names[k] ? names[k] : "unknown";
}
