/* status: answers the questions of smtpd's query socket, one line of JSON each.
 *
 *   {"question":"status"}   sessions, messages, sign-ins, memory, directory, journal
 *
 * Read-only. What is not understood is answered with {"error": …}. */
#ifndef SMTPD_STATUS_H
#define SMTPD_STATUS_H

#include "base/buf.h"
#include "net/follow.h"
#include "smtpd/worker.h"

struct status_view {
    const struct service *service;
    const struct follow *follow;
    unsigned threads;
    stamp started;
    bool is_draining;
};

void status_answer(const struct status_view *v, slice question, struct buf *out) NONNULL(1, 3);

#endif
