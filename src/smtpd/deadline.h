/* deadline: how long a client may take, by rules that one byte does not reset. Pure: times are
 * arguments, of one monotonic clock.
 *
 * - A command must be whole within `command` of the moment when the server began to wait for it
 *   (RFC 5321 section 4.5.3.2.7: at least 5 minutes).
 * - Of a message, 64 KiB more, or its end, must arrive within `data` of the last time when that
 *   was so, however it is cut into BDAT chunks.
 * - A session ends after `session` at the latest.
 * While the server owes an answer, no deadline of the client runs. */
#ifndef SMTPD_DEADLINE_H
#define SMTPD_DEADLINE_H

#include "base/stamp.h"
#include "dialog/submission.h"

enum { DEADLINE_PROGRESS = 64 * 1024 };

struct deadline_limits {
    span command;
    span data;
    span session;
};

struct deadline {
    enum submission_wait wait;
    span session_ends;
    span command_due;
    span data_due;   /* STAMP_NEVER: no message is arriving */
    uint64_t octets; /* at the last progress */
};

/* What is true after a turn. */
struct deadline_facts {
    enum submission_wait wait;
    bool has_answered;  /* a command was answered in this turn */
    bool is_in_message; /* one is open, perhaps between its chunks */
    uint64_t octets;    /* of messages, accepted or not, that came in this session */
};

void deadline_init(struct deadline *d, const struct deadline_limits *l, span now) NONNULL(1, 2);
void deadline_update(struct deadline *d, const struct deadline_limits *l, span now,
                     const struct deadline_facts *facts) NONNULL(1, 2, 4);
/* The moment at which the client is too late; STAMP_NEVER while it is waited for by nobody. */
span deadline_due(const struct deadline *d) NONNULL(1);

#endif
