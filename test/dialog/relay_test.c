/* Scripted conversations of the relay dialog, whole and byte by byte. */
#include "relay_talk.h"

#include "dialog/relay_write.h"

#define TO(text, number)                                          \
    {                                                             \
        .address = SLICE_INIT(text "@y.test"), .index = (number), \
    }

static const struct relay_recipient recipients[] = {TO("r0", 0), TO("r1", 1), TO("r2", 2),
                                                    TO("r3", 3)};

#define MAIL_TO(number)                                                             \
    .reverse_path = SLICE_INIT("a@x.test"), .size = 14, .recipients = (recipients), \
    .recipient_count = (number)

static const struct relay_message one[] = {{MAIL_TO(1)}};
static const struct relay_message two[] = {{MAIL_TO(2)}};
static const struct relay_message four[] = {{MAIL_TO(4)}};
static const struct relay_message three_times[] = {{MAIL_TO(1)}, {MAIL_TO(2)}, {MAIL_TO(1)}};
static const struct relay_message eight_bits[] = {{MAIL_TO(1), .needs_8bit = true}};
static const struct relay_message utf8[] = {{MAIL_TO(2), .needs_utf8 = true}, {MAIL_TO(1)}};

static const struct relay_recipient with_params[] = {
    {SLICE_INIT("r0@y.test"), {0, SLICE_INIT("")}, 0},
    {SLICE_INIT("r1@y.test"),
     {NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY, SLICE_INIT("rfc822;a+b@y.test")},
     1},
    {SLICE_INIT("r2@y.test"), {NOTIFY_NEVER, SLICE_INIT("rfc822")}, 2},
};
static const struct relay_message with_dsn[] = {{
    .reverse_path = SLICE_INIT(""),
    .size = 14,
    .envid = SLICE_INIT("x=1 y"),
    .ret = RET_HDRS,
    .recipients = with_params,
    .recipient_count = 3,
}};
static const struct relay_recipient breaking[] = {
    TO("r0", 0), {SLICE_INIT("r1>\r\nRCPT TO:<z@y.test"), {0}, 1}};
static const struct relay_message injection[] = {{
    .reverse_path = SLICE_INIT("a@x.test"),
    .recipients = breaking,
    .recipient_count = 2,
}};

#define BODY_TEXT "Subject: x\r\n\r\n"

static const struct relay_config no_tls = {.helo = SLICE_INIT("us.test")};
static const struct relay_config maybe_tls = {.helo = SLICE_INIT("us.test"),
                                              .tls = RELAY_TLS_OPPORTUNISTIC};
static const struct relay_config encrypt = {.helo = SLICE_INIT("us.test"),
                                            .tls = RELAY_TLS_ENCRYPT};
static const struct relay_config implicit = {.helo = SLICE_INIT("us.test"),
                                             .tls = RELAY_TLS_IMPLICIT};
static const struct relay_config verify_auth = {.helo = SLICE_INIT("us.test"),
                                                .tls = RELAY_TLS_VERIFY,
                                                .login = SLICE_INIT("user"),
                                                .secret = SLICE_INIT("pass")};
static const struct relay_config maybe_auth = {.helo = SLICE_INIT("us.test"),
                                               .tls = RELAY_TLS_OPPORTUNISTIC,
                                               .login = SLICE_INIT("user"),
                                               .secret = SLICE_INIT("pass")};
static const struct relay_config plain_auth = {.helo = SLICE_INIT("us.test"),
                                               .login = SLICE_INIT("user"),
                                               .secret = SLICE_INIT("pass"),
                                               .allow_plaintext_auth = true};

static const struct relay_config chunks = {.helo = SLICE_INIT("us.test"), .chunk_min = 14};
static const struct relay_config large_chunks = {.helo = SLICE_INIT("us.test"),
                                                 .chunk_min = 15};

struct turn {
    const char *server;
    const char *client; /* what it sends then */
};

struct script {
    const char *name;
    const struct relay_config *config;
    const struct relay_message *messages;
    size_t message_count;
    const char *body; /* NULL: BODY_TEXT */
    int body_err, tls_err;
    bool only_whole; /* what comes in one piece is the point */
    struct turn turns[16];
    const char *events;
    const char *text; /* of the last verdict, when it is ours */
};

#define CHUNKS "250-mx.test\r\n250-PIPELINING\r\n250 CHUNKING\r\n"
#define PIPED "250-mx.test\r\n250 PIPELINING\r\n"
#define GREET                                 \
    {                                         \
        "220 mx.test\r\n", "EHLO us.test\r\n" \
    }
#define MAIL "MAIL FROM:<a@x.test>\r\n"
#define RCPT(n) "RCPT TO:<r" #n "@y.test>\r\n"
#define CONTENT BODY_TEXT ".\r\n"
#define BYE               \
    {                     \
        "221 bye\r\n", "" \
    }
#define MESSAGES(m) .messages = (m), .message_count = COUNT_OF(m)

