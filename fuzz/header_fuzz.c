/* header: fields are the block cut into pieces, the header's end is found however it arrives,
 * and the addresses of a list are addresses. */
#include "fuzz.h"

#include "codec/header.h"
#include "codec/path.h"

enum { ADDRESSES_MAX = 50 };

static void check_mailboxes(struct arena *a, slice value)
{
    slice *list = NULL;
    size_t count = 0;
    if (header_mailboxes(a, value, ADDRESSES_MAX, &list, &count) != MAILBOXES_OK)
        return;
    INVARIANT(count <= ADDRESSES_MAX);
    struct buf again = BUF_INIT;
    bool is_long = false;
    for (size_t i = 0; i < count; i++) {
        struct path p;
        enum path_result r = mailbox_parse(list[i], &p);
        INVARIANT(r == PATH_OK || r == PATH_TOO_LONG);
        is_long |= r == PATH_TOO_LONG;
        buf_append(&again, i ? SLICE(",\r\n <") : SLICE("<"));
        buf_append(&again, list[i]);
        buf_append(&again, SLICE(">"));
    }
    if (count && !is_long) {
        slice *list2;
        size_t count2;
        INVARIANT(header_mailboxes(a, buf_slice(&again), count, &list2, &count2) ==
                  MAILBOXES_OK);
        INVARIANT(count2 == count);
        for (size_t i = 0; i < count; i++)
            fuzz_same(list[i], list2[i]);
    }
    buf_fini(&again);
}

static void check_fields(struct arena *a, slice in)
{
    slice rest = in;
    struct header_field f;
    enum header_result r;
    const char *at = in.ptr;
    while ((r = header_next(&rest, &f)) == HEADER_FIELD) {
        INVARIANT(f.raw.ptr == at && f.raw.ptr + f.raw.len == rest.ptr);
        INVARIANT(slice_ends(f.raw, SLICE("\r\n")) && f.name.len > 0);
        fuzz_inside(f.name, f.raw);
        fuzz_inside(f.value, f.raw);
        at = rest.ptr;
        slice unfolded = header_unfold(a, f.value);
        INVARIANT(unfolded.len <= f.value.len && slice_find(unfolded, '\n') < 0);
        check_mailboxes(a, f.value);
    }
    if (r == HEADER_BAD)
        INVARIANT(rest.len > 0 && rest.ptr == at);
    else if (rest.ptr != at)
        INVARIANT(rest.ptr == at + 2 && (size_t)(rest.ptr - in.ptr) == header_end(in, 0));
}

static void check_end(slice in)
{
    size_t whole = header_end(in, 0);
    size_t end = 0;
    size_t from = 0;
    for (size_t n = 0; n <= in.len && end == 0; n++) {
        end = header_end(slice_to(in, n), from);
        from = n;
    }
    INVARIANT(end == whole && end <= in.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slice in = fuzz_slice(data, size);
    struct arena a = ARENA_INIT;
    check_fields(&a, in);
    check_mailboxes(&a, in);
    check_end(slice_to(in, 256));
    arena_fini(&a);
    return 0;
}
