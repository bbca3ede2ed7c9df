#include "codec/mime.h"

#include "codec/base64.h"
#include "codec/field.h"
#include "codec/quoted.h"

enum {
    LONGEST_LINE = 998, /* without CRLF */
    BASE64_LINE = 76,
    NAME_PIECE = 50, /* octets of one piece of a file's name, encoded */
    TYPE_MAX = 100,
    FIELD_NAME_MAX = 76,
};

/* ---- header ---- */

static void put_mailbox(struct field_fold *f, const struct mime_mailbox *m, bool is_last)
{
    if (m->name.len > 0) {
        field_put_phrase(f, m->name);
        field_put_blank(f, m->address.len + 3);
        field_put_text(f, SLICE("<"));
        field_put_text(f, m->address);
        field_put_text(f, SLICE(">"));
    } else {
        field_put_blank(f, m->address.len + 1);
        field_put_text(f, m->address);
    }
    if (!is_last)
        field_put_text(f, SLICE(","));
}

static void put_mailboxes(struct buf *out, slice name, const struct mime_mailboxes *m)
{
    if (m->count == 0)
        return;
    struct field_fold f = field_begin(out, name);
    for (size_t i = 0; i < m->count; i++)
        put_mailbox(&f, &m->list[i], i + 1 == m->count);
    field_end(&f);
}

/* ---- bodies ---- */

enum encoding { ENCODING_7BIT, ENCODING_QUOTED, ENCODING_BASE64 };

/* Takes the next line off a text whose lines end in CRLF, LF or CR. */
static slice next_line(slice *text, bool *is_ended)
{
    size_t n = 0;
    while (n < text->len && text->ptr[n] != '\n' && text->ptr[n] != '\r')
        n++;
    slice line = slice_to(*text, n);
    *is_ended = n < text->len;
    size_t end = n + *is_ended;
    if (*is_ended && text->ptr[n] == '\r' && end < text->len && text->ptr[end] == '\n')
        end++;
    *text = slice_from(*text, end);
    return line;
}

static bool is_printable(unsigned char c)
{
    return (c >= ' ' && c <= '~') || c == '\t';
}

static enum encoding encoding_of(slice text)
{
    size_t strange = 0;
    bool is_long = false;
    bool is_ended;
    size_t len = text.len;
    while (text.len > 0) {
        slice line = next_line(&text, &is_ended);
        is_long |= line.len > LONGEST_LINE;
        for (size_t i = 0; i < line.len; i++)
            strange += !is_printable((unsigned char)line.ptr[i]);
        if (slice_starts(line, SLICE("From ")))
            strange++;
    }
    if (strange == 0 && !is_long)
        return ENCODING_7BIT;
    return strange > len / 3 ? ENCODING_BASE64 : ENCODING_QUOTED;
}

static void put_lines(struct buf *out, slice text, enum encoding e)
{
    bool is_ended;
    while (text.len > 0) {
        slice line = next_line(&text, &is_ended);
        if (e == ENCODING_QUOTED)
            quoted_put_line(out, line);
        else
            buf_append(out, line);
        if (is_ended)
            buf_append(out, SLICE("\r\n"));
    }
}

/* As base64 of its lines with CRLF. */
static void put_text_base64(struct buf *out, slice text)
{
    struct buf lines = BUF_INIT;
    put_lines(&lines, text, ENCODING_7BIT);
    base64_write_lines(out, buf_slice(&lines), BASE64_LINE);
    if (lines.error)
        out->error = lines.error;
    buf_fini(&lines);
}

static void put_text_part(struct buf *out, const char *type, slice text)
{
    static const char *const names[] = {
        [ENCODING_7BIT] = "7bit",
        [ENCODING_QUOTED] = "quoted-printable",
        [ENCODING_BASE64] = "base64",
    };
    enum encoding e = encoding_of(text);
    buf_printf(out,
               "Content-Type: text/%s; charset=utf-8\r\n"
               "Content-Transfer-Encoding: %s\r\n\r\n",
               type, names[e]);
    if (e == ENCODING_BASE64)
        put_text_base64(out, text);
    else
        put_lines(out, text, e);
}

