/* The table of outcomes through real sockets: a mail host that goes wrong at each stage in each
 * way, and what becomes of its mail: at once, and when it is tried again (docs/delivery.md). */
#include "virtual_clock.h"

#include "office.h"
#include "receiver.h"

#include "../net/name_server.h"
#include "base/log.h"
#include "delivery/direct.h"
#include "delivery/session.h"

/* What comes next. Two messages are under way to the domain: A for r1 and r2, B for r3. */
enum then {
    ALL_ARRIVES,     /* as if nothing had been wrong */
    IN_PLAIN_TEXT,   /* the same, over a new connection without TLS */
    ELSEWHERE,       /* another address, another host; when there is none, all of it waits */
    SITE_WAITS,      /* all of it, and nothing else is tried */
    MESSAGE_WAITS,   /* A; B arrives */
    MESSAGE_FAILS,   /* A; B arrives */
    RECIPIENT_WAITS, /* r1; r2 and r3 arrive */
    RECIPIENT_FAILS, /* r1; r2 and r3 arrive */
};

enum {
    EACH_WAY = 0,
    PIPELINED = 1,
    ONE_BY_ONE = 2,
    WITH_TLS = 4,
    LARGE = 8,
    ENCRYPT = 16, /* [destination] tls = encrypt */
    VERIFY = 32,
    CHUNKED = 64,
    SECURED = WITH_TLS | ENCRYPT | VERIFY,
};

