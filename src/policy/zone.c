#include "policy/zone.h"

#include "policy/calendar.h"

enum {
    OFFSET_HOURS_MAX = 24,
    CHANGE_HOURS_MAX = 167, /* RFC 8536 section 3.3.1 */
    NAME_LEAST = 3,
};

const struct zone zone_utc = {.name = {"UTC", "UTC"}};

/* ---- reading ---- */

/* Takes the character off the start. */
static bool take(slice *in, char c)
{
    if (in->len == 0 || in->ptr[0] != c)
        return false;
    *in = slice_from(*in, 1);
    return true;
}

static bool is_digit(slice in)
{
    return in.len > 0 && in.ptr[0] >= '0' && in.ptr[0] <= '9';
}

/* A number without a sign. */
static bool take_number(slice *in, int least, int most, int *out)
{
    int n = 0;
    if (!is_digit(*in))
        return false;
    while (is_digit(*in) && n <= most) {
        n = n * 10 + (in->ptr[0] - '0');
        *in = slice_from(*in, 1);
    }
    *out = n;
    return n >= least && n <= most;
}

/* [+-]hh[:mm[:ss]] */
static bool take_time(slice *in, int hours_max, span *out)
{
    bool is_negative = take(in, '-');
    int hours, minutes = 0, seconds = 0;
    if (!is_negative)
        take(in, '+');
    if (!take_number(in, 0, hours_max, &hours))
        return false;
    if (take(in, ':')) {
        if (!take_number(in, 0, 59, &minutes))
            return false;
        if (take(in, ':') && !take_number(in, 0, 59, &seconds))
            return false;
    }
    span time = hours * SPAN_HOUR + minutes * SPAN_MINUTE + seconds * SPAN_SECOND;
    *out = is_negative ? -time : time;
    return true;
}

static bool is_name_character(char c, bool is_quoted)
{
    bool is_number = c >= '0' && c <= '9';
    return is_quoted ? ascii_is_alnum(c) || c == '+' || c == '-'
                     : ascii_is_alnum(c) && !is_number;
}

/* "CET" or "<+0530>" */
static bool take_name(slice *in, char out[ZONE_NAME_MAX + 1])
{
    bool is_quoted = take(in, '<');
    size_t len = 0;
    while (len < in->len && is_name_character(in->ptr[len], is_quoted))
        len++;
    if (len < NAME_LEAST || len > ZONE_NAME_MAX)
        return false;
    memcpy(out, in->ptr, len);
    out[len] = '\0';
    *in = slice_from(*in, len);
    return !is_quoted || take(in, '>');
}

static bool take_day(slice *in, struct zone_change *out)
{
    if (take(in, 'M')) {
        out->kind = ZONE_DAY_OF_MONTH;
        return take_number(in, 1, 12, &out->month) && take(in, '.') &&
               take_number(in, 1, 5, &out->week) && take(in, '.') &&
               take_number(in, 0, 6, &out->day);
    }
    bool is_julian = take(in, 'J');
    out->kind = is_julian ? ZONE_DAY_OF_YEAR : ZONE_DAY_OF_ALL;
    return take_number(in, is_julian, 365, &out->day);
}

/* ",date[/time]" */
static bool take_change(slice *in, struct zone_change *out)
{
    out->time = 2 * SPAN_HOUR;
    return take(in, ',') && take_day(in, out) &&
           (!take(in, '/') || take_time(in, CHANGE_HOURS_MAX, &out->time));
}

bool zone_parse(slice rule, struct zone *out)
{
    struct zone z = {.offset = {0}};
    span west; /* POSIX counts westwards */
    if (rule.len > ZONE_RULE_MAX || !take_name(&rule, z.name[0]) ||
        !take_time(&rule, OFFSET_HOURS_MAX, &west))
        return false;
    z.offset[0] = -west;
    z.has_summer = rule.len > 0;
    if (z.has_summer) {
        if (!take_name(&rule, z.name[1]))
            return false;
        west -= SPAN_HOUR;
        if (rule.len > 0 && rule.ptr[0] != ',' && !take_time(&rule, OFFSET_HOURS_MAX, &west))
            return false;
        z.offset[1] = -west;
        if (!take_change(&rule, &z.begin) || !take_change(&rule, &z.end) || rule.len > 0)
            return false;
    }
    *out = z;
    return true;
}

struct zone zone_of(slice rule)
{
    struct zone z = zone_utc;
    return zone_parse(rule, &z) ? z : zone_utc;
}

/* ---- moments ---- */

static int64_t day_of(const struct zone_change *c, int64_t year)
{
    int64_t first =
        calendar_day((struct date){year, c->kind == ZONE_DAY_OF_MONTH ? c->month : 1, 1});
    if (c->kind == ZONE_DAY_OF_ALL)
        return first + c->day;
    if (c->kind == ZONE_DAY_OF_YEAR) {
        bool is_behind_leap_day = c->day > 59 && calendar_days_in_month(year, 2) == 29;
        return first + c->day - 1 + is_behind_leap_day;
    }
    /* 1970-01-01 was a Thursday; no year in question is before it by more than ages. */
    int64_t weekday = ((first + 4) % 7 + 7) % 7;
    int64_t day = first + (c->day - weekday + 7) % 7 + 7 * (c->week - 1);
    return day - first < calendar_days_in_month(year, c->month) ? day : day - 7;
}

/* The change's moment in that year; `before`: the offset until then. */
static stamp moment_of(const struct zone_change *c, int64_t year, span before)
{
    return day_of(c, year) * SPAN_DAY + c->time - before;
}

/* The last change at or before the moment tells. One may be of the year before or after, as its
 * time may be days away; where one summer ends as the next begins, it goes on. */
static bool is_summer(const struct zone *z, stamp at)
{
    int64_t year = calendar_date(calendar_day_of(at)).year;
    stamp begin = -STAMP_NEVER, end = -STAMP_NEVER;
    for (int64_t y = year - 1; y <= year + 1; y++) {
        stamp begins = moment_of(&z->begin, y, z->offset[0]);
        stamp ends = moment_of(&z->end, y, z->offset[1]);
        if (begins <= at)
            begin = begins;
        if (ends <= at)
            end = ends;
    }
    return begin >= end;
}

struct zone_time zone_at(const struct zone *z, stamp at)
{
    int i = z->has_summer && is_summer(z, at);
    return (struct zone_time){z->offset[i], z->name[i]};
}

stamp zone_from_local(const struct zone *z, stamp local)
{
    span before = zone_at(z, local - SPAN_DAY).offset; /* no two changes are so near */
    stamp first = local - before;
    span after = zone_at(z, first).offset;
    stamp second = local - after;
    return after == before || zone_at(z, second).offset != after ? first : second;
}
