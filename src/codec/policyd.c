#include "codec/policyd.h"

enum field_kind { FIELD_TEXT, FIELD_NUMBER };

#define TEXT(attribute)                                                                 \
    {                                                                                   \
        SLICE_INIT(#attribute), FIELD_TEXT, offsetof(struct policyd_request, attribute) \
    }
#define NUMBER(attribute)                                                                 \
    {                                                                                     \
        SLICE_INIT(#attribute), FIELD_NUMBER, offsetof(struct policyd_request, attribute) \
    }

/* Attributes that are taken as they are. */
static const struct field {
    slice name;
    enum field_kind kind;
    size_t offset;
} fields[] = {
    TEXT(protocol_name),
    TEXT(client_address),
    TEXT(client_name),
    TEXT(helo_name),
    TEXT(sender),
    TEXT(recipient),
    NUMBER(recipient_count),
    NUMBER(size),
    TEXT(instance),
    TEXT(queue_id),
    TEXT(sasl_method),
    TEXT(sasl_username),
    TEXT(sasl_sender),
    TEXT(encryption_protocol),
    TEXT(policy_context),
};

static const struct {
    slice name;
    enum policyd_state state;
} states[] = {
    {SLICE_INIT("CONNECT"), POLICYD_CONNECT},
    {SLICE_INIT("EHLO"), POLICYD_EHLO},
    {SLICE_INIT("HELO"), POLICYD_EHLO},
    {SLICE_INIT("MAIL"), POLICYD_MAIL},
    {SLICE_INIT("RCPT"), POLICYD_RCPT},
    {SLICE_INIT("DATA"), POLICYD_DATA},
    {SLICE_INIT("END-OF-MESSAGE"), POLICYD_END_OF_MESSAGE},
    {SLICE_INIT("VRFY"), POLICYD_VRFY},
    {SLICE_INIT("ETRN"), POLICYD_ETRN},
};

/* What was read of one request. */
struct reading {
    struct policyd_request request;
    unsigned taken; /* bit per row of fields */
    unsigned attributes;
    bool has_request;
    bool has_state;
};

static enum policyd_state state_of(slice name)
{
    for (size_t i = 0; i < COUNT_OF(states); i++)
        if (slice_ieq(name, states[i].name))
            return states[i].state;
    return POLICYD_OTHER;
}

static bool take_field(struct reading *r, const struct field *f, slice value)
{
    void *at = (char *)&r->request + f->offset;
    if (f->kind == FIELD_NUMBER)
        return slice_is_empty(value) || slice_to_u64(value, at);
    *(slice *)at = value;
    return true;
}

static bool take_attribute(struct reading *r, slice name, slice value)
{
    if (slice_eq(name, SLICE("request"))) {
        r->has_request = true;
        return slice_eq(value, SLICE("smtpd_access_policy"));
    }
    if (slice_eq(name, SLICE("protocol_state"))) {
        if (!r->has_state)
            r->request.state = state_of(value);
        r->has_state = true;
        return true;
    }
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        if (!slice_eq(name, fields[i].name))
            continue;
        if (r->taken & 1u << i)
            return true;
        r->taken |= 1u << i;
        return take_field(r, &fields[i], value);
    }
    return true;
}

static bool take_line(struct reading *r, slice line)
{
    ptrdiff_t equals = slice_find(line, '=');
    if (equals < 1 || ++r->attributes > POLICYD_ATTRIBUTES_MAX)
        return false;
    return take_attribute(r, slice_to(line, (size_t)equals),
                          slice_from(line, (size_t)equals + 1));
}

/* block: the lines without the empty one. */
static bool read_block(slice block, struct policyd_request *out)
{
    struct reading r = {0};
    slice line;
    if (slice_find(block, '\0') >= 0)
        return false;
    while (slice_split(&block, '\n', &line))
        if (!take_line(&r, line))
            return false;
    if (!r.has_request)
        return false;
    if (!address_parse(r.request.client_address, &r.request.client))
        r.request.client = (struct address){0};
    *out = r.request;
    return true;
}

enum policyd_result policyd_parse(slice in, size_t *seen, struct policyd_request *out,
                                  size_t *used)
{
    static const slice end = SLICE_INIT("\n\n");
    if (slice_starts(in, SLICE("\n")))
        return POLICYD_BAD;
    size_t from = *seen > 0 ? *seen - 1 : 0; /* the first of the two may have been the last */
    ptrdiff_t at = slice_search(slice_from(slice_to(in, POLICYD_REQUEST_MAX), from), end);
    if (at < 0) {
        *seen = in.len;
        return in.len < POLICYD_REQUEST_MAX ? POLICYD_MORE : POLICYD_BAD;
    }
    size_t len = from + (size_t)at + end.len;
    if (!read_block(slice_to(in, len - 1), out))
        return POLICYD_BAD;
    *seen = 0;
    *used = len;
    return POLICYD_REQUEST;
}

/* Printable ASCII, '?' for each character that is not; line ends become blanks, since an answer
 * has one line. */
static void write_text(struct buf *out, slice text)
{
    size_t written = 0;
    for (size_t i = 0; i < text.len && written < POLICYD_TEXT_MAX; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool is_continuation = (c & 0xc0) == 0x80;
        if (is_continuation)
            continue;
        bool is_break = c == '\n' || c == '\r' || c == '\t';
        buf_byte(out, is_break ? ' ' : c >= ' ' && c < 0x7f ? (char)c : '?');
        written++;
    }
}

void policyd_write_dunno(struct buf *out)
{
    buf_append(out, SLICE("action=DUNNO\n\n"));
}

void policyd_write_reply(struct buf *out, unsigned code, struct enhanced e, slice text)
{
    INVARIANT((code / 100 == 4 || code / 100 == 5) && code < 600 && e.class == code / 100);
    buf_printf(out, "action=%u %u.%u.%u ", code, e.class, e.subject, e.detail);
    write_text(out, text);
    buf_append(out, SLICE("\n\n"));
}

void policyd_write_defer_if_permit(struct buf *out, struct enhanced e, slice text)
{
    INVARIANT(e.class == 4);
    buf_printf(out, "action=DEFER_IF_PERMIT %u.%u.%u ", e.class, e.subject, e.detail);
    write_text(out, text);
    buf_append(out, SLICE("\n\n"));
}
