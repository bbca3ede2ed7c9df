/* plan: where periods begin and end, at the borders of months, days and summer time. */
#include "policy/plan.h"

#include "policy/calendar.h"

#include "../check.h"
#include "zones.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* "2026-11-22 13:00:00" in UTC; 0 for NULL, STAMP_NEVER for "never". */
static stamp moment(const char *text)
{
    struct tm tm = {0};
    if (!text)
        return 0;
    if (strcmp(text, "never") == 0)
        return STAMP_NEVER;
    assert_non_null(strptime(text, "%Y-%m-%d %H:%M:%S", &tm));
    return timegm(&tm) * SPAN_SECOND;
}

static const struct row {
    const char *name;
    const char *zone;
    const char *start, *end;
    bool is_once;
    const char *now;
    const char *want_begin, *want_end; /* NULL: not open */
} rows[] = {
    {"calendar month", "UTC", NULL, NULL, false, "2026-11-22 13:00:00", "2026-11-01 00:00:00",
     "2026-12-01 00:00:00"},
    {"last microsecond is checked below", RULE_OSLO, NULL, NULL, false, "2026-11-30 22:59:59",
     "2026-10-31 23:00:00", "2026-11-30 23:00:00"},
    {"midnight in Oslo", RULE_OSLO, NULL, NULL, false, "2026-11-30 23:00:00",
     "2026-11-30 23:00:00", "2026-12-31 23:00:00"},
    {"winter to summer within", RULE_OSLO, NULL, NULL, false, "2026-03-30 12:00:00",
     "2026-02-28 23:00:00", "2026-03-31 22:00:00"},
    {"the last evening in New York", RULE_NEW_YORK, NULL, NULL, false, "2026-12-01 04:59:59",
     "2026-11-01 04:00:00", "2026-12-01 05:00:00"},
    {"the first night in Auckland", RULE_AUCKLAND, NULL, NULL, false, "2026-11-30 11:00:00",
     "2026-11-30 11:00:00", "2026-12-31 11:00:00"},
    {"leap year", "UTC", NULL, NULL, false, "2028-02-29 23:59:59", "2028-02-01 00:00:00",
     "2028-03-01 00:00:00"},
    {"new year", RULE_HELSINKI, NULL, NULL, false, "2026-12-31 22:00:00", "2026-12-31 22:00:00",
     "2027-01-31 22:00:00"},
    {"from a day on", "UTC", "2026-01-15 08:30:00", NULL, false, "2026-11-15 08:29:59",
     "2026-10-15 08:30:00", "2026-11-15 08:30:00"},
    {"at that time", "UTC", "2026-01-15 08:30:00", NULL, false, "2026-11-15 08:30:00",
     "2026-11-15 08:30:00", "2026-12-15 08:30:00"},
    {"first period", "UTC", "2026-01-15 08:30:00", NULL, false, "2026-01-15 08:30:00",
     "2026-01-15 08:30:00", "2026-02-15 08:30:00"},
    {"the 31st in a short month", "UTC", "2026-01-31 00:00:00", NULL, false,
     "2026-02-28 00:00:00", "2026-02-28 00:00:00", "2026-03-31 00:00:00"},
    {"and before it", "UTC", "2026-01-31 00:00:00", NULL, false, "2026-02-27 23:59:59",
     "2026-01-31 00:00:00", "2026-02-28 00:00:00"},
    {"the clock on the wall keeps its time", RULE_OSLO, "2026-01-10 11:00:00", NULL, false,
     "2026-07-10 09:59:59", "2026-06-10 10:00:00", "2026-07-10 10:00:00"},
    {"not yet", "UTC", "2026-12-01 00:00:00", NULL, false, "2026-11-30 23:59:59", NULL,
     "2026-12-01 00:00:00"},
    {"last of a year", "UTC", "2026-01-15 00:00:00", "2027-01-15 00:00:00", false,
     "2026-12-20 00:00:00", "2026-12-15 00:00:00", "never"},
    {"last but one", "UTC", "2026-01-15 00:00:00", "2027-01-15 00:00:00", false,
     "2026-12-14 23:59:59", "2026-11-15 00:00:00", "2026-12-15 00:00:00"},
    {"over", "UTC", "2026-01-15 00:00:00", "2027-01-15 00:00:00", false, "2027-01-15 00:00:00",
     NULL, "never"},
    {"once", "UTC", "2026-02-01 00:00:00", "2026-03-03 00:00:00", true, "2026-03-02 00:00:00",
     "2026-02-01 00:00:00", "never"},
    {"once, over", "UTC", "2026-02-01 00:00:00", "2026-03-03 00:00:00", true,
     "2026-03-03 00:00:00", NULL, "never"},
};

