#include "codec/reply.h"

#include "base/utf8.h"

#include <stdio.h>

enum { ENHANCED_MAX = sizeof("5.999.999") };

static bool is_printable(slice sequence)
{
    return sequence.len > 1 || (sequence.ptr[0] >= ' ' && sequence.ptr[0] < 0x7f);
}

/* Appends text with everything that is not printable as '?', one for each byte. */
static void append_printable(struct buf *out, slice text)
{
    while (text.len) {
        size_t good = 0;
        for (;;) {
            slice rest = slice_from(text, good);
            size_t n = utf8_sequence(rest);
            if (n == 0 || !is_printable(slice_to(rest, n)))
                break;
            good += n;
        }
        buf_append(out, slice_to(text, good));
        if (good < text.len)
            buf_byte(out, '?');
        text = slice_from(text, good + 1);
    }
}

/* Takes as much off *text as fits in max octets, if it can be to a blank, which goes too. */
static slice take_fitting(slice *text, size_t max)
{
    slice part = utf8_cut(*text, max);
    size_t used = part.len;
    if (part.len < text->len) {
        ptrdiff_t blank = slice_rfind(slice_to(*text, part.len + 1), ' ');
        if (blank > 0) {
            part = slice_to(part, (size_t)blank);
            used = (size_t)blank + 1;
        }
    }
    *text = slice_from(*text, used);
    return part;
}

static void write_line(struct buf *out, unsigned code, char mark, const char *enhanced,
                       slice text)
{
    buf_printf(out, "%03u%c%s", code, mark, enhanced);
    if (enhanced[0] && text.len)
        buf_byte(out, ' ');
    append_printable(out, text);
    buf_append(out, SLICE("\r\n"));
}

void reply_write(struct buf *out, unsigned code, struct enhanced e, slice text)
{
    char enhanced[ENHANCED_MAX + 8] = "";
    if (e.class && (code / 100 == 2 || code / 100 == 4 || code / 100 == 5))
        snprintf(enhanced, sizeof(enhanced), "%u.%u.%u", e.class % 10u, e.subject % 1000u,
                 e.detail % 1000u);
    /* code, mark, enhanced code, its blank, CRLF */
    size_t room = REPLY_LINE_MAX - 4 - strlen(enhanced) - 1 - 2;
    for (;;) {
        ptrdiff_t lf = slice_find(text, '\n');
        slice line = lf < 0 ? text : slice_to(text, (size_t)lf);
        text = slice_from(text, lf < 0 ? text.len : (size_t)lf + 1);
        do {
            slice part = take_fitting(&line, room);
            bool is_last = lf < 0 && line.len == 0;
            write_line(out, code, is_last ? ' ' : '-', enhanced, part);
        } while (line.len);
        if (lf < 0)
            return;
    }
}

void reply_parser_init(struct reply_parser *p)
{
    p->code = 0;
    p->lines = 0;
    p->enhanced = (struct enhanced){0};
    p->text_len = 0;
    p->line_len = 0;
    p->overflow = false;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "250", "250 text" or "250-text". */
static bool split_line(slice line, uint16_t *code, bool *is_last, slice *text)
{
    if (line.len < 3 || line.ptr[0] < '2' || line.ptr[0] > '5' || !is_digit(line.ptr[1]) ||
        !is_digit(line.ptr[2]))
        return false;
    char mark = line.len > 3 ? line.ptr[3] : ' ';
    if (mark != ' ' && mark != '-')
        return false;
    *code =
        (uint16_t)((line.ptr[0] - '0') * 100 + (line.ptr[1] - '0') * 10 + line.ptr[2] - '0');
    *is_last = mark == ' ';
    *text = slice_from(line, 4);
    return true;
}

/* One to three digits off *s. */
static bool take_number(slice *s, uint16_t *out)
{
    size_t n = 0;
    unsigned value = 0;
    while (n < s->len && n < 4 && is_digit(s->ptr[n]))
        value = value * 10 + (unsigned)(s->ptr[n++] - '0');
    if (n == 0 || n > 3)
        return false;
    *s = slice_from(*s, n);
    *out = (uint16_t)value;
    return true;
}

static bool take_dot(slice *s)
{
    if (s->len == 0 || s->ptr[0] != '.')
        return false;
    *s = slice_from(*s, 1);
    return true;
}

/* Takes an enhanced code of the reply's class off *text, with the blank behind it. */
static bool take_enhanced(slice *text, uint16_t code, struct enhanced *out)
{
    struct enhanced e;
    slice s = *text;
    if (!take_number(&s, &e.class) || !take_dot(&s) || !take_number(&s, &e.subject) ||
        !take_dot(&s) || !take_number(&s, &e.detail))
        return false;
    if (e.class != code / 100 || e.class == 3 || (s.len && s.ptr[0] != ' '))
        return false;
    *text = slice_from(s, 1);
    *out = e;
    return true;
}

/* Adds a line to the reply's text, as far as there is room. */
static void keep_text(struct reply_parser *p, slice text)
{
    char clean[sizeof(p->line)];
    struct buf b = {.ptr = clean, .cap = sizeof(clean), .max = sizeof(clean)};
    append_printable(&b, text);
    if (p->lines > 1 && p->text_len < sizeof(p->text))
        p->text[p->text_len++] = '\n';
    slice part = utf8_cut(buf_slice(&b), sizeof(p->text) - p->text_len);
    if (part.len)
        memcpy(p->text + p->text_len, part.ptr, part.len);
    p->text_len += part.len;
}

static enum reply_result end_line(struct reply_parser *p, struct reply *out,
                                  void (*on_line)(void *ctx, slice text), void *ctx)
{
    slice line = {p->line, p->line_len};
    bool is_cut = p->overflow;
    p->line_len = 0;
    p->overflow = false;
    if (!is_cut && line.len && line.ptr[line.len - 1] == '\r')
        line.len--;
    uint16_t code;
    bool is_last;
    slice text;
    if (!split_line(line, &code, &is_last, &text))
        return REPLY_BAD;
    if (p->lines == 0) {
        p->code = code;
        p->text_len = 0;
        p->enhanced = (struct enhanced){0};
    }
    if (code != p->code || p->lines == REPLY_LINES_MAX)
        return REPLY_BAD;
    p->lines++;
    struct enhanced e;
    if (take_enhanced(&text, code, &e) && p->enhanced.class == 0)
        p->enhanced = e;
    keep_text(p, text);
    if (on_line)
        on_line(ctx, text);
    if (!is_last)
        return REPLY_MORE;
    p->lines = 0;
    *out = (struct reply){p->code, p->enhanced, {p->text, p->text_len}};
    return REPLY_DONE;
}

enum reply_result reply_parse(struct reply_parser *p, slice *in, struct reply *out,
                              void (*on_line)(void *ctx, slice text), void *ctx)
{
    while (in->len) {
        ptrdiff_t lf = slice_find(*in, '\n');
        slice part = lf < 0 ? *in : slice_to(*in, (size_t)lf);
        *in = slice_from(*in, part.len + (lf >= 0));
        size_t room = sizeof(p->line) - p->line_len;
        if (part.len > room)
            p->overflow = true;
        part = slice_to(part, room);
        if (part.len)
            memcpy(p->line + p->line_len, part.ptr, part.len);
        p->line_len += part.len;
        if (lf < 0)
            return REPLY_MORE;
        enum reply_result r = end_line(p, out, on_line, ctx);
        if (r != REPLY_MORE)
            return r;
    }
    return REPLY_MORE;
}
