/* fuzz: what the fuzz targets share. A target checks properties, not only that nothing crashes:
 * an INVARIANT that does not hold ends the run and leaves the input behind. */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/slice.h"

/* What libFuzzer and replay.c call. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline slice fuzz_slice(const uint8_t *data, size_t size)
{
    return slice_make(data, size);
}

/* Takes the first byte off *in as a parameter of the run; 0 when there is none. */
static inline unsigned fuzz_byte(slice *in)
{
    unsigned byte = in->len ? (unsigned char)in->ptr[0] : 0;
    *in = slice_from(*in, 1);
    return byte;
}

static inline void fuzz_inside(slice part, slice whole)
{
    INVARIANT(part.len == 0 ||
              (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len));
}

static inline void fuzz_same(slice a, slice b)
{
    INVARIANT(slice_eq(a, b));
}

#endif
