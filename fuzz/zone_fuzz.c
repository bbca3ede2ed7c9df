/* Rules of time zones: read, and asked for the time around the years in use. */
#include "policy/zone.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct zone z;
    if (!zone_parse(slice_make(data, size), &z))
        return 0;
    for (stamp at = 0; at < 40000 * SPAN_DAY; at += 97 * SPAN_DAY + 7 * SPAN_HOUR) {
        struct zone_time t = zone_at(&z, at);
        INVARIANT(strlen(t.name) >= 3 && strlen(t.name) <= ZONE_NAME_MAX);
        INVARIANT(t.offset < 26 * SPAN_HOUR && t.offset > -26 * SPAN_HOUR);
        stamp back = zone_from_local(&z, at);
        INVARIANT(back > at - 27 * SPAN_HOUR && back < at + 27 * SPAN_HOUR);
    }
    return 0;
}
