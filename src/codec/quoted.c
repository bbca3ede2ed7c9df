#include "codec/quoted.h"

enum { LINE_LEN = 76 }; /* with the soft end's '=' */

void quoted_put_hex(struct buf *out, char mark, unsigned char c)
{
    static const char hex[] = "0123456789ABCDEF";
    buf_byte(out, mark);
    buf_byte(out, hex[c >> 4]);
    buf_byte(out, hex[c & 15]);
}

static bool is_blank(unsigned char c)
{
    return c == ' ' || c == '\t';
}

/* May the first octet of the rest stand as it is? */
static bool is_plain(slice rest, size_t column)
{
    unsigned char c = (unsigned char)rest.ptr[0];
    if (is_blank(c))
        return rest.len > 1;
    if (c < ' ' || c > '~' || c == '=')
        return false;
    return column > 0 || (c != '.' && !slice_starts(rest, SLICE("From ")));
}

void quoted_put_line(struct buf *out, slice line)
{
    size_t column = 0;
    while (line.len > 0) {
        size_t width = is_plain(line, column) ? 1 : 3;
        if (column + width > LINE_LEN - 1) {
            buf_append(out, SLICE("=\r\n"));
            column = 0;
            width = is_plain(line, column) ? 1 : 3;
        }
        if (width == 1)
            buf_byte(out, line.ptr[0]);
        else
            quoted_put_hex(out, '=', (unsigned char)line.ptr[0]);
        column += width;
        line = slice_from(line, 1);
    }
}

void quoted_put_text(struct buf *out, slice text)
{
    slice line;
    while (slice_split(&text, '\n', &line)) {
        quoted_put_line(out, line);
        buf_append(out, SLICE("\r\n"));
    }
}
