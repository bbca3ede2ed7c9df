/* submission_reply: every reply of the submission machine, by name. Private to it.
 *
 * A text says what is wrong and what to do. "%a" and "%b" in it stand for the two arguments,
 * which may come from the peer: they are shown as printable ASCII (RFC 5321 section 4.2.1). */
#ifndef DIALOG_SUBMISSION_REPLY_H
#define DIALOG_SUBMISSION_REPLY_H

#include "base/buf.h"
#include "codec/reply.h"

/* After the words: what went well, sequence, syntax, rights, limits, content, ours, ends. */
#define SUBMISSION_PHRASES(X) \
    X(NONE)                   \
    X(GREETING)               \
    X(HELO)                   \
    X(START_TLS)              \
    X(SIGNED_IN)              \
    X(MAIL_OK)                \
    X(RCPT_OK)                \
    X(GO_AHEAD)               \
    X(CHUNK_OK)               \
    X(QUEUED)                 \
    X(RESET)                  \
    X(NOOP)                   \
    X(BYE)                    \
    X(VRFY)                   \
    X(HELP)                   \
    X(EHLO_FIRST)             \
    X(TLS_FIRST)              \
    X(SIGN_IN)                \
    X(MAIL_FIRST)             \
    X(RCPT_FIRST)             \
    X(NO_RECIPIENT)           \
    X(NESTED_MAIL)            \
    X(IN_TRANSACTION)         \
    X(IN_CHUNKS)              \
    X(AUTH_TWICE)             \
    X(TLS_TWICE)              \
    X(TLS_AFTER_AUTH)         \
    X(TLS_NOT_OFFERED)        \
    X(TLS_BYTES_BEHIND)       \
    X(UNKNOWN_COMMAND)        \
    X(NO_EXPN)                \
    X(WEB_CLIENT)             \
    X(ARGUMENT_MISSING)       \
    X(ARGUMENT_SURPLUS)       \
    X(HELO_SYNTAX)            \
    X(MAIL_SYNTAX)            \
    X(RCPT_SYNTAX)            \
    X(SENDER_SYNTAX)          \
    X(RECIPIENT_SYNTAX)       \
    X(SENDER_UTF8)            \
    X(RECIPIENT_UTF8)         \
    X(PARAMETER_UNKNOWN)      \
    X(PARAMETER_SYNTAX)       \
    X(CHUNK_SYNTAX)           \
    X(LINE_TOO_LONG)          \
    X(LINE_BARE_CR)           \
    X(LINE_BARE_LF)           \
    X(LINE_NUL)               \
    X(AUTH_MECHANISM)         \
    X(AUTH_NOT_OFFERED)       \
    X(AUTH_NEEDS_TLS)         \
    X(AUTH_CANCELLED)         \
    X(AUTH_DECODE)            \
    X(AUTH_TOO_LONG)          \
    X(AUTH_FAILED)            \
    X(AUTH_TOO_MANY)          \
    X(AUTH_LOCKED)            \
    X(AUTH_LOCKED_UNTIL)      \
    X(LOCKED)                 \
    X(LOCKED_UNTIL)           \
    X(SUSPENDED)              \
    X(SUSPENDED_UNTIL)        \
    X(LOCKED_CLOSE)           \
    X(SENDER_DENIED)          \
    X(NULL_SENDER_DENIED)     \
    X(FROM_MISSING)           \
    X(FROM_TWICE)             \
    X(FROM_SYNTAX)            \
    X(FROM_DENIED)            \
    X(SENDER_FIELD_SYNTAX)    \
    X(SENDER_FIELD_DENIED)    \
    X(BAD_HEADER)             \
    X(FIELD_TWICE)            \
    X(LOOP)                   \
    X(SIZE_DECLARED)          \
    X(SIZE_REAL)              \
    X(HEADER_TOO_LARGE)       \
    X(TOO_MANY_RECIPIENTS)    \
    X(TOO_MANY_MESSAGES)      \
    X(TOO_MANY_ERRORS)        \
    X(CONTENT_BARE_CR)        \
    X(CONTENT_BARE_LF)        \
    X(CONTENT_NUL)            \
    X(CONTENT_LINE)           \
    X(NO_SPACE)               \
    X(LOCAL_FAULT)            \
    X(TIMEOUT)                \
    X(SHUTDOWN)

enum phrase {
#define SUBMISSION_PHRASE_ENUM(name) PHRASE_##name,
    SUBMISSION_PHRASES(SUBMISSION_PHRASE_ENUM)
#undef SUBMISSION_PHRASE_ENUM
        PHRASE_COUNT
};

struct submission;

/* Writes the reply into `out`; changes nothing else. */
void submission_render(struct buf *out, enum phrase p, slice a, slice b) NONNULL(1);
/* Says it, counts it if it is an error of the client's, and closes after a 421. */
void submission_say(struct submission *s, enum phrase p) NONNULL(1);
void submission_say_about(struct submission *s, enum phrase p, slice a, slice b) NONNULL(1);
/* The same for a reply that was rendered before. */
void submission_say_rendered(struct submission *s, enum phrase p, slice reply) NONNULL(1);
/* Says a reply of the owner's. */
void submission_say_reply(struct submission *s, const struct reply *r) NONNULL(1, 2);

/* Is this a refusal? (NULL and code 0 are not.) */
static inline bool reply_refuses(const struct reply *r)
{
    return r && r->code != 0;
}

/* For tests: the name of a row. */
const char *phrase_name(enum phrase p);
unsigned phrase_code(enum phrase p);

#endif
