/* Encoded words: read, and what was read written and read again. */
#include "codec/words.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = ARENA_INIT;
    struct buf out = BUF_INIT;
    slice in = slice_make(data, size);
    slice text = words_decode(&a, in);
    INVARIANT(text.len <= 3 * size);
    words_encode(&out, text, 1 + size % 80);
    INVARIANT(!out.error);
    buf_fini(&out);
    arena_fini(&a);
    return 0;
}
