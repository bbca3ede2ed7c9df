/* sendmail_header: what sendmail reads from a header, and what it mends there.
 *
 * Users of this machine get its name as domain in the address fields, and a message without
 * From gets one. Everything else stays as it is: Date, Message-ID and the removal of Bcc are
 * the door's. Pure. */
#ifndef TOOL_SENDMAIL_HEADER_H
#define TOOL_SENDMAIL_HEADER_H

#include "base/arena.h"
#include "base/buf.h"

/* Who sends, for what the message does not say. */
struct sendmail_author {
    slice address;   /* of the From field that is added */
    slice full_name; /* beside it; may be empty */
    slice hostname;  /* domain of addresses without one */
};

struct sendmail_header {
    slice from;              /* first address of the message's own From; empty: none */
    const slice *recipients; /* of To, Cc and Bcc; of the Resent fields when it has such */
    size_t recipient_count;
    /* the first recipient field that could not be read; empty: none */
    slice bad_field;
    slice bad_element;
};

/* header: CRLF lines without the empty one, as sendmail_input gives them. Appends the mended
 * header to out, whose `error` is to be checked. All slices in the answer live in the arena. A
 * field that cannot be read is left as it is. */
void sendmail_header_mend(struct arena *a, const struct sendmail_author *author, slice header,
                          struct buf *out, struct sendmail_header *answer) NONNULL(1, 2, 4, 5);

#endif
