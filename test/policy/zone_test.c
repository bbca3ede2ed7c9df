/* zone: offsets at the edges of summer time. */
#include "policy/zone.h"

#include "../check.h"

#include <stdio.h>

static const struct row {
    const char *name;
    const char *zone;
    int64_t at; /* seconds */
    int hours;
    const char *shown;
} rows[] = {
    {"winter", "Europe/Oslo", 1795352400, 1, "CET"},         /* 2026-11-22 13:00 */
    {"before spring", "Europe/Oslo", 1774745999, 1, "CET"},  /* 2026-03-29 00:59:59 */
    {"spring", "Europe/Oslo", 1774746000, 2, "CEST"},        /* 2026-03-29 01:00:00 */
    {"before autumn", "Europe/Oslo", 1792889999, 2, "CEST"}, /* 2026-10-25 00:59:59 */
    {"autumn", "Europe/Oslo", 1792890000, 1, "CET"},         /* 2026-10-25 01:00:00 */
    {"leap year", "Europe/Berlin", 1711846800, 2, "CEST"},   /* 2024-03-31 01:00:00 */
    {"before it", "Europe/Berlin", 1711846799, 1, "CET"},
    {"its leap day", "Europe/Berlin", 1709200000, 1, "CET"},
    {"east", "Europe/Helsinki", 1774746000, 3, "EEST"},
    {"west", "Europe/Lisbon", 1774746000, 1, "WEST"},
    {"British", "Europe/London", 1774746000, 1, "BST"},
    {"case", "europe/stockholm", 1795352400, 1, "CET"},
    {"beyond", "Asia/Tokyo", 1774746000, 0, "UTC"},
    {"none", "", 1774746000, 0, "UTC"},
};

static void every_row(void **state UNUSED)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct row *r = &rows[i];
        struct zone_time t = zone_at(zone_find(slice_of(r->zone)), r->at * SPAN_SECOND);
        check_int(r->name, t.offset / SPAN_HOUR, r->hours);
        assert_string_equal(t.name, r->shown);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_row)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
