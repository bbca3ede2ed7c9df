/* params: what is refused is named, what is decoded can stand in a DSN, xtext is a code. */
#include "fuzz.h"

#include "codec/params.h"

static void check_printable(slice s)
{
    for (size_t i = 0; i < s.len; i++)
        INVARIANT(s.ptr[i] >= ' ' && s.ptr[i] <= '~');
}

static void check_xtext(struct arena *a, slice in)
{
    slice back;
    slice text = xtext_encode(a, in);
    INVARIANT(xtext_decode(a, text, &back));
    fuzz_same(back, in);
    if (xtext_decode(a, in, &text))
        INVARIANT(text.len <= in.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slice in = fuzz_slice(data, size);
    struct arena a = ARENA_INIT;
    struct mail_params mail;
    struct rcpt_params rcpt;
    slice bad = {0};
    if (mail_params_parse(&a, in, &mail, &bad) == PARAMS_OK) {
        check_printable(mail.envid);
        INVARIANT(mail.envid.len <= 100 && mail.auth.len <= 500);
    } else {
        INVARIANT(bad.len > 0);
        fuzz_inside(bad, in);
    }
    if (rcpt_params_parse(&a, in, &rcpt, &bad) == PARAMS_OK) {
        check_printable(rcpt.orcpt);
        INVARIANT(rcpt.orcpt.len <= 500);
        INVARIANT(!(rcpt.notify & NOTIFY_NEVER) || rcpt.notify == NOTIFY_NEVER);
    } else {
        INVARIANT(bad.len > 0);
        fuzz_inside(bad, in);
    }
    check_xtext(&a, in);
    arena_fini(&a);
    return 0;
}
