#include "policy/sender.h"

bool sender_may_use(const struct account *account, slice address)
{
    if (account->right == SENDERS_ANY)
        return true;
    ptrdiff_t at = slice_rfind(address, '@');
    if (at <= 0)
        return false;
    bool by_domain = account->right == SENDERS_DOMAINS;
    slice wanted = by_domain ? slice_from(address, (size_t)at + 1) : address;
    for (size_t i = 0; i < account->sender_count; i++)
        if (slice_ieq(account->senders[i], wanted))
            return true;
    return false;
}
