#include "control/names.h"

#include "codec/host.h"
#include "codec/path.h"
#include "model/zoneinfo.h"
#include "policy/calendar.h"

enum { PASSWORD_MIN = 8, PASSWORD_MAX = 1024 };

/* C0 controls and DEL, and C1 controls in their UTF-8. */
static bool has_controls(slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c < 0x20 || c == 0x7f)
            return true;
        if (c == 0xc2 && i + 1 < s.len && (unsigned char)s.ptr[i + 1] < 0xa0)
            return true;
    }
    return false;
}

static bool is_number(slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
    return true;
}

const char *name_check_customer(slice s)
{
    if (s.len == 0 || s.len > NAME_MAX_LEN)
        return "a name of 1 to 255 octets";
    if (has_controls(s) || slice_trim(s).len != s.len)
        return "a name without control characters and without blanks around it";
    if (is_number(s))
        return "a name that is not a number, since numbers are ids: K10023";
    return NULL;
}

const char *name_check_login(slice s)
{
    struct path path;
    if (s.len == 0 || s.len > NAME_MAX_LEN)
        return "an address or a plain name of 1 to 255 octets";
    if (has_controls(s) || slice_find(s, ' ') >= 0)
        return "an address or a plain name, without spaces and control characters";
    if (is_number(s))
        return "a login that is not a number, since numbers are ids: k10023";
    if (slice_find(s, '@') >= 0 && mailbox_parse(s, &path) != PATH_OK)
        return "a whole address (anna@example.org), or a plain name without @";
    return NULL;
}

const char *name_check_language(slice s)
{
    bool is_right = s.len == 0 || (s.len >= 2 && s.len <= 16);
    for (size_t i = 0; i < s.len; i++)
        is_right = is_right && (i < 2 ? s.ptr[i] >= 'a' && s.ptr[i] <= 'z'
                                      : ascii_is_alnum(s.ptr[i]) || s.ptr[i] == '-');
    return is_right ? NULL : "a language tag: en, sv, nb, de";
}

const char *name_check_time_zone(slice s)
{
    struct zone zone;
    return s.len == 0 || zoneinfo_read(s, &zone) == 0
               ? NULL
               : "a time zone that the server knows (/usr/share/zoneinfo): Europe/Oslo, UTC";
}

struct zone name_zone(slice s)
{
    struct zone zone = zone_utc;
    return zoneinfo_read(s, &zone) == 0 ? zone : zone_utc;
}

const char *name_check_contact(slice s)
{
    struct path path;
    return s.len == 0 || mailbox_parse(s, &path) == PATH_OK ? NULL
                                                            : "an address: anna@example.org";
}

const char *name_check_line(slice s)
{
    return s.len <= 500 && !has_controls(s) ? NULL : "one line of text, at most 500 octets";
}

const char *name_check_password(slice s)
{
    if (s.len < PASSWORD_MIN)
        return "a password of at least 8 characters, or none: then a secret is generated";
    if (s.len > PASSWORD_MAX || has_controls(s))
        return "one line of at most 1024 octets";
    return NULL;
}

static const char *take_domain(struct arena *a, slice s, slice *out)
{
    struct path path;
    if (!host_is_name(s, true))
        return "a domain: example.org";
    slice address = arena_printf(a, "x@%.*s", SLICE_ARG(s));
    if (mailbox_parse(address, &path) != PATH_OK)
        return "a domain: example.org";
    *out = slice_from(path_canonical(a, &path), 2);
    return NULL;
}

const char *name_take_sender(struct arena *a, enum sender_right right, slice s, slice *out)
{
    struct path path;
    if (right == SENDERS_DOMAINS)
        return take_domain(a, s, out);
    if (mailbox_parse(s, &path) != PATH_OK)
        return "an address: anna@example.org";
    *out = path_canonical(a, &path);
    return NULL;
}

/* So many digits off the front. */
static bool take_digits(slice *s, size_t count, int *out)
{
    uint64_t number;
    if (s->len < count || !is_number(slice_to(*s, count)) ||
        !slice_to_u64(slice_to(*s, count), &number))
        return false;
    *out = (int)number;
    *s = slice_from(*s, count);
    return true;
}

static bool take_sign(slice *s, char sign)
{
    bool is_there = s->len > 0 && s->ptr[0] == sign;
    if (is_there)
        *s = slice_from(*s, 1);
    return is_there;
}

static bool take_date(slice *s, struct date *out)
{
    int year;
    if (!take_digits(s, 4, &year) || !take_sign(s, '-') || !take_digits(s, 2, &out->month) ||
        !take_sign(s, '-') || !take_digits(s, 2, &out->day))
        return false;
    out->year = year;
    return year >= 1970 && year < 2400 && out->month >= 1 && out->month <= 12 &&
           out->day >= 1 && out->day <= calendar_days_in_month(year, out->month);
}

