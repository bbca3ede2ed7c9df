#include "policy/zone.h"

#include "policy/calendar.h"

struct zone {
    span offset; /* in winter */
    bool has_summer;
    const char *winter;
    const char *summer;
};

static const struct zone utc = {0, false, "UTC", "UTC"};
static const struct zone london = {0, true, "GMT", "BST"};
static const struct zone dublin = {0, true, "GMT", "IST"};
static const struct zone western = {0, true, "WET", "WEST"};
static const struct zone central = {SPAN_HOUR, true, "CET", "CEST"};
static const struct zone eastern = {2 * SPAN_HOUR, true, "EET", "EEST"};

static const struct {
    slice name;
    const struct zone *zone;
} zones[] = {
    {SLICE_INIT("Arctic/Longyearbyen"), &central}, {SLICE_INIT("Atlantic/Faroe"), &western},
    {SLICE_INIT("Europe/Amsterdam"), &central},    {SLICE_INIT("Europe/Athens"), &eastern},
    {SLICE_INIT("Europe/Belfast"), &london},       {SLICE_INIT("Europe/Belgrade"), &central},
    {SLICE_INIT("Europe/Berlin"), &central},       {SLICE_INIT("Europe/Bratislava"), &central},
    {SLICE_INIT("Europe/Brussels"), &central},     {SLICE_INIT("Europe/Bucharest"), &eastern},
    {SLICE_INIT("Europe/Budapest"), &central},     {SLICE_INIT("Europe/Copenhagen"), &central},
    {SLICE_INIT("Europe/Dublin"), &dublin},        {SLICE_INIT("Europe/Helsinki"), &eastern},
    {SLICE_INIT("Europe/Kyiv"), &eastern},         {SLICE_INIT("Europe/Lisbon"), &western},
    {SLICE_INIT("Europe/Ljubljana"), &central},    {SLICE_INIT("Europe/London"), &london},
    {SLICE_INIT("Europe/Luxembourg"), &central},   {SLICE_INIT("Europe/Madrid"), &central},
    {SLICE_INIT("Europe/Malta"), &central},        {SLICE_INIT("Europe/Mariehamn"), &eastern},
    {SLICE_INIT("Europe/Monaco"), &central},       {SLICE_INIT("Europe/Oslo"), &central},
    {SLICE_INIT("Europe/Paris"), &central},        {SLICE_INIT("Europe/Prague"), &central},
    {SLICE_INIT("Europe/Riga"), &eastern},         {SLICE_INIT("Europe/Rome"), &central},
    {SLICE_INIT("Europe/Sarajevo"), &central},     {SLICE_INIT("Europe/Skopje"), &central},
    {SLICE_INIT("Europe/Sofia"), &eastern},        {SLICE_INIT("Europe/Stockholm"), &central},
    {SLICE_INIT("Europe/Tallinn"), &eastern},      {SLICE_INIT("Europe/Tirane"), &central},
    {SLICE_INIT("Europe/Vaduz"), &central},        {SLICE_INIT("Europe/Vienna"), &central},
    {SLICE_INIT("Europe/Vilnius"), &eastern},      {SLICE_INIT("Europe/Warsaw"), &central},
    {SLICE_INIT("Europe/Zagreb"), &central},       {SLICE_INIT("Europe/Zurich"), &central},
};

const struct zone *zone_find(slice name)
{
    for (size_t i = 0; i < COUNT_OF(zones); i++) {
        if (slice_ieq(zones[i].name, name))
            return zones[i].zone;
    }
    return &utc;
}

/* The last Sunday at or before a day (1970-01-01 was a Thursday), 01:00 UTC. */
static stamp sunday_until(int64_t day)
{
    return (day - (day + 4) % 7) * SPAN_DAY + SPAN_HOUR;
}

static bool is_summer(stamp at)
{
    int64_t year = calendar_date(calendar_day_of(at)).year;
    return at >= sunday_until(calendar_day((struct date){year, 3, 31})) &&
           at < sunday_until(calendar_day((struct date){year, 10, 31}));
}

struct zone_time zone_at(const struct zone *z, stamp at)
{
    if (z->has_summer && is_summer(at))
        return (struct zone_time){z->offset + SPAN_HOUR, z->summer};
    return (struct zone_time){z->offset, z->winter};
}

stamp zone_from_local(const struct zone *z, stamp local)
{
    stamp at = local - zone_at(z, local).offset;
    return local - zone_at(z, at).offset;
}
