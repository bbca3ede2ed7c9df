#include "policy/plan.h"

#include "policy/calendar.h"

/* The first period's begin, as the clock on the wall shows it: where months are counted from.
 */
struct anchor {
    struct date date;
    span time; /* of the day */
};

static struct anchor anchor_of(const struct plan *p, const struct zone *z, stamp now)
{
    stamp local =
        p->start ? p->start + zone_at(z, p->start).offset : now + zone_at(z, now).offset;
    int64_t day = calendar_day_of(local);
    struct anchor a = {calendar_date(day), local - day * SPAN_DAY};
    if (p->start == 0) {
        a.date.day = 1;
        a.time = 0;
    }
    return a;
}

static stamp border(const struct plan *p, const struct zone *z, const struct anchor *a,
                    int64_t months)
{
    if (months == 0 && p->start)
        return p->start;
    int64_t day = calendar_day(calendar_add_months(a->date, months));
    return zone_from_local(z, day * SPAN_DAY + a->time);
}

static void find_month(const struct plan *p, const struct zone *z, stamp now,
                       struct plan_period *out)
{
    struct anchor a = anchor_of(p, z, now);
    struct date today = calendar_date(calendar_day_of(now));
    int64_t months = (today.year - a.date.year) * 12 + today.month - a.date.month;
    /* The estimate is off by one at most, where the day has not come or zones differ. */
    while (months > 0 && border(p, z, &a, months) > now)
        months--;
    while (border(p, z, &a, months + 1) <= now)
        months++;
    out->begin = border(p, z, &a, months);
    out->end = border(p, z, &a, months + 1);
}

static stamp earlier(stamp a, stamp b)
{
    return a < b ? a : b;
}

void plan_period_at(const struct plan *p, const struct zone *z, stamp now,
                    struct plan_period *out)
{
    stamp end = p->end ? p->end : STAMP_NEVER;
    *out = (struct plan_period){.end = STAMP_NEVER, .until = STAMP_NEVER};
    if (now >= end)
        return;
    if (now < p->start) {
        out->end = out->until = p->start;
        return;
    }
    out->is_open = true;
    if (p->is_once) {
        out->begin = p->start;
    } else {
        find_month(p, z, now, out);
        out->until = out->end;
        if (out->end >= end)
            out->end = STAMP_NEVER;
    }
    out->until = earlier(out->until, end);
    if (p->credit_until == 0 || p->credit_until > now) {
        out->credit = p->credit;
        if (p->credit_until)
            out->until = earlier(out->until, p->credit_until);
    }
}

void plan_bind(const struct plan *p, const struct plan_period *period, struct limit *limit)
{
    limit->is_closed = !period->is_open;
    limit->period_start = period->begin;
    limit->period_end = period->end;
    limit->period_reset = p->reset;
    limit->credit = period->credit;
}
