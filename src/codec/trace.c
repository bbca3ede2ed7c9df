#include "codec/trace.h"

#include "base/id.h"
#include "codec/host.h"

enum { LINE_WANTED = 78, COMMENT_MAX = 200, ADDRESS_MAX = 320 };

/* A field being written word by word, folded where the next word would not fit. */
struct fold {
    struct buf *out;
    size_t column;
};

static void put_word(struct fold *f, slice word)
{
    bool fits = f->column + 1 + word.len <= LINE_WANTED;
    buf_append(f->out, fits ? SLICE(" ") : SLICE("\r\n\t"));
    buf_append(f->out, word);
    f->column = (fits ? f->column : 0) + 1 + word.len;
}

/* Two words that stay together, if a line can hold them. */
static void put_pair(struct fold *f, slice word, slice value)
{
    if (f->column + 2 + word.len + value.len > LINE_WANTED) {
        buf_append(f->out, SLICE("\r\n\t"));
        buf_append(f->out, word);
        f->column = 1 + word.len;
    } else {
        put_word(f, word);
    }
    put_word(f, value);
}

/* Text as a comment; what could end it or the line becomes "?". */
static void put_comment(struct fold *f, slice text)
{
    char comment[COMMENT_MAX + 2];
    size_t len = 0;
    text = slice_to(text, COMMENT_MAX);
    comment[len++] = '(';
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool is_safe = c >= ' ' && c <= '~' && c != '(' && c != ')' && c != '\\';
        comment[len++] = is_safe ? c : '?';
    }
    comment[len++] = ')';
    put_word(f, (slice){comment, len});
}

static void put_client(struct fold *f, slice client)
{
    struct address address;
    char text[ADDRESS_TEXT_MAX + sizeof("[IPv6:]")] = "[";
    if (!address_parse(client, &address)) {
        put_comment(f, client);
        return;
    }
    if (address.family == 6)
        strcat(text, "IPv6:");
    address_format(&address, text + strlen(text));
    strcat(text, "]");
    put_comment(f, slice_of(text));
}

/* What a path may hold; anything else would not have come this far. */
static bool is_showable(slice address)
{
    for (size_t i = 0; i < address.len; i++)
        if ((unsigned char)address.ptr[i] < ' ' || address.ptr[i] == 0x7f)
            return false;
    return address.len > 0 && address.len <= ADDRESS_MAX;
}

static void put_for(struct fold *f, slice address)
{
    char text[ADDRESS_MAX + 2];
    text[0] = '<';
    memcpy(text + 1, address.ptr, address.len);
    text[1 + address.len] = '>';
    put_pair(f, SLICE("for"), (slice){text, address.len + 2});
}

void trace_received(struct buf *out, const struct trace_facts *t)
{
    static const slice name = SLICE_INIT("Received:");
    struct fold f = {out, name.len};
    buf_append(out, name);
    if (t->detail != TRACE_NONE) {
        put_pair(&f, SLICE("from"), host_is_helo(t->helo) ? t->helo : SLICE("unknown"));
        if (t->detail == TRACE_FULL && t->client.len)
            put_client(&f, t->client);
    }
    put_pair(&f, SLICE("by"), t->by);
    put_pair(&f, SLICE("with"), t->protocol);
    if (t->tls.len)
        put_comment(&f, t->tls);
    char id[ID_TEXT_LEN + 1];
    id_format(t->id, id);
    put_pair(&f, SLICE("id"), slice_of(id));
    if (is_showable(t->for_))
        put_for(&f, t->for_);
    buf_byte(out, ';');
    f.column++;
    char at[STAMP_TEXT_MAX];
    stamp_format_mail(t->at, at);
    put_word(&f, slice_of(at));
    buf_append(out, SLICE("\r\n"));
}

void trace_date(struct buf *out, stamp at)
{
    char text[STAMP_TEXT_MAX];
    stamp_format_mail(at, text);
    buf_printf(out, "Date: %s\r\n", text);
}

void trace_message_id(struct buf *out, uint64_t id, slice host)
{
    char text[ID_TEXT_LEN + 1];
    id_format(id, text);
    buf_printf(out, "Message-ID: <%s@%.*s>\r\n", text, SLICE_ARG(host));
}
