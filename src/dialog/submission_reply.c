#include "dialog/submission_reply.h"

#include "dialog/submission_internal.h"

enum {
    TEXT_MAX = 900, /* octets of one reply's text; longer arguments are cut */
    ARGUMENT_MAX = 600,
};

struct row {
    uint16_t code;
    struct enhanced enhanced;
    bool is_error; /* counts towards max_errors */
    const char *text;
};

#define OK(code, c, s, d, text)              \
    {                                        \
        (code), {(c), (s), (d)}, false, text \
    }
#define NO(code, c, s, d, text)              \
    {                                        \
        (code), {(c), (s), (d)}, false, text \
    }
#define ERROR(code, c, s, d, text)          \
    {                                       \
        (code), {(c), (s), (d)}, true, text \
    }

static const struct row rows[] = {
    [PHRASE_GREETING] = OK(220, 0, 0, 0, "%a ESMTP Utpost"),
    [PHRASE_HELO] = OK(250, 0, 0, 0, "%a"),
    [PHRASE_START_TLS] = OK(220, 2, 0, 0, "Ready to start TLS"),
    [PHRASE_SIGNED_IN] = OK(235, 2, 7, 0, "Signed in"),
    [PHRASE_MAIL_OK] = OK(250, 2, 1, 0, "Sender accepted"),
    [PHRASE_RCPT_OK] = OK(250, 2, 1, 5, "Recipient accepted"),
    [PHRASE_GO_AHEAD] = OK(354, 0, 0, 0, "Send the message, end it with <CRLF>.<CRLF>"),
    [PHRASE_CHUNK_OK] = OK(250, 2, 0, 0, "%a octets received"),
    [PHRASE_QUEUED] = OK(250, 2, 0, 0, "Queued as %a"),
    [PHRASE_RESET] = OK(250, 2, 0, 0, "Forgotten"),
    [PHRASE_NOOP] = OK(250, 2, 0, 0, "OK"),
    [PHRASE_BYE] = OK(221, 2, 0, 0, "Goodbye"),
    [PHRASE_VRFY] = OK(252, 2, 1, 5, "Addresses are not verified here; send the message"),
    [PHRASE_HELP] = OK(214, 2, 0, 0,
                       "This service sends mail for those who have an account with it.\n"
                       "EHLO, STARTTLS, AUTH, then MAIL, RCPT, DATA (RFC 5321, RFC 6409)"),

    [PHRASE_EHLO_FIRST] = ERROR(503, 5, 5, 1, "Send EHLO first"),
    [PHRASE_TLS_FIRST] =
        ERROR(530, 5, 7, 0, "Turn on TLS (STARTTLS or SSL/TLS) in your mail program first"),
    [PHRASE_SIGN_IN] = ERROR(530, 5, 7, 0,
                             "Sign in first: turn on authentication for outgoing mail in your "
                             "mail program"),
    [PHRASE_MAIL_FIRST] = ERROR(503, 5, 5, 1, "Send MAIL FROM first"),
    [PHRASE_RCPT_FIRST] = ERROR(503, 5, 5, 1, "Send RCPT TO first"),
    [PHRASE_NO_RECIPIENT] =
        ERROR(554, 5, 5, 1, "No recipient was accepted, so there is nobody to send to"),
    [PHRASE_NESTED_MAIL] =
        ERROR(503, 5, 5, 1, "A message was begun already: finish it, or send RSET first"),
    [PHRASE_IN_TRANSACTION] =
        ERROR(503, 5, 5, 1, "Not inside a message: finish it, or send RSET first"),
    [PHRASE_IN_CHUNKS] = ERROR(503, 5, 5, 1,
                               "A message is arriving by BDAT: go on with BDAT, or send RSET "
                               "first"),
    [PHRASE_AUTH_TWICE] = ERROR(503, 5, 5, 1, "You are signed in already"),
    [PHRASE_TLS_TWICE] = ERROR(503, 5, 5, 1, "TLS is up already"),
    [PHRASE_TLS_AFTER_AUTH] = ERROR(503, 5, 5, 1, "Send STARTTLS before AUTH"),
    [PHRASE_TLS_NOT_OFFERED] = ERROR(502, 5, 5, 1, "STARTTLS is not offered here"),
    [PHRASE_TLS_BYTES_BEHIND] = ERROR(554, 5, 5, 1,
                                      "Nothing may be sent behind STARTTLS before its reply "
                                      "(RFC 3207); what was sent is dropped"),
    [PHRASE_UNKNOWN_COMMAND] =
        ERROR(500, 5, 5, 2, "Unknown command; HELP names those there are"),
    [PHRASE_NO_EXPN] = ERROR(502, 5, 5, 1, "EXPN is not offered here"),
    [PHRASE_WEB_CLIENT] = NO(421, 4, 7, 0, "This is a mail service; it does not speak HTTP"),

    [PHRASE_ARGUMENT_MISSING] = ERROR(501, 5, 5, 4, "%a needs an argument"),
    [PHRASE_ARGUMENT_SURPLUS] = ERROR(501, 5, 5, 4, "%a takes no argument"),
    [PHRASE_HELO_SYNTAX] = ERROR(501, 5, 5, 4, "Send %a with the name of your host"),
    [PHRASE_MAIL_SYNTAX] = ERROR(501, 5, 5, 4, "Send MAIL FROM:<address>"),
    [PHRASE_RCPT_SYNTAX] = ERROR(501, 5, 5, 4, "Send RCPT TO:<address>"),
    [PHRASE_SENDER_SYNTAX] = ERROR(501, 5, 1, 7,
                                   "Not a valid sender address: %a (write <name@domain>, with "
                                   "its angle brackets)"),
    [PHRASE_RECIPIENT_SYNTAX] = ERROR(501, 5, 1, 3,
                                      "Not a valid recipient address: %a (write <name@domain>, "
                                      "with its angle brackets)"),
    [PHRASE_SENDER_UTF8] = NO(553, 5, 6, 7,
                              "This sender address has letters beyond ASCII: give SMTPUTF8 "
                              "with MAIL"),
    [PHRASE_RECIPIENT_UTF8] = NO(553, 5, 6, 7,
                                 "This recipient address has letters beyond ASCII: give "
                                 "SMTPUTF8 with MAIL"),
    [PHRASE_PARAMETER_UNKNOWN] = ERROR(555, 5, 5, 4,
                                       "The parameter %a is not offered here; see the reply "
                                       "to EHLO"),
    [PHRASE_PARAMETER_SYNTAX] = ERROR(501, 5, 5, 4,
                                      "The parameter %a is malformed, given twice or out of "
                                      "range"),
    [PHRASE_CHUNK_SYNTAX] = ERROR(501, 5, 5, 4,
                                  "Send BDAT with a number of octets, and LAST with the last "
                                  "chunk; where your chunk ends cannot be known"),
    [PHRASE_LINE_TOO_LONG] = ERROR(500, 5, 5, 2, "Command line too long"),
    [PHRASE_LINE_BARE_CR] = ERROR(500, 5, 5, 2,
                                  "Bare CR in a command: end each line with CRLF and send "
                                  "no "
                                  "other CR or LF (RFC 5321 2.3.8)"),
    [PHRASE_LINE_BARE_LF] = ERROR(500, 5, 5, 2,
                                  "Bare LF in a command: end each line with CRLF and send "
                                  "no "
                                  "other CR or LF (RFC 5321 2.3.8)"),
    [PHRASE_LINE_NUL] = ERROR(500, 5, 5, 2, "NUL in a command"),

    [PHRASE_AUTH_MECHANISM] = ERROR(504, 5, 5, 4, "This mechanism is not offered; use %a"),
    [PHRASE_AUTH_NOT_OFFERED] = ERROR(502, 5, 5, 1, "AUTH is not offered here"),
    [PHRASE_AUTH_NEEDS_TLS] = ERROR(538, 5, 7, 11,
                                    "Passwords are taken over TLS only: turn on STARTTLS (or "
                                    "SSL/TLS) in your mail program"),
    [PHRASE_AUTH_CANCELLED] = ERROR(501, 5, 7, 0, "AUTH cancelled, as you asked"),
    [PHRASE_AUTH_DECODE] = ERROR(501, 5, 5, 2,
                                 "This is not a valid response (base64, RFC 4954); send AUTH "
                                 "again"),
    [PHRASE_AUTH_TOO_LONG] = ERROR(500, 5, 5, 6, "Response too long"),
    [PHRASE_AUTH_FAILED] = NO(535, 5, 7, 8, "Wrong user name or password"),
    [PHRASE_AUTH_TOO_MANY] = NO(421, 4, 7, 0,
                                "Too many failed sign-ins; check user name and password, then "
                                "connect again"),
    [PHRASE_AUTH_LOCKED] = NO(525, 5, 7, 13,
                              "Your account is locked%a. Contact your provider to get going "
                              "again"),
    [PHRASE_AUTH_LOCKED_UNTIL] = NO(454, 4, 7, 0, "Your account is locked until %b%a"),
    [PHRASE_LOCKED] =
        NO(550, 5, 7, 1, "Your account is locked%a. Contact your provider to get going again"),
    [PHRASE_LOCKED_UNTIL] = NO(450, 4, 7, 1, "Your account is locked until %b%a"),
    [PHRASE_SUSPENDED] = NO(550, 5, 7, 1,
                            "Sending is suspended by your plan%a. Renew or extend it to get "
                            "going again"),
    [PHRASE_SUSPENDED_UNTIL] = NO(450, 4, 7, 1, "Sending is suspended by your plan until %b%a"),
    [PHRASE_LOCKED_CLOSE] = NO(421, 4, 7, 0, "Your account may not send now; closing"),

    [PHRASE_SENDER_DENIED] = NO(553, 5, 7, 1, "You may not send as <%a>. %b"),
    [PHRASE_NULL_SENDER_DENIED] =
        NO(553, 5, 7, 1, "You may not send with the empty sender <>. %b"),
    [PHRASE_FROM_MISSING] =
        NO(550, 5, 7, 1, "The message has no From field; add one with your address. %b"),
    [PHRASE_FROM_TWICE] =
        NO(550, 5, 6, 0, "The message has more than one From field; keep one"),
    [PHRASE_FROM_SYNTAX] = NO(550, 5, 6, 0,
                              "The From field is not a plain list of addresses, or could be "
                              "read in two ways: %a. Write: From: Name <name@domain>"),
    [PHRASE_FROM_DENIED] = NO(550, 5, 7, 1, "You may not write <%a> in the From field. %b"),
    [PHRASE_SENDER_FIELD_SYNTAX] = NO(550, 5, 6, 0,
                                      "The Sender field must stand once and name one address: "
                                      "%a. Write: Sender: Name <name@domain>"),
    [PHRASE_SENDER_FIELD_DENIED] =
        NO(550, 5, 7, 1, "You may not write <%a> in the Sender field. %b"),
    [PHRASE_BAD_HEADER] = NO(554, 5, 6, 0,
                             "The header has a line that is not a field: %a. Write \"Name: "
                             "value\" lines and an empty line before the text (RFC 5322)"),
    [PHRASE_FIELD_TWICE] = NO(554, 5, 6, 0,
                              "The field %a stands in the header more than once; keep one (RFC "
                              "5322 3.6)"),
    [PHRASE_LOOP] = NO(554, 5, 4, 6,
                       "Mail loop: more than %a Received fields; find the server that sends "
                       "the message back"),

    [PHRASE_SIZE_DECLARED] = NO(552, 5, 3, 4,
                                "The message is too large: at most %a octets are taken; send "
                                "less, or a link"),
    [PHRASE_SIZE_REAL] = NO(552, 5, 3, 4,
                            "The message is too large: at most %a octets are taken; send less, "
                            "or a link"),
    [PHRASE_HEADER_TOO_LARGE] = NO(552, 5, 3, 4,
                                   "The header is too large: at most %a octets are taken; name "
                                   "fewer addresses in it"),
    [PHRASE_TOO_MANY_RECIPIENTS] = NO(452, 4, 5, 3,
                                      "At most %a recipients per message; send the rest in "
                                      "another message"),
    [PHRASE_TOO_MANY_MESSAGES] = NO(421, 4, 7, 0,
                                    "At most %a messages per connection; connect again for "
                                    "more"),
    [PHRASE_TOO_MANY_ERRORS] = NO(421, 4, 7, 0, "Too many errors; connect again"),

    [PHRASE_CONTENT_BARE_CR] = NO(554, 5, 6, 0,
                                  "Bare CR in the message: end each line with CRLF and send "
                                  "no "
                                  "other CR or LF (RFC 5321 2.3.8)"),
    [PHRASE_CONTENT_BARE_LF] = NO(554, 5, 6, 0,
                                  "Bare LF in the message: end each line with CRLF and send "
                                  "no "
                                  "other CR or LF (RFC 5321 2.3.8)"),
    [PHRASE_CONTENT_NUL] =
        NO(554, 5, 6, 0, "NUL in the message: encode binary data as base64 (RFC 2045)"),
    [PHRASE_CONTENT_LINE] = NO(554, 5, 6, 0,
                               "A line of the message is too long: at most %a octets with "
                               "CRLF; encode it (RFC 2045)"),

    [PHRASE_NO_SPACE] = NO(452, 4, 3, 1, "No room for the message just now; send it later"),
    [PHRASE_LOCAL_FAULT] = NO(451, 4, 3, 0,
                              "A fault of this server: the message was not accepted; send it "
                              "later"),
    [PHRASE_TIMEOUT] = NO(421, 4, 4, 2, "Nothing came in time; closing"),
    [PHRASE_SHUTDOWN] = NO(421, 4, 3, 2, "The service is restarting; connect again"),
};