static const struct script scripts[] = {
    {
        "one message, piped",
        .config = &no_tls,
        MESSAGES(one),
        .turns = {GREET,
                  {PIPED, MAIL RCPT(0) "DATA\r\n"},
                  {"250 ok\r\n250 ok\r\n354 go\r\n", CONTENT},
                  {"250 2.0.0 queued as 7\r\n", "QUIT\r\n"},
                  BYE},
        .events = "ready body 0=Cm-2.0.0@END/250 done ready close",
    },
    {
        "one by one, two recipients",
        .config = &no_tls,
        MESSAGES(two),
        .turns = {GREET,
                  {"250 mx.test\r\n", MAIL},
                  {"250 ok\r\n", RCPT(0)},
                  {"250 ok\r\n", RCPT(1)},
                  {"251 ok\r\n", "DATA\r\n"},
                  {"354 go\r\n", CONTENT},
                  {"250 ok\r\n", "QUIT\r\n"},
                  BYE},
        .events = "ready body 0=Cm-2.0.0@END/250 1=Cm-2.0.0@END/250 done ready close",
    },
    {
        "HELO when EHLO is not known",
        .config = &maybe_tls,
        MESSAGES(one),
        .turns = {GREET,
                  {"500 what?\r\n", "HELO us.test\r\n"},
                  {"250 mx.test\r\n", MAIL},
                  {"250 ok\r\n", RCPT(0)},
                  {"250 ok\r\n", "DATA\r\n"},
                  {"354 go\r\n", CONTENT},
                  {"250 ok\r\n", "QUIT\r\n"},
                  BYE},
        .events = "ready body 0=Cm-2.0.0@END/250 done ready close",
    },
    {
        "neither EHLO nor HELO",
        .config = &no_tls,
        MESSAGES(one),
        .turns = {GREET, {"502 no\r\n", "HELO us.test\r\n"}, {"550 5.7.1 no\r\n", "QUIT\r\n"}},
        .events = "close",
    },
    {
        "STARTTLS, EHLO again, and what was offered before is forgotten",
        .config = &encrypt,
        MESSAGES(one),
        .turns = {GREET,
                  {"250-mx.test\r\n250-PIPELINING\r\n250 STARTTLS\r\n", "STARTTLS\r\n"},
                  {"220 go\r\n", "<tls>EHLO us.test\r\n"},
                  {"250 mx.test\r\n", MAIL},
                  {"!closed", ""}},
        .events = "tls ready 0=As!4.4.2@MAIL#2 done close",
    },
    {
        "implicit TLS",
        .config = &implicit,
        MESSAGES(one),
        .turns =
            {{"", "<tls>"}, GREET, {"250-mx.test\r\n250 STARTTLS\r\n", MAIL}, {"!timeout", ""}},
        .events = "tls ready 0=As!4.4.2@MAIL#1 done close",
    },
    {
        "TLS not offered: in plain text when it may be",
        .config = &maybe_tls,
        MESSAGES(one),
        .turns = {GREET, {PIPED, MAIL RCPT(0) "DATA\r\n"}, {"!closed", ""}},
        .events = "ready 0=As!4.4.2@MAIL#2 done close",
    },
    {
        "TLS required, not offered",
        .config = &encrypt,
        MESSAGES(one),
        .turns = {GREET, {PIPED, ""}},
        .events = "close",
    },
    {
        "bytes behind the reply to STARTTLS",
        .config = &encrypt,
        MESSAGES(one),
        .only_whole = true,
        .turns = {GREET,
                  {"250-mx.test\r\n250 STARTTLS\r\n", "STARTTLS\r\n"},
                  {"220 go\r\n250 mx.test\r\n", ""}},
        .events = "close",
    },
    {
        "AUTH PLAIN under TLS only",
        .config = &verify_auth,
        MESSAGES(one),
        .turns = {GREET,
                  {"250-mx.test\r\n250-AUTH PLAIN LOGIN\r\n250 STARTTLS\r\n", "STARTTLS\r\n"},
                  {"220 go\r\n", "<tls>EHLO us.test\r\n"},
                  {"250-mx.test\r\n250 AUTH LOGIN PLAIN\r\n",
                   "AUTH PLAIN AHVzZXIAcGFzcw==\r\n"},
                  {"235 2.7.0 ok\r\n", MAIL},
                  {"!closed", ""}},
        .events = "tls ready 0=As!4.4.2@MAIL#2 done close",
    },
    {
        "no AUTH in plain text",
        .config = &maybe_auth,
        MESSAGES(one),
        .turns = {GREET, {"250-mx.test\r\n250 AUTH PLAIN LOGIN\r\n", ""}},
        .events = "close",
    },
    {
        "AUTH LOGIN, in plain text where it is allowed",
        .config = &plain_auth,
        MESSAGES(one),
        .turns = {GREET,
                  {"250-mx.test\r\n250 AUTH LOGIN\r\n", "AUTH LOGIN\r\n"},
                  {"334 VXNlcm5hbWU6\r\n", "dXNlcg==\r\n"},
                  {"334 UGFzc3dvcmQ6\r\n", "cGFzcw==\r\n"},
                  {"235 ok\r\n", MAIL},
                  {"!closed", ""}},
        .events = "ready 0=As!4.4.2@MAIL#2 done close",
    },
    {
        "wrong credential",
        .config = &plain_auth,
        MESSAGES(one),
        .turns = {GREET,
                  {"250-mx.test\r\n250 AUTH PLAIN\r\n", "AUTH PLAIN AHVzZXIAcGFzcw==\r\n"},
                  {"535 5.7.8 no\r\n", "QUIT\r\n"}},
        .events = "close",
    },
    {
        "more challenges than PLAIN has",
        .config = &plain_auth,
        MESSAGES(one),
        .turns = {GREET,
                  {"250-mx.test\r\n250 AUTH PLAIN\r\n", "AUTH PLAIN AHVzZXIAcGFzcw==\r\n"},
                  {"334 \r\n", ""}},
        .events = "close",
    },
    {
        "refusing greeting",
        .config = &no_tls,
        MESSAGES(one),
        .turns = {{"554 no service here\r\n", "QUIT\r\n"}},
        .events = "close",
    },
    {
        "some recipients refused",
        .config = &no_tls,
        MESSAGES(four),
        .turns =
            {GREET,
             {PIPED, MAIL RCPT(0) RCPT(1) RCPT(2) RCPT(3) "DATA\r\n"},
             {"250 ok\r\n550 5.1.1 who\r\n250 ok\r\n450 4.2.0 later\r\n250 ok\r\n354 go\r\n",
              CONTENT},
             {"250 ok\r\n", "QUIT\r\n"},
             BYE},
        .events = "ready 0=Fr-5.1.1@RCPT/550 2=Rr-4.2.0@RCPT/450 body 1=Cm-2.0.0@END/250 "
                  "3=Cm-2.0.0@END/250 done ready close",
    },
    {
        "some recipients refused, one by one",
        .config = &no_tls,
        MESSAGES(two),
        .turns = {GREET,
                  {"250 mx.test\r\n", MAIL},
                  {"250 ok\r\n", RCPT(0)},
                  {"550 5.1.1 who\r\n", RCPT(1)},
                  {"250 ok\r\n", "DATA\r\n"},
                  {"354 go\r\n", CONTENT},
                  {"554 5.6.0 no\r\n", "QUIT\r\n"},
                  BYE},
        .events = "ready 0=Fr-5.1.1@RCPT/550 body 1=Fm-5.6.0@END/554 done ready close",
    },
    {
        "all recipients refused, DATA answered with 354 nevertheless",
        .config = &no_tls,
        MESSAGES(two),
        .turns = {GREET,
                  {PIPED, MAIL RCPT(0) RCPT(1) "DATA\r\n"},
                  {"250 ok\r\n550 5.1.1 who\r\n550 5.1.1 who\r\n354 go\r\n", ".\r\n"},
                  {"250 queued\r\n", "QUIT\r\n"},
                  BYE},
        .events = "ready 0=Fr-5.1.1@RCPT/550 1=Fr-5.1.1@RCPT/550 done ready close",
    },
    {
        "all recipients refused and DATA too: RSET",
        .config = &no_tls,
        MESSAGES(two),
        .turns = {GREET,
                  {PIPED, MAIL RCPT(0) RCPT(1) "DATA\r\n"},
                  {"250 ok\r\n550 5.1.1 who\r\n450 4.1.1 who\r\n554 no valid recipients\r\n",
                   "RSET\r\n"},
                  {"250 ok\r\n", "QUIT\r\n"},
                  BYE},
        .events = "ready 0=Fr-5.1.1@RCPT/550 1=Rr-4.1.1@RCPT/450 done ready close",
    },
    {
        "all recipients refused, one by one: no DATA",
        .config = &no_tls,
        MESSAGES(two),
        .turns = {GREET,
                  {"250 mx.test\r\n", MAIL},
                  {"250 ok\r\n", RCPT(0)},
                  {"550 5.1.1 who\r\n", RCPT(1)},
                  {"550 5.1.1 who\r\n", "RSET\r\n"},
                  {"250 ok\r\n", "QUIT\r\n"},
                  BYE},
        .events = "ready 0=Fr-5.1.1@RCPT/550 1=Fr-5.1.1@RCPT/550 done ready close",
    },
    {
        "sender refused, piped: the rest is read and means nothing",
        .config = &no_tls,
        MESSAGES(two),
        .turns = {GREET,
                  {PIPED, MAIL RCPT(0) RCPT(1) "DATA\r\n"},
                  {"553 5.1.8 no\r\n250 ok\r\n503 5.5.1 MAIL first\r\n354 go\r\n", ".\r\n"},
                  {"250 ok\r\n", "QUIT\r\n"},
                  BYE},
        .events = "ready 0=Fm-5.1.8@MAIL/553 1=Fm-5.1.8@MAIL/553 done ready close",
    },
    {
        "sender refused, one by one, then the next message",
        .config = &no_tls,
        MESSAGES(three_times),
        .turns = {GREET,
                  {"250 mx.test\r\n", MAIL},
                  {"450 later\r\n", MAIL},
                  {"250 ok\r\n", RCPT(0)},
                  {"421 bye\r\n", ""}},
        .events = "ready 0=Rm-4.0.0@MAIL/450 done ready 0=As!4.3.2@RCPT/421 "
                  "1=As!4.3.2@RCPT/421 done close",
    },
    {
        "our address is refused at MAIL, replies outstanding: no QUIT behind DATA",
        .config = &no_tls,
        MESSAGES(one),
        .turns = {GREET, {PIPED, MAIL RCPT(0) "DATA\r\n"}, {"550 5.7.25 no PTR\r\n", ""}},
        .events = "ready 0=Rs!4.7.25@MAIL/550 done close",
    },
    {
        "421 to a recipient takes back the accepted ones",
        .config = &no_tls,
        MESSAGES(four),
        .turns = {GREET,
                  {PIPED, MAIL RCPT(0) RCPT(1) RCPT(2) RCPT(3) "DATA\r\n"},
                  {"250 ok\r\n250 ok\r\n550 no\r\n421 4.3.2 bye\r\n", ""}},
        .events = "ready 1=Fr-5.0.0@RCPT/550 0=As!4.3.2@RCPT/421 2=As!4.3.2@RCPT/421 "
                  "3=As!4.3.2@RCPT/421 done close",
    },
    {
        "DATA refused: RSET, next message",
        .config = &no_tls,
        MESSAGES(three_times),
        .turns = {GREET,
                  {PIPED, MAIL RCPT(0) "DATA\r\n"},
                  {"250 ok\r\n250 ok\r\n451 later\r\n", "RSET\r\n"},
                  {"250 ok\r\n", MAIL RCPT(0) RCPT(1) "DATA\r\n"},
                  {"250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n", CONTENT},
                  {"250 ok\r\n", MAIL RCPT(0) "DATA\r\n"},
                  {"250 ok\r\n250 ok\r\n354 go\r\n", CONTENT},
                  {"452 4.3.1 full\r\n", "QUIT\r\n"},
                  BYE},
        .events = "ready 0=Rm-4.3.0@DATA/451 done ready body 0=Cm-2.0.0@END/250 "
                  "1=Cm-2.0.0@END/250 done ready body 0=Rm-4.3.1@END/452 done ready close",
    },
    {
        "RSET refused: no more of this connection",
        .config = &no_tls,
        MESSAGES(three_times),
        .turns = {GREET,
                  {PIPED, MAIL RCPT(0) "DATA\r\n"},
                  {"250 ok\r\n250 ok\r\n451 later\r\n", "RSET\r\n"},
                  {"502 what\r\n", "QUIT\r\n"}},
        .events = "ready 0=Rm-4.3.0@DATA/451 done close",
    },
    {
        "a kept connection that its server closed was merely stale",
        .config = &no_tls,
        MESSAGES(three_times),
        .turns = {GREET,
                  {PIPED, MAIL RCPT(0) "DATA\r\n"},
                  {"250 ok\r\n250 ok\r\n354 go\r\n", CONTENT},
                  {"250 ok\r\n", MAIL RCPT(0) RCPT(1) "DATA\r\n"},
                  {"!closed", ""}},
        .events = "ready body 0=Cm-2.0.0@END/250 done ready 0=Am!4.4.2@MAIL#2 "
                  "1=Am!4.4.2@MAIL#2 done close",
    },
    {
        "stale too: 421 to the second MAIL",
        .config = &no_tls,
        MESSAGES(three_times),
        .turns = {GREET,
                  {PIPED, MAIL RCPT(0) "DATA\r\n"},
                  {"250 ok\r\n250 ok\r\n354 go\r\n", CONTENT},
                  {"250 ok\r\n", MAIL RCPT(0) RCPT(1) "DATA\r\n"},
                  {"421 4.4.2 idle\r\n", ""}},
        .events = "ready body 0=Cm-2.0.0@END/250 done ready 0=Am!4.4.2@MAIL/421 "
                  "1=Am!4.4.2@MAIL/421 done close",
    },
    {
        "421 right behind the reply to the content",
        .config = &no_tls,
        MESSAGES(three_times),
        .only_whole = true,
        .turns = {GREET,
                  {PIPED, MAIL RCPT(0) "DATA\r\n"},
                  {"250 ok\r\n250 ok\r\n354 go\r\n", CONTENT},
                  {"250 ok\r\n421 enough\r\n", ""}},
        .events = "ready body 0=Cm-2.0.0@END/250 done ready 0=Am!4.4.2@MAIL#2 "
                  "1=Am!4.4.2@MAIL#2 done close",
    },
    {
        "lost after the final dot: it may have arrived, and is tried again",
        .config = &no_tls,
        MESSAGES(two),
        .turns = {GREET,
                  {PIPED, MAIL RCPT(0) RCPT(1) "DATA\r\n"},
                  {"250 ok\r\n550 no\r\n250 ok\r\n354 go\r\n", CONTENT},
                  {"!closed", ""}},
        .events = "ready 0=Fr-5.0.0@RCPT/550 body 1=Rm!4.4.2@END#2 done close",
    },
    {
        "the reply to the content is cut short",
        .config = &no_tls,
        MESSAGES(one),
        .turns = {GREET,
                  {PIPED, MAIL RCPT(0) "DATA\r\n"},
                  {"250 ok\r\n250 ok\r\n354 go\r\n", CONTENT},
                  {"250-ok\r\n250 ok", ""},
                  {"!closed", ""}},
        .events = "ready body 0=Rm!4.4.2@END#2 done close",
    },
    {
        "a good reply behind 354 is none to the content",
        .config = &no_tls,
        MESSAGES(one),
        .only_whole = true,
        .turns = {GREET,
                  {PIPED, MAIL RCPT(0) "DATA\r\n"},
                  {"250 ok\r\n250 ok\r\n354 go\r\n250 queued\r\n", ""}},
        .events = "ready body 0=Rm!4.5.0@BODY/250 done close",
    },
    {
        "a refusal behind 354",
        .config = &no_tls,
        MESSAGES(one),
        .only_whole = true,
        .turns = {GREET,
                  {PIPED, MAIL RCPT(0) "DATA\r\n"},
                  {"250 ok\r\n250 ok\r\n354 go\r\n552 5.3.4 too large\r\n", ""}},
        .events = "ready body 0=Fm!5.3.4@BODY/552 done close",
    },
    {
        "the beginning of a reply behind 354",
        .config = &no_tls,
        MESSAGES(one),
        .only_whole = true,
        .turns = {GREET,
                  {PIPED, MAIL RCPT(0) "DATA\r\n"},
                  {"250 ok\r\n250 ok\r\n354 go\r\n25", ""}},
        .events = "ready body 0=Rm!4.5.0@BODY#4 done close",
    },
    {
        "good replies before the question",
        .config = &no_tls,
        MESSAGES(one),
        .only_whole = true,
        .turns = {GREET, {"250 mx.test\r\n250 ok\r\n", ""}},
        .events = "ready 0=As!4.5.0@MAIL#4 done close",
    },
    {
        "greeting and the reply to EHLO in one piece",
        .config = &no_tls,
        MESSAGES(one),
        .only_whole = true,
        .turns = {{"220 mx.test\r\n250 mx.test\r\n", ""}},
        .events = "close",
    },
    {
        "a greeting that thinks better of it",
        .config = &no_tls,
        MESSAGES(one),
        .only_whole = true,
        .turns = {{"220 mx.test\r\n421 no\r\n", ""}},
        .events = "close",
    },
    {
        "our own disk fails: no final dot",
        .config = &no_tls,
        MESSAGES(one),
        .body_err = -5,
        .turns = {GREET,
                  {PIPED, MAIL RCPT(0) "DATA\r\n"},
                  {"250 ok\r\n250 ok\r\n354 go\r\n", ""}},
        .events = "ready body 0=Rm!4.3.0@BODY#9 done close",
    },
    {
        "dots are doubled, and a body without its last line end gets one",
        .config = &no_tls,
        MESSAGES(one),
        .body = ".\r\n..a\r\n.\r\n\r\n.b.",
        .turns = {GREET,
                  {PIPED, MAIL RCPT(0) "DATA\r\n"},
                  {"250 ok\r\n250 ok\r\n354 go\r\n", "..\r\n...a\r\n..\r\n\r\n..b.\r\n.\r\n"},
                  {"250 ok\r\n", "QUIT\r\n"},
                  BYE},
        .events = "ready body 0=Cm-2.0.0@END/250 done ready close",
    },
    {
        "an empty body",
        .config = &no_tls,
        MESSAGES(one),
        .body = "",
        .turns = {GREET,
                  {PIPED, MAIL RCPT(0) "DATA\r\n"},
                  {"250 ok\r\n250 ok\r\n354 go\r\n", ".\r\n"},
                  {"250 ok\r\n", "QUIT\r\n"},
                  BYE},
        .events = "ready body 0=Cm-2.0.0@END/250 done ready close",
    },
    {
        "SIZE and BODY when offered",
        .config = &no_tls,
        MESSAGES(eight_bits),
        .turns = {GREET,
                  {"250-mx.test\r\n250-SIZE 14\r\n250 8BITMIME\r\n",
                   "MAIL FROM:<a@x.test> SIZE=14 BODY=8BITMIME\r\n"},
                  {"!closed", ""}},
        .events = "ready 0=As!4.4.2@MAIL#2 done close",
    },
    {
        "eight bits are not sent where they are not taken",
        .config = &no_tls,
        MESSAGES(eight_bits),
        .turns = {GREET, {"250 mx.test\r\n", "QUIT\r\n"}, BYE},
        .events = "ready 0=Fm-5.6.3@MAIL#8 done ready close",
        .text = "the next host does not take 8-bit text (8BITMIME)",
    },
    {
        "a chunk, piped",
        .config = &chunks,
        MESSAGES(two),
        .turns = {GREET,
                  {CHUNKS, MAIL RCPT(0) RCPT(1)},
                  {"250 ok\r\n250 ok\r\n250 ok\r\n", "BDAT 14 LAST\r\n" BODY_TEXT},
                  {"250 ok\r\n", "QUIT\r\n"},
                  BYE},
        .events = "ready body 0=Cm-2.0.0@END/250 1=Cm-2.0.0@END/250 done ready close",
    },
    {
        "a chunk, one by one",
        .config = &chunks,
        MESSAGES(one),
        .turns = {GREET,
                  {"250-mx.test\r\n250 CHUNKING\r\n", MAIL},
                  {"250 ok\r\n", RCPT(0)},
                  {"250 ok\r\n", "BDAT 14 LAST\r\n" BODY_TEXT},
                  {"250 ok\r\n", "QUIT\r\n"},
                  BYE},
        .events = "ready body 0=Cm-2.0.0@END/250 done ready close",
    },
    {
        "in a chunk dots are dots",
        .config = &chunks,
        MESSAGES(one),
        .body = ".\r\n..\r\n.\r\n.xyz",
        .turns = {GREET,
                  {CHUNKS, MAIL RCPT(0)},
                  {"250 ok\r\n250 ok\r\n", "BDAT 14 LAST\r\n.\r\n..\r\n.\r\n.xyz"},
                  {"250 ok\r\n", "QUIT\r\n"},
                  BYE},
        .events = "ready body 0=Cm-2.0.0@END/250 done ready close",
    },
    {
        "nobody is accepted: no chunk",
        .config = &chunks,
        MESSAGES(one),
        .turns = {GREET,
                  {CHUNKS, MAIL RCPT(0)},
                  {"250 ok\r\n550 5.1.1 nobody\r\n", "RSET\r\n"},
                  {"250 ok\r\n", "QUIT\r\n"},
                  BYE},
        .events = "ready 0=Fr-5.1.1@RCPT/550 done ready close",
    },
    {
        "the sender is not accepted: no chunk",
        .config = &chunks,
        MESSAGES(two),
        .turns = {GREET,
                  {CHUNKS, MAIL RCPT(0) RCPT(1)},
                  {"450 later\r\n", ""},
                  {"503 first\r\n503 first\r\n", "QUIT\r\n"},
                  BYE},
        .events = "ready 0=Rm-4.0.0@MAIL/450 1=Rm-4.0.0@MAIL/450 done ready close",
    },
    {
        "a chunk is refused: RSET before the next message",
        .config = &chunks,
        MESSAGES(three_times),
        .turns = {GREET,
                  {CHUNKS, MAIL RCPT(0)},
                  {"250 ok\r\n250 ok\r\n", "BDAT 14 LAST\r\n" BODY_TEXT},
                  {"554 5.7.1 no\r\n", "RSET\r\n"},
                  {"250 ok\r\n", MAIL RCPT(0) RCPT(1)},
                  {"!closed", ""}},
        .events = "ready body 0=Fm-5.7.1@END/554 done ready 0=Am!4.4.2@MAIL#2 "
                  "1=Am!4.4.2@MAIL#2 done close",
    },
    {
        "content that is shorter than the chunk",
        .config = &chunks,
        MESSAGES(one),
        .body = "Subject: x\r\n",
        .turns = {GREET, {CHUNKS, MAIL RCPT(0)}, {"250 ok\r\n250 ok\r\n", ""}},
        .events = "ready body 0=Rm!4.3.0@BODY#9 done close",
    },
    {
        "content that is longer than the chunk",
        .config = &chunks,
        MESSAGES(one),
        .body = BODY_TEXT "QUIT\r\n",
        .turns = {GREET, {CHUNKS, MAIL RCPT(0)}, {"250 ok\r\n250 ok\r\n", ""}},
        .events = "ready body 0=Rm!4.3.0@BODY#9 done close",
    },
    {
        "too small for a chunk",
        .config = &large_chunks,
        MESSAGES(one),
        .turns = {GREET, {CHUNKS, MAIL RCPT(0) "DATA\r\n"}, {"!closed", ""}},
        .events = "ready 0=As!4.4.2@MAIL#2 done close",
    },
    {
        "too large for the host, said before anything is sent",
        .config = &no_tls,
        MESSAGES(two),
        .turns = {GREET, {"250-mx.test\r\n250 SIZE 13\r\n", "QUIT\r\n"}, BYE},
        .events = "ready 0=Fm-5.3.4@MAIL#8 1=Fm-5.3.4@MAIL#8 done ready close",
        .text = "the next host takes at most 13 octets",
    },
    {
        "SMTPUTF8 not offered; the next message goes",
        .config = &no_tls,
        MESSAGES(utf8),
        .turns = {GREET, {"250-mx.test\r\n250 8BITMIME\r\n", MAIL}, {"!closed", ""}},
        .events = "ready 0=Fm-5.6.7@MAIL#8 1=Fm-5.6.7@MAIL#8 done ready "
                  "0=As!4.4.2@MAIL#2 done close",
    },
    {
        "SMTPUTF8 offered",
        .config = &no_tls,
        MESSAGES(utf8),
        .turns = {GREET,
                  {"250-mx.test\r\n250 SMTPUTF8\r\n", "MAIL FROM:<a@x.test> SMTPUTF8\r\n"},
                  {"!closed", ""}},
        .events = "ready 0=As!4.4.2@MAIL#2 1=As!4.4.2@MAIL#2 done close",
    },
    {
        "DSN parameters when offered",
        .config = &no_tls,
        MESSAGES(with_dsn),
        .turns = {GREET,
                  {"250-mx.test\r\n250-DSN\r\n250 PIPELINING\r\n",
                   "MAIL FROM:<> RET=HDRS ENVID=x+3D1+20y\r\n"
                   "RCPT TO:<r0@y.test>\r\n"
                   "RCPT TO:<r1@y.test> NOTIFY=SUCCESS,FAILURE,DELAY "
                   "ORCPT=rfc822;a+2Bb@y.test\r\n"
                   "RCPT TO:<r2@y.test> NOTIFY=NEVER\r\nDATA\r\n"},
                  {"550 5.7.1 blocked\r\n550 no\r\n550 no\r\n550 no\r\n503 no\r\n",
                   "QUIT\r\n"}},
        .events = "ready 0=Rm-4.7.1@MAIL/550 1=Rm-4.7.1@MAIL/550 2=Rm-4.7.1@MAIL/550 "
                  "done ready",
    },
    {
        "DSN parameters not offered",
        .config = &no_tls,
        MESSAGES(with_dsn),
        .turns = {GREET, {"250 mx.test\r\n", "MAIL FROM:<>\r\n"}, {"!closed", ""}},
        .events = "ready 0=As!4.4.2@MAIL#2 1=As!4.4.2@MAIL#2 2=As!4.4.2@MAIL#2 done close",
    },
    {
        "an address that would break out of its command",
        .config = &no_tls,
        MESSAGES(injection),
        .turns = {GREET, {"250 mx.test\r\n", "QUIT\r\n"}, BYE},
        .events = "ready 0=Fm-5.1.3@MAIL#8 1=Fm-5.1.3@MAIL#8 done ready close",
        .text = "an address cannot be written in SMTP",
    },
    {
        "LIMITS RCPTMAX: the others come back at once",
        .config = &no_tls,
        MESSAGES(four),
        .turns = {GREET,
                  {"250-mx.test\r\n250-LIMITS RCPTMAX=2\r\n250 PIPELINING\r\n",
                   MAIL RCPT(0) RCPT(1) "DATA\r\n"},
                  {"250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n", CONTENT},
                  {"250 ok\r\n", "QUIT\r\n"},
                  BYE},
        .events = "ready 2=Rr-4.5.3@RCPT#8 3=Rr-4.5.3@RCPT#8 body 0=Cm-2.0.0@END/250 "
                  "1=Cm-2.0.0@END/250 done ready close",
    },
    {
        "LIMITS MAILMAX: QUIT by itself",
        .config = &no_tls,
        MESSAGES(three_times),
        .turns = {GREET,
                  {"250-mx.test\r\n250-LIMITS MAILMAX=1\r\n250 PIPELINING\r\n",
                   MAIL RCPT(0) "DATA\r\n"},
                  {"250 ok\r\n250 ok\r\n354 go\r\n", CONTENT},
                  {"250 ok\r\n", "QUIT\r\n"},
                  BYE},
        .events = "ready body 0=Cm-2.0.0@END/250 done close",
    },
    {
        "the host's name is no extension",
        .config = &no_tls,
        MESSAGES(one),
        .turns = {GREET, {"250-PIPELINING\r\n250 HELP\r\n", MAIL}, {"!closed", ""}},
        .events = "ready 0=As!4.4.2@MAIL#2 done close",
    },
    {
        "what a refused EHLO lists is not offered",
        .config = &no_tls,
        MESSAGES(one),
        .turns = {GREET,
                  {"550-no\r\n550 PIPELINING\r\n", "HELO us.test\r\n"},
                  {"250-mx.test\r\n250 PIPELINING\r\n", MAIL},
                  {"!closed", ""}},
        .events = "ready 0=As!4.4.2@MAIL#2 done close",
    },
};

