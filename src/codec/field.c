#include "codec/field.h"

#include "codec/words.h"

enum { BARE_WORD_MAX = 200 /* a longer one is encoded, which can be folded */ };

struct field_fold field_begin(struct buf *out, slice name)
{
    buf_append(out, name);
    buf_byte(out, ':');
    return (struct field_fold){out, name.len + 1};
}

void field_end(struct field_fold *f)
{
    buf_append(f->out, SLICE("\r\n"));
}

void field_put_blank(struct field_fold *f, size_t width)
{
    bool fits = f->column + 1 + width <= FIELD_LINE_WANTED;
    buf_append(f->out, fits ? SLICE(" ") : SLICE("\r\n "));
    f->column = fits ? f->column + 1 : 1;
}

void field_put_text(struct field_fold *f, slice text)
{
    buf_append(f->out, text);
    f->column += text.len;
}

static void put_encoded(struct field_fold *f, slice text)
{
    field_put_blank(f, WORDS_LEAST);
    f->column = words_encode(f->out, text, f->column);
}

bool field_is_plain(slice text)
{
    size_t word = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c < ' ' || c > '~')
            return false;
        word = c == ' ' ? 0 : word + 1;
        if (word > BARE_WORD_MAX)
            return false;
    }
    bool is_framed = text.len > 0 && (text.ptr[0] == ' ' || text.ptr[text.len - 1] == ' ');
    return !is_framed && slice_search(text, SLICE("=?")) < 0 &&
           slice_search(text, SLICE("  ")) < 0;
}

void field_put_unstructured(struct field_fold *f, slice text)
{
    slice word;
    if (!field_is_plain(text)) {
        put_encoded(f, text);
        return;
    }
    while (slice_split(&text, ' ', &word)) {
        field_put_blank(f, word.len);
        field_put_text(f, word);
    }
}

/* Words that need no quoting; a little less than RFC 5322 section 3.2.3 allows. */
static bool is_atoms(slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!ascii_is_alnum(text.ptr[i]) && slice_find(SLICE(" !*+-/_'"), text.ptr[i]) < 0)
            return false;
    return true;
}

void field_put_phrase(struct field_fold *f, slice name)
{
    if (!field_is_plain(name) || name.len > FIELD_LINE_WANTED - 4) {
        put_encoded(f, name);
        return;
    }
    if (is_atoms(name)) {
        field_put_unstructured(f, name);
        return;
    }
    field_put_blank(f, name.len + 2);
    field_put_text(f, SLICE("\""));
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] == '"' || name.ptr[i] == '\\')
            field_put_text(f, SLICE("\\"));
        field_put_text(f, slice_make(name.ptr + i, 1));
    }
    field_put_text(f, SLICE("\""));
}

void field_write(struct buf *out, slice name, slice text)
{
    struct field_fold f = field_begin(out, name);
    field_put_unstructured(&f, text);
    field_end(&f);
}
