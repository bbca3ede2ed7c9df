/* blocked: is a refusal about our own address? Most hosts that look us up in a list of bad
 * addresses say so only in words, and only in reply to RCPT (Postfix, Exim, Microsoft, Yahoo):
 * "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.example". No
 * recipient and no message is to blame for that, and it passes.
 *
 * Words that blame something else of the same kind (a sender's address, a link, the content,
 * SPF) win: what is mended by nobody but the sender must come back to the sender. */
#ifndef POLICY_BLOCKED_H
#define POLICY_BLOCKED_H

#include "base/slice.h"

/* text: of the reply, which may echo what the client said. */
bool blocked_is_our_address(slice text);

#endif
