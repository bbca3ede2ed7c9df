#include "policy/notify.h"

enum report notify_of_failure(unsigned notify, bool has_sender)
{
    if (!has_sender)
        return REPORT_IMPOSSIBLE;
    return notify == 0 || notify & NOTIFY_FAILURE ? REPORT_FAILED : REPORT_UNWANTED;
}

enum report notify_of_delay(unsigned notify, bool has_sender)
{
    bool is_wanted = notify == 0 || notify & NOTIFY_DELAY;
    return has_sender && is_wanted ? REPORT_DELAYED : REPORT_NONE;
}

enum report notify_of_success(unsigned notify, bool has_sender, enum notify_taker taker)
{
    if (!has_sender || !(notify & NOTIFY_SUCCESS))
        return REPORT_NONE;
    switch (taker) {
    case NOTIFY_TAKER_FINAL:
        return REPORT_DELIVERED;
    case NOTIFY_TAKER_WITHOUT:
        return REPORT_RELAYED;
    case NOTIFY_TAKER_DSN:
        break;
    }
    return REPORT_NONE;
}
