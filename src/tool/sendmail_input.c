#include "tool/sendmail_input.h"

enum {
    CRS_MAX = 2,          /* CRs that may stand before the LF of a line's end */
    FIELD_NAME_MAX = 998, /* RFC 5322 section 2.1.1: a longer name is no field */
};

static const slice crlf = SLICE_INIT("\r\n");

void sendmail_input_init(struct sendmail_input *i, bool ends_at_dot)
{
    *i = (struct sendmail_input){
        .header = BUF_BOUNDED(SENDMAIL_HEADER_MAX),
        .line = BUF_BOUNDED(SENDMAIL_HEADER_MAX),
        .ends_at_dot = ends_at_dot,
        .at_line_start = true,
    };
}

void sendmail_input_fini(struct sendmail_input *i)
{
    buf_fini(&i->header);
    buf_fini(&i->line);
}

static void note_octets(struct sendmail_input *i, slice in)
{
    unsigned char all = 0;
    for (size_t n = 0; n < in.len; n++)
        all |= (unsigned char)in.ptr[n];
    i->has_8bit |= all >= 0x80;
    i->has_nul |= in.len && memchr(in.ptr, '\0', in.len);
}

static void end_body_line(struct sendmail_input *i, struct buf *body)
{
    buf_append(body, crlf);
    i->is_line_open = false;
}

static void release_dot(struct sendmail_input *i, struct buf *body)
{
    if (!i->holds_dot)
        return;
    buf_byte(body, '.');
    i->holds_dot = false;
    i->is_line_open = true;
}

/* What was held back is text: another octet follows it. */
static void release_held(struct sendmail_input *i, struct buf *body)
{
    release_dot(i, body);
    for (; i->crs > 0; i->crs--)
        end_body_line(i, body);
}

static void take_lf(struct sendmail_input *i, struct buf *body)
{
    i->crs = 0;
    if (i->holds_dot) {
        i->holds_dot = false;
        i->is_over = true;
        return;
    }
    end_body_line(i, body);
    i->at_line_start = true;
}

static void take_cr(struct sendmail_input *i, struct buf *body)
{
    i->at_line_start = false;
    if (i->crs < CRS_MAX) {
        i->crs++;
        return;
    }
    release_dot(i, body); /* the first of them ends a line; as many are held as before */
    end_body_line(i, body);
}

static size_t text_len(slice in)
{
    size_t n = 0;
    while (n < in.len && in.ptr[n] != '\r' && in.ptr[n] != '\n')
        n++;
    return n;
}

static void feed_body(struct sendmail_input *i, slice in, struct buf *body)
{
    while (in.len && !i->is_over) {
        char c = in.ptr[0];
        size_t n = 1;
        if (c == '\n') {
            take_lf(i, body);
        } else if (c == '\r') {
            take_cr(i, body);
        } else if (c == '.' && i->at_line_start && i->ends_at_dot) {
            i->holds_dot = true;
            i->at_line_start = false;
        } else {
            release_held(i, body);
            n = text_len(in);
            note_octets(i, slice_to(in, n));
            buf_append(body, slice_to(in, n));
            i->at_line_start = false;
            i->is_line_open = true;
        }
        in = slice_from(in, n);
    }
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* "Name:", as codec/header reads it. */
static bool is_field(slice line)
{
    ptrdiff_t colon = slice_find(line, ':');
    if (colon < 1 || colon > FIELD_NAME_MAX)
        return false;
    slice name = slice_to(line, (size_t)colon);
    while (name.len && is_blank(name.ptr[name.len - 1]))
        name.len--;
    for (size_t n = 0; n < name.len; n++)
        if (name.ptr[n] <= ' ' || name.ptr[n] > '~')
            return false;
    return name.len > 0;
}

static bool is_mbox_line(slice line)
{
    return slice_starts(line, SLICE("From ")) || slice_starts(line, SLICE(">From "));
}

static void begin_body(struct sendmail_input *i)
{
    i->in_body = true;
    i->at_line_start = true;
}

static void keep_header_line(struct sendmail_input *i, slice line)
{
    size_t from = i->header.len;
    note_octets(i, line);
    buf_append(&i->header, line);
    buf_append(&i->header, crlf);
    if (i->header.error) {
        i->is_header_too_large = true;
        return;
    }
    for (size_t n = from; n < from + line.len; n++)
        if (i->header.ptr[n] == '\r')
            i->header.ptr[n] = ' ';
}

/* A whole line of the header, or what ends it; raw: with the CRs that it came with. */
static void take_header_line(struct sendmail_input *i, slice raw, struct buf *body)
{
    slice line = raw;
    for (int n = 0; n < CRS_MAX && line.len && line.ptr[line.len - 1] == '\r'; n++)
        line.len--;
    bool is_first = !i->has_begun;
    i->has_begun = true;
    if (line.len == 0) {
        begin_body(i);
    } else if (is_first && is_mbox_line(line)) {
        return;
    } else if (is_field(line) || (i->header.len && is_blank(line.ptr[0]))) {
        keep_header_line(i, line);
    } else {
        begin_body(i);
        feed_body(i, raw, body);
        feed_body(i, SLICE("\n"), body);
    }
}

/* An unfinished line that is too long to be a field: the text has begun. */
static bool is_text_already(const struct sendmail_input *i)
{
    slice line = buf_slice(&i->line);
    bool continues = i->header.len && line.len && is_blank(line.ptr[0]);
    return line.len > FIELD_NAME_MAX && !continues && !is_field(line) && !is_mbox_line(line);
}

/* Takes up to one line; how much of `in`. */
static size_t feed_header(struct sendmail_input *i, slice in, struct buf *body)
{
    ptrdiff_t lf = slice_find(in, '\n');
    slice part = lf < 0 ? in : slice_to(in, (size_t)lf);
    size_t used = part.len + (lf >= 0);
    buf_append(&i->line, slice_to(part, FIELD_NAME_MAX + 1));
    if (is_text_already(i)) {
        begin_body(i);
        feed_body(i, buf_slice(&i->line), body);
        feed_body(i, slice_from(part, FIELD_NAME_MAX + 1), body);
        used = part.len;
        buf_clear(&i->line);
        return used;
    }
    buf_append(&i->line, slice_from(part, FIELD_NAME_MAX + 1));
    i->is_header_too_large |= i->line.error != 0;
    if (lf >= 0 && !i->line.error) {
        take_header_line(i, buf_slice(&i->line), body);
        buf_clear(&i->line);
    }
    return used;
}

void sendmail_input_feed(struct sendmail_input *i, slice in, struct buf *body)
{
    while (in.len && !i->in_body && !i->is_header_too_large)
        in = slice_from(in, feed_header(i, in, body));
    if (i->in_body)
        feed_body(i, in, body);
}

void sendmail_input_end(struct sendmail_input *i, struct buf *body)
{
    if (i->is_header_too_large)
        return;
    if (!i->in_body && i->line.len) {
        take_header_line(i, buf_slice(&i->line), body);
        buf_clear(&i->line);
    }
    if (i->holds_dot || i->is_over) {
        i->is_over = true;
        return;
    }
    release_held(i, body);
    if (i->is_line_open)
        end_body_line(i, body);
}
