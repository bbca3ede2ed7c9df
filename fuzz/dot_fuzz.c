/* dot: decoding is the same however the bytes arrive, ends at the first CRLF "." CRLF only, and
 * undoes encoding. First byte: the size of the pieces; second: the longest line. */
#include "fuzz.h"

#include "codec/chunk.h"
#include "codec/dot.h"

struct decoded {
    struct buf content;
    enum dot_fault fault;
    size_t used;
    bool ended;
};

static struct decoded decode(slice in, size_t step, size_t line_max)
{
    struct decoded result = {0};
    struct dot_decoder d;
    dot_decoder_init(&d, line_max);
    while (result.used < in.len && !result.ended) {
        slice piece = slice_to(slice_from(in, result.used), step);
        slice rest = piece;
        do {
            slice out;
            result.ended = dot_decode(&d, &rest, &out);
            fuzz_inside(out, piece);
            buf_append(&result.content, out);
        } while (rest.len && !result.ended);
        result.used += piece.len - rest.len;
    }
    result.fault = d.fault;
    return result;
}

/* Where the end of data is by its definition; 0: nowhere. */
static size_t end_of_data(slice in)
{
    if (slice_starts(in, SLICE(".\r\n")))
        return 3;
    ptrdiff_t at = slice_search(in, SLICE("\r\n.\r\n"));
    return at < 0 ? 0 : (size_t)at + 5;
}

static void check_decoding(slice in, size_t step, size_t line_max)
{
    struct decoded whole = decode(in, in.len + 1, line_max);
    struct decoded pieces = decode(in, step, line_max);
    INVARIANT(whole.fault == pieces.fault && whole.ended == pieces.ended);
    INVARIANT(whole.used == pieces.used &&
              whole.used == (whole.ended ? end_of_data(in) : in.len));
    INVARIANT(whole.ended == (end_of_data(in) != 0));
    fuzz_same(buf_slice(&whole.content), buf_slice(&pieces.content));
    if (whole.ended && whole.fault == DOT_FINE) {
        struct content_check c;
        content_check_init(&c, line_max);
        content_check_feed(&c, buf_slice(&whole.content));
        content_check_end(&c);
        INVARIANT(c.fault == DOT_FINE);
    }
    buf_fini(&whole.content);
    buf_fini(&pieces.content);
}

/* Any content without faults comes back, with a CRLF at its end. */
static void check_encoding(slice content, size_t step)
{
    struct content_check c;
    content_check_init(&c, 0);
    content_check_feed(&c, content);
    content_check_end(&c);
    if (c.fault != DOT_FINE)
        return;
    struct buf wire = BUF_INIT;
    bool at_line_start = true;
    for (size_t at = 0; at < content.len; at += step)
        dot_encode(&wire, slice_to(slice_from(content, at), step), &at_line_start);
    dot_finish(&wire, at_line_start);
    struct decoded back = decode(buf_slice(&wire), step, 0);
    INVARIANT(back.ended && back.fault == DOT_FINE && back.used == wire.len);
    slice got = buf_slice(&back.content);
    if (content.len && !slice_ends(content, SLICE("\r\n")))
        got.len -= 2;
    fuzz_same(got, content);
    buf_fini(&wire);
    buf_fini(&back.content);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slice in = fuzz_slice(data, size);
    size_t step = fuzz_byte(&in) % 16 + 1;
    size_t line_max = fuzz_byte(&in) % 128;
    check_decoding(in, step, line_max);
    check_encoding(in, step);
    return 0;
}
