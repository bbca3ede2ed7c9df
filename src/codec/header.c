#include "codec/header.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Takes a line with its CRLF off *in; false when there is none, or when it has bytes that make
 * programs disagree on where lines end. */
static bool take_line(slice *in, slice *line)
{
    ptrdiff_t lf = slice_find(*in, '\n');
    if (lf < 1 || in->ptr[lf - 1] != '\r')
        return false;
    slice text = slice_to(*in, (size_t)lf - 1);
    if (slice_find(text, '\r') >= 0 || slice_find(text, '\0') >= 0)
        return false;
    *line = slice_to(*in, (size_t)lf + 1);
    *in = slice_from(*in, (size_t)lf + 1);
    return true;
}

/* field-name, and blanks before the colon as RFC 5322 section 4.5 lets them stand. */
static bool split_name(slice line, slice *name, slice *value)
{
    ptrdiff_t colon = slice_find(line, ':');
    if (colon < 1)
        return false;
    slice text = slice_trim(slice_to(line, (size_t)colon));
    if (text.len == 0 || text.ptr != line.ptr)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] <= ' ' || text.ptr[i] > '~')
            return false;
    *name = text;
    *value = slice_from(line, (size_t)colon + 1);
    return true;
}

enum header_result header_next(slice *in, struct header_field *out)
{
    slice rest = *in;
    slice line;
    if (rest.len == 0)
        return HEADER_END;
    if (!take_line(&rest, &line))
        return HEADER_BAD;
    if (line.len == 2) {
        *in = rest;
        return HEADER_END;
    }
    struct header_field f;
    if (!split_name(line, &f.name, &f.value))
        return HEADER_BAD;
    while (rest.len && is_blank(rest.ptr[0]))
        if (!take_line(&rest, &line))
            return HEADER_BAD;
    f.raw = slice_to(*in, in->len - rest.len);
    f.value.len = (size_t)(f.raw.ptr + f.raw.len - 2 - f.value.ptr);
    *in = rest;
    *out = f;
    return HEADER_FIELD;
}

size_t header_end(slice message, size_t from)
{
    static const slice empty_line = SLICE_INIT("\r\n");
    if (slice_starts(message, empty_line))
        return empty_line.len;
    size_t at = from > 2 ? from - 2 : 0; /* the LF of the last line's CRLF */
    for (;;) {
        slice rest = slice_from(message, at);
        ptrdiff_t lf = slice_find(rest, '\n');
        if (lf < 0)
            return 0;
        at += (size_t)lf + 1;
        bool is_crlf = at >= 2 && message.ptr[at - 2] == '\r';
        if (is_crlf && slice_starts(slice_from(message, at), empty_line))
            return at + empty_line.len;
    }
}

static bool is_fold_space(char c)
{
    return is_blank(c) || c == '\r' || c == '\n';
}

slice header_unfold(struct arena *a, slice value)
{
    char *text = arena_alloc(a, value.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < value.len;) {
        size_t n = i;
        bool is_fold = false;
        while (n < value.len && is_fold_space(value.ptr[n]))
            is_fold |= value.ptr[n++] == '\n';
        if (is_fold) {
            text[len++] = ' ';
            i = n;
            continue;
        }
        /* the blanks as they are, and what follows them */
        n += n < value.len;
        memcpy(text + len, value.ptr + i, n - i);
        len += n - i;
        i = n;
    }
    return slice_trim((slice){text, len});
}
