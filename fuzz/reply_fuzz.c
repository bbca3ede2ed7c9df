/* reply: a stream of replies reads the same however it arrives, and what we write can be read.
 * First byte: the size of the pieces. */
#include "fuzz.h"

#include "codec/reply.h"
#include "base/utf8.h"

static void note_line(void *ctx, slice text)
{
    buf_append(ctx, text);
    buf_byte(ctx, '|');
}

static void check_text(slice text)
{
    INVARIANT(text.len <= REPLY_TEXT_MAX);
    INVARIANT(utf8_is_valid(text));
    for (size_t i = 0; i < text.len; i++)
        INVARIANT(text.ptr[i] == '\n' || (unsigned char)text.ptr[i] >= ' ');
}

static void read_all(slice in, size_t step, struct buf *seen)
{
    struct reply_parser p;
    reply_parser_init(&p);
    while (in.len) {
        slice piece = slice_to(in, step);
        in = slice_from(in, step);
        while (piece.len) {
            struct reply r = {0};
            size_t before = piece.len;
            enum reply_result result = reply_parse(&p, &piece, &r, note_line, seen);
            INVARIANT(piece.len < before);
            if (result == REPLY_MORE) {
                INVARIANT(piece.len == 0);
                continue;
            }
            check_text(r.text);
            buf_printf(seen, "=%d %u %u.%u.%u:", result, r.code, r.enhanced.class,
                       r.enhanced.subject, r.enhanced.detail);
            buf_append(seen, r.text);
            if (result == REPLY_BAD)
                return;
        }
    }
}

/* The text of a reply of ours as one reads it, with the blanks and line ends at which lines
 * were broken left out. */
static void check_written(unsigned code, slice text)
{
    struct buf out = BUF_INIT;
    reply_write(&out, code, (struct enhanced){(uint16_t)(code / 100), 7, 1}, text);
    slice rest = buf_slice(&out);
    slice line;
    size_t lines = 0;
    while (slice_split(&rest, '\n', &line)) {
        INVARIANT(line.len + 1 <= REPLY_LINE_MAX && slice_ends(line, SLICE("\r")));
        lines++;
    }
    struct reply_parser p;
    struct reply r;
    slice in = buf_slice(&out);
    reply_parser_init(&p);
    enum reply_result result = reply_parse(&p, &in, &r, NULL, NULL);
    if (lines <= REPLY_LINES_MAX) {
        INVARIANT(result == REPLY_DONE && in.len == 0 && r.code == code);
        INVARIANT(r.enhanced.class == (code / 100 == 3 ? 0 : code / 100));
    }
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned codes[] = {250, 354, 450, 550};
    slice in = fuzz_slice(data, size);
    unsigned byte = fuzz_byte(&in);
    struct buf whole = BUF_INIT;
    struct buf pieces = BUF_INIT;
    read_all(in, in.len + 1, &whole);
    read_all(in, byte % 16 + 1, &pieces);
    fuzz_same(buf_slice(&whole), buf_slice(&pieces));
    check_written(codes[byte % COUNT_OF(codes)], in);
    buf_fini(&whole);
    buf_fini(&pieces);
    return 0;
}
