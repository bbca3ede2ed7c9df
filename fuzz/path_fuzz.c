/* path: parts lie inside the input, fit their bounds, and the canonical form is a fixed point.
 */
#include "fuzz.h"

#include "codec/path.h"

static void check_mailbox(struct arena *a, const struct path *p)
{
    struct path again;
    INVARIANT(p->local.len >= 1 && p->local.len <= 64);
    INVARIANT(p->domain.len >= 1 && p->domain.len <= 255);
    INVARIANT(p->address.len == p->local.len + 1 + p->domain.len);
    INVARIANT(mailbox_parse(p->address, &again) == PATH_OK);
    fuzz_same(again.local, p->local);
    fuzz_same(again.domain, p->domain);

    slice canonical = path_canonical(a, p);
    enum path_result r = mailbox_parse(canonical, &again);
    /* A-labels can be longer than what they stand for */
    if (r == PATH_TOO_LONG)
        return;
    INVARIANT(r == PATH_OK);
    fuzz_same(path_canonical(a, &again), canonical);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slice in = fuzz_slice(data, size);
    slice rest = in;
    struct arena a = ARENA_INIT;
    struct path p;
    if (path_parse(&rest, &p) == PATH_OK) {
        INVARIANT(rest.len < in.len);
        fuzz_inside(rest, in);
        fuzz_inside(p.address, in);
        INVARIANT(p.is_null == (p.address.len == 0));
        if (!p.is_null && !p.is_postmaster)
            check_mailbox(&a, &p);
    } else {
        INVARIANT(rest.ptr == in.ptr && rest.len == in.len);
    }
    if (mailbox_parse(in, &p) == PATH_OK) {
        fuzz_same(p.address, in);
        check_mailbox(&a, &p);
    }
    arena_fini(&a);
    return 0;
}
