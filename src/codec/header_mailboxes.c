#include "codec/header.h"

#include "codec/path.h"
#include "base/utf8.h"

/* A reader of address lists: RFC 5322 section 3.4, with the dots in phrases and the empty list
 * elements that live programs write, and nothing else that is obsolete. It goes forwards only
 * and never recurses. */
struct reader {
    struct arena *arena;
    slice rest;
    slice *list;
    size_t count;
    size_t cap;
    size_t max;
};

/* A phrase, or what stands before an "@". */
struct words {
    size_t count;
    slice first;
};

static char peek(const struct reader *r)
{
    return r->rest.len ? r->rest.ptr[0] : '\0';
}

static void skip(struct reader *r, size_t n)
{
    r->rest = slice_from(r->rest, n);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_fold(slice s)
{
    return s.len >= 3 && s.ptr[0] == '\r' && s.ptr[1] == '\n' && is_blank(s.ptr[2]);
}

static bool is_text(char c)
{
    return c == '\t' || ((unsigned char)c >= ' ' && c != 0x7f);
}

static bool is_run(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (unsigned char)c >= 0x80 || (c && strchr("!#$%&'*+-/=?^_`{|}~.", c));
}

/* Octets of one unit inside a comment or a quoted string: a fold, a quoted pair or a character;
 * 0 when there is none. */
static size_t unit_len(slice s)
{
    if (is_fold(s))
        return 3;
    if (s.len == 0 || !is_text(s.ptr[0]))
        return 0;
    if (s.ptr[0] != '\\')
        return 1;
    return s.len > 1 && is_text(s.ptr[1]) ? 2 : 0;
}

/* Octets of the comment at the start of s; 0 when it does not end. */
static size_t comment_len(slice s)
{
    size_t depth = 0;
    size_t i = 0;
    do {
        size_t n = unit_len(slice_from(s, i));
        if (n == 0)
            return 0;
        if (s.ptr[i] == '(')
            depth++;
        else if (s.ptr[i] == ')')
            depth--;
        i += n;
    } while (depth > 0);
    return i;
}

/* Octets of the quoted string at the start of s; 0 when it does not end. */
static size_t quoted_len(slice s)
{
    size_t i = 1;
    while (i < s.len && s.ptr[i] != '"') {
        size_t n = unit_len(slice_from(s, i));
        if (n == 0)
            return 0;
        i += n;
    }
    return i < s.len ? i + 1 : 0;
}

static bool is_encoded_text(char c)
{
    return c > ' ' && c <= '~' && !strchr("?@<>()\"\\", c);
}

/* Octets of the encoded word at the start of s (RFC 2047); 0 when there is none. Commas, colons
 * and the like are let through, since sloppy programs do not encode them, but nothing that
 * could make an address for a program that does not know encoded words. */
static size_t encoded_len(slice s)
{
    if (!slice_starts(s, SLICE("=?")))
        return 0;
    size_t i = 2;
    for (int part = 0; part < 3; part++) {
        size_t from = i;
        while (i < s.len && is_encoded_text(s.ptr[i]))
            i++;
        if (i == s.len || s.ptr[i] != '?' || (part < 2 && i == from))
            return 0;
        i++;
    }
    return i < s.len && s.ptr[i] == '=' ? i + 1 : 0;
}

/* An atom, dots in it included. */
static size_t run_len(slice s)
{
    size_t n = 0;
    while (n < s.len && is_run(s.ptr[n]))
        n++;
    return n;
}

static size_t word_len(slice s)
{
    if (s.len && s.ptr[0] == '"')
        return quoted_len(s);
    size_t encoded = encoded_len(s);
    return encoded ? encoded : run_len(s);
}

/* Comments and folding white space. False when a comment does not end. */
static bool skip_cfws(struct reader *r)
{
    for (;;) {
        while (is_blank(peek(r)) || is_fold(r->rest))
            skip(r, is_blank(peek(r)) ? 1 : 3);
        if (peek(r) != '(')
            return true;
        size_t n = comment_len(r->rest);
        if (n == 0)
            return false;
        skip(r, n);
    }
}

/* Reads words until something that is none. */
static bool read_words(struct reader *r, struct words *w)
{
    *w = (struct words){0};
    for (;;) {
        if (!skip_cfws(r))
            return false;
        size_t n = word_len(r->rest);
        if (n == 0)
            return true;
        if (w->count++ == 0)
            w->first = slice_to(r->rest, n);
        skip(r, n);
    }
}

/* A phrase may have dots in it, but not begin with one. */
static bool is_phrase(const struct words *w)
{
    return w->count > 0 && w->first.ptr[0] != '.';
}

static enum mailboxes_result add_mailbox(struct reader *r, slice local, slice domain)
{
    char *text = arena_alloc(r->arena, local.len + 1 + domain.len);
    size_t len = 0;
    for (size_t i = 0; i < local.len; i++)
        if (local.ptr[i] != '\r' && local.ptr[i] != '\n')
            text[len++] = local.ptr[i];
    text[len++] = '@';
    if (domain.len)
        memcpy(text + len, domain.ptr, domain.len);
    struct path p;
    if (mailbox_parse((slice){text, len + domain.len}, &p) != PATH_OK)
        return MAILBOXES_SYNTAX;
    if (r->count == r->max)
        return MAILBOXES_TOO_MANY;
    if (r->count == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 4;
        slice *list = arena_array(r->arena, slice, cap);
        if (r->count)
            memcpy(list, r->list, r->count * sizeof(slice));
        r->list = list;
        r->cap = cap;
    }
    r->list[r->count++] = path_canonical(r->arena, &p);
    return MAILBOXES_OK;
}

/* "@" domain, behind the local part. */
static enum mailboxes_result read_domain(struct reader *r, slice local)
{
    if (peek(r) != '@')
        return MAILBOXES_SYNTAX;
    skip(r, 1);
    if (!skip_cfws(r))
        return MAILBOXES_SYNTAX;
    size_t n = peek(r) == '[' ? (size_t)(slice_find(r->rest, ']') + 1) : run_len(r->rest);
    slice domain = slice_to(r->rest, n);
    skip(r, n);
    if (!skip_cfws(r))
        return MAILBOXES_SYNTAX;
    return add_mailbox(r, local, domain);
}

/* "<" addr-spec ">" */
static enum mailboxes_result read_angle(struct reader *r)
{
    struct words w;
    skip(r, 1);
    if (!read_words(r, &w) || w.count != 1)
        return MAILBOXES_SYNTAX;
    enum mailboxes_result result = read_domain(r, w.first);
    if (result != MAILBOXES_OK)
        return result;
    if (peek(r) != '>')
        return MAILBOXES_SYNTAX;
    skip(r, 1);
    return skip_cfws(r) ? MAILBOXES_OK : MAILBOXES_SYNTAX;
}

/* What follows the words of a mailbox. */
static enum mailboxes_result read_mailbox(struct reader *r, const struct words *w)
{
    if (peek(r) == '<')
        return w->count == 0 || is_phrase(w) ? read_angle(r) : MAILBOXES_SYNTAX;
    return w->count == 1 ? read_domain(r, w->first) : MAILBOXES_SYNTAX;
}

static bool is_element_end(const struct reader *r, bool in_group)
{
    return r->rest.len == 0 || peek(r) == ',' || (in_group && peek(r) == ';');
}

static enum mailboxes_result read_list(struct reader *r)
{
    bool in_group = false;
    bool had_group = false;
    while (r->rest.len) {
        struct words w;
        if (!read_words(r, &w))
            return MAILBOXES_SYNTAX;
        if (peek(r) == ':' && is_phrase(&w) && !in_group) {
            in_group = had_group = true;
            skip(r, 1);
            continue;
        }
        if (w.count > 0 || !is_element_end(r, in_group)) {
            enum mailboxes_result result = read_mailbox(r, &w);
            if (result != MAILBOXES_OK)
                return result;
        }
        if (in_group && peek(r) == ';') {
            in_group = false;
            skip(r, 1);
            if (!skip_cfws(r))
                return MAILBOXES_SYNTAX;
        }
        if (!is_element_end(r, false))
            return MAILBOXES_SYNTAX;
        skip(r, 1);
    }
    return !in_group && (r->count || had_group) ? MAILBOXES_OK : MAILBOXES_SYNTAX;
}

enum mailboxes_result header_mailboxes(struct arena *a, slice value, size_t max, slice **out,
                                       size_t *count)
{
    struct reader r = {.arena = a, .rest = value, .max = max};
    if (slice_find(value, '\0') >= 0 || !utf8_is_valid(value))
        return MAILBOXES_SYNTAX;
    enum mailboxes_result result = read_list(&r);
    if (result == MAILBOXES_OK) {
        *out = r.list;
        *count = r.count;
    }
    return result;
}
