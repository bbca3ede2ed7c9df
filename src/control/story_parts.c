#include "control/story_parts.h"

#include "base/utf8.h"

enum { TEXT_MAX = 400 };

void story_put(struct buf *out, slice text)
{
    slice rest = slice_to(text, TEXT_MAX);
    while (rest.len > 0) {
        size_t n = utf8_sequence(rest);
        unsigned char c = (unsigned char)rest.ptr[0];
        bool is_c1 = n == 2 && c == 0xc2 && (unsigned char)rest.ptr[1] < 0xa0;
        if (n == 0 || is_c1 || ((c < 0x20 || c == 0x7f) && c != '\n' && c != '\r'))
            buf_byte(out, '?');
        else if (c == '\n' || c == '\r')
            buf_byte(out, ' ');
        else
            buf_append(out, slice_to(rest, n));
        rest = slice_from(rest, n ? n : 1);
    }
    if (text.len > TEXT_MAX)
        buf_append(out, SLICE("…"));
}

void story_text(struct buf *out, const char *text)
{
    buf_append(out, slice_of(text));
}

void story_time(struct buf *out, stamp at)
{
    char text[STAMP_TEXT_MAX];
    stamp_format(at, text);
    text[10] = ' ';
    text[19] = '\0';
    story_text(out, text);
}

void story_count(struct buf *out, uint64_t n, const char *one, const char *many)
{
    buf_printf(out, "%llu %s", (unsigned long long)n, n == 1 ? one : many);
}

void story_span(struct buf *out, span length)
{
    if (length < 2 * SPAN_MINUTE)
        story_count(out, (uint64_t)((length + SPAN_SECOND - 1) / SPAN_SECOND), "second",
                    "seconds");
    else if (length < 2 * SPAN_HOUR)
        story_count(out, (uint64_t)((length + SPAN_MINUTE / 2) / SPAN_MINUTE), "minute",
                    "minutes");
    else if (length < 2 * SPAN_DAY)
        story_count(out, (uint64_t)((length + SPAN_HOUR / 2) / SPAN_HOUR), "hour", "hours");
    else
        story_count(out, (uint64_t)((length + SPAN_DAY / 2) / SPAN_DAY), "day", "days");
}
