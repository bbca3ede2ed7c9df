#include "codec/words.h"

#include "base/utf8.h"
#include "codec/quoted.h"
#include "codec/sasl.h"

enum {
    WORD_READ_MAX = 998, /* programs write longer ones; a line is not longer */
    /* of a line with an encoded word (RFC 2047 section 2); a word is shorter by its blank */
    LINE_MAX_OCTETS = 76,
    HEAD_LEN = sizeof("=?utf-8?Q?") - 1,
    TAIL_LEN = sizeof("?=") - 1,
};

/* ---- reading ---- */

static void put_code_point(struct buf *out, unsigned c)
{
    if (c < 0x80) {
        buf_byte(out, (char)c);
    } else if (c < 0x800) {
        buf_byte(out, (char)(0xc0 | c >> 6));
        buf_byte(out, (char)(0x80 | (c & 0x3f)));
    } else {
        buf_byte(out, (char)(0xe0 | c >> 12));
        buf_byte(out, (char)(0x80 | (c >> 6 & 0x3f)));
        buf_byte(out, (char)(0x80 | (c & 0x3f)));
    }
}

/* Of windows-1252, 0x80 to 0x9f; 0: none. */
static const uint16_t windows[32] = {
    0x20ac, 0,      0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
    0x2039, 0x0152, 0,      0x017d, 0,      0,      0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
    0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0,      0x017e, 0x0178,
};

enum charset { CHARSET_UTF8, CHARSET_LATIN, CHARSET_WINDOWS };
static const struct {
    slice name;
    enum charset charset;
} charsets[] = {
    {SLICE_INIT("utf-8"), CHARSET_UTF8},           {SLICE_INIT("us-ascii"), CHARSET_UTF8},
    {SLICE_INIT("iso-8859-1"), CHARSET_LATIN},     {SLICE_INIT("iso-8859-15"), CHARSET_LATIN},
    {SLICE_INIT("windows-1252"), CHARSET_WINDOWS},
};

static bool find_charset(slice name, enum charset *out)
{
    slice word;
    slice_split(&name, '*', &word); /* a language may follow (RFC 2231 section 5) */
    for (size_t i = 0; i < COUNT_OF(charsets); i++) {
        if (slice_ieq(word, charsets[i].name)) {
            *out = charsets[i].charset;
            return true;
        }
    }
    return false;
}

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

static bool decode_q(struct arena *a, slice text, slice *out)
{
    char *to = arena_alloc(a, text.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '=') {
            int high = i + 2 < text.len ? hex(text.ptr[i + 1]) : -1;
            int low = high >= 0 ? hex(text.ptr[i + 2]) : -1;
            if (low < 0)
                return false;
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '_') {
            c = ' ';
        }
        to[len++] = c;
    }
    *out = slice_make(to, len);
    return true;
}

/* Bytes of a charset as UTF-8. False: they are none of it. */
static bool put_bytes(struct buf *out, enum charset charset, slice bytes)
{
    if (charset == CHARSET_UTF8) {
        if (!utf8_is_valid(bytes))
            return false;
        buf_append(out, bytes);
        return true;
    }
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned c = (unsigned char)bytes.ptr[i];
        if (charset == CHARSET_WINDOWS && c >= 0x80 && c < 0xa0)
            c = windows[c - 0x80] ? windows[c - 0x80] : '?';
        put_code_point(out, c);
    }
    return true;
}