static const struct row {
    const char *name;
    enum receiver_point point;
    enum receiver_act act;
    const char *reply;
    enum then then;
    const char *status;
    enum relay_stage stage;
    span deadline; /* of a silence */
    unsigned ways;
    unsigned skip;
    const char *text; /* a part of what is told; NULL: the reply's */
} rows[] = {
#define GOOD "250 2.0.0 fine\r\n"
#define SHUT "421 4.3.2 going down\r\n"
#define LATER "451 4.3.0 not now\r\n"
#define NEVER "554 5.3.0 never\r\n"
#define NOISE "HTTP/1.1 400 Bad Request\r\n"
#define LINES "250-and so on\r\n"
#define NO_END "250 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define MINUTES(n) .deadline = (n)*SPAN_MINUTE

    {"nothing is wrong", AT_NOTHING, DOES_REPLY, GOOD, ALL_ARRIVES},

    {"connection refused", AT_CONNECT, DOES_REPLY, NULL, ELSEWHERE, "4.4.1", STAGE_CONNECT,
     .text = "connection refused"},
    {"connection swallowed", AT_CONNECT, DOES_SILENCE, NULL, ELSEWHERE, "4.4.1", STAGE_CONNECT,
     .deadline = 30 * SPAN_SECOND, .text = "no answer in time"},

    {"greeting 421", AT_BANNER, DOES_REPLY, SHUT, ELSEWHERE, "4.3.2", STAGE_GREETING},
    {"greeting 4xx", AT_BANNER, DOES_REPLY, LATER, ELSEWHERE, "4.3.0", STAGE_GREETING},
    {"greeting 5xx", AT_BANNER, DOES_REPLY, NEVER, ELSEWHERE, "4.3.0", STAGE_GREETING},
    {"greeting: our address is blocked", AT_BANNER, DOES_REPLY,
     "554 5.7.1 your address is listed\r\n", ELSEWHERE, "4.7.1", STAGE_GREETING},
    {"greeting 3xx", AT_BANNER, DOES_REPLY, "354 go\r\n", ELSEWHERE, "4.5.0", STAGE_GREETING,
     .text = "go"},
    {"greeting: noise", AT_BANNER, DOES_REPLY, NOISE, ELSEWHERE, "4.5.0", STAGE_GREETING,
     .text = "does not speak SMTP"},
    {"greeting without end", AT_BANNER, DOES_REPEAT, "220-and so on\r\n", ELSEWHERE, "4.5.0",
     STAGE_GREETING, .text = "does not speak SMTP"},
    {"greeting: a line without end", AT_BANNER, DOES_REPEAT, NO_END, ELSEWHERE, "4.5.0",
     STAGE_GREETING, .text = "does not speak SMTP"},
    {"greeting: closed", AT_BANNER, DOES_CLOSE, NULL, ELSEWHERE, "4.4.2", STAGE_GREETING,
     .text = "connection lost"},
    {"greeting: silence", AT_BANNER, DOES_SILENCE, NULL, ELSEWHERE, "4.4.2", STAGE_GREETING,
     MINUTES(5), .text = "no answer in time"},

    {"EHLO 421", AT_HELLO, DOES_REPLY, SHUT, ELSEWHERE, "4.3.2", STAGE_EHLO},
    {"EHLO 4xx", AT_HELLO, DOES_REPLY, LATER, ELSEWHERE, "4.3.0", STAGE_EHLO},
    {"EHLO 5xx: HELO is tried", AT_HELLO, DOES_REPLY, "502 5.5.1 unknown\r\n", ALL_ARRIVES},
    {"EHLO: noise", AT_HELLO, DOES_REPLY, NOISE, ELSEWHERE, "4.5.0", STAGE_EHLO,
     .text = "does not speak SMTP"},
    {"EHLO without end", AT_HELLO, DOES_REPEAT, LINES, ELSEWHERE, "4.5.0", STAGE_EHLO,
     .text = "does not speak SMTP"},
    {"EHLO: a line without end", AT_HELLO, DOES_REPEAT, NO_END, ELSEWHERE, "4.5.0", STAGE_EHLO,
     .text = "does not speak SMTP"},
    {"EHLO: closed", AT_HELLO, DOES_CLOSE, NULL, ELSEWHERE, "4.4.2", STAGE_EHLO,
     .text = "connection lost"},
    {"EHLO: reset", AT_HELLO, DOES_RESET, NULL, ELSEWHERE, "4.4.2", STAGE_EHLO,
     .text = "connection lost"},
    {"EHLO: silence", AT_HELLO, DOES_SILENCE, NULL, ELSEWHERE, "4.4.2", STAGE_EHLO, MINUTES(5),
     .text = "no answer in time"},

    {"EHLO: a line now and then", AT_HELLO, DOES_DRIP, LINES, ELSEWHERE, "4.4.2", STAGE_EHLO,
     MINUTES(5), .text = "no answer in time"},
    {"STARTTLS works", AT_NOTHING, DOES_REPLY, GOOD, ALL_ARRIVES, .ways = WITH_TLS},
    {"STARTTLS 421", AT_TLS_COMMAND, DOES_REPLY, SHUT, ELSEWHERE, "4.3.2", STAGE_STARTTLS,
     .ways = WITH_TLS},
    {"STARTTLS 4xx", AT_TLS_COMMAND, DOES_REPLY, "454 4.7.0 not now\r\n", IN_PLAIN_TEXT,
     .ways = WITH_TLS},
    {"STARTTLS 5xx", AT_TLS_COMMAND, DOES_REPLY, NEVER, IN_PLAIN_TEXT, .ways = WITH_TLS},
    {"STARTTLS: noise", AT_TLS_COMMAND, DOES_REPLY, NOISE, IN_PLAIN_TEXT, .ways = WITH_TLS},
    {"STARTTLS without end", AT_TLS_COMMAND, DOES_REPEAT, "220-x\r\n", IN_PLAIN_TEXT,
     .ways = WITH_TLS},
    {"STARTTLS: closed", AT_TLS_COMMAND, DOES_CLOSE, NULL, IN_PLAIN_TEXT, .ways = WITH_TLS},
    {"STARTTLS: silence", AT_TLS_COMMAND, DOES_SILENCE, NULL, IN_PLAIN_TEXT,
     .stage = STAGE_STARTTLS, MINUTES(5), .ways = WITH_TLS},
    {"handshake: noise", AT_HANDSHAKE, DOES_CLOSE, NOISE, IN_PLAIN_TEXT, .ways = WITH_TLS},
    {"handshake: closed", AT_HANDSHAKE, DOES_CLOSE, NULL, IN_PLAIN_TEXT, .ways = WITH_TLS},
    {"handshake: reset", AT_HANDSHAKE, DOES_RESET, NULL, IN_PLAIN_TEXT, .ways = WITH_TLS},
    {"handshake: silence", AT_HANDSHAKE, DOES_SILENCE, NULL, IN_PLAIN_TEXT, .stage = STAGE_TLS,
     MINUTES(5), .ways = WITH_TLS},

    {"TLS is a must, and works", AT_NOTHING, DOES_REPLY, GOOD, ALL_ARRIVES,
     .ways = WITH_TLS | ENCRYPT},
    {"TLS is a must: not offered", AT_HELLO, DOES_REPLY, "250 receiver\r\n", ELSEWHERE,
     "4.7.10", STAGE_STARTTLS, .ways = WITH_TLS | ENCRYPT,
     .text = "TLS is required and not offered"},
    {"TLS is a must: EHLO is not known", AT_HELLO, DOES_REPLY, NEVER, ELSEWHERE, "4.7.10",
     STAGE_STARTTLS, .ways = WITH_TLS | ENCRYPT, .text = "TLS is required and not offered"},
    {"TLS is a must: STARTTLS 4xx", AT_TLS_COMMAND, DOES_REPLY, "454 4.7.0 not now\r\n",
     ELSEWHERE, "4.7.0", STAGE_STARTTLS, .ways = WITH_TLS | ENCRYPT},
    {"TLS is a must: STARTTLS 5xx", AT_TLS_COMMAND, DOES_REPLY, NEVER, ELSEWHERE, "4.3.0",
     STAGE_STARTTLS, .ways = WITH_TLS | ENCRYPT},
    {"TLS is a must: STARTTLS is not answered", AT_TLS_COMMAND, DOES_SILENCE, NULL, ELSEWHERE,
     "4.4.2", STAGE_STARTTLS, MINUTES(5), .ways = WITH_TLS | ENCRYPT,
     .text = "no answer in time"},
    {"TLS is a must: handshake closed", AT_HANDSHAKE, DOES_CLOSE, NULL, ELSEWHERE, "4.7.5",
     STAGE_TLS, .ways = WITH_TLS | ENCRYPT, .text = "TLS failed"},
    {"TLS is a must: handshake: silence", AT_HANDSHAKE, DOES_SILENCE, NULL, ELSEWHERE, "4.4.2",
     STAGE_TLS, MINUTES(5), .ways = WITH_TLS | ENCRYPT, .text = "no answer in time"},
    {"the certificate is right", AT_NOTHING, DOES_REPLY, GOOD, ALL_ARRIVES,
     .ways = WITH_TLS | VERIFY},
    {"the certificate must be right: not offered", AT_HELLO, DOES_REPLY, "250 receiver\r\n",
     ELSEWHERE, "4.7.10", STAGE_STARTTLS, .ways = WITH_TLS | VERIFY,
     .text = "TLS is required and not offered"},
    {"the certificate must be right: handshake closed", AT_HANDSHAKE, DOES_CLOSE, NULL,
     ELSEWHERE, "4.7.5", STAGE_TLS, .ways = WITH_TLS | VERIFY, .text = "TLS failed"},

    {"MAIL 421", AT_SENDER, DOES_REPLY, SHUT, ELSEWHERE, "4.3.2", STAGE_MAIL},
    {"MAIL 4xx", AT_SENDER, DOES_REPLY, LATER, MESSAGE_WAITS, "4.3.0", STAGE_MAIL},
    {"MAIL 5xx", AT_SENDER, DOES_REPLY, "553 5.1.7 bad sender\r\n", MESSAGE_FAILS, "5.1.7",
     STAGE_MAIL},
    {"MAIL: we must sign in first", AT_SENDER, DOES_REPLY, "530 5.7.0 sign in\r\n", SITE_WAITS,
     "4.7.0", STAGE_MAIL},
    {"MAIL: our address has no name", AT_SENDER, DOES_REPLY, "550 5.7.25 no PTR\r\n",
     SITE_WAITS, "4.7.25", STAGE_MAIL},
    {"MAIL: too much from us", AT_SENDER, DOES_REPLY, "550 5.7.28 flood\r\n", SITE_WAITS,
     "4.7.28", STAGE_MAIL},
    {"MAIL: blocked", AT_SENDER, DOES_REPLY, "550 5.7.1 blocked\r\n", MESSAGE_WAITS, "4.7.1",
     STAGE_MAIL},
    {"MAIL 3xx", AT_SENDER, DOES_REPLY, "354 go\r\n", ELSEWHERE, "4.5.0", STAGE_MAIL},
    {"MAIL: noise", AT_SENDER, DOES_REPLY, NOISE, ELSEWHERE, "4.5.0", STAGE_MAIL,
     .text = "does not speak SMTP"},
    {"MAIL without end", AT_SENDER, DOES_REPEAT, LINES, ELSEWHERE, "4.5.0", STAGE_MAIL,
     .text = "does not speak SMTP"},
    {"MAIL: a line without end", AT_SENDER, DOES_REPEAT, NO_END, ELSEWHERE, "4.5.0", STAGE_MAIL,
     .text = "does not speak SMTP"},
    {"MAIL: closed", AT_SENDER, DOES_CLOSE, NULL, ELSEWHERE, "4.4.2", STAGE_MAIL,
     .text = "connection lost"},
    {"MAIL: reset", AT_SENDER, DOES_RESET, NULL, ELSEWHERE, "4.4.2", STAGE_MAIL,
     .ways = ONE_BY_ONE, .text = "connection lost"},
    {"MAIL: silence", AT_SENDER, DOES_SILENCE, NULL, ELSEWHERE, "4.4.2", STAGE_MAIL, MINUTES(5),
     .text = "no answer in time"},
    {"second MAIL: the kept connection has gone", AT_SENDER, DOES_CLOSE, NULL, ALL_ARRIVES,
     .skip = 1},
    {"second MAIL 421: the same, politely", AT_SENDER, DOES_CLOSE, SHUT, ALL_ARRIVES,
     .skip = 1},

    {"RCPT 421", AT_RECIPIENT, DOES_REPLY, SHUT, ELSEWHERE, "4.3.2", STAGE_RCPT},
    {"RCPT 4xx", AT_RECIPIENT, DOES_REPLY, "450 4.2.0 greylisted\r\n", RECIPIENT_WAITS, "4.2.0",
     STAGE_RCPT},
    {"RCPT 452: too many", AT_RECIPIENT, DOES_REPLY, "452 4.5.3 too many\r\n", RECIPIENT_WAITS,
     "4.5.3", STAGE_RCPT},
    {"RCPT 552: too many, as of old", AT_RECIPIENT, DOES_REPLY, "552 too many\r\n",
     RECIPIENT_WAITS, "4.0.0", STAGE_RCPT},
    {"RCPT 5xx", AT_RECIPIENT, DOES_REPLY, "550 5.1.1 nobody\r\n", RECIPIENT_FAILS, "5.1.1",
     STAGE_RCPT},
    {"RCPT 552: the mailbox is full", AT_RECIPIENT, DOES_REPLY, "552 5.2.2 full\r\n",
     RECIPIENT_FAILS, "5.2.2", STAGE_RCPT},
    {"RCPT: we must sign in first", AT_RECIPIENT, DOES_REPLY, "530 5.7.0 sign in\r\n",
     SITE_WAITS, "4.7.0", STAGE_RCPT},
    {"RCPT: our address has no name", AT_RECIPIENT, DOES_REPLY, "550 5.7.25 no PTR\r\n",
     SITE_WAITS, "4.7.25", STAGE_RCPT},
    {"RCPT: our address is listed", AT_RECIPIENT, DOES_REPLY,
     "554 5.7.1 Client host [192.0.2.1] blocked using zen.spamhaus.org\r\n", RECIPIENT_WAITS,
     "4.7.1", STAGE_RCPT},
    {"RCPT: relaying is denied", AT_RECIPIENT, DOES_REPLY, "554 5.7.1 Relay access denied\r\n",
     RECIPIENT_FAILS, "5.7.1", STAGE_RCPT},
    {"RCPT: noise", AT_RECIPIENT, DOES_REPLY, NOISE, ELSEWHERE, "4.5.0", STAGE_RCPT,
     .text = "does not speak SMTP"},
    {"RCPT without end", AT_RECIPIENT, DOES_REPEAT, LINES, ELSEWHERE, "4.5.0", STAGE_RCPT,
     .text = "does not speak SMTP"},
    {"RCPT: closed", AT_RECIPIENT, DOES_CLOSE, NULL, ELSEWHERE, "4.4.2", STAGE_RCPT,
     .text = "connection lost"},
    {"RCPT: reset", AT_RECIPIENT, DOES_RESET, NULL, ELSEWHERE, "4.4.2", STAGE_RCPT,
     .ways = ONE_BY_ONE, .text = "connection lost"},
    {"RCPT: silence", AT_RECIPIENT, DOES_SILENCE, NULL, ELSEWHERE, "4.4.2", STAGE_RCPT,
     MINUTES(5), .text = "no answer in time"},

    {"DATA 421", AT_DATA_COMMAND, DOES_REPLY, SHUT, ELSEWHERE, "4.3.2", STAGE_DATA},
    {"DATA 4xx", AT_DATA_COMMAND, DOES_REPLY, LATER, MESSAGE_WAITS, "4.3.0", STAGE_DATA},
    {"DATA 5xx", AT_DATA_COMMAND, DOES_REPLY, NEVER, MESSAGE_FAILS, "5.3.0", STAGE_DATA},
    {"DATA: our address is too busy", AT_DATA_COMMAND, DOES_REPLY, "554 5.7.28 flood\r\n",
     SITE_WAITS, "4.7.28", STAGE_DATA},
    {"DATA 2xx", AT_DATA_COMMAND, DOES_REPLY, GOOD, ELSEWHERE, "4.0.0", STAGE_DATA,
     .text = "fine"},
    {"DATA: noise", AT_DATA_COMMAND, DOES_REPLY, NOISE, ELSEWHERE, "4.5.0", STAGE_DATA,
     .text = "does not speak SMTP"},
    {"DATA without end", AT_DATA_COMMAND, DOES_REPEAT, "354-x\r\n", ELSEWHERE, "4.5.0",
     STAGE_DATA, .text = "does not speak SMTP"},
    {"DATA: closed", AT_DATA_COMMAND, DOES_CLOSE, NULL, ELSEWHERE, "4.4.2", STAGE_DATA,
     .text = "connection lost"},
    {"DATA: reset", AT_DATA_COMMAND, DOES_RESET, NULL, ELSEWHERE, "4.4.2", STAGE_DATA,
     .ways = ONE_BY_ONE, .text = "connection lost"},
    {"DATA: silence", AT_DATA_COMMAND, DOES_SILENCE, NULL, ELSEWHERE, "4.4.2", STAGE_DATA,
     MINUTES(5), .text = "no answer in time"},

    {"content: 2xx in the middle", AT_CONTENT, DOES_REPLY, GOOD, MESSAGE_WAITS, "4.0.0",
     STAGE_BODY, .ways = LARGE, .text = "fine"},
    {"content: 421 in the middle", AT_CONTENT, DOES_REPLY, SHUT, MESSAGE_WAITS, "4.3.2",
     STAGE_BODY, .ways = LARGE},
    {"content: 4xx in the middle", AT_CONTENT, DOES_REPLY, LATER, MESSAGE_WAITS, "4.3.0",
     STAGE_BODY, .ways = LARGE},
    {"content: 5xx in the middle", AT_CONTENT, DOES_REPLY, NEVER, MESSAGE_FAILS, "5.3.0",
     STAGE_BODY, .ways = LARGE},
    {"content: closed", AT_CONTENT, DOES_CLOSE, NULL, MESSAGE_WAITS, "4.4.2", STAGE_BODY,
     .ways = LARGE, .text = "connection lost"},
    {"content: reset", AT_CONTENT, DOES_RESET, NULL, MESSAGE_WAITS, "4.4.2", STAGE_BODY,
     .ways = LARGE, .text = "connection lost"},
    {"content: not taken", AT_CONTENT, DOES_SILENCE, NULL, MESSAGE_WAITS, "4.4.2", STAGE_BODY,
     MINUTES(3), .ways = LARGE, .text = "no answer in time"},

    {"end 421", AT_DOT, DOES_REPLY, SHUT, MESSAGE_WAITS, "4.3.2", STAGE_END},
    {"end 4xx", AT_DOT, DOES_REPLY, LATER, MESSAGE_WAITS, "4.3.0", STAGE_END},
    {"end 5xx", AT_DOT, DOES_REPLY, "554 5.7.1 spam\r\n", MESSAGE_FAILS, "5.7.1", STAGE_END},
    {"end: our address has no name", AT_DOT, DOES_REPLY, "550 5.7.25 no PTR\r\n", SITE_WAITS,
     "4.7.25", STAGE_END},
    {"end: our address is listed", AT_DOT, DOES_REPLY, "550 Your IP is on our blocklist\r\n",
     MESSAGE_WAITS, "4.7.1", STAGE_END},
    {"end 3xx", AT_DOT, DOES_REPLY, "354 go\r\n", MESSAGE_WAITS, "4.5.0", STAGE_END},
    {"end: noise", AT_DOT, DOES_REPLY, NOISE, MESSAGE_WAITS, "4.5.0", STAGE_END,
     .text = "does not speak SMTP"},
    {"end without end", AT_DOT, DOES_REPEAT, LINES, MESSAGE_WAITS, "4.5.0", STAGE_END,
     .text = "does not speak SMTP"},
    {"end: a line without end", AT_DOT, DOES_REPEAT, NO_END, MESSAGE_WAITS, "4.5.0", STAGE_END,
     .text = "does not speak SMTP"},
    {"end: closed", AT_DOT, DOES_CLOSE, NULL, MESSAGE_WAITS, "4.4.2", STAGE_END,
     .text = "connection lost"},
    {"end: reset after the final dot", AT_DOT, DOES_RESET, NULL, MESSAGE_WAITS, "4.4.2",
     STAGE_END, .text = "connection lost"},
    {"end: silence", AT_DOT, DOES_SILENCE, NULL, MESSAGE_WAITS, "4.4.2", STAGE_END, MINUTES(10),
     .text = "no answer in time"},

    {"end: a line now and then", AT_DOT, DOES_DRIP, LINES, MESSAGE_WAITS, "4.4.2", STAGE_END,
     MINUTES(10), .text = "no answer in time"},

    {"a chunk arrives", AT_NOTHING, DOES_REPLY, GOOD, ALL_ARRIVES, .ways = LARGE | CHUNKED},
    {"chunk 421", AT_DOT, DOES_REPLY, SHUT, MESSAGE_WAITS, "4.3.2", STAGE_END,
     .ways = LARGE | CHUNKED},
    {"chunk 4xx", AT_DOT, DOES_REPLY, LATER, MESSAGE_WAITS, "4.3.0", STAGE_END,
     .ways = LARGE | CHUNKED},
    {"chunk 5xx", AT_DOT, DOES_REPLY, "554 5.7.1 spam\r\n", MESSAGE_FAILS, "5.7.1", STAGE_END,
     .ways = LARGE | CHUNKED},
    {"chunk: noise", AT_DOT, DOES_REPLY, NOISE, MESSAGE_WAITS, "4.5.0", STAGE_END,
     .ways = LARGE | CHUNKED, .text = "does not speak SMTP"},
    {"chunk: closed", AT_DOT, DOES_CLOSE, NULL, MESSAGE_WAITS, "4.4.2", STAGE_END,
     .ways = LARGE | CHUNKED, .text = "connection lost"},
    {"chunk: reset behind its last octet", AT_DOT, DOES_RESET, NULL, MESSAGE_WAITS, "4.4.2",
     STAGE_END, .ways = LARGE | CHUNKED, .text = "connection lost"},
    {"chunk: silence", AT_DOT, DOES_SILENCE, NULL, MESSAGE_WAITS, "4.4.2", STAGE_END,
     MINUTES(10), .ways = LARGE | CHUNKED, .text = "no answer in time"},

    {"QUIT: refused", AT_BYE, DOES_REPLY, NEVER, ALL_ARRIVES},
    {"QUIT: closed", AT_BYE, DOES_RESET, NULL, ALL_ARRIVES},
    {"QUIT: silence", AT_BYE, DOES_SILENCE, NULL, ALL_ARRIVES, .stage = STAGE_CONNECT,
     .deadline = 5 * SPAN_SECOND},
};

