/* calendar: days and dates of the Gregorian calendar, for years from 1 on. Days are counted
 * from 1970-01-01. */
#ifndef POLICY_CALENDAR_H
#define POLICY_CALENDAR_H

#include "base/attr.h"
#include "base/stamp.h"

struct date {
    int64_t year;
    int month; /* 1 to 12 */
    int day;   /* 1 to 31 */
};

/* The day of a date, and back; the date must be one. */
int64_t calendar_day(struct date d);
struct date calendar_date(int64_t day);
/* 28 to 31. */
int calendar_days_in_month(int64_t year, int month);
/* The day of a moment, by UTC; rounded down before 1970 too. */
int64_t calendar_day_of(stamp at);

/* The same day so many months later, or the last day of that month when it has no such day. */
struct date calendar_add_months(struct date d, int64_t months);

#endif
