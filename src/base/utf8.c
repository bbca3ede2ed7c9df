#include "base/utf8.h"

/* What may follow a lead byte (RFC 3629 section 4): how many bytes, and the range of the first
 * of them; the others are 80 to BF. */
struct lead {
    unsigned char from, to;
    unsigned char count;
    unsigned char low, high;
};

static const struct lead leads[] = {
    {0xc2, 0xdf, 2, 0x80, 0xbf}, {0xe0, 0xe0, 3, 0xa0, 0xbf}, {0xe1, 0xec, 3, 0x80, 0xbf},
    {0xed, 0xed, 3, 0x80, 0x9f}, {0xee, 0xef, 3, 0x80, 0xbf}, {0xf0, 0xf0, 4, 0x90, 0xbf},
    {0xf1, 0xf3, 4, 0x80, 0xbf}, {0xf4, 0xf4, 4, 0x80, 0x8f},
};

static bool is_tail(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

static bool fits(const struct lead *l, slice s)
{
    if (s.len < l->count)
        return false;
    unsigned char second = (unsigned char)s.ptr[1];
    if (second < l->low || second > l->high)
        return false;
    for (size_t i = 2; i < l->count; i++)
        if (!is_tail(s.ptr[i]))
            return false;
    return true;
}

size_t utf8_sequence(slice s)
{
    if (s.len == 0)
        return 0;
    unsigned char first = (unsigned char)s.ptr[0];
    if (first < 0x80)
        return 1;
    for (size_t i = 0; i < COUNT_OF(leads); i++)
        if (first >= leads[i].from && first <= leads[i].to)
            return fits(&leads[i], s) ? leads[i].count : 0;
    return 0;
}

bool utf8_is_valid(slice s)
{
    while (s.len) {
        size_t n = utf8_sequence(s);
        if (n == 0)
            return false;
        s = slice_from(s, n);
    }
    return true;
}

bool utf8_is_ascii(slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] >= 0x80)
            return false;
    return true;
}

slice utf8_cut(slice s, size_t max)
{
    if (s.len <= max)
        return s;
    size_t len = max;
    while (len > 0 && max - len < 3 && is_tail(s.ptr[len]))
        len--;
    /* a run of tail bytes without a lead is no sequence that could be split */
    return slice_to(s, is_tail(s.ptr[len]) ? max : len);
}
