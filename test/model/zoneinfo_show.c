/* zoneinfo_show: for zoneinfo_oracle.py. Reads lines of "ZONE SECONDS"; says of each the offset
 * in seconds and the name of the time, or "unknown". */
#include "model/zoneinfo.h"

#include <inttypes.h>
#include <stdio.h>

int main(void)
{
    char name[100], last[100] = "";
    int64_t at;
    struct zone z = zone_utc;
    int err = 0;
    while (scanf("%99s %" SCNd64, name, &at) == 2) {
        if (strcmp(name, last) != 0)
            err = zoneinfo_read(slice_of(name), &z);
        memcpy(last, name, sizeof(last));
        struct zone_time t = zone_at(&z, at * SPAN_SECOND);
        if (err < 0)
            puts("unknown");
        else
            printf("%" PRId64 " %s\n", (int64_t)(t.offset / SPAN_SECOND), t.name);
    }
    return 0;
}