static const char *const names[] = {
#define SUBMISSION_PHRASE_NAME(name) [PHRASE_##name] = #name,
    SUBMISSION_PHRASES(SUBMISSION_PHRASE_NAME)
#undef SUBMISSION_PHRASE_NAME
};

const char *phrase_name(enum phrase p)
{
    return names[p];
}

unsigned phrase_code(enum phrase p)
{
    return rows[p].code;
}

/* A fixed piece of memory that is filled and then full. */
struct text {
    char bytes[TEXT_MAX];
    size_t len;
};

static void text_add(struct text *t, slice s)
{
    s = slice_to(s, sizeof(t->bytes) - t->len);
    if (s.len)
        memcpy(t->bytes + t->len, s.ptr, s.len);
    t->len += s.len;
}

/* As printable ASCII: '?' for each character that is not, so that no reply needs SMTPUTF8. */
static void text_add_argument(struct text *t, slice s)
{
    bool is_cut = s.len > ARGUMENT_MAX;
    s = slice_to(s, ARGUMENT_MAX);
    for (size_t i = 0; i < s.len && t->len < sizeof(t->bytes); i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        bool is_continuation = (c & 0xc0) == 0x80;
        if (is_continuation)
            continue;
        t->bytes[t->len++] = c >= ' ' && c < 0x7f ? (char)c : '?';
    }
    if (is_cut)
        text_add(t, SLICE("..."));
}