static void play(const struct script *s, bool is_trickled)
{
    struct talk t = {
        .config = s->config,
        .messages = s->messages,
        .message_count = s->message_count,
        .body = slice_of(s->body ? s->body : BODY_TEXT),
        .body_err = s->body_err,
        .tls_err = s->tls_err,
    };
    talk_open(&t);
    for (const struct turn *turn = s->turns; turn->server; turn++) {
        talk_hear(&t, slice_of(turn->server), is_trickled);
        if (!slice_eq(buf_slice(&t.sent), slice_of(turn->client)))
            fail_msg("%s: after \"%s\" the client sent\n%.*s", s->name, turn->server,
                     SLICE_ARG(buf_slice(&t.sent)));
        buf_clear(&t.sent);
    }
    slice events = slice_to(buf_slice(&t.events), strlen(s->events));
    if (!slice_eq(events, slice_of(s->events)))
        fail_msg("%s: %.*s", s->name, SLICE_ARG(buf_slice(&t.events)));
    if (s->text)
        assert_true(slice_eq(t.last.reply.text, slice_of(s->text)));
    talk_close(&t);
}

static void scripts_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(scripts); i++)
        play(&scripts[i], false);
}

static void scripts_trickled(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(scripts); i++)
        if (!scripts[i].only_whole)
            play(&scripts[i], true);
}

