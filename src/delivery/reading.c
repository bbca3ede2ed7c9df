#include "delivery/reading.h"

#include <errno.h>

slice reading_fields(const struct reading *r)
{
    return slice_make(r->bytes.ptr + RECORD_HEADER_LEN, r->facts.fields_len);
}

slice reading_body(const struct reading *r)
{
    return slice_from(buf_slice(&r->bytes), RECORD_HEADER_LEN + (size_t)r->facts.fields_len);
}

static int check(const struct reading *r, uint64_t seed)
{
    const struct parcel_facts *f = &r->facts;
    slice fields = reading_fields(r), body = reading_body(r);
    struct iovec piece = {(void *)(uintptr_t)body.ptr, body.len};
    bool is_whole = r->header.fields_len == f->fields_len &&
                    r->header.body_len == f->body_len &&
                    record_head_is_whole(r->bytes.ptr, fields, seed) &&
                    record_body_sum(&piece, 1, seed) == r->header.body_sum &&
                    record_get_u64(fields, TAG_ID) == f->id;
    return is_whole ? 0 : -EBADMSG;
}

int reading_read(const struct letter_store *store, struct reading *r)
{
    const struct parcel_facts *f = &r->facts;
    size_t len = RECORD_HEADER_LEN + (size_t)f->fields_len + (size_t)f->body_len;
    uint64_t seed;
    int err = buf_reserve(&r->bytes, len);
    if (err == 0)
        err = journal_pread_record(letter_journal(store, f), f->position, r->bytes.ptr, len,
                                   &seed);
    if (err < 0)
        return err;
    r->bytes.len = len;
    err = record_decode_header(r->bytes.ptr, &r->header);
    return err < 0 ? err : check(r, seed);
}
