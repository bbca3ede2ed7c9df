/* line: the lines of a stream are the same however its bytes arrive. First byte: the limit;
 * second: the size of the pieces. */
#include "fuzz.h"

#include "codec/line.h"

/* What a reader makes of the stream: each result, with its line. */
static void read_all(slice in, size_t max, size_t step, struct buf *seen)
{
    size_t from = 0;
    size_t to = 0;
    bool skipping = false;
    for (;;) {
        slice pending = {in.ptr + from, to - from};
        slice line = {0};
        size_t used = 0;
        enum line_result r = LINE_MORE;
        if (skipping) {
            bool ended;
            used = line_skip(pending, &ended);
            skipping = !ended;
        } else {
            r = line_next(pending, max, &line, &used);
        }
        INVARIANT(used <= pending.len);
        fuzz_inside(line, slice_to(pending, used));
        if (r == LINE_OK)
            INVARIANT(line.len + 2 == used && used <= max);
        if (r != LINE_MORE) {
            buf_printf(seen, "%d:%zu:", r, line.len);
            buf_append(seen, line);
            INVARIANT(used > 0);
            skipping = r != LINE_OK && pending.ptr[used - 1] != '\n';
        }
        from += used;
        if (used > 0)
            continue;
        if (to == in.len)
            break;
        to = to + step < in.len ? to + step : in.len;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slice in = fuzz_slice(data, size);
    size_t max = fuzz_byte(&in) + 2;
    size_t step = fuzz_byte(&in) % 16 + 1;
    struct buf whole = BUF_INIT;
    struct buf pieces = BUF_INIT;
    read_all(in, max, in.len + 1, &whole);
    read_all(in, max, step, &pieces);
    fuzz_same(buf_slice(&whole), buf_slice(&pieces));
    buf_fini(&whole);
    buf_fini(&pieces);
    return 0;
}
