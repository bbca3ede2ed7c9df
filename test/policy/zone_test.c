/* zone: rules read, and what the clock shows by them. test/model/zoneinfo_oracle.py compares
 * all zones of the system with what Python makes of them. */
#include "policy/zone.h"

#include "../check.h"
#include "zones.h"

/* What Python's zoneinfo says, a second before each change of 2026 and at it. */
static const struct row {
    const char *name;
    const char *rule;
    int64_t at; /* seconds */
    int64_t offset;
    const char *shown;
} rows[] = {
    {"Europe/Oslo", "CET-1CEST,M3.5.0,M10.5.0/3", 1774745999, 3600, "CET"},
    {"Europe/Oslo", "CET-1CEST,M3.5.0,M10.5.0/3", 1774746000, 7200, "CEST"},
    {"Europe/Oslo", "CET-1CEST,M3.5.0,M10.5.0/3", 1792889999, 7200, "CEST"},
    {"Europe/Oslo", "CET-1CEST,M3.5.0,M10.5.0/3", 1792890000, 3600, "CET"},
    {"Europe/London", "GMT0BST,M3.5.0/1,M10.5.0", 1774745999, 0, "GMT"},
    {"Europe/London", "GMT0BST,M3.5.0/1,M10.5.0", 1774746000, 3600, "BST"},
    {"Europe/London", "GMT0BST,M3.5.0/1,M10.5.0", 1792889999, 3600, "BST"},
    {"Europe/London", "GMT0BST,M3.5.0/1,M10.5.0", 1792890000, 0, "GMT"},
    {"Europe/Dublin", "IST-1GMT0,M10.5.0,M3.5.0/1", 1774745999, 0, "GMT"},
    {"Europe/Dublin", "IST-1GMT0,M10.5.0,M3.5.0/1", 1774746000, 3600, "IST"},
    {"Europe/Dublin", "IST-1GMT0,M10.5.0,M3.5.0/1", 1792889999, 3600, "IST"},
    {"Europe/Dublin", "IST-1GMT0,M10.5.0,M3.5.0/1", 1792890000, 0, "GMT"},
    {"America/New_York", "EST5EDT,M3.2.0,M11.1.0", 1772953199, -18000, "EST"},
    {"America/New_York", "EST5EDT,M3.2.0,M11.1.0", 1772953200, -14400, "EDT"},
    {"America/New_York", "EST5EDT,M3.2.0,M11.1.0", 1793512799, -14400, "EDT"},
    {"America/New_York", "EST5EDT,M3.2.0,M11.1.0", 1793512800, -18000, "EST"},
    {"America/St_Johns", "NST3:30NDT,M3.2.0,M11.1.0", 1772947799, -12600, "NST"},
    {"America/St_Johns", "NST3:30NDT,M3.2.0,M11.1.0", 1772947800, -9000, "NDT"},
    {"America/St_Johns", "NST3:30NDT,M3.2.0,M11.1.0", 1793507399, -9000, "NDT"},
    {"America/St_Johns", "NST3:30NDT,M3.2.0,M11.1.0", 1793507400, -12600, "NST"},
    {"America/Godthab", "<-02>2<-01>,M3.5.0/-1,M10.5.0/0", 1774745999, -7200, "-02"},
    {"America/Godthab", "<-02>2<-01>,M3.5.0/-1,M10.5.0/0", 1774746000, -3600, "-01"},
    {"America/Godthab", "<-02>2<-01>,M3.5.0/-1,M10.5.0/0", 1792889999, -3600, "-01"},
    {"America/Godthab", "<-02>2<-01>,M3.5.0/-1,M10.5.0/0", 1792890000, -7200, "-02"},
    {"America/Santiago", "<-04>4<-03>,M9.1.6/24,M4.1.6/24", 1775357999, -10800, "-03"},
    {"America/Santiago", "<-04>4<-03>,M9.1.6/24,M4.1.6/24", 1775358000, -14400, "-04"},
    {"America/Santiago", "<-04>4<-03>,M9.1.6/24,M4.1.6/24", 1788667199, -14400, "-04"},
    {"America/Santiago", "<-04>4<-03>,M9.1.6/24,M4.1.6/24", 1788667200, -10800, "-03"},
    {"Pacific/Auckland", "NZST-12NZDT,M9.5.0,M4.1.0/3", 1775311199, 46800, "NZDT"},
    {"Pacific/Auckland", "NZST-12NZDT,M9.5.0,M4.1.0/3", 1775311200, 43200, "NZST"},
    {"Pacific/Auckland", "NZST-12NZDT,M9.5.0,M4.1.0/3", 1790431199, 43200, "NZST"},
    {"Pacific/Auckland", "NZST-12NZDT,M9.5.0,M4.1.0/3", 1790431200, 46800, "NZDT"},
    {"Pacific/Chatham", "<+1245>-12:45<+1345>,M9.5.0/2:45,M4.1.0/3:45", 1775311199, 49500,
     "+1345"},
    {"Pacific/Chatham", "<+1245>-12:45<+1345>,M9.5.0/2:45,M4.1.0/3:45", 1775311200, 45900,
     "+1245"},
    {"Pacific/Chatham", "<+1245>-12:45<+1345>,M9.5.0/2:45,M4.1.0/3:45", 1790431199, 45900,
     "+1245"},
    {"Pacific/Chatham", "<+1245>-12:45<+1345>,M9.5.0/2:45,M4.1.0/3:45", 1790431200, 49500,
     "+1345"},
    {"Australia/Lord_Howe", "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", 1775314799, 39600, "+11"},
    {"Australia/Lord_Howe", "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", 1775314800, 37800, "+1030"},
    {"Australia/Lord_Howe", "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", 1791041399, 37800, "+1030"},
    {"Australia/Lord_Howe", "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", 1791041400, 39600, "+11"},
    {"Antarctica/Troll", "<+00>0<+02>-2,M3.5.0/1,M10.5.0/3", 1774745999, 0, "+00"},
    {"Antarctica/Troll", "<+00>0<+02>-2,M3.5.0/1,M10.5.0/3", 1774746000, 7200, "+02"},
    {"Antarctica/Troll", "<+00>0<+02>-2,M3.5.0/1,M10.5.0/3", 1792889999, 7200, "+02"},
    {"Antarctica/Troll", "<+00>0<+02>-2,M3.5.0/1,M10.5.0/3", 1792890000, 0, "+00"},
    {"Asia/Gaza", "EET-2EEST,M3.4.4/50,M10.4.4/50", 1774655999, 7200, "EET"},
    {"Asia/Gaza", "EET-2EEST,M3.4.4/50,M10.4.4/50", 1774656000, 10800, "EEST"},
    {"Asia/Gaza", "EET-2EEST,M3.4.4/50,M10.4.4/50", 1792796399, 10800, "EEST"},
    {"Asia/Gaza", "EET-2EEST,M3.4.4/50,M10.4.4/50", 1792796400, 7200, "EET"},
    {"Africa/Cairo", "EET-2EEST,M4.5.5/0,M10.5.4/24", 1776981599, 7200, "EET"},
    {"Africa/Cairo", "EET-2EEST,M4.5.5/0,M10.5.4/24", 1776981600, 10800, "EEST"},
    {"Africa/Cairo", "EET-2EEST,M4.5.5/0,M10.5.4/24", 1793307599, 10800, "EEST"},
    {"Africa/Cairo", "EET-2EEST,M4.5.5/0,M10.5.4/24", 1793307600, 7200, "EET"},
    {"Asia/Jerusalem", "IST-2IDT,M3.4.4/26,M10.5.0", 1774569599, 7200, "IST"},
    {"Asia/Jerusalem", "IST-2IDT,M3.4.4/26,M10.5.0", 1774569600, 10800, "IDT"},
    {"Asia/Jerusalem", "IST-2IDT,M3.4.4/26,M10.5.0", 1792882799, 10800, "IDT"},
    {"Asia/Jerusalem", "IST-2IDT,M3.4.4/26,M10.5.0", 1792882800, 7200, "IST"},
    {"America/Havana", "CST5CDT,M3.2.0/0,M11.1.0/1", 1772945999, -18000, "CST"},
    {"America/Havana", "CST5CDT,M3.2.0/0,M11.1.0/1", 1772946000, -14400, "CDT"},
    {"America/Havana", "CST5CDT,M3.2.0/0,M11.1.0/1", 1793509199, -14400, "CDT"},
    {"America/Havana", "CST5CDT,M3.2.0/0,M11.1.0/1", 1793509200, -18000, "CST"},
    {"Asia/Kolkata", "IST-5:30", 1784505600, 19800, "IST"},
    {"Asia/Kathmandu", "<+0545>-5:45", 1784505600, 20700, "+0545"},
    {"America/Sao_Paulo", "<-03>3", 1784505600, -10800, "-03"},
    {"Pacific/Marquesas", "<-0930>9:30", 1784505600, -34200, "-0930"},
    {"Pacific/Kiritimati", "<+14>-14", 1784505600, 50400, "+14"},
    {"Pacific/Niue", "<-11>11", 1784505600, -39600, "-11"},
    {"Etc/GMT+12", "<-12>12", 1784505600, -43200, "-12"},
    {"Asia/Tokyo", "JST-9", 1784505600, 32400, "JST"},
    {"UTC", "UTC0", 1784505600, 0, "UTC"},
    /* made up, by RFC 8536 section 3.3 and POSIX */
    {"summer for ever", "XXX3EDT4,0/0,J365/23", 1767236399, -14400, "EDT"},
    {"summer for ever", "XXX3EDT4,0/0,J365/23", 1767236400, -14400, "EDT"},
    {"summer for ever", "XXX3EDT4,0/0,J365/23", 1780000000, -14400, "EDT"},
    {"before J60 of a leap year", "AAA0BBB,J60/0,J61/0", 1835481599, 0, "AAA"},
    {"J60 of a leap year", "AAA0BBB,J60/0,J61/0", 1835481600, 3600, "BBB"}, /* 1 March */
    {"J60 of another year", "AAA0BBB,J60/0,J61/0", 1772323200, 3600, "BBB"},
    {"59 of a leap year", "AAA0BBB,59/0,60/0", 1835395200, 3600, "BBB"}, /* 29 February */
    {"59 of another year", "AAA0BBB,59/0,60/0", 1772323200, 3600, "BBB"},
    {"begins in the year before", "AAA0BBB,J1/-48,J100", 1798588800, 3600, "BBB"},
    {"not yet", "AAA0BBB,J1/-48,J100", 1798588799, 0, "AAA"},
    {"ends in the year after", "AAA0BBB,J300,J365/167", 1767736799, 3600, "BBB"},
    {"no more", "AAA0BBB,J300,J365/167", 1767736800, 0, "AAA"},
    {"seconds", "LMT-0:43:08", 0, 2588, "LMT"},
    {"before 1970", RULE_OSLO, -172800, 3600, "CET"},
};

