#include "codec/mime_words.h"

#include "base/utf8.h"

enum { WORD_MAX = 75 /* of an encoded word, RFC 2047 section 2 */ };

bool mime_is_letter_or_digit(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

void mime_put_hex(struct buf *out, char mark, unsigned char c)
{
    static const char hex[] = "0123456789ABCDEF";
    buf_byte(out, mark);
    buf_byte(out, hex[c >> 4]);
    buf_byte(out, hex[c & 15]);
}

struct mime_fold mime_field_begin(struct buf *out, slice name)
{
    buf_append(out, name);
    buf_byte(out, ':');
    return (struct mime_fold){out, name.len + 1};
}

void mime_put_blank(struct mime_fold *f, size_t width)
{
    bool fits = f->column + 1 + width <= MIME_LINE_WANTED;
    buf_append(f->out, fits ? SLICE(" ") : SLICE("\r\n "));
    f->column = fits ? f->column + 1 : 1;
}

void mime_put_text(struct mime_fold *f, slice text)
{
    buf_append(f->out, text);
    f->column += text.len;
}

void mime_field_end(struct mime_fold *f)
{
    buf_append(f->out, SLICE("\r\n"));
}

/* What may stand in an encoded word everywhere, in a phrase too (RFC 2047 section 5). */
static bool is_word_safe(unsigned char c)
{
    return mime_is_letter_or_digit(c) || c == '!' || c == '*' || c == '+' || c == '-' ||
           c == '/';
}

static size_t word_width(slice character)
{
    unsigned char c = (unsigned char)character.ptr[0];
    return character.len == 1 && (is_word_safe(c) || c == ' ') ? 1 : 3 * character.len;
}

static slice next_character(slice *text)
{
    size_t n = utf8_sequence(*text);
    slice c = slice_to(*text, n ? n : 1);
    *text = slice_from(*text, c.len);
    return c;
}

static void put_encoded(struct mime_fold *f, slice character)
{
    for (size_t i = 0; i < character.len; i++) {
        unsigned char c = (unsigned char)character.ptr[i];
        if (c == ' ' || c < ' ')
            buf_byte(f->out, '_');
        else if (is_word_safe(c))
            buf_byte(f->out, (char)c);
        else
            mime_put_hex(f->out, '=', c);
    }
}

/* As encoded words, each of whole characters and on a line of its own when it must be. */
static void put_words(struct mime_fold *f, slice text)
{
    static const slice begin = SLICE_INIT("=?utf-8?Q?");
    static const slice end = SLICE_INIT("?=");
    while (text.len > 0) {
        slice rest = text;
        size_t width = begin.len + end.len;
        while (rest.len > 0) {
            slice ahead = rest;
            size_t more = word_width(next_character(&ahead));
            if (width + more > WORD_MAX - 10)
                break;
            width += more;
            rest = ahead;
        }
        slice word = slice_to(text, text.len - rest.len);
        mime_put_blank(f, width);
        mime_put_text(f, begin);
        while (word.len > 0)
            put_encoded(f, next_character(&word));
        mime_put_text(f, end);
        f->column += width - begin.len - end.len;
        text = rest;
    }
}

bool mime_is_plain(slice text)
{
    size_t word = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c < ' ' || c > '~')
            return false;
        word = c == ' ' ? 0 : word + 1;
        if (word > 200)
            return false;
    }
    bool is_framed = text.len > 0 && (text.ptr[0] == ' ' || text.ptr[text.len - 1] == ' ');
    return !is_framed && slice_search(text, SLICE("=?")) < 0 &&
           slice_search(text, SLICE("  ")) < 0;
}

void mime_put_unstructured(struct mime_fold *f, slice text)
{
    slice word;
    if (!mime_is_plain(text)) {
        put_words(f, text);
        return;
    }
    while (slice_split(&text, ' ', &word)) {
        mime_put_blank(f, word.len);
        mime_put_text(f, word);
    }
}

static bool is_atoms(slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c != ' ' && c != '_' && c != '\'' && !is_word_safe(c))
            return false;
    }
    return true;
}

void mime_put_phrase(struct mime_fold *f, slice name)
{
    if (!mime_is_plain(name) || name.len > MIME_LINE_WANTED - 4) {
        put_words(f, name);
        return;
    }
    if (is_atoms(name)) {
        mime_put_unstructured(f, name);
        return;
    }
    mime_put_blank(f, name.len + 2);
    mime_put_text(f, SLICE("\""));
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] == '"' || name.ptr[i] == '\\')
            mime_put_text(f, SLICE("\\"));
        mime_put_text(f, slice_make(name.ptr + i, 1));
    }
    mime_put_text(f, SLICE("\""));
}
