#include "tool/sendmail_header.h"

#include "base/utf8.h"
#include "codec/header.h"
#include "codec/sasl.h"
#include "tool/sendmail_address.h"

enum {
    NAME_MAX_LEN = 500,
    ENCODED_MAX = 45, /* octets of an encoded word's text before base64 (RFC 2047: 75 after) */
};

/* The fields with addresses, and what theirs are. */
enum use { USE_NONE, USE_FROM, USE_RECIPIENTS, USE_RESENT_RECIPIENTS };

static const struct address_field {
    slice name;
    enum use use;
} address_fields[] = {
    {SLICE_INIT("From"), USE_FROM},
    {SLICE_INIT("Sender"), USE_NONE},
    {SLICE_INIT("Reply-To"), USE_NONE},
    {SLICE_INIT("To"), USE_RECIPIENTS},
    {SLICE_INIT("Cc"), USE_RECIPIENTS},
    {SLICE_INIT("Bcc"), USE_RECIPIENTS},
    {SLICE_INIT("Resent-From"), USE_NONE},
    {SLICE_INIT("Resent-Sender"), USE_NONE},
    {SLICE_INIT("Resent-Reply-To"), USE_NONE},
    {SLICE_INIT("Resent-To"), USE_RESENT_RECIPIENTS},
    {SLICE_INIT("Resent-Cc"), USE_RESENT_RECIPIENTS},
    {SLICE_INIT("Resent-Bcc"), USE_RESENT_RECIPIENTS},
};

struct addresses {
    slice *list;
    size_t count;
    size_t room;
};

struct mending {
    struct arena *arena;
    const struct sendmail_author *author;
    struct buf *out;
    bool has_from;
    bool has_resent;
    struct addresses recipients[2]; /* of the message; of its resending */
    slice bad_field[2];
    slice bad_element[2];
    slice from;
};

static const struct address_field *find_field(slice name)
{
    for (size_t i = 0; i < COUNT_OF(address_fields); i++)
        if (slice_ieq(name, address_fields[i].name))
            return &address_fields[i];
    return NULL;
}

static void add_address(struct arena *a, struct addresses *to, slice address)
{
    if (to->count == to->room) {
        size_t room = to->room ? to->room * 2 : 8;
        slice *grown = arena_array(a, slice, room);
        if (to->count)
            memcpy(grown, to->list, to->count * sizeof(slice));
        to->list = grown;
        to->room = room;
    }
    to->list[to->count++] = address;
}

/* The field with "@host" behind each address that has none. */
static void write_qualified(struct mending *m, const struct header_field *f,
                            const struct sendmail_mailbox *boxes, size_t count)
{
    size_t value_at = (size_t)(f->value.ptr - f->raw.ptr);
    size_t written = 0;
    for (size_t i = 0; i < count; i++) {
        if (!boxes[i].is_bare)
            continue;
        size_t end = value_at + boxes[i].end;
        buf_append(m->out, slice_from(slice_to(f->raw, end), written));
        buf_byte(m->out, '@');
        buf_append(m->out, m->author->hostname);
        written = end;
    }
    buf_append(m->out, slice_from(f->raw, written));
}

static void take_addresses(struct mending *m, const struct address_field *known,
                           const struct sendmail_mailbox *boxes, size_t count)
{
    if (known->use == USE_FROM && count > 0 && m->from.len == 0)
        m->from = boxes[0].address;
    if (known->use != USE_RECIPIENTS && known->use != USE_RESENT_RECIPIENTS)
        return;
    bool is_resent = known->use == USE_RESENT_RECIPIENTS;
    for (size_t i = 0; i < count; i++)
        add_address(m->arena, &m->recipients[is_resent], boxes[i].address);
}

static void note_bad(struct mending *m, const struct address_field *known, slice element)
{
    bool is_resent = known->use == USE_RESENT_RECIPIENTS;
    bool is_recipients = is_resent || known->use == USE_RECIPIENTS;
    if (!is_recipients || m->bad_field[is_resent].len)
        return;
    m->bad_field[is_resent] = known->name;
    m->bad_element[is_resent] = header_unfold(m->arena, element);
}

static void mend_field(struct mending *m, const struct header_field *f)
{
    const struct address_field *known = find_field(f->name);
    struct sendmail_mailbox *boxes = NULL;
    size_t count = 0;
    slice bad = {0};
    if (!known) {
        buf_append(m->out, f->raw);
        return;
    }
    m->has_from |= known->use == USE_FROM;
    m->has_resent |= known->use == USE_RESENT_RECIPIENTS;
    if (!sendmail_addresses(m->arena, f->value, m->author->hostname, &boxes, &count, &bad))
        note_bad(m, known, bad);
    take_addresses(m, known, boxes, count);
    write_qualified(m, f, boxes, count);
}

static bool is_plain(slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!is_letter && !(c >= '0' && c <= '9') && !strchr(" '-_+!", c))
            return false;
    }
    return true;
}

static void write_quoted(struct buf *out, slice name)
{
    buf_byte(out, '"');
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] == '"' || name.ptr[i] == '\\')
            buf_byte(out, '\\');
        buf_byte(out, name.ptr[i]);
    }
    buf_byte(out, '"');
}

/* RFC 2047; a character is never divided between two words (section 5). */
static void write_encoded(struct arena *a, struct buf *out, slice name)
{
    const char *separator = "";
    while (name.len) {
        slice part = utf8_cut(name, ENCODED_MAX);
        slice coded = base64_encode(a, part);
        buf_printf(out, "%s=?UTF-8?B?%.*s?=", separator, SLICE_ARG(coded));
        separator = "\r\n ";
        name = slice_from(name, part.len);
    }
}

/* A name as a phrase (RFC 5322 section 3.2.5), whatever is in it. */
static void write_name(struct arena *a, struct buf *out, slice name)
{
    name = slice_trim(name);
    char *clean = arena_alloc(a, name.len + 1);
    bool is_valid = utf8_is_valid(name);
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.ptr[i];
        clean[i] = c < ' ' || c == 0x7f ? ' ' : c >= 0x80 && !is_valid ? '?' : (char)c;
    }
    name = utf8_cut((slice){clean, name.len}, NAME_MAX_LEN);
    if (name.len == 0)
        return;
    if (!utf8_is_ascii(name))
        write_encoded(a, out, name);
    else if (is_plain(name))
        buf_append(out, name);
    else
        write_quoted(out, name);
    buf_byte(out, ' ');
}

static void write_from(struct arena *a, struct buf *out, const struct sendmail_author *author)
{
    buf_append(out, SLICE("From: "));
    write_name(a, out, author->full_name);
    buf_printf(out, "<%.*s>\r\n", SLICE_ARG(author->address));
}

void sendmail_header_mend(struct arena *a, const struct sendmail_author *author, slice header,
                          struct buf *out, struct sendmail_header *answer)
{
    struct mending m = {.arena = a, .author = author, .out = out};
    struct header_field f;
    while (header_next(&header, &f) == HEADER_FIELD)
        mend_field(&m, &f);
    buf_append(out, header); /* what is no field is for the door to refuse */
    if (!m.has_from)
        write_from(a, out, author);
    *answer = (struct sendmail_header){
        .from = m.from,
        .recipients = m.recipients[m.has_resent].list,
        .recipient_count = m.recipients[m.has_resent].count,
        .bad_field = m.bad_field[m.has_resent],
        .bad_element = m.bad_element[m.has_resent],
    };
}