/* Signing in, at the one next host. */
static const struct row sign_in_rows[] = {
    {"AUTH works", AT_NOTHING, DOES_REPLY, GOOD, ALL_ARRIVES},
    {"AUTH 421", AT_SIGN_IN, DOES_REPLY, SHUT, ELSEWHERE, "4.3.2", STAGE_AUTH},
    {"AUTH 4xx", AT_SIGN_IN, DOES_REPLY, "454 4.7.0 not now\r\n", ELSEWHERE, "4.7.0",
     STAGE_AUTH},
    {"AUTH 5xx: no other address is tried", AT_SIGN_IN, DOES_REPLY, "535 5.7.8 wrong\r\n",
     SITE_WAITS, "4.7.8", STAGE_AUTH},
    {"AUTH: noise", AT_SIGN_IN, DOES_REPLY, NOISE, ELSEWHERE, "4.5.0", STAGE_AUTH,
     .text = "does not speak SMTP"},
    {"AUTH without end", AT_SIGN_IN, DOES_REPEAT, "235-x\r\n", ELSEWHERE, "4.5.0", STAGE_AUTH,
     .text = "does not speak SMTP"},
    {"AUTH: closed", AT_SIGN_IN, DOES_CLOSE, NULL, ELSEWHERE, "4.4.2", STAGE_AUTH,
     .text = "connection lost"},
    {"AUTH: silence", AT_SIGN_IN, DOES_SILENCE, NULL, ELSEWHERE, "4.4.2", STAGE_AUTH,
     MINUTES(5), .text = "no answer in time"},
    {"no AUTH is offered", AT_HELLO, DOES_REPLY, "250 receiver\r\n", SITE_WAITS, "4.7.0",
     STAGE_AUTH, .text = "no way to sign in"},
};