/* Base64 text again, in lines. */
static void put_base64(struct buf *out, slice s)
{
    size_t column = 0;
    for (size_t i = 0; i < s.len;) {
        size_t n = 0;
        while (n < BASE64_LINE - column && i + n < s.len && s.ptr[i + n] > ' ')
            n++;
        buf_append(out, slice_make(s.ptr + i, n));
        column += n;
        i += n;
        if (column == BASE64_LINE) {
            buf_append(out, SLICE("\r\n"));
            column = 0;
        }
        while (i < s.len && s.ptr[i] <= ' ')
            i++;
    }
    if (column > 0)
        buf_append(out, SLICE("\r\n"));
}

/* "; filename=…", in pieces of percent-encoded UTF-8 when it is not plain and short (RFC 2231).
 */
static void put_file_name(struct buf *out, slice name)
{
    bool is_simple = name.len <= NAME_PIECE && field_is_plain(name) &&
                     slice_find(name, '"') < 0 && slice_find(name, '\\') < 0;
    if (is_simple) {
        buf_printf(out, ";\r\n filename=\"%.*s\"", SLICE_ARG(name));
        return;
    }
    for (unsigned piece = 0; name.len > 0; piece++) {
        buf_printf(out, ";\r\n filename*%u*=%s", piece, piece == 0 ? "utf-8''" : "");
        for (size_t width = 0; name.len > 0 && width < NAME_PIECE;) {
            unsigned char c = (unsigned char)name.ptr[0];
            bool is_safe = ascii_is_alnum((char)c) || c == '.' || c == '-' || c == '_';
            if (is_safe)
                buf_byte(out, (char)c);
            else
                quoted_put_hex(out, '%', c);
            width += is_safe ? 1 : 3;
            name = slice_from(name, 1);
        }
    }
}

static void put_part(struct buf *out, const struct mime_part *p)
{
    bool is_shown = p->id.len > 0;
    slice type = mime_is_leaf_type(p->type) ? p->type : SLICE("application/octet-stream");
    buf_printf(out, "Content-Type: %.*s\r\nContent-Transfer-Encoding: base64\r\n",
               SLICE_ARG(type));
    if (is_shown)
        buf_printf(out, "Content-ID: <%.*s>\r\n", SLICE_ARG(p->id));
    buf_append(out, SLICE("Content-Disposition: "));
    buf_append(out, is_shown ? SLICE("inline") : SLICE("attachment"));
    if (p->name.len > 0)
        put_file_name(out, p->name);
    buf_append(out, SLICE("\r\n\r\n"));
    put_base64(out, p->base64);
}

/* ---- the tree of parts ---- */

/* The line end before a boundary belongs to it (RFC 2046 section 5.1.1), so that a part's own
 * last line keeps its end. "=_" stands in no line of base64 or quoted-printable; the random
 * letters are for 7bit. */
static void put_boundary(struct buf *out, const struct mime_letter *l, unsigned level)
{
    buf_printf(out, "=_%.*s_%u", SLICE_ARG(slice_to(l->boundary, 40)), level);
}

static void begin_multipart(struct buf *out, const struct mime_letter *l, const char *kind,
                            unsigned level)
{
    buf_printf(out, "Content-Type: multipart/%s;\r\n boundary=\"", kind);
    put_boundary(out, l, level);
    buf_append(out, SLICE("\"\r\n\r\n"));
}

static void next_part(struct buf *out, const struct mime_letter *l, unsigned level)
{
    buf_append(out, SLICE("\r\n--"));
    put_boundary(out, l, level);
    buf_append(out, SLICE("\r\n"));
}

static void end_multipart(struct buf *out, const struct mime_letter *l, unsigned level)
{
    buf_append(out, SLICE("\r\n--"));
    put_boundary(out, l, level);
    buf_append(out, SLICE("--\r\n"));
}

static size_t count_parts(const struct mime_letter *l, bool shown)
{
    size_t n = 0;
    for (size_t i = 0; i < l->part_count; i++)
        n += (l->parts[i].id.len > 0) == shown;
    return n;
}

static void put_parts(struct buf *out, const struct mime_letter *l, bool shown, unsigned level)
{
    for (size_t i = 0; i < l->part_count; i++) {
        if ((l->parts[i].id.len > 0) != shown)
            continue;
        next_part(out, l, level);
        put_part(out, &l->parts[i]);
    }
}

