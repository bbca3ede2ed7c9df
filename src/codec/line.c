#include "codec/line.h"

/* The first fault that the bytes of a line show, by position, so that it is the same however
 * the bytes arrive. `text` is the line without its LF, or as much of it as there is; a CR at
 * its end is not judged: it may belong to a CRLF. */
static enum line_result fault_in(slice text)
{
    slice inner = text;
    if (inner.len && inner.ptr[inner.len - 1] == '\r')
        inner.len--;
    ptrdiff_t cr = slice_find(inner, '\r');
    if (cr >= 0)
        inner = slice_to(inner, (size_t)cr);
    if (slice_find(inner, '\0') >= 0)
        return LINE_NUL;
    return cr >= 0 ? LINE_BARE_CR : LINE_OK;
}

enum line_result line_next(slice in, size_t max, slice *line, size_t *used)
{
    slice head = slice_to(in, max);
    ptrdiff_t lf = slice_find(head, '\n');
    slice text = lf < 0 ? head : slice_to(head, (size_t)lf);
    enum line_result result = fault_in(text);
    if (result == LINE_OK && lf < 0) {
        if (in.len < max) {
            *used = 0;
            return LINE_MORE;
        }
        result = LINE_TOO_LONG;
    } else if (result == LINE_OK && (text.len == 0 || text.ptr[text.len - 1] != '\r')) {
        result = LINE_BARE_LF;
    }
    bool ended;
    *used = line_skip(in, &ended);
    if (result == LINE_OK)
        *line = slice_to(text, text.len - 1);
    return result;
}

size_t line_skip(slice in, bool *ended)
{
    ptrdiff_t lf = slice_find(in, '\n');
    *ended = lf >= 0;
    return lf < 0 ? in.len : (size_t)lf + 1;
}