/* Connections that end before any message: what the site is told. */
static const struct {
    const char *name;
    const struct relay_config *config;
    int tls_err;
    const char *server[5];
    enum outcome_next next;
    enum relay_stage stage;
    enum relay_fault fault;
    unsigned code;
} sites[] = {
    {"refusing greeting", &no_tls, 0, {"554 no\r\n"}, NEXT_ADDRESS, STAGE_GREETING, 0, 554},
    {"busy", &maybe_tls, 0, {"421 busy\r\n"}, NEXT_ADDRESS, STAGE_GREETING, 0, 421},
    {"silent", &no_tls, 0, {"!timeout"}, NEXT_ADDRESS, STAGE_GREETING, FAULT_TIMEOUT, 0},
    {"not SMTP", &no_tls, 0, {"SSH-2.0-x\r\n"}, NEXT_ADDRESS, STAGE_GREETING, FAULT_GARBAGE, 0},
    {"EHLO later", &no_tls, 0, {"220 x\r\n", "450 x\r\n"}, NEXT_ADDRESS, STAGE_EHLO, 0, 450},
    {"STARTTLS refused",
     &maybe_tls,
     0,
     {"220 x\r\n", "250-x\r\n250 STARTTLS\r\n", "454 4.7.0 no\r\n"},
     NEXT_PLAIN,
     STAGE_STARTTLS,
     0,
     454},
    {"STARTTLS refused, required",
     &encrypt,
     0,
     {"220 x\r\n", "250-x\r\n250 STARTTLS\r\n", "454 4.7.0 no\r\n"},
     NEXT_ADDRESS,
     STAGE_STARTTLS,
     0,
     454},
    {"421 to STARTTLS is no reason for plain text",
     &maybe_tls,
     0,
     {"220 x\r\n", "250-x\r\n250 STARTTLS\r\n", "421 no\r\n"},
     NEXT_ADDRESS,
     STAGE_STARTTLS,
     0,
     421},
    {"handshake failed",
     &maybe_tls,
     -71,
     {"220 x\r\n", "250-x\r\n250 STARTTLS\r\n", "220 go\r\n"},
     NEXT_PLAIN,
     STAGE_TLS,
     FAULT_TLS,
     0},
    {"out of memory in the handshake",
     &maybe_tls,
     -12,
     {"220 x\r\n", "250-x\r\n250 STARTTLS\r\n", "220 go\r\n"},
     NEXT_RETRY,
     STAGE_TLS,
     FAULT_LOCAL,
     0},
    {"handshake failed, required",
     &encrypt,
     -71,
     {"220 x\r\n", "250-x\r\n250 STARTTLS\r\n", "220 go\r\n"},
     NEXT_ADDRESS,
     STAGE_TLS,
     FAULT_TLS,
     0},
    {"handshake failed, implicit", &implicit, -71, {0}, NEXT_ADDRESS, STAGE_TLS, FAULT_TLS, 0},
    {"TLS not offered",
     &encrypt,
     0,
     {"220 x\r\n", "250 x\r\n"},
     NEXT_ADDRESS,
     STAGE_STARTTLS,
     FAULT_NO_TLS,
     0},
    {"after the handshake plain text does not help",
     &maybe_tls,
     0,
     {"220 x\r\n", "250-x\r\n250 STARTTLS\r\n", "220 go\r\n", "!closed"},
     NEXT_ADDRESS,
     STAGE_EHLO,
     FAULT_CLOSED,
     0},
    {"AUTH not offered",
     &plain_auth,
     0,
     {"220 x\r\n", "250 x\r\n"},
     NEXT_RETRY,
     STAGE_AUTH,
     FAULT_NO_AUTH,
     0},
    {"only AUTH that we do not speak",
     &plain_auth,
     0,
     {"220 x\r\n", "250-x\r\n250 AUTH GSSAPI\r\n"},
     NEXT_RETRY,
     STAGE_AUTH,
     FAULT_NO_AUTH,
     0},
    {"AUTH in plain text not allowed",
     &maybe_auth,
     0,
     {"220 x\r\n", "250-x\r\n250 AUTH PLAIN\r\n"},
     NEXT_RETRY,
     STAGE_AUTH,
     FAULT_NO_AUTH,
     0},
    {"wrong credential",
     &plain_auth,
     0,
     {"220 x\r\n", "250-x\r\n250 AUTH PLAIN\r\n", "535 5.7.8 no\r\n"},
     NEXT_RETRY,
     STAGE_AUTH,
     0,
     535},
    {"idle connection closed after READY",
     &no_tls,
     0,
     {"220 x\r\n", "250 x\r\n", "421 idle\r\n"},
     NEXT_CONTINUE,
     0,
     0,
     0},
};

