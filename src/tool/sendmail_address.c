#include "tool/sendmail_address.h"

#include "codec/path.h"

struct reading {
    struct arena *arena;
    slice hostname;
    slice in;
    size_t at;
    /* the element being read; an angle bracket or a group's colon begins it anew */
    char *text; /* the address so far, without comments and blanks; room for all of `in` */
    size_t len;
    size_t end;     /* offset behind its last octet */
    bool is_apart;  /* a blank or a comment stands behind it */
    bool is_phrase; /* several words, and so no address */
    bool in_angle;
    bool had_angle;
    /* what was read before */
    struct sendmail_mailbox *list;
    size_t count;
    size_t room;
};

enum step { STEP_ON, STEP_END, STEP_BAD };

/* Octets of the comment at the start of s; 0 when it does not end. */
static size_t comment_len(slice s)
{
    size_t depth = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '\\')
            i++;
        else if (s.ptr[i] == '(')
            depth++;
        else if (s.ptr[i] == ')' && --depth == 0)
            return i + 1;
    }
    return 0;
}

/* Octets up to and with the next `end`; 0 when there is none. */
static size_t quoted_len(slice s, char end)
{
    for (size_t i = 1; i < s.len; i++) {
        if (s.ptr[i] == '\\')
            i++;
        else if (s.ptr[i] == end)
            return i + 1;
    }
    return 0;
}

static void begin_text(struct reading *r)
{
    r->len = r->end = 0;
    r->is_apart = r->is_phrase = false;
}

static bool joins(char c)
{
    return c == '.' || c == '@';
}

/* Takes n octets into the address. */
static enum step take(struct reading *r, size_t n)
{
    const char *from = r->in.ptr + r->at;
    if (n == 0 || (r->had_angle && !r->in_angle))
        return STEP_BAD;
    if (r->is_apart && r->len && !joins(r->text[r->len - 1]) && !joins(*from))
        r->is_phrase = true;
    for (size_t i = 0; i < n; i++)
        if (from[i] != '\r' && from[i] != '\n')
            r->text[r->len++] = from[i];
    r->at += n;
    r->end = r->at;
    r->is_apart = false;
    return STEP_ON;
}

static enum step skip(struct reading *r, size_t n)
{
    r->at += n;
    r->is_apart = true;
    return n > 0 ? STEP_ON : STEP_BAD;
}

static enum step open_angle(struct reading *r)
{
    if (r->had_angle)
        return STEP_BAD;
    r->in_angle = r->had_angle = true;
    begin_text(r);
    return skip(r, 1);
}

static enum step close_angle(struct reading *r)
{
    if (!r->in_angle)
        return STEP_BAD;
    r->in_angle = false;
    return skip(r, 1);
}

/* The end of a group's name, or of a source route. */
static enum step take_colon(struct reading *r)
{
    slice text = {r->text, r->len};
    bool is_route = r->in_angle && slice_starts(text, SLICE("@"));
    bool is_name = !r->had_angle && text.len && slice_find(text, '@') < 0;
    if (!is_route && !is_name)
        return STEP_BAD;
    begin_text(r);
    return skip(r, 1);
}

static enum step take_step(struct reading *r)
{
    slice rest = slice_from(r->in, r->at);
    switch (rest.ptr[0]) {
    case ' ':
    case '\t':
    case '\r':
    case '\n':
        return skip(r, 1);
    case '(':
        return skip(r, comment_len(rest));
    case '"':
        return take(r, quoted_len(rest, '"'));
    case '[':
        return take(r, quoted_len(rest, ']'));
    case '<':
        return open_angle(r);
    case '>':
        return close_angle(r);
    case ':':
        return take_colon(r);
    case ',':
        return r->in_angle ? take(r, 1) : STEP_END; /* inside: of a source route */
    case ';':
        return r->in_angle ? STEP_BAD : STEP_END;
    default:
        return (unsigned char)rest.ptr[0] < ' ' || rest.ptr[0] == 0x7f ? STEP_BAD : take(r, 1);
    }
}

static bool is_without_domain(slice text)
{
    bool is_quoted = slice_starts(text, SLICE("\"")) && slice_ends(text, SLICE("\""));
    return is_quoted || slice_find(text, '@') < 0;
}

static bool add_mailbox(struct reading *r)
{
    slice text = {r->text, r->len};
    struct sendmail_mailbox m = {.is_bare = is_without_domain(text), .end = r->end};
    m.address =
        m.is_bare ? arena_printf(r->arena, "%.*s@%.*s", SLICE_ARG(text), SLICE_ARG(r->hostname))
                  : arena_dup(r->arena, text);
    struct path p;
    if (mailbox_parse(m.address, &p) != PATH_OK)
        return false;
    if (r->count == r->room) {
        size_t room = r->room ? r->room * 2 : 4;
        struct sendmail_mailbox *grown = arena_array(r->arena, struct sendmail_mailbox, room);
        if (r->count)
            memcpy(grown, r->list, r->count * sizeof(*grown));
        r->list = grown;
        r->room = room;
    }
    r->list[r->count++] = m;
    return true;
}

/* Reads up to and with the separator; false: not an address. */
static bool read_element(struct reading *r)
{
    enum step step = STEP_ON;
    begin_text(r);
    r->in_angle = r->had_angle = false;
    while (r->at < r->in.len && step == STEP_ON)
        step = take_step(r);
    if (step == STEP_END)
        r->at++;
    if (step == STEP_BAD || r->in_angle || r->is_phrase)
        return false;
    bool is_empty = r->len == 0 && !r->had_angle;
    return is_empty || add_mailbox(r);
}

/* For people: the element that could not be read, up to where the next may begin. */
static slice element_at(slice in, size_t from)
{
    slice rest = slice_from(in, from);
    ptrdiff_t comma = slice_find(rest, ',');
    if (comma >= 0)
        rest = slice_to(rest, (size_t)comma);
    while (rest.len && strchr(" \t\r\n", rest.ptr[0]))
        rest = slice_from(rest, 1);
    while (rest.len && strchr(" \t\r\n", rest.ptr[rest.len - 1]))
        rest.len--;
    return rest;
}

bool sendmail_addresses(struct arena *a, slice list, slice hostname,
                        struct sendmail_mailbox **out, size_t *count, slice *bad)
{
    struct reading r = {.arena = a, .hostname = hostname, .in = list};
    if (slice_find(list, '\0') >= 0) {
        *bad = list;
        return false;
    }
    r.text = arena_alloc(a, list.len + 1);
    while (r.at < list.len) {
        size_t from = r.at;
        if (!read_element(&r)) {
            *bad = element_at(list, from);
            return false;
        }
    }
    *out = r.list;
    *count = r.count;
    return true;
}