static bool take_time(slice *s, span *out)
{
    int hour;
    int minute;
    int second = 0;
    if (!take_digits(s, 2, &hour) || !take_sign(s, ':') || !take_digits(s, 2, &minute) ||
        (take_sign(s, ':') && !take_digits(s, 2, &second)))
        return false;
    *out = hour * SPAN_HOUR + minute * SPAN_MINUTE + second * SPAN_SECOND;
    return hour < 24 && minute < 60 && second < 60;
}

bool name_parse_moment(slice s, const struct zone *zone, stamp now, stamp *out)
{
    struct date date;
    span time = 0;
    if (slice_eq(s, SLICE("now"))) {
        *out = now;
        return true;
    }
    if (!take_date(&s, &date) || (take_sign(&s, 'T') && !take_time(&s, &time)))
        return false;
    stamp local = calendar_day(date) * SPAN_DAY + time;
    bool is_utc = take_sign(&s, 'Z');
    *out = is_utc ? local : zone_from_local(zone, local);
    return s.len == 0;
}

bool name_parse_amount(slice s, uint64_t *out)
{
    static const struct {
        slice suffix;
        uint64_t factor;
    } units[] = {{SLICE_INIT("GB"), 1000000000},
                 {SLICE_INIT("MB"), 1000000},
                 {SLICE_INIT("KB"), 1000},
                 {SLICE_INIT("B"), 1}};
    uint64_t factor = 1;
    for (size_t i = 0; i < COUNT_OF(units); i++) {
        if (!slice_ends(s, units[i].suffix))
            continue;
        factor = units[i].factor;
        s.len -= units[i].suffix.len;
        break;
    }
    uint64_t number;
    if (!slice_to_u64(s, &number) || number > (uint64_t)INT64_MAX / factor)
        return false;
    *out = number * factor;
    return true;
}

static const struct {
    char letter;
    span unit;
} units[] = {{'s', SPAN_SECOND},
             {'m', SPAN_MINUTE},
             {'h', SPAN_HOUR},
             {'d', SPAN_DAY},
             {'w', 7 * SPAN_DAY}};

bool name_parse_span(slice s, span *out)
{
    uint64_t number;
    if (s.len < 2 || !slice_to_u64(slice_to(s, s.len - 1), &number))
        return false;
    for (size_t i = 0; i < COUNT_OF(units); i++) {
        if (s.ptr[s.len - 1] != units[i].letter)
            continue;
        if (number == 0 || number > (uint64_t)(3653 * SPAN_DAY / units[i].unit))
            return false;
        *out = (span)number * units[i].unit;
        return true;
    }
    return false;
}

slice name_of_span(struct arena *a, span length)
{
    size_t i = COUNT_OF(units) - 2; /* days, not weeks */
    if (length <= 0)
        return (slice){0};
    while (i > 0 && length % units[i].unit != 0)
        i--;
    return arena_printf(a, "%lld%c", (long long)(length / units[i].unit), units[i].letter);
}

static bool is_patience(slice s)
{
    span length;
    return s.len == 0 ||
           (name_parse_span(s, &length) && length >= SPAN_MINUTE && length <= 30 * SPAN_DAY);
}

const char *name_check_expire_after(slice s)
{
    return is_patience(s) ? NULL : "a time from 1m to 30d, as 5d, or nothing: the server's";
}

const char *name_check_warn_after(slice s)
{
    return is_patience(s) || slice_eq(s, SLICE("never"))
               ? NULL
               : "a time from 1m to 30d, as 4h, \"never\", or nothing: the server's";
}

span name_read_patience(slice s)
{
    span length = 0;
    if (slice_eq(s, SLICE("never")))
        return -1;
    return name_parse_span(s, &length) ? length : 0;
}

static const char *const rights[] = {
    [SENDERS_ANY] = "any", [SENDERS_DOMAINS] = "domains", [SENDERS_EXACT] = "exact"};
static const char *const states[] = {[ACCOUNT_ACTIVE] = "active",
                                     [ACCOUNT_LOCKED] = "locked",
                                     [ACCOUNT_SUSPENDED] = "suspended"};

const char *name_of_right(enum sender_right right)
{
    return rights[right];
}

bool name_parse_right(slice s, enum sender_right *out)
{
    for (size_t i = 0; i < COUNT_OF(rights); i++) {
        if (slice_eq(s, slice_of(rights[i]))) {
            *out = (enum sender_right)i;
            return true;
        }
    }
    return false;
}

const char *name_of_state(enum account_state state)
{
    return states[state];
}
