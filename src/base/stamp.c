#include "base/stamp.h"

#include <stdio.h>
#include <time.h>

static const char *const day_names[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char *const month_names[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

/* Whole seconds rounded down, also before 1970. */
static struct tm broken_down(stamp at, int *ms)
{
    int64_t seconds = at / SPAN_SECOND;
    int64_t rest = at % SPAN_SECOND;
    if (rest < 0) {
        rest += SPAN_SECOND;
        seconds--;
    }
    time_t t = (time_t)seconds;
    struct tm tm = {0};
    gmtime_r(&t, &tm);
    *ms = (int)(rest / SPAN_MS);
    return tm;
}

void stamp_format(stamp at, char text[STAMP_TEXT_MAX])
{
    int ms;
    struct tm tm = broken_down(at, &ms);
    snprintf(text, STAMP_TEXT_MAX, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
             (tm.tm_year + 1900) % 10000, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
             tm.tm_sec, ms);
}

void stamp_format_mail(stamp at, char text[STAMP_TEXT_MAX])
{
    int ms;
    struct tm tm = broken_down(at, &ms);
    snprintf(text, STAMP_TEXT_MAX, "%s, %02d %s %04d %02d:%02d:%02d +0000",
             day_names[tm.tm_wday], tm.tm_mday, month_names[tm.tm_mon],
             (tm.tm_year + 1900) % 10000, tm.tm_hour, tm.tm_min, tm.tm_sec);
}