static void every_row(void **state UNUSED)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct row *r = &rows[i];
        struct zone z;
        CHECK(r->name, zone_parse(slice_of(r->rule), &z));
        struct zone_time t = zone_at(&z, r->at * SPAN_SECOND);
        check_int(r->name, t.offset / SPAN_SECOND, r->offset);
        check_slice(r->name, slice_of(t.name), slice_of(r->shown));
    }
}

static const char *const no_rules[] = {
    "",
    "UTC",
    "AB0",
    "ABCDEFGHIJK0",
    "<AB>0",
    "<ABC0",
    "A1C0",
    "<A_C>0",
    "CET-25",
    "CET-1:60",
    "CET-1:00:60",
    "CET-",
    "CET--1",
    "CET-1 ",
    "CET-1CEST",
    "CET-1CEST,M3.5.0",
    "CET-1CEST,M3.5.0,",
    "CET-1CEST,M3.5.0,M10.5.0,",
    "CET-1CEST,M0.5.0,M10.5.0",
    "CET-1CEST,M13.5.0,M10.5.0",
    "CET-1CEST,M3.0.0,M10.5.0",
    "CET-1CEST,M3.6.0,M10.5.0",
    "CET-1CEST,M3.5.7,M10.5.0",
    "CET-1CEST,M3.5,M10.5.0",
    "CET-1CEST,J0,J365",
    "CET-1CEST,J1,J366",
    "CET-1CEST,0,366",
    "CET-1CEST,M3.5.0/168,M10.5.0",
    "CET-1CEST,M3.5.0/,M10.5.0",
    "CET-1CEST,M3.5.0,M10.5.0/99999999999999999999",
    "CET-99999999999999999999",
    ":Europe/Oslo",
    "CET-1\nCEST",
};

