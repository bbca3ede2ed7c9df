#include "base/slice.h"

bool slice_eq(slice a, slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool slice_ieq(slice a, slice b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (ascii_lower(a.ptr[i]) != ascii_lower(b.ptr[i]))
            return false;
    return true;
}

bool slice_starts(slice s, slice prefix)
{
    return s.len >= prefix.len && slice_eq(slice_to(s, prefix.len), prefix);
}

bool slice_istarts(slice s, slice prefix)
{
    return s.len >= prefix.len && slice_ieq(slice_to(s, prefix.len), prefix);
}

bool slice_ends(slice s, slice suffix)
{
    return s.len >= suffix.len && slice_eq(slice_from(s, s.len - suffix.len), suffix);
}

int slice_cmp(slice a, slice b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int c = n ? memcmp(a.ptr, b.ptr, n) : 0;
    if (c != 0)
        return c;
    return (a.len > b.len) - (a.len < b.len);
}

ptrdiff_t slice_find(slice s, char c)
{
    const char *p = s.len ? memchr(s.ptr, c, s.len) : NULL;
    return p ? p - s.ptr : -1;
}

ptrdiff_t slice_rfind(slice s, char c)
{
    const char *p = s.len ? memrchr(s.ptr, c, s.len) : NULL;
    return p ? p - s.ptr : -1;
}

ptrdiff_t slice_search(slice s, slice needle)
{
    if (needle.len == 0)
        return 0;
    const char *p = s.len ? memmem(s.ptr, s.len, needle.ptr, needle.len) : NULL;
    return p ? p - s.ptr : -1;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

slice slice_trim(slice s)
{
    while (s.len && is_blank(s.ptr[0]))
        s = slice_from(s, 1);
    while (s.len && is_blank(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

bool slice_split(slice *s, char sep, slice *head)
{
    if (s->len == 0)
        return false;
    ptrdiff_t at = slice_find(*s, sep);
    if (at < 0) {
        *head = *s;
        *s = slice_from(*s, s->len);
        return true;
    }
    *head = slice_to(*s, (size_t)at);
    *s = slice_from(*s, (size_t)at + 1);
    return true;
}

bool slice_to_u64(slice s, uint64_t *out)
{
    uint64_t n = 0;
    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(s.ptr[i] - '0');
        if (n > (UINT64_MAX - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    *out = n;
    return true;
}