static void sites_are_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(sites); i++) {
        struct talk t = {.config = sites[i].config, .tls_err = sites[i].tls_err};
        t.keeps_open = true;
        talk_open(&t);
        for (size_t j = 0; j < COUNT_OF(sites[i].server) && sites[i].server[j]; j++)
            talk_hear(&t, slice_of(sites[i].server[j]), false);
        enum relay_stage stage = STAGE_RESOLVE;
        struct reply reply = {0};
        struct outcome o = relay_site_outcome(t.r, &stage, &reply);
        if (!t.is_closed || o.next != sites[i].next || stage != sites[i].stage ||
            relay_site_fault(t.r) != sites[i].fault || reply.code != sites[i].code)
            fail_msg("%s: next %d at %s, fault %d, code %u", sites[i].name, o.next,
                     talk_stages[stage], relay_site_fault(t.r), reply.code);
        if (o.next != NEXT_CONTINUE)
            assert_true(o.scope == SCOPE_SITE && o.close);
        talk_close(&t);
    }
}

static void connecting_failed(void **state)
{
    (void)state;
    struct relay *r = relay_new(&maybe_tls);
    assert_int_equal(relay_waits(r), STAGE_CONNECT);
    relay_failed(r, FAULT_REFUSED);
    struct relay_effect e;
    assert_true(relay_effect(r, &e));
    assert_int_equal(e.kind, RELAY_CLOSE);
    assert_false(relay_effect(r, &e));
    enum relay_stage stage;
    struct reply reply;
    assert_int_equal(relay_site_outcome(r, &stage, &reply).next, NEXT_ADDRESS);
    assert_int_equal(stage, STAGE_CONNECT);
    relay_free(&r);
    relay_free(&r);
}