static void what_is_no_rule(void **state UNUSED)
{
    for (size_t i = 0; i < COUNT_OF(no_rules); i++) {
        struct zone z = {.has_summer = true};
        CHECK(no_rules[i], !zone_parse(slice_of(no_rules[i]), &z));
        CHECK(no_rules[i], z.has_summer && z.name[0][0] == '\0');
        z = zone_of(slice_of(no_rules[i]));
        check_slice(no_rules[i], slice_of(zone_at(&z, 0).name), SLICE("UTC"));
    }
}

/* A rule is cut after every octet; a zone without a summer is all that may be in a part of it.
 */
static void beginnings(void **state UNUSED)
{
    static const char *const whole[] = {"<+1030>-1", "<+1030>-10", "<+1030>-10:3",
                                        "<+1030>-10:30"};
    slice rule = SLICE(RULE_LORD_HOWE);
    for (size_t len = 0; len < rule.len; len++) {
        char *exact = malloc(len + 1); /* the sanitizer sees what is read behind it */
        memcpy(exact, rule.ptr, len);
        exact = realloc(exact, len ? len : 1);
        struct zone z;
        bool is_wanted = false;
        for (size_t i = 0; i < COUNT_OF(whole); i++)
            is_wanted |= slice_eq(slice_to(rule, len), slice_of(whole[i]));
        CHECK("a beginning", zone_parse(slice_make(exact, len), &z) == is_wanted);
        free(exact);
    }
}

