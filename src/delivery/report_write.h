/* report_write: one message's notification: whom it reports, and its text. */
#ifndef DELIVERY_REPORT_WRITE_H
#define DELIVERY_REPORT_WRITE_H

#include "codec/dsn.h"
#include "delivery/reporter.h"

/* What is reported of a message at once. */
struct round {
    struct courier *courier;
    struct letter *letter; /* of the message; opened when it is needed */
    slice hostname;
    uint64_t id; /* of the message */
    stamp now;
    /* a delay is reported this long after a message was accepted, unless it says so itself; and
     * it is given up after this */
    span warn_after; /* 0: never */
    span expiry;
    /* set by round_collect: */
    struct arena arena;
    slice reverse_path; /* of the message; empty: <> */
    slice envid;
    enum dsn_ret ret;
    struct parcel_facts facts;
    struct dsn_recipient *list; /* who is named in the notification */
    size_t count;
    size_t room;
    size_t status_bytes;
    size_t unwanted;   /* recipients that nobody wants to be told about */
    size_t impossible; /* or nobody can be */
    struct buf groups; /* of the DSN record */
    bool has_failed;
    bool is_full; /* there are more */
};

/* Finds what is to be reported. 1; 0: nothing; -errno: the message's own record is needed and
 * cannot be read. */
int round_collect(struct round *r) MUST_USE NONNULL(1);
/* The DSN record's fields, and its body: the mail with this id; without one (id 0) nobody is
 * told. 0 or -ENOMEM. */
int round_write(struct round *r, uint64_t id, struct buf *fields, struct buf *body) MUST_USE
    NONNULL(1, 3, 4);
void round_fini(struct round *r) NONNULL(1);

#endif
