#include "policy/retry.h"

#include "base/attr.h"

/* first, 2 first, 4 first … up to longest, without overflow however many attempts there were.
 */
static span back_off(const struct retry_policy *p, unsigned attempts)
{
    span wait = p->first;
    for (unsigned i = 1; i < attempts && wait < p->longest; i++)
        wait = wait > p->longest / 2 ? p->longest : wait * 2;
    return wait < p->longest ? wait : p->longest;
}

/* From 90 % to just below 110 %. Without it all that failed together comes back together. */
static span jittered(span wait, uint32_t random)
{
    return wait - wait / 10 + (span)((__int128)(wait / 5) * random >> 32);
}

/* No clock shows a moment past STAMP_NEVER. */
static stamp after(stamp at, span wait)
{
    return at > STAMP_NEVER - wait ? STAMP_NEVER : at + wait;
}

stamp retry_next(const struct retry_policy *p, stamp accepted, stamp now, unsigned attempts,
                 uint32_t random)
{
    INVARIANT(p->first > 0 && p->longest > 0 && p->expiry > 0 && attempts > 0);
    stamp expires = after(accepted, p->expiry);
    if (now >= expires)
        return STAMP_NEVER;
    stamp next = after(now, jittered(back_off(p, attempts), random));
    return next < expires ? next : expires;
}