static stamp seconds(int64_t n)
{
    return n * SPAN_SECOND;
}

/* Every hour and a half of a year comes back, but the one that comes twice. */
static void there_and_back(void **state UNUSED)
{
    static const char *const rules[] = {RULE_OSLO,     RULE_LONDON,    RULE_NEW_YORK,
                                        RULE_AUCKLAND, RULE_LORD_HOWE, "<-12>12"};
    for (size_t i = 0; i < COUNT_OF(rules); i++) {
        struct zone z = zone_of(slice_of(rules[i]));
        unsigned others = 0;
        for (int64_t at = 1767225600; at < 1767225600 + 366 * 86400; at += 1800) {
            stamp local = seconds(at) + zone_at(&z, seconds(at)).offset;
            stamp back = zone_from_local(&z, local);
            CHECK(rules[i], back <= seconds(at));
            CHECK(rules[i], back + zone_at(&z, back).offset == local);
            others += back != seconds(at);
        }
        CHECK(rules[i], others == (z.has_summer ? (i == 4 ? 1 : 2) : 0));
    }
}

static void hours_that_are_skipped(void **state UNUSED)
{
    static const struct {
        const char *rule;
        int64_t local, want;
    } skipped[] = {
        {RULE_OSLO, 1774751400, 1774747800},     /* 2026-03-29 02:30 is 03:30 CEST */
        {RULE_NEW_YORK, 1772937000, 1772955000}, /* 2026-03-08 02:30 is 03:30 EDT */
        {RULE_AUCKLAND, 1790476200, 1790433000}, /* 2026-09-27 02:30 is 03:30 NZDT */
    };
    for (size_t i = 0; i < COUNT_OF(skipped); i++) {
        struct zone z = zone_of(slice_of(skipped[i].rule));
        check_int(skipped[i].rule, zone_from_local(&z, seconds(skipped[i].local)) / SPAN_SECOND,
                  skipped[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row),
        cmocka_unit_test(what_is_no_rule),
        cmocka_unit_test(beginnings),
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(hours_that_are_skipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