/* ---- the stage ---- */

static struct stage {
    struct office *office;
    struct receiver receiver;
    struct name_server dns;
    struct direct *direct; /* or: */
    struct site *smarthost;
    struct conf *conf;
    struct buf dns_script;
    struct buf large;

    /* the row that runs */
    const struct row *row;
    unsigned bad_hosts;
    bool is_chunked; /* the host takes chunks */
    char domain[40];
    uint64_t ids[3]; /* of r1, r2, r3 */
    uint32_t indexes[3];
    unsigned turns; /* since the last step of virtual time */
    uint64_t connections_before;
    uint64_t episode; /* the connection that is waited for */
    unsigned steps;   /* that its time made */
    unsigned early;   /* silences that ended before their deadline */
} on;

static void skip_time(span by)
{
    clock_skip(by);
    timer_set(&on.office->guard, by + 20 * SPAN_SECOND);
    on.turns = 0;
}

static struct site *site(void)
{
    return on.smarthost ? on.smarthost : map_get(&on.direct->sites, slice_of(on.domain));
}

/* The one connection, when it waits for a host that is silent. */
static struct session *waiting_session(void)
{
    struct site *s = site();
    if (!s || list_is_empty(&s->sessions))
        return NULL;
    struct session *x = LIST_ITEM(s->sessions.next, struct session, node);
    pthread_mutex_lock(&on.receiver.mutex);
    /* Connections are made and taken one after the other. */
    uint64_t call = on.office->pages.stats.connections_out - on.connections_before;
    bool is_silent = on.receiver.silent_call == call;
    pthread_mutex_unlock(&on.receiver.mutex);
    if (on.row->point == AT_CONNECT)
        is_silent = x->address < on.bad_hosts;
    bool is_there = x->stage == on.row->stage && (on.row->point != AT_BYE || x->is_quitting) &&
                    (on.row->point != AT_CONTENT || x->is_blocked);
    return is_silent && is_there ? x : NULL;
}