/* The HTML, with what it shows. */
static void put_html(struct buf *out, const struct mime_letter *l)
{
    if (count_parts(l, true) == 0) {
        put_text_part(out, "html", l->html);
        return;
    }
    begin_multipart(out, l, "related", 3);
    next_part(out, l, 3);
    put_text_part(out, "html", l->html);
    put_parts(out, l, true, 3);
    end_multipart(out, l, 3);
}

static void put_texts(struct buf *out, const struct mime_letter *l)
{
    if (l->html.len == 0) {
        put_text_part(out, "plain", l->text);
    } else if (l->text.len == 0) {
        put_html(out, l);
    } else {
        begin_multipart(out, l, "alternative", 2);
        next_part(out, l, 2);
        put_text_part(out, "plain", l->text);
        next_part(out, l, 2);
        put_html(out, l);
        end_multipart(out, l, 2);
    }
}

void mime_compose(struct buf *out, const struct mime_letter *l)
{
    const struct mime_mailboxes from = {&l->from, 1};
    put_mailboxes(out, SLICE("From"), &from);
    put_mailboxes(out, SLICE("Reply-To"), &l->reply_to);
    put_mailboxes(out, SLICE("To"), &l->to);
    put_mailboxes(out, SLICE("Cc"), &l->cc);
    field_write(out, SLICE("Subject"), l->subject);
    for (size_t i = 0; i < l->field_count; i++)
        field_write(out, l->fields[i].name, l->fields[i].value);
    buf_append(out, SLICE("MIME-Version: 1.0\r\n"));
    if (count_parts(l, false) == 0 && (l->html.len > 0 || count_parts(l, true) == 0)) {
        put_texts(out, l);
        if (!slice_ends(buf_slice(out), SLICE("\r\n")))
            buf_append(out, SLICE("\r\n"));
        return;
    }
    begin_multipart(out, l, "mixed", 1);
    next_part(out, l, 1);
    put_texts(out, l);
    put_parts(out, l, false, 1);
    if (l->html.len == 0) /* nothing shows it: attached, too */
        put_parts(out, l, true, 1);
    end_multipart(out, l, 1);
}

/* ---- what may be given ---- */

bool mime_is_free_field(slice name)
{
    static const slice ours[] = {
        SLICE_INIT("From"),
        SLICE_INIT("Sender"),
        SLICE_INIT("Reply-To"),
        SLICE_INIT("To"),
        SLICE_INIT("Cc"),
        SLICE_INIT("Bcc"),
        SLICE_INIT("Subject"),
        SLICE_INIT("Date"),
        SLICE_INIT("Message-ID"),
        SLICE_INIT("MIME-Version"),
        SLICE_INIT("DKIM-Signature"),
        SLICE_INIT("Return-Path"),
        SLICE_INIT("Received"),
        SLICE_INIT("Delivered-To"),
    };
    if (name.len == 0 || name.len > FIELD_NAME_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (!ascii_is_alnum(name.ptr[i]) && name.ptr[i] != '-' && name.ptr[i] != '_')
            return false;
    for (size_t i = 0; i < COUNT_OF(ours); i++)
        if (slice_ieq(name, ours[i]))
            return false;
    return !slice_istarts(name, SLICE("Content-")) && !slice_istarts(name, SLICE("Resent-")) &&
           !slice_istarts(name, SLICE("ARC-"));
}

static bool is_token(slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!ascii_is_alnum(s.ptr[i]) && slice_find(SLICE("!#$&-^_.+"), s.ptr[i]) < 0)
            return false;
    return s.len > 0;
}

bool mime_is_leaf_type(slice type)
{
    slice sub = type;
    slice top;
    if (type.len > TYPE_MAX || !slice_split(&sub, '/', &top) || !is_token(top) ||
        !is_token(sub))
        return false;
    return !slice_ieq(top, SLICE("multipart")) && !slice_ieq(top, SLICE("message"));
}

bool mime_is_base64(slice s)
{
    return base64_read(NULL, s);
}

bool mime_base64_decode(struct buf *out, slice s)
{
    return base64_read(out, s);
}
