/* sendmail_address: the addresses of a list as programs write it, in a header field or on the
 * command line.
 *
 * It reads what mail programs have always read: names without quotes that have dots or "@" in
 * them ("a@b.example <a@b.example>"), users of this machine without a domain, groups, source
 * routes, ";" between addresses. What has no one address to be read from it is refused, never
 * guessed. Pure. */
#ifndef TOOL_SENDMAIL_ADDRESS_H
#define TOOL_SENDMAIL_ADDRESS_H

#include "base/arena.h"

struct sendmail_mailbox {
    slice address; /* local@domain, in the arena */
    bool is_bare;  /* it came without a domain and got the host's */
    size_t end;    /* offset in the list behind it: where "@domain" is missing when bare */
};

/* All mailboxes of the list, in the arena; none is a result too. False: *bad is the element
 * that is not an address (a part of `list`), and *out and *count are untouched. */
bool sendmail_addresses(struct arena *a, slice list, slice hostname,
                        struct sendmail_mailbox **out, size_t *count, slice *bad)
    NONNULL(1, 4, 5, 6);

#endif