static void every_row(void **state UNUSED)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct row *r = &rows[i];
        struct plan p = {moment(r->start), moment(r->end), r->is_once, 0, 0, 0};
        struct plan_period got;
        struct zone zone = zone_of(slice_of(r->zone));
        plan_period_at(&p, &zone, moment(r->now), &got);
        check_int(r->name, got.is_open, r->want_begin != NULL);
        check_int(r->name, got.begin, moment(r->want_begin));
        check_int(r->name, got.end, moment(r->want_end));
    }
}

/* Without a gap and without an overlap, for any start, zone and moment. */
static void periods_touch(void **state UNUSED)
{
    static const char *const zones[] = {"UTC0",        RULE_OSLO,     RULE_LONDON,
                                        RULE_NEW_YORK, RULE_AUCKLAND, RULE_LORD_HOWE};
    uint64_t random = 7;
    for (int i = 0; i < 20000; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        struct zone zone = zone_of(slice_of(zones[i % COUNT_OF(zones)]));
        const struct zone *z = &zone;
        stamp start = moment("2024-01-01 00:00:00") +
                      (span)(random >> 20) % (700 * SPAN_DAY) / SPAN_SECOND * SPAN_SECOND;
        struct plan p = {.start = i % 2 ? start : 0};
        struct plan_period a, b;
        stamp now = start + (span)(random >> 33) * SPAN_MS * 10;
        plan_period_at(&p, z, now, &a);
        assert_true(a.is_open && a.begin <= now && now < a.end && a.until == a.end);
        assert_true(a.end - a.begin > 27 * SPAN_DAY && a.end - a.begin < 32 * SPAN_DAY);
        plan_period_at(&p, z, a.end, &b);
        assert_int_equal(b.begin, a.end);
        plan_period_at(&p, z, a.end - 1, &b);
        assert_int_equal(b.begin, a.begin);
        plan_period_at(&p, z, a.begin, &b);
        assert_int_equal(b.end, a.end);
    }
}

static void credit_ends(void **state UNUSED)
{
    struct plan p = {.credit = 500, .credit_until = moment("2026-11-25 00:00:00")};
    struct plan_period got;
    struct limit limit = {.rule = {.max = 10, .window = RULE_PERIOD}};
    plan_period_at(&p, &zone_utc, moment("2026-11-24 23:59:59"), &got);
    plan_bind(&p, &got, &limit);
    assert_int_equal(limit.credit, 500);
    assert_int_equal(got.until, p.credit_until);
    plan_period_at(&p, &zone_utc, p.credit_until, &got);
    plan_bind(&p, &got, &limit);
    assert_int_equal(limit.credit, 0);
    assert_int_equal(got.until, moment("2026-12-01 00:00:00"));
}

static void dates_come_back(void **state UNUSED)
{
    for (int64_t day = -719162; day < 800000; day += 13) {
        struct date d = calendar_date(day);
        assert_int_equal(calendar_day(d), day);
        assert_true(d.month >= 1 && d.month <= 12 && d.day >= 1);
        assert_true(d.day <= calendar_days_in_month(d.year, d.month));
    }
    assert_int_equal(calendar_day((struct date){2000, 3, 1}), 11017);
    assert_int_equal(calendar_day_of(-1), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row),
        cmocka_unit_test(periods_touch),
        cmocka_unit_test(credit_ends),
        cmocka_unit_test(dates_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