/* Takes "=?charset?e?text?=" off the start. False: it is none, and nothing was written. */
static bool take_word(struct arena *a, slice *in, struct buf *out)
{
    slice rest = slice_from(*in, 2);
    slice charset, encoding, text, bytes;
    enum charset kind;
    if (!slice_starts(*in, SLICE("=?")) || slice_find(rest, '?') < 0)
        return false;
    slice_split(&rest, '?', &charset);
    slice_split(&rest, '?', &encoding);
    ptrdiff_t end = slice_search(rest, SLICE("?="));
    if (end < 0 || end > WORD_READ_MAX || encoding.len != 1 || !find_charset(charset, &kind))
        return false;
    text = slice_to(rest, (size_t)end);
    if (slice_find(text, ' ') >= 0 || slice_find(text, '?') >= 0)
        return false;
    char e = ascii_lower(encoding.ptr[0]);
    bool is_read = e == 'q'   ? decode_q(a, text, &bytes)
                   : e == 'b' ? text.len == 0 || base64_decode(a, text, WORD_READ_MAX, &bytes)
                              : false;
    if (e == 'b' && text.len == 0)
        bytes = (slice){0};
    if (!is_read || !put_bytes(out, kind, bytes))
        return false;
    *in = slice_from(rest, (size_t)end + 2);
    return true;
}

slice words_decode(struct arena *a, slice value)
{
    struct buf out = BUF_BOUNDED(3 * value.len + 1);
    slice rest = value;
    bool was_word = false;
    while (rest.len > 0) {
        size_t blanks = 0;
        while (blanks < rest.len && (rest.ptr[blanks] == ' ' || rest.ptr[blanks] == '\t'))
            blanks++;
        slice after = slice_from(rest, blanks);
        size_t mark = out.len;
        if (!was_word)
            buf_append(&out, slice_to(rest, blanks));
        if (take_word(a, &after, &out)) {
            rest = after;
            was_word = true;
            continue;
        }
        out.len = mark; /* the blanks stay: what follows is no word */
        size_t n = blanks + (after.len > 0);
        while (n < rest.len && rest.ptr[n] != ' ' && rest.ptr[n] != '\t' && rest.ptr[n] != '=')
            n++;
        buf_append(&out, slice_to(rest, n));
        rest = slice_from(rest, n);
        was_word = false;
    }
    slice text = out.error ? value : arena_dup(a, buf_slice(&out));
    buf_fini(&out);
    return text;
}

/* ---- writing ---- */

/* May stand in an encoded word everywhere, in a phrase too (RFC 2047 section 5 (3)). */
static bool is_safe(char c)
{
    return ascii_is_alnum(c) || slice_find(SLICE("!*+-/"), c) >= 0;
}

/* Takes the next character off the text, which is not empty: what stands for it in Q. */
static slice next_character(slice *text)
{
    size_t n = utf8_sequence(*text);
    slice c = slice_to(*text, n ? n : 1);
    *text = slice_from(*text, c.len);
    if (n == 0)
        return SLICE("?");
    return (unsigned char)c.ptr[0] < ' ' || c.ptr[0] == 0x7f ? SLICE(" ") : c;
}

static size_t width_of(slice character)
{
    char c = character.ptr[0];
    return character.len == 1 && (is_safe(c) || c == ' ') ? 1 : 3 * character.len;
}

static void put_character(struct buf *out, slice character)
{
    for (size_t i = 0; i < character.len; i++) {
        char c = character.ptr[i];
        if (c == ' ')
            buf_byte(out, '_');
        else if (is_safe(c))
            buf_byte(out, c);
        else
            quoted_put_hex(out, '=', (unsigned char)c);
    }
}

size_t words_encode(struct buf *out, slice text, size_t column)
{
    while (text.len > 0) {
        if (column + WORDS_LEAST > LINE_MAX_OCTETS) {
            buf_append(out, SLICE("\r\n "));
            column = 1;
        }
        buf_append(out, SLICE("=?utf-8?Q?"));
        column += HEAD_LEN + TAIL_LEN;
        while (text.len > 0) {
            slice rest = text;
            slice c = next_character(&rest);
            if (column + width_of(c) > LINE_MAX_OCTETS)
                break;
            put_character(out, c);
            column += width_of(c);
            text = rest;
        }
        buf_append(out, SLICE("?="));
    }
    return column;
}
