#include "codec/record.h"

#include <endian.h>
#include <errno.h>

/* Inlined: the state lives on the stack, and nothing depends on the library's private layout.
 */
#define XXH_INLINE_ALL
#include <xxhash.h>

enum {
    MAGIC = 0x31525455, /* "UTR1", little-endian */
    SUMMED_LEN = 64,    /* of the header: what head_sum covers */
    FIELD_HEADER_LEN = 6,
    PADDING = 8,
};

static void put16(char *p, uint16_t v)
{
    v = htole16(v);
    memcpy(p, &v, sizeof(v));
}

static void put32(char *p, uint32_t v)
{
    v = htole32(v);
    memcpy(p, &v, sizeof(v));
}

static void put64(char *p, uint64_t v)
{
    v = htole64(v);
    memcpy(p, &v, sizeof(v));
}

static uint16_t get16(const char *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof(v));
    return le16toh(v);
}

static uint32_t get32(const char *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return le32toh(v);
}

static uint64_t get64(const char *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return le64toh(v);
}

uint64_t record_size(uint32_t fields_len, uint64_t body_len)
{
    uint64_t bytes = RECORD_HEADER_LEN + (uint64_t)fields_len + body_len;
    return (bytes + PADDING - 1) & ~(uint64_t)(PADDING - 1);
}

static uint64_t head_sum(const char header[RECORD_HEADER_LEN], slice fields, uint64_t seed)
{
    XXH3_state_t state;
    XXH3_INITSTATE(&state);
    XXH3_64bits_reset_withSeed(&state, seed);
    XXH3_64bits_update(&state, header, SUMMED_LEN);
    if (fields.len)
        XXH3_64bits_update(&state, fields.ptr, fields.len);
    return XXH3_64bits_digest(&state);
}

uint64_t record_body_sum(const struct iovec *iov, int count, uint64_t seed)
{
    if (count == 0)
        return XXH3_64bits_withSeed("", 0, seed);
    if (count == 1)
        return XXH3_64bits_withSeed(iov->iov_len ? iov->iov_base : "", iov->iov_len, seed);
    XXH3_state_t state;
    XXH3_INITSTATE(&state);
    XXH3_64bits_reset_withSeed(&state, seed);
    for (int i = 0; i < count; i++) {
        if (iov[i].iov_len)
            XXH3_64bits_update(&state, iov[i].iov_base, iov[i].iov_len);
    }
    return XXH3_64bits_digest(&state);
}

void record_encode_header(struct record_header *h, slice fields, uint64_t seed,
                          char out[RECORD_HEADER_LEN])
{
    INVARIANT(fields.len <= RECORD_FIELDS_MAX);
    INVARIANT(h->body_len <= RECORD_BODY_MAX);
    INVARIANT(h->type > 0 && (unsigned)h->type <= UINT16_MAX);
    h->version = RECORD_VERSION;
    h->fields_len = (uint32_t)fields.len;
    put32(out, MAGIC);
    out[4] = (char)h->version;
    out[5] = (char)h->flags;
    put16(out + 6, (uint16_t)h->type);
    put32(out + 8, h->fields_len);
    put16(out + 12, h->node);
    put16(out + 14, 0);
    put64(out + 16, h->body_len);
    put64(out + 24, (uint64_t)h->at);
    put64(out + 32, h->customer);
    put64(out + 40, h->account);
    put64(out + 48, h->credential);
    put64(out + 56, h->session);
    h->head_sum = head_sum(out, fields, seed);
    put64(out + 64, h->head_sum);
    put64(out + 72, h->body_sum);
}

int record_decode_header(const char in[RECORD_HEADER_LEN], struct record_header *h)
{
    struct record_header d = {
        .version = (uint8_t)in[4],
        .flags = (uint8_t)in[5],
        .type = get16(in + 6),
        .fields_len = get32(in + 8),
        .node = get16(in + 12),
        .body_len = get64(in + 16),
        .at = (stamp)get64(in + 24),
        .customer = get64(in + 32),
        .account = get64(in + 40),
        .credential = get64(in + 48),
        .session = get64(in + 56),
        .head_sum = get64(in + 64),
        .body_sum = get64(in + 72),
    };
    if (get32(in) != MAGIC || d.version != RECORD_VERSION || get16(in + 14) != 0)
        return -EBADMSG;
    if (d.type == 0 || d.fields_len > RECORD_FIELDS_MAX || d.body_len > RECORD_BODY_MAX)
        return -EBADMSG;
    *h = d;
    return 0;
}

bool record_head_is_whole(const char in[RECORD_HEADER_LEN], slice fields, uint64_t seed)
{
    return get32(in + 8) == fields.len && get64(in + 64) == head_sum(in, fields, seed);
}

void record_put(struct buf *b, enum record_tag tag, slice value)
{
    INVARIANT(tag > 0 && (unsigned)tag <= UINT16_MAX);
    if (value.len > RECORD_FIELDS_MAX || (b->max && b->len + value.len > b->max)) {
        b->error = -EMSGSIZE;
        return;
    }
    /* Room for all of it first: a field is there whole or not at all. */
    if (buf_reserve(b, FIELD_HEADER_LEN + value.len) < 0)
        return;
    if (b->max && b->len + FIELD_HEADER_LEN + value.len > b->max) {
        b->error = -EMSGSIZE;
        return;
    }
    char head[FIELD_HEADER_LEN];
    put16(head, (uint16_t)tag);
    put32(head + 2, (uint32_t)value.len);
    buf_append(b, slice_make(head, sizeof(head)));
    buf_append(b, value);
}

void record_put_u64(struct buf *b, enum record_tag tag, uint64_t value)
{
    char number[8];
    put64(number, value);
    record_put(b, tag, slice_make(number, sizeof(number)));
}

int record_next(slice *fields, struct record_field *out)
{
    if (fields->len == 0)
        return 0;
    if (fields->len < FIELD_HEADER_LEN)
        return -EBADMSG;
    uint32_t len = get32(fields->ptr + 2);
    if (len > fields->len - FIELD_HEADER_LEN)
        return -EBADMSG;
    out->tag = get16(fields->ptr);
    out->value = slice_make(fields->ptr + FIELD_HEADER_LEN, len);
    out->number = len == 8 ? get64(out->value.ptr) : 0;
    *fields = slice_from(*fields, FIELD_HEADER_LEN + len);
    return 1;
}

static struct record_field find_field(slice fields, enum record_tag tag)
{
    struct record_field field;
    while (record_next(&fields, &field) == 1) {
        if (field.tag == tag)
            return field;
    }
    return (struct record_field){0};
}

slice record_get(slice fields, enum record_tag tag)
{
    return find_field(fields, tag).value;
}

uint64_t record_get_u64(slice fields, enum record_tag tag)
{
    return find_field(fields, tag).number;
}