static void long_secrets_wait_for_the_challenge(void **state)
{
    (void)state;
    char secret[600];
    memset(secret, 'p', sizeof(secret));
    /* "AUTH PLAIN ", the base64 of 2 + 4 + 366 octets and CRLF are 509 octets; 3 more octets
     * are 513. */
    for (size_t len = 367; len < 370; len++) {
        struct relay_config config = plain_auth;
        config.secret = slice_make(secret, len);
        struct talk t = {.config = &config};
        talk_open(&t);
        talk_hear(&t, SLICE("220 x\r\n"), false);
        buf_clear(&t.sent);
        talk_hear(&t, SLICE("250-x\r\n250 AUTH PLAIN\r\n"), false);
        assert_true(t.sent.len <= 512);
        bool is_whole = 11 + (len + 6 + 2) / 3 * 4 + 2 <= 512;
        assert_int_equal(slice_eq(buf_slice(&t.sent), SLICE("AUTH PLAIN\r\n")), !is_whole);
        buf_clear(&t.sent);
        talk_hear(&t, is_whole ? SLICE("235 ok\r\n") : SLICE("334 \r\n"), false);
        if (!is_whole) {
            assert_int_equal(t.sent.len, (len + 6 + 2) / 3 * 4 + 2);
            assert_true(slice_starts(buf_slice(&t.sent), SLICE("AHVzZXIAcHBw")));
            talk_hear(&t, SLICE("235 ok\r\n"), false);
        }
        assert_true(slice_starts(buf_slice(&t.events), SLICE("ready")));
        talk_close(&t);
    }
}

