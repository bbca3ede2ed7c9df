/* zoneinfo: which files are zones. zoneinfo_oracle.py compares those of the system. */
#include "model/zoneinfo.h"

#include "../check.h"

#include <errno.h>

#define HEAD2 "TZif2 ... with line ends \n in its tables ...\n"

static void rules_of_files(void **state UNUSED)
{
    static const struct {
        const char *name;
        const char *contents;
        const char *want;
    } rows[] = {
        {"a zone", HEAD2 "CET-1CEST,M3.5.0,M10.5.0/3\n", "CET-1CEST,M3.5.0,M10.5.0/3"},
        {"of a later version", "TZif3\nEET-2\n", "EET-2"},
        {"without a rule", HEAD2 "\n", ""},
        {"of the first version", "TZif\nCET-1\n", ""},
        {"cut", HEAD2 "CET-1", ""},
        {"cut at a line end of its tables", "TZif2 ... with line ends \n", ""},
        {"something else", "# tzdb links\nCET-1\n", ""},
        {"short", "TZif", ""},
        {"empty", "", ""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        check_slice(rows[i].name, zoneinfo_rule(slice_of(rows[i].contents)),
                    slice_of(rows[i].want));
}

static void names(void **state UNUSED)
{
    static const char *const zones[] = {
        "UTC",
        "Europe/Oslo",
        "America/Argentina/Ushuaia",
        "Etc/GMT+12",
        "America/Port-au-Prince",
    };
    static const char *const none[] = {
        "",
        "Europe",
        "europe/oslo",
        "Europe/Atlantis",
        "zone.tab",
        "tzdata",
        "/etc/localtime",
        "../zoneinfo/CET",
        "Europe/Oslo/x",
        "Europe/Oslo ",
        "Europe/./Oslo",
        "iso3166.tab",
    };
    struct zone z;
    for (size_t i = 0; i < COUNT_OF(zones); i++)
        check_int(zones[i], zoneinfo_read(slice_of(zones[i]), &z), 0);
    for (size_t i = 0; i < COUNT_OF(none); i++)
        check_int(none[i], zoneinfo_read(slice_of(none[i]), &z), -ENOENT);
    check_int("a NUL", zoneinfo_read(SLICE("Europe/Oslo\0x"), &z), -ENOENT);
    char longest[ZONEINFO_NAME_MAX + 1];
    memset(longest, 'x', sizeof(longest));
    check_int("long", zoneinfo_read(slice_make(longest, sizeof(longest) - 1), &z), -ENOENT);
    check_int("too long", zoneinfo_read(slice_make(longest, sizeof(longest)), &z), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rules_of_files),
                                       cmocka_unit_test(names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