/* Nothing may happen until a second before the deadline, and all of it a second later; a line
 * that comes on the way changes nothing. */
static void pass_silence(void)
{
    uint64_t episode = on.office->pages.stats.connections_out;
    struct session *x = waiting_session();
    span deadline = on.row->deadline, half = deadline / 2;
    const span silence[] = {deadline - SPAN_SECOND, 2 * SPAN_SECOND, 0};
    const span drip[] = {half, deadline - half - SPAN_SECOND, 2 * SPAN_SECOND, 0};
    const span *steps = on.row->act == DOES_DRIP ? drip : silence;
    if (episode != on.episode || (!x && on.steps > 0)) {
        on.early += on.steps > 0 && steps[on.steps] > 0;
        on.steps = on.turns = 0;
        on.episode = episode;
    }
    if (!x || steps[on.steps] == 0 || ++on.turns < 4)
        return;
    skip_time(steps[on.steps++]);
    if (steps == drip && on.steps == 1)
        receiver_drip(&on.receiver);
}

static void pump(struct office *o)
{
    (void)o;
    if (on.smarthost)
        site_pump(on.smarthost);
    else
        direct_pump(on.direct);
    if (on.row && (on.row->act == DOES_SILENCE || on.row->act == DOES_DRIP))
        pass_silence();
}

static struct recipient *recipient(unsigned i)
{
    return office_recipient(on.office, on.ids[i], on.indexes[i]);
}

static bool is_busy(void)
{
    struct site *s = site();
    return s && s->count > s->idle_count;
}

/* Each has its fate for now. */
static bool is_settled(struct office *o)
{
    for (unsigned i = 0; i < 3; i++) {
        struct recipient *r = recipient(i);
        bool waits_for_site =
            on.smarthost && r && r->state == RECIPIENT_READY && on.smarthost->failures > 0;
        if (r && r->state != RECIPIENT_WAITING && r->state != RECIPIENT_FAILED &&
            !waits_for_site)
            return false;
    }
    return settle_is_idle(o->courier.settle) && !is_busy();
}

static bool is_delivered(struct office *o)
{
    for (unsigned i = 0; i < 3; i++) {
        struct recipient *r = recipient(i);
        if (r && r->state != RECIPIENT_FAILED)
            return false;
    }
    return settle_is_idle(o->courier.settle);
}

static bool has_turned(struct office *o)
{
    (void)o;
    return ++on.turns > 4;
}

static bool is_closed(struct office *o)
{
    struct site *s = site();
    return (!s || s->count == 0) && settle_is_idle(o->courier.settle);
}

static void on_kick(void *ctx)
{
    struct office *o = ctx;
    timer_set(&o->kick, 4 * SPAN_MS);
}

static void on_stuck(void *ctx)
{
    (void)ctx;
    fail_msg("%s, %u bad hosts: nothing happens", on.row ? on.row->name : "the end",
             on.bad_hosts);
}

/* ---- what must be ---- */

static unsigned problems;

#define CHECK(claim, ...)                                                  \
    do {                                                                   \
        if (!(claim)) {                                                    \
            problems++;                                                    \
            print_error("%s, %u bad hosts: ", on.row->name, on.bad_hosts); \
            print_error(__VA_ARGS__);                                      \
            print_error("\n");                                             \
        }                                                                  \
    } while (0)

static slice expected_text(void)
{
    slice text = slice_of(on.row->text ? on.row->text : on.row->reply);
    if (on.row->text)
        return text;
    return slice_trim(slice_to(slice_from(text, 4), text.len - 6));
}