/* A gap in the content, or a final dot that did not fit, whose cause the owner has cleared
 * away: never followed by a dot. */
static void content_that_did_not_fit(void **state)
{
    (void)state;
    for (size_t max = 1; max < 16; max++) {
        struct relay *r = relay_new(&no_tls);
        struct relay_effect e;
        relay_connected(r);
        relay_input(r, SLICE("220 x\r\n"));
        assert_false(relay_effect(r, &e));
        relay_input(r, SLICE(PIPED));
        assert_true(relay_effect(r, &e) && e.kind == RELAY_READY);
        relay_message(r, one);
        assert_false(relay_effect(r, &e));
        relay_input(r, SLICE("250 ok\r\n250 ok\r\n354 go\r\n"));
        assert_true(relay_effect(r, &e) && e.kind == RELAY_BODY);
        relay_out(r)->max = max;
        buf_fini(relay_out(r));
        relay_body(r, SLICE("12345678901\r\n"));
        bool has_gap = relay_out(r)->error;
        assert_int_equal(has_gap, max < 13);
        if (has_gap)
            buf_clear(relay_out(r));
        relay_body_end(r, 0);
        if (max >= 13)
            assert_true(relay_out(r)->error); /* 13 and the dot are 16 */
        buf_clear(relay_out(r));
        relay_body_end(r, 0);
        assert_true(relay_effect(r, &e) && e.kind == RELAY_VERDICT);
        assert_true(e.fault == FAULT_LOCAL && e.outcome.next == NEXT_RETRY);
        assert_int_equal(e.stage, STAGE_BODY);
        assert_true(relay_effect(r, &e) && e.kind == RELAY_DONE);
        assert_true(relay_effect(r, &e) && e.kind == RELAY_CLOSE);
        assert_false(relay_effect(r, &e));
        assert_int_equal(relay_out(r)->len, 0);
        relay_free(&r);
    }
}

