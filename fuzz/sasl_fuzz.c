/* sasl: base64 is a code with one encoding of everything, and a PLAIN message is its parts. */
#include "fuzz.h"

#include "codec/sasl.h"
#include "base/utf8.h"

static void check_plain(slice message)
{
    struct sasl_identity id;
    if (!sasl_plain_parse(message, &id))
        return;
    fuzz_inside(id.authzid, message);
    fuzz_inside(id.authcid, message);
    fuzz_inside(id.secret, message);
    INVARIANT(id.authcid.len > 0 && id.secret.len > 0);
    INVARIANT(id.authzid.len + id.authcid.len + id.secret.len + 2 == message.len);
    INVARIANT(utf8_is_valid(id.secret) && utf8_is_valid(id.authcid));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slice in = fuzz_slice(data, size);
    struct arena a = ARENA_INIT;
    slice out;
    if (base64_decode(&a, in, 1024, &out)) {
        INVARIANT(out.len <= 1024);
        if (!slice_eq(in, SLICE("=")))
            fuzz_same(base64_encode(&a, out), in);
        check_plain(out);
    }
    INVARIANT(base64_decode(&a, base64_encode(&a, in), in.len, &out));
    fuzz_same(out, in);
    check_plain(in);
    arena_fini(&a);
    return 0;
}