static void check_trouble(unsigned i, struct enhanced status, enum relay_stage stage,
                          slice text)
{
    char got[24];
    slice wanted = expected_text();
    snprintf(got, sizeof(got), "%u.%u.%u", status.class, status.subject, status.detail);
    CHECK(strcmp(got, on.row->status) == 0, "r%u: %s, not %s", i + 1, got, on.row->status);
    CHECK(stage == on.row->stage, "r%u: %s", i + 1, stage_name(stage));
    while (wanted.len > 0 && wanted.ptr[0] >= '0' && wanted.ptr[0] <= '9') { /* X.Y.Z */
        slice code;
        slice_split(&wanted, ' ', &code);
    }
    CHECK(slice_search(text, wanted) >= 0, "r%u: \"%.*s\" has no \"%.*s\"", i + 1,
          SLICE_ARG(text), SLICE_ARG(wanted));
}

static void check_arrives(unsigned i)
{
    struct recipient *r = recipient(i);
    CHECK(!r, "r%u is %s after %u attempts", i + 1, recipient_state_name(r->state),
          r->attempts);
}

static void check_waits(unsigned i)
{
    struct recipient *r = recipient(i);
    if (on.smarthost) { /* it is the site that waits, at no recipient's cost */
        CHECK(r && r->state == RECIPIENT_READY && r->attempts == 0, "r%u does not wait", i + 1);
        check_trouble(i, on.smarthost->outcome.status, on.smarthost->stage,
                      slice_of(on.smarthost->text));
        return;
    }
    CHECK(r && r->state == RECIPIENT_WAITING, "r%u does not wait", i + 1);
    if (!r || !r->trouble)
        return;
    span in = r->next - env_now(on.office->env);
    CHECK(r->attempts == 1, "r%u: %u attempts", i + 1, r->attempts);
    CHECK(in > 4 * SPAN_MINUTE && in < 6 * SPAN_MINUTE, "r%u: again in %lld s", i + 1,
          (long long)(in / SPAN_SECOND));
    check_trouble(i, r->trouble->status, r->trouble->stage, trouble_reply(r->trouble));
}

static void check_fails(unsigned i)
{
    struct recipient *r = recipient(i);
    CHECK(r && r->state == RECIPIENT_FAILED, "r%u has not failed", i + 1);
    if (r && r->trouble)
        check_trouble(i, r->trouble->status, r->trouble->stage, trouble_reply(r->trouble));
}

/* Who was called: of the bad ones each once, and who is good. */
static void check_calls(unsigned wanted)
{
    const struct receiver *r = &on.receiver;
    CHECK(r->called == wanted, "%u hosts were called, not %u", r->called, wanted);
    /* The second mail host only after both addresses of the first. */
    for (unsigned i = 0; i < r->called && !on.smarthost && on.row->point != AT_CONNECT; i++)
        CHECK((r->order[i] == 2) == (i == 2), "host %u was called as number %u", r->order[i],
              i + 1);
}

static void check_next(void)
{
    enum then then = on.row->then;
    bool is_deaf = on.row->point == AT_CONNECT;
    unsigned hosts = on.smarthost ? 2 : RECEIVER_HOSTS;
    bool all_waits = then == SITE_WAITS || (then == ELSEWHERE && on.bad_hosts == hosts);
    void (*a)(unsigned) = all_waits || then == MESSAGE_WAITS ? check_waits
                          : then == MESSAGE_FAILS            ? check_fails
                                                             : check_arrives;
    void (*first)(unsigned) = then == RECIPIENT_WAITS   ? check_waits
                              : then == RECIPIENT_FAILS ? check_fails
                                                        : a;
    first(0);
    a(1);
    (all_waits ? check_waits : check_arrives)(2);
    check_calls(then != ELSEWHERE ? 1 : is_deaf ? hosts - on.bad_hosts : hosts);
    CHECK(!site() || (site()->failures > 0) == all_waits, "the site has %u failures",
          site()->failures);
    CHECK(on.early == 0, "a deadline ended early");
    for (unsigned i = 0; i < on.receiver.mails; i++)
        CHECK(on.receiver.mail[i].is_secured ==
                  ((on.row->ways & SECURED) && then != IN_PLAIN_TEXT),
              "mail %u went the wrong way", i);
    for (unsigned i = 0; i < on.receiver.mails; i++)
        CHECK(on.receiver.mail[i].is_chunked ==
                  (on.is_chunked && strcmp(on.receiver.mail[i].from, "bad@x.test") == 0),
              "mail %u was not sent as it should be", i);
}

/* ---- the course of a row ---- */

static void post(const struct row *row)
{
    char to[3][64];
    for (unsigned i = 0; i < 3; i++)
        snprintf(to[i], sizeof(to[i]), "r%u@%s", i + 1, on.domain);
    const char *const two[] = {to[0], to[1], NULL}, *const one[] = {to[2], NULL};
    struct office_message a = {.account = 1,
                               .from = "bad@x.test",
                               .to = two,
                               .body = SLICE("Subject: a\r\n\r\nx\r\n")};
    struct office_message b = {.account = 2,
                               .from = "good@x.test",
                               .to = one,
                               .body = SLICE("Subject: b\r\n\r\nx\r\n")};
    if (row->ways & LARGE) {
        a.body = buf_slice(&on.large);
        a.in_file = true;
    }
    on.ids[0] = on.ids[1] = office_post(on.office, &a);
    on.ids[2] = office_post(on.office, &b);
    on.indexes[1] = 1;
    office_read(on.office);
}

/* Nobody is called before it is time; then all that waits arrives. */
static void try_again(void)
{
    stamp first = STAMP_NEVER, last = 0, now = env_now(on.office->env);
    for (unsigned i = 0; i < 3; i++) {
        struct recipient *r = recipient(i);
        if (!r || r->state == RECIPIENT_FAILED)
            continue;
        stamp at = on.smarthost ? now + on.smarthost->pause_until - loop_time(on.office->loop)
                                : r->next;
        first = at < first ? at : first;
        last = at > last ? at : last;
    }
    if (last == 0)
        return;
    receiver_mend(&on.receiver);
    unsigned calls = on.receiver.calls;
    skip_time(first - now - SPAN_SECOND);
    office_run(on.office, has_turned);
    CHECK(on.receiver.calls == calls, "it was tried again too early");
    skip_time(last - env_now(on.office->env) + SPAN_SECOND);
    office_run(on.office, is_delivered);
}