/* No memory for the commands: nothing half-written is sent. */
static void commands_that_did_not_fit(void **state)
{
    (void)state;
    for (size_t max = 1; max < 80; max++) {
        struct relay *r = relay_new(&no_tls);
        relay_out(r)->max = max;
        relay_connected(r);
        relay_input(r, SLICE("220 x\r\n"));
        struct relay_effect e = {0};
        unsigned verdicts = 0;
        bool is_closed = false;
        while (relay_effect(r, &e))
            is_closed = e.kind == RELAY_CLOSE;
        if (!is_closed) {
            buf_clear(relay_out(r));
            relay_input(r, SLICE(PIPED));
            assert_true(relay_effect(r, &e) && e.kind == RELAY_READY);
            relay_message(r, four);
            while (relay_effect(r, &e)) {
                verdicts += e.kind == RELAY_VERDICT;
                assert_true(e.kind != RELAY_VERDICT ||
                            (e.fault == FAULT_LOCAL && e.outcome.next == NEXT_RETRY));
                is_closed = e.kind == RELAY_CLOSE;
            }
            assert_int_equal(verdicts, 4);
        }
        assert_true(is_closed);
        assert_int_equal(relay_out(r)->len, 0);
        relay_free(&r);
    }
}

static void addresses_that_cannot_be_written(void **state)
{
    (void)state;
    static const struct {
        slice address;
        bool is_safe;
    } rows[] = {
        {SLICE_INIT("a@y.test"), true},
        {SLICE_INIT("a+b=c@[IPv6:2001:db8::1]"), true},
        {SLICE_INIT("\"a b>c<\"@y.test"), true},
        {SLICE_INIT("\"a\\\">\"@y.test"), true},
        {SLICE_INIT("\xc3\xa4@y.test"), true},
        {SLICE_INIT(""), false},
        {SLICE_INIT("a>@y.test"), false},
        {SLICE_INIT("<a@y.test"), false},
        {SLICE_INIT("a@y.test SIZE=1"), false},
        {SLICE_INIT("a\r@y.test"), false},
        {SLICE_INIT("a\n@y.test"), false},
        {SLICE_INIT("a\0@y.test"), false},
        {SLICE_INIT("a\x7f@y.test"), false},
        {SLICE_INIT("\"a\n\"@y.test"), false},
        {SLICE_INIT("\"a\\\n\"@y.test"), false},
        {SLICE_INIT("\"a@y.test"), false},
        {SLICE_INIT("\"a\\"), false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct relay_recipient to[] = {{SLICE_INIT("b@y.test"), {0}, 0},
                                       {rows[i].address, {0}, 1}};
        struct relay_message m = {.recipients = to, .recipient_count = 2};
        assert_int_equal(relay_write_is_safe(&m), rows[i].is_safe);
        struct relay_message from = {.reverse_path = rows[i].address, .recipients = to};
        assert_int_equal(relay_write_is_safe(&from),
                         rows[i].is_safe || rows[i].address.len == 0);
    }
}

static void deadlines(void **state)
{
    (void)state;
    struct talk t = {.config = &no_tls, MESSAGES(one), .body = SLICE_INIT("x\r\n")};
    static const struct {
        const char *server;
        enum relay_stage waits;
    } rows[] = {
        {"", STAGE_GREETING},        {"220 x\r\n", STAGE_EHLO}, {"250 x\r\n", STAGE_MAIL},
        {"250 ok\r\n", STAGE_RCPT},  {"250 x\r\n", STAGE_DATA}, {"354 x\r\n", STAGE_END},
        {"250 ok\r\n", STAGE_LOCAL},
    };
    t.keeps_open = true;
    talk_open(&t);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        talk_hear(&t, slice_of(rows[i].server), false);
        assert_int_equal(relay_waits(t.r), rows[i].waits);
    }
    relay_quit(t.r);
    assert_int_equal(relay_waits(t.r), STAGE_CONNECT);
    talk_hear(&t, SLICE("!timeout"), false);
    assert_true(t.is_closed);
    relay_input(t.r, SLICE("250 late\r\n"));
    relay_failed(t.r, FAULT_CLOSED);
    talk_pump(&t);
    talk_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scripts_whole),
        cmocka_unit_test(scripts_trickled),
        cmocka_unit_test(sites_are_told),
        cmocka_unit_test(connecting_failed),
        cmocka_unit_test(long_secrets_wait_for_the_challenge),
        cmocka_unit_test(content_that_did_not_fit),
        cmocka_unit_test(commands_that_did_not_fit),
        cmocka_unit_test(addresses_that_cannot_be_written),
        cmocka_unit_test(deadlines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
