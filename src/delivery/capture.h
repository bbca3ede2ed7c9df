/* capture: the transport that writes into a Maildir instead of sending, so that a trial never
 * mails the world. Batches of messages go to a jobs thread; a few at a time. */
#ifndef DELIVERY_CAPTURE_H
#define DELIVERY_CAPTURE_H

#include "delivery/courier.h"
#include "delivery/settings.h"

enum { CAPTURE_BATCHES = 2, CAPTURE_MESSAGES = 64 };

struct capture {
    struct courier *courier;
    struct settings settings;
    struct destination destination;
    unsigned running; /* batches */
    bool is_made;     /* the directory is there */
    bool is_closing;
};

struct capture *capture_new(struct courier *c, const struct conf *conf) NONNULL(1, 2);
/* No batch may be running, or the jobs are gone (their batches are dropped). */
void capture_free(struct capture **c);
/* Begins what can be begun; called after anything has changed. */
void capture_pump(struct capture *c) NONNULL(1);
void capture_close(struct capture *c) NONNULL(1);
bool capture_is_idle(const struct capture *c) NONNULL(1);

#endif