static void run(const struct row *row, unsigned ways, unsigned bad_hosts, bool has_auth)
{
    struct receiver_script script = {
        .point = row->point,
        .act = row->act,
        .reply = row->reply,
        .hosts = bad_hosts,
        .skip = row->skip,
        .only = row->then == MESSAGE_WAITS || row->then == MESSAGE_FAILS       ? "bad@"
                : row->then == RECIPIENT_WAITS || row->then == RECIPIENT_FAILS ? "r1@"
                                                                               : NULL,
        .offers = has_auth            ? "250-AUTH PLAIN LOGIN\r\n"
                  : ways & ONE_BY_ONE ? ""
                  : ways & CHUNKED    ? "250-PIPELINING\r\n250-CHUNKING\r\n"
                                      : "250-PIPELINING\r\n",
        .offers_tls = ways & WITH_TLS,
    };
    on.row = row;
    on.bad_hosts = bad_hosts;
    on.is_chunked = ways & CHUNKED;
    on.early = on.steps = on.turns = 0;
    on.connections_before = on.office->pages.stats.connections_out;
    receiver_set(&on.receiver, &script);
    post(row);
    office_run(on.office, is_settled);
    check_next();
    try_again();
    for (unsigned i = 0; i < 3; i++)
        CHECK(!recipient(i) || recipient(i)->state == RECIPIENT_FAILED, "r%u is left", i + 1);
    /* What is kept for more ends, and says good-bye. */
    on.office->courier.is_held = true;
    office_run(on.office, is_closed);
    on.office->courier.is_held = false;
    receiver_mend(&on.receiver);
    on.row = NULL;
}

static void make_conf(const char *text)
{
    struct buf errors = BUF_INIT;
    on.conf = conf_parse(SLICE("test"), slice_of(text), &errors);
    if (!on.conf)
        fail_msg("%.*s", (int)errors.len, errors.ptr);
}

static void set_up(void)
{
    struct buf chain = BUF_INIT, key = BUF_INIT;
    on.office = office_new();
    receiver_start(&on.receiver);
    on.office->pump = pump;
    timer_init(&on.office->guard, on.office->loop, on_stuck, NULL);
    timer_init(&on.office->kick, on.office->loop, on_kick, on.office);
    assert_int_equal(tls_make_certificate("mx1.example", &chain, &key), 0);
    on.receiver.tls = SSL_CTX_new(TLS_server_method());
    BIO *c = BIO_new_mem_buf(chain.ptr, (int)chain.len);
    BIO *k = BIO_new_mem_buf(key.ptr, (int)key.len);
    X509 *certificate = PEM_read_bio_X509(c, NULL, NULL, NULL);
    EVP_PKEY *pkey = PEM_read_bio_PrivateKey(k, NULL, NULL, NULL);
    assert_int_equal(SSL_CTX_use_certificate(on.receiver.tls, certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(on.receiver.tls, pkey), 1);
    char path[80];
    snprintf(path, sizeof(path), "%s/ca.pem", on.office->root);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(chain.ptr, 1, chain.len, f), chain.len);
    assert_int_equal(fclose(f), 0);
    X509_free(certificate);
    EVP_PKEY_free(pkey);
    BIO_free(c);
    BIO_free(k);
    buf_fini(&chain);
    buf_fini(&key);
}

static void tear_down(void)
{
    on.office->pump = NULL;
    office_free(on.office);
    receiver_stop(&on.receiver);
    conf_free(&on.conf);
    buf_fini(&on.large);
    buf_fini(&on.dns_script);
    on = (struct stage){0};
}

enum { USUAL, MUST, RIGHT };
static const char *const suffixes[] = {
    [USUAL] = ".example", [MUST] = ".must.example", [RIGHT] = ".right.example"};

static void set_up_direct(void)
{
    struct buf errors = BUF_INIT, text = BUF_INIT;
    struct courier *c = &on.office->courier;
    for (unsigned i = 0; i < COUNT_OF(rows) * 4; i++)
        for (size_t j = 0; j < COUNT_OF(suffixes); j++) {
            buf_printf(&on.dns_script, "d%u%s MX 10 mx1.example\n", i, suffixes[j]);
            buf_printf(&on.dns_script, "d%u%s MX 20 mx2.example\n", i, suffixes[j]);
        }
    buf_printf(&on.dns_script,
               "mx1.example A 127.0.0.1\nmx1.example A 127.0.0.2\n"
               "mx2.example A 127.0.0.3\n%c",
               0);
    ns_start(&on.dns, on.dns_script.ptr);
    buf_printf(&text,
               "[server]\nhostname = out.example.com\nstate-dir = /nonexistent\n"
               "[delivery]\ntransport = direct\ndirect-port = %u\nconnections = 1\n"
               "allow-private = yes\nca-file = %s/ca.pem\n"
               "[destination .must.example]\ntls = encrypt\n"
               "[destination .right.example]\ntls = verify\nhosts = "
               "mx1.example\n[resolver]\nforward = 127.0.0.1@%u\n"
               "[listener a]\naddress = 127.0.0.1:2525\n%c",
               on.receiver.port, on.office->root, on.dns.port, 0);
    make_conf(text.ptr);
    c->resolver = resolver_new(c->loop, &on.conf->resolver, &errors);
    on.direct = c->resolver ? direct_new(c, on.conf, &errors) : NULL;
    if (!on.direct)
        fail_msg("%.*s", (int)errors.len, errors.ptr);
    on.office->replay.destination = &on.direct->destination;
    buf_fini(&text);
    while (on.large.len < 8 << 20)
        buf_append(&on.large, SLICE("All work and no play makes Jack a dull boy.\r\n"));
}

static bool is_direct_closed(struct office *o)
{
    return direct_is_idle(on.direct) && settle_is_idle(o->courier.settle);
}

static void tear_down_direct(void)
{
    direct_close(on.direct);
    office_run(on.office, is_direct_closed);
    queue_move(&on.office->queue, NULL, &on.office->limbo);
    on.office->pump = NULL;
    direct_free(&on.direct);
    resolver_free(&on.office->courier.resolver);
    ns_stop(&on.dns);
    tear_down();
}

/* A row that names no way goes both small ways, a large one both large ways. */
static bool does(const struct row *row, unsigned way)
{
    unsigned ways = row->ways & ~(unsigned)(ENCRYPT | VERIFY), kind = WITH_TLS | LARGE;
    if (ways & (CHUNKED | ONE_BY_ONE))
        return (way & (CHUNKED | ONE_BY_ONE)) == (ways & (CHUNKED | ONE_BY_ONE));
    return (way & kind) == ways;
}

