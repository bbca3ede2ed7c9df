/* chunk: BDAT's argument means what it says, and contents are judged the same however they are
 * cut into chunks. First byte: the size of the pieces; second: the longest line. */
#include "fuzz.h"

#include "codec/chunk.h"

#include <inttypes.h>

static void check_argument(slice in)
{
    uint64_t size = 0;
    bool is_last = false;
    if (!chunk_parse(in, &size, &is_last))
        return;
    INVARIANT(size <= INT64_MAX);
    struct buf again = BUF_INIT;
    buf_printf(&again, "%" PRIu64 "%s", size, is_last ? " LAST" : "");
    uint64_t size2;
    bool is_last2;
    INVARIANT(chunk_parse(buf_slice(&again), &size2, &is_last2));
    INVARIANT(size == size2 && is_last == is_last2);
    buf_fini(&again);
}

static enum dot_fault check(slice in, size_t step, size_t line_max)
{
    struct content_check c;
    content_check_init(&c, line_max);
    for (size_t at = 0; at < in.len; at += step)
        content_check_feed(&c, slice_to(slice_from(in, at), step));
    content_check_end(&c);
    return c.fault;
}

/* The same by the words of the rule. */
static bool is_fine(slice in, size_t line_max)
{
    size_t line_len = 0;
    for (size_t i = 0; i < in.len; i++) {
        char c = in.ptr[i];
        bool after_cr = i > 0 && in.ptr[i - 1] == '\r';
        if (c == '\0' || (c == '\n') != after_cr)
            return false;
        if (line_max && ++line_len > line_max)
            return false;
        if (c == '\n')
            line_len = 0;
    }
    return in.len == 0 || in.ptr[in.len - 1] != '\r';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slice in = fuzz_slice(data, size);
    check_argument(in);
    size_t step = fuzz_byte(&in) % 16 + 1;
    size_t line_max = fuzz_byte(&in) % 128;
    enum dot_fault fault = check(in, in.len + 1, line_max);
    INVARIANT(fault == check(in, step, line_max));
    INVARIANT((fault == DOT_FINE) == is_fine(in, line_max));
    return 0;
}
