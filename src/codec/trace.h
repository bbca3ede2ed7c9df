/* trace: the fields that we add: Received, Date, Message-ID (RFC 5321 4.4, 5322 3.6, 6409 8).
 */
#ifndef CODEC_TRACE_H
#define CODEC_TRACE_H

#include "base/buf.h"
#include "base/stamp.h"

/* How much of the client the Received field shows. */
enum trace_detail {
    TRACE_NONE, /* no "from" clause: nothing about the client */
    TRACE_HELO, /* the name that it gave */
    TRACE_FULL, /* name and address */
};

struct trace_facts {
    enum trace_detail detail;
    slice helo;
    slice client;   /* address text or "uid=N" */
    slice by;       /* our host name */
    slice protocol; /* ESMTP, ESMTPS, ESMTPSA, UTF8SMTPSA … (RFC 3848, 6531) */
    slice tls;      /* "TLSv1.3 TLS_AES_256_GCM_SHA384", shown as a comment; may be empty */
    slice for_; /* the recipient, only when there is one and it may be shown; may be empty */
    uint64_t id;
    stamp at;
};

/* One folded field with CRLF; no line over 78 octets where it can be broken, none over 998. */
void trace_received(struct buf *out, const struct trace_facts *f) NONNULL(1, 2);
/* "Date: …\r\n" and "Message-ID: <id@host>\r\n". */
void trace_date(struct buf *out, stamp at) NONNULL(1);
void trace_message_id(struct buf *out, uint64_t id, slice host) NONNULL(1);

#endif