void submission_render(struct buf *out, enum phrase p, slice a, slice b)
{
    INVARIANT(p > PHRASE_NONE && p < PHRASE_COUNT && rows[p].text);
    struct text t;
    t.len = 0;
    slice rest = slice_of(rows[p].text);
    for (;;) {
        ptrdiff_t at = slice_find(rest, '%');
        if (at < 0)
            break;
        text_add(&t, slice_to(rest, (size_t)at));
        text_add_argument(&t, rest.ptr[at + 1] == 'a' ? a : b);
        rest = slice_from(rest, (size_t)at + 2);
    }
    text_add(&t, rest);
    reply_write(out, rows[p].code, rows[p].enhanced, (slice){t.bytes, t.len});
}

/* What follows from a reply that is in `out`. */
static void consequences(struct submission *s, unsigned code, bool is_error)
{
    if (s->out.error || code == 421) {
        submission_close(s);
        return;
    }
    if (!is_error || ++s->errors < s->config->max_errors || s->config->max_errors == 0)
        return;
    submission_render(&s->out, PHRASE_TOO_MANY_ERRORS, (slice){0}, (slice){0});
    submission_close(s);
}

void submission_say_rendered(struct submission *s, enum phrase p, slice reply)
{
    if (s->state == STATE_CLOSED)
        return;
    buf_append(&s->out, reply);
    consequences(s, rows[p].code, rows[p].is_error);
}

void submission_say_about(struct submission *s, enum phrase p, slice a, slice b)
{
    if (s->state == STATE_CLOSED)
        return;
    submission_render(&s->out, p, a, b);
    consequences(s, rows[p].code, rows[p].is_error);
}

void submission_say(struct submission *s, enum phrase p)
{
    submission_say_about(s, p, (slice){0}, (slice){0});
}

void submission_say_reply(struct submission *s, const struct reply *r)
{
    if (s->state == STATE_CLOSED)
        return;
    reply_write(&s->out, r->code, r->enhanced, r->text);
    consequences(s, r->code, false);
}
