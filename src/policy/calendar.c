#include "policy/calendar.h"

#include <stdbool.h>

/* The year begins in March here, so that a leap day is its last. */
int64_t calendar_day(struct date d)
{
    enum { TO_1970 = 719468 }; /* from 0000-03-01 */
    int64_t year = d.month > 2 ? d.year : d.year - 1;
    int64_t month = d.month > 2 ? d.month - 3 : d.month + 9;
    return year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + d.day - 1 -
           TO_1970;
}

struct date calendar_date(int64_t day)
{
    /* Never too late a month: 31 days each. */
    struct date d = {1970 + day / 366, 1, 1};
    while (calendar_day((struct date){d.year + 1, 1, 1}) <= day)
        d.year++;
    while (calendar_day(d) > day)
        d.year--;
    while (calendar_day(d) + calendar_days_in_month(d.year, d.month) <= day)
        d.month++;
    d.day += (int)(day - calendar_day(d));
    return d;
}

int calendar_days_in_month(int64_t year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && is_leap);
}

int64_t calendar_day_of(stamp at)
{
    return at / SPAN_DAY - (at % SPAN_DAY < 0);
}

struct date calendar_add_months(struct date d, int64_t months)
{
    int64_t all = d.year * 12 + d.month - 1 + months;
    struct date later = {all / 12, (int)(all % 12) + 1, d.day};
    int last = calendar_days_in_month(later.year, later.month);
    if (later.day > last)
        later.day = last;
    return later;
}