static void test_direct(void **state)
{
    (void)state;
    unsigned count = 0;
    set_up();
    set_up_direct();
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        static const unsigned styles[] = {PIPELINED, ONE_BY_ONE, PIPELINED | WITH_TLS,
                                          PIPELINED | LARGE, PIPELINED | LARGE | CHUNKED};
        for (size_t w = 0; w < COUNT_OF(styles); w++)
            for (unsigned bad = rows[i].then == ELSEWHERE ? 2 : RECEIVER_HOSTS;
                 bad <= RECEIVER_HOSTS && does(&rows[i], styles[w]); bad++) {
                snprintf(on.domain, sizeof(on.domain), "d%u%s", count++,
                         suffixes[rows[i].ways & ENCRYPT  ? MUST
                                  : rows[i].ways & VERIFY ? RIGHT
                                                          : USUAL]);
                run(&rows[i], styles[w], bad, false);
            }
    }
    tear_down_direct();
    print_message("%u cases\n", count);
    assert_int_equal(problems, 0);
}

static const struct {
    const char *name;
    const char *from;
    const char *body;
    unsigned flags;
    const char *offers;
    const char *status; /* NULL: it arrives */
    const char *text;
} needs[] = {
    {"8BITMIME was declared, and is not needed", "a@x.test", "Subject: x\r\n\r\nx\r\n",
     MESSAGE_8BITMIME, "", NULL, NULL},
    {"8-bit text", "a@x.test", "Subject: x\r\n\r\n\xc3\xa5\r\n", 0, "", "5.6.3",
     "does not take 8-bit text (8BITMIME)"},
    {"8-bit text where it is taken", "a@x.test", "Subject: x\r\n\r\n\xc3\xa5\r\n",
     MESSAGE_8BITMIME, "250-8BITMIME\r\n", NULL, NULL},
    {"SMTPUTF8 was declared, and is not needed", "a@x.test", "Subject: x\r\n\r\n\xc3\xa5\r\n",
     MESSAGE_SMTPUTF8, "250-8BITMIME\r\n", NULL, NULL},
    {"an address of all the world's letters", "\xc3\xa5@x.test", "Subject: x\r\n\r\nx\r\n",
     MESSAGE_SMTPUTF8, "250-8BITMIME\r\n", "5.6.7", "does not take SMTPUTF8"},
    {"a header of them", "a@x.test", "Subject: \xc3\xa5\r\n\r\nx\r\n", MESSAGE_SMTPUTF8,
     "250-8BITMIME\r\n", "5.6.7", "does not take SMTPUTF8"},
    {"the same where they are taken", "\xc3\xa5@x.test", "Subject: \xc3\xa5\r\n\r\nx\r\n",
     MESSAGE_SMTPUTF8, "250-8BITMIME\r\n250-SMTPUTF8\r\n", NULL, NULL},
};

/* Nothing is converted: what a host does not take comes back. */
static void test_what_a_host_lacks(void **state)
{
    (void)state;
    set_up();
    set_up_direct();
    for (unsigned i = 0; i < COUNT_OF(needs); i++) {
        char to[64];
        struct row row = {
            .name = needs[i].name, .status = needs[i].status, .stage = STAGE_MAIL};
        struct receiver_script script = {.offers = needs[i].offers};
        snprintf(on.domain, sizeof(on.domain), "d%u.example", i);
        snprintf(to, sizeof(to), "r@%s", on.domain);
        struct office_message m = {.account = 1,
                                   .from = needs[i].from,
                                   .to = (const char *const[]){to, NULL},
                                   .body = slice_of(needs[i].body),
                                   .flags = needs[i].flags};
        row.text = needs[i].text;
        on.row = &row;
        receiver_set(&on.receiver, &script);
        on.ids[0] = on.ids[1] = on.ids[2] = office_post(on.office, &m);
        on.indexes[1] = 0;
        office_read(on.office);
        office_run(on.office, is_settled);
        (needs[i].status ? check_fails : check_arrives)(0);
        on.row = NULL;
    }
    tear_down_direct();
    assert_int_equal(problems, 0);
}

/* The next host has two addresses, as if its name had been looked up. */
static void set_up_smarthost(void)
{
    struct buf errors = BUF_INIT, text = BUF_INIT;
    buf_printf(&text,
               "[server]\nhostname = out.test\nstate-dir = /nonexistent\n"
               "[delivery]\ntransport = smarthost\nconnections = 1\n"
               "[smarthost]\nhost = 127.0.0.1\nport = %u\ntls = none\nlogin = us\n"
               "plaintext-auth = yes\npassword-file = /nonexistent\n"
               "[listener a]\naddress = 127.0.0.1:2525\n%c",
               on.receiver.port, 0);
    make_conf(text.ptr);
    on.smarthost =
        site_new(&on.office->courier, on.conf, SLICE("secret\n"), (slice){0}, &errors);
    assert_non_null(on.smarthost);
    struct target *t = &on.smarthost->target;
    struct target_address first = t->addresses[0];
    free(t->addresses);
    t->addresses = xcalloc(2, sizeof(*t->addresses));
    t->count = 2;
    t->addresses[0] = t->addresses[1] = first;
    t->addresses[1].address.bytes[3]++;
    on.office->replay.destination = &on.smarthost->destination;
    buf_fini(&text);
}

static void run_sign_in(const struct row *row, unsigned bad)
{
    set_up_smarthost();
    run(row, PIPELINED, bad, true);
    site_close(on.smarthost);
    office_run(on.office, is_closed);
    queue_move(&on.office->queue, NULL, &on.office->limbo);
    site_free(&on.smarthost);
    conf_free(&on.conf);
}

static void test_sign_in(void **state)
{
    (void)state;
    set_up();
    snprintf(on.domain, sizeof(on.domain), "y.test");
    for (size_t i = 0; i < COUNT_OF(sign_in_rows); i++)
        for (unsigned bad = sign_in_rows[i].then == ELSEWHERE ? 1 : 2; bad <= 2; bad++)
            run_sign_in(&sign_in_rows[i], bad);
    tear_down();
    assert_int_equal(problems, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_direct),
        cmocka_unit_test(test_sign_in),
        cmocka_unit_test(test_what_a_host_lacks),
    };
    log_setup("test", LOG_LOGFMT, LOG_ERROR);
    return cmocka_run_group_tests_name("delivery/outcomes", tests, NULL, NULL);
}
