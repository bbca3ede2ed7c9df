/* dsn: delivery status notifications, written (RFC 3461-3464, 6533): a human part in the
 * account's language with English beside it, the delivery-status part, and what was asked for
 * of the original.
 *
 * Pure text: who is told, and when, is decided elsewhere. The result is a whole message with
 * CRLF line ends, in 7 bits unless an address needs UTF-8. */
#ifndef CODEC_DSN_H
#define CODEC_DSN_H

#include "base/buf.h"
#include "base/stamp.h"
#include "codec/reply.h"

enum dsn_action { DSN_FAILED, DSN_DELAYED, DSN_DELIVERED, DSN_RELAYED, DSN_ACTION_COUNT };

/* One recipient that is reported. */
struct dsn_recipient {
    slice address; /* without brackets */
    slice orcpt;   /* "type;address", decoded; may be empty */
    enum dsn_action action;
    struct enhanced status; /* class 0: one that fits the action */
    slice remote;           /* name of the host that answered; empty: none did */
    slice diagnostic;       /* its reply, or else our own words; lines joined by '\n' */
    stamp last_attempt;     /* 0: none was made */
    stamp retry_until;      /* DELAYED: when it is given up */
};

struct dsn_facts {
    slice reporting_mta;  /* our host name */
    slice to;             /* the reverse-path that is told; never empty */
    slice language;       /* "sv", "nb", "de"; anything else: English alone */
    uint64_t id;          /* of the notification */
    uint64_t original_id; /* queue id of the original */
    slice envid;          /* decoded; may be empty */
    slice subject;        /* of the original, decoded; may be empty */
    stamp arrived;
    stamp at;
    const struct dsn_recipient *recipients;
    size_t recipient_count;
    slice original; /* what is returned of it: its header, or all of it; may be empty */
    bool is_whole;  /* original has its body (RET=FULL) */
};

/* Recipients named one by one in the human part; the rest are counted there. All are in the
 * status part. */
enum { DSN_NAMED_MAX = 20 };

/* Appends the whole message; out->error tells of a lack of memory. Texts of peers lose their
 * control characters. */
void dsn_write(struct buf *out, const struct dsn_facts *f) NONNULL(1, 2);

#endif
