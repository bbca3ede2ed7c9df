#include "codec/dot.h"

/* Where the decoder stands. A CR is given out at once, since the CRLF before the last dot
 * belongs to the content; a dot at the start of a line only when what follows it is known. */
enum { LINE_START, IN_LINE, AFTER_CR, AFTER_DOT, AFTER_DOT_CR };

void dot_decoder_init(struct dot_decoder *d, size_t line_max)
{
    *d = (struct dot_decoder){.state = LINE_START, .line_max = line_max};
}

static void note(struct dot_decoder *d, enum dot_fault fault)
{
    if (d->fault == DOT_FINE)
        d->fault = fault;
}

static void count(struct dot_decoder *d, size_t n)
{
    d->line_len += n;
    if (d->line_max && d->line_len > d->line_max)
        note(d, DOT_LINE_TOO_LONG);
}

/* One byte of content, inside a line. */
static void take_byte(struct dot_decoder *d, char c)
{
    if (d->state == AFTER_CR && c != '\n')
        note(d, DOT_BARE_CR);
    if (d->state != AFTER_CR && c == '\n')
        note(d, DOT_BARE_LF);
    if (c == '\0')
        note(d, DOT_NUL);
    count(d, 1);
    bool is_end = d->state == AFTER_CR && c == '\n';
    if (c == '\n')
        d->line_len = 0;
    d->state = is_end ? LINE_START : c == '\r' ? AFTER_CR : IN_LINE;
}

/* Bytes compared sixteen at a time, with the vectors that gcc and clang have on any machine. */
typedef uint8_t block __attribute__((vector_size(16)));

static bool is_special(char c)
{
    return c == '\r' || c == '\n' || c == '\0';
}

/* Octets at the start of s before the first CR, LF or NUL. */
static size_t ordinary_len(slice s)
{
    size_t i = 0;
    for (; s.len - i >= sizeof(block); i += sizeof(block)) {
        block b;
        memcpy(&b, s.ptr + i, sizeof(b));
        block hits = (block)((b == '\r') | (b == '\n') | (b == '\0'));
        uint64_t halves[2];
        memcpy(halves, &hits, sizeof(halves));
        if (halves[0] | halves[1])
            break;
    }
    while (i < s.len && !is_special(s.ptr[i]))
        i++;
    return i;
}

/* Some of the line at the start of s, while not behind a CR: its length, with the CRLF if that
 * comes next. */
static size_t take_line(struct dot_decoder *d, slice s)
{
    size_t n = ordinary_len(s);
    if (s.len - n >= 2 && s.ptr[n] == '\r' && s.ptr[n + 1] == '\n') {
        count(d, n + 2);
        d->line_len = 0;
        d->state = LINE_START;
        return n + 2;
    }
    if (n > 0) {
        count(d, n);
        d->state = IN_LINE;
        return n;
    }
    take_byte(d, s.ptr[0]);
    return 1;
}

/* Some content that does not begin with a dot at the start of a line: the length of what was
 * taken, up to the end of a line at most. */
static size_t take_content(struct dot_decoder *d, slice s)
{
    if (d->state != AFTER_CR)
        return take_line(d, s);
    take_byte(d, s.ptr[0]);
    return 1;
}

void dot_check_content(struct dot_decoder *d, bool *after_cr, slice in)
{
    d->state = *after_cr ? AFTER_CR : IN_LINE;
    while (in.len)
        in = slice_from(in, take_content(d, in));
    *after_cr = d->state == AFTER_CR;
}

/* The byte behind a dot at the start of a line. True when it completes the end of data. */
static bool take_after_dot(struct dot_decoder *d, slice *in)
{
    char c = in->ptr[0];
    if (d->state == AFTER_DOT && c == '\r') {
        d->state = AFTER_DOT_CR;
        *in = slice_from(*in, 1);
        return false;
    }
    if (d->state == AFTER_DOT_CR && c == '\n') {
        d->state = LINE_START;
        *in = slice_from(*in, 1);
        return true;
    }
    /* the dot was transparency; a CR behind it is content, and bare */
    if (d->state == AFTER_DOT_CR) {
        count(d, 1);
        note(d, DOT_BARE_CR);
    }
    d->state = IN_LINE;
    return false;
}

bool dot_decode(struct dot_decoder *d, slice *in, slice *out)
{
    while (in->len && (d->state == AFTER_DOT || d->state == AFTER_DOT_CR)) {
        if (take_after_dot(d, in)) {
            *out = (slice){in->ptr, 0};
            return true;
        }
    }
    const char *start = in->ptr;
    while (in->len) {
        if (d->state == LINE_START && in->ptr[0] == '.') {
            *out = (slice){start, (size_t)(in->ptr - start)};
            *in = slice_from(*in, 1);
            d->state = AFTER_DOT;
            return false;
        }
        *in = slice_from(*in, take_content(d, *in));
    }
    *out = (slice){start, (size_t)(in->ptr - start)};
    return false;
}

void dot_encode(struct buf *out, slice in, bool *at_line_start)
{
    slice rest = in;
    /* everything up to and with a dot at a line start goes out, then that dot once more */
    size_t from = 0;
    for (;;) {
        ptrdiff_t at = slice_find(slice_from(rest, from), '.');
        if (at < 0)
            break;
        size_t dot = from + (size_t)at;
        const char *p = rest.ptr + dot;
        if (p == in.ptr ? *at_line_start : p[-1] == '\n') {
            buf_append(out, slice_to(rest, dot + 1));
            rest = slice_from(rest, dot);
            from = 1;
        } else {
            from = dot + 1;
        }
    }
    buf_append(out, rest);
    if (in.len)
        *at_line_start = in.ptr[in.len - 1] == '\n';
}

void dot_finish(struct buf *out, bool at_line_start)
{
    buf_append(out, at_line_start ? SLICE(".\r\n") : SLICE("\r\n.\r\n"));
}
