/* record: a header that is taken says what its bytes say, fields are walked within their bytes
 * and give the same bytes when they are put again; what was encoded is whole, and is not when a
 * bit of it is another. First two bytes: which bit. The next 80: a header. The rest: fields. */
#include "fuzz.h"

#include "codec/record.h"

static const uint64_t SEED = 0x5eed;

/* A header that was taken, encoded again, gives its own bytes up to the checksums. */
static void check_header(const char bytes[RECORD_HEADER_LEN])
{
    struct record_header h;
    if (record_decode_header(bytes, &h) < 0)
        return;
    INVARIANT(h.fields_len <= RECORD_FIELDS_MAX && h.body_len <= RECORD_BODY_MAX);
    uint64_t size = record_size(h.fields_len, h.body_len);
    INVARIANT(size % 8 == 0 && size >= RECORD_HEADER_LEN + h.fields_len + h.body_len);
    static const char fields[1024 * 1024];
    if (h.fields_len > sizeof(fields))
        return;
    char again[RECORD_HEADER_LEN];
    struct record_header copy = h;
    record_encode_header(&copy, slice_make(fields, h.fields_len), SEED, again);
    INVARIANT(memcmp(bytes, again, 64) == 0);
    INVARIANT(memcmp(bytes + 72, again + 72, 8) == 0);
}

/* The bytes of the fields that could be walked: as many as were there, unless the rest is no
 * field. */
static slice check_fields(slice in, struct buf *again)
{
    slice rest = in;
    struct record_field f;
    int r;
    while ((r = record_next(&rest, &f)) == 1) {
        fuzz_inside(f.value, in);
        if (f.tag == TAG_NONE)
            break;
        record_put(again, f.tag, f.value);
        INVARIANT(again->error == 0);
        if (record_get(in, f.tag).ptr == f.value.ptr)
            INVARIANT(record_get_u64(in, f.tag) == f.number);
    }
    INVARIANT(r != 0 || rest.len == 0);
    slice walked = slice_to(in, again->len);
    INVARIANT(slice_eq(walked, buf_slice(again)));
    return walked;
}

static void check_whole(slice fields, slice body, unsigned bit)
{
    struct iovec whole = {(void *)(uintptr_t)body.ptr, body.len};
    struct iovec parts[] = {{whole.iov_base, body.len / 2},
                            {(char *)whole.iov_base + body.len / 2, body.len - body.len / 2}};
    struct record_header h = {.type = RECORD_MESSAGE, .body_len = body.len, .account = bit};
    h.body_sum = record_body_sum(&whole, 1, SEED);
    INVARIANT(record_body_sum(parts, 2, SEED) == h.body_sum);
    char bytes[RECORD_HEADER_LEN];
    record_encode_header(&h, fields, SEED, bytes);
    struct record_header d;
    INVARIANT(record_decode_header(bytes, &d) == 0);
    INVARIANT(d.head_sum == h.head_sum && d.body_sum == h.body_sum && d.account == bit);
    INVARIANT(record_head_is_whole(bytes, fields, SEED));
    INVARIANT(!record_head_is_whole(bytes, fields, SEED + 1));
    bytes[bit / 8 % 72] ^= (char)(1 << bit % 8);
    INVARIANT(!record_head_is_whole(bytes, fields, SEED));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slice in = fuzz_slice(data, size);
    unsigned bit = fuzz_byte(&in);
    bit |= fuzz_byte(&in) << 8;
    if (in.len < RECORD_HEADER_LEN)
        return 0;
    check_header(in.ptr);
    slice rest = slice_from(in, RECORD_HEADER_LEN);
    struct buf again = BUF_INIT;
    slice fields = check_fields(rest, &again);
    check_whole(fields, rest, bit);
    buf_fini(&again);
    return 0;
}
