#include "smtpd/deadline.h"

void deadline_init(struct deadline *d, const struct deadline_limits *l, span now)
{
    *d = (struct deadline){
        .wait = SUBMISSION_WAIT_COMMAND,
        .session_ends = now + l->session,
        .command_due = now + l->command,
        .data_due = STAMP_NEVER,
    };
}

/* What is refused already must end in time too: waiting for a body is enough. */
static void update_data(struct deadline *d, const struct deadline_limits *l, span now,
                        const struct deadline_facts *facts)
{
    if (!facts->is_in_message && facts->wait != SUBMISSION_WAIT_BODY) {
        d->data_due = STAMP_NEVER;
        return;
    }
    bool is_new = d->data_due == STAMP_NEVER;
    if (!is_new && facts->octets - d->octets < DEADLINE_PROGRESS)
        return;
    d->octets = facts->octets;
    d->data_due = now + l->data;
}

void deadline_update(struct deadline *d, const struct deadline_limits *l, span now,
                     const struct deadline_facts *facts)
{
    update_data(d, l, now, facts);
    bool begins = facts->wait == SUBMISSION_WAIT_COMMAND &&
                  (d->wait != SUBMISSION_WAIT_COMMAND || facts->has_answered);
    if (begins)
        d->command_due = now + l->command;
    d->wait = facts->wait;
}

static span earlier(span a, span b)
{
    return a < b ? a : b;
}

span deadline_due(const struct deadline *d)
{
    switch (d->wait) {
    case SUBMISSION_WAIT_COMMAND:
        return earlier(d->session_ends, earlier(d->command_due, d->data_due));
    case SUBMISSION_WAIT_BODY:
        return earlier(d->session_ends, d->data_due);
    case SUBMISSION_WAIT_ANSWER:
    case SUBMISSION_CLOSED:
        break;
    }
    return STAMP_NEVER;
}
