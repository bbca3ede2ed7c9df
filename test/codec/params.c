#include "../check.h"

#include "codec/params.h"

static const struct {
    const char *in;
    enum params_result result;
    const char *bad;
    struct mail_params want;
} mail[] = {
    {"", PARAMS_OK, NULL, {0}},
    {"SIZE=1000", PARAMS_OK, NULL, {.has_size = true, .size = 1000}},
    {" size=0\tBODY=8BitMIME  ", PARAMS_OK, NULL, {.has_size = true, .body = BODY_8BITMIME}},
    {"BODY=BINARYMIME SMTPUTF8", PARAMS_OK, NULL, {.body = BODY_BINARYMIME, .smtputf8 = true}},
    {"AUTH=<> RET=hdrs ENVID=a+2Bb",
     PARAMS_OK,
     NULL,
     {.auth = SLICE_INIT("<>"), .ret = RET_HDRS, .envid = SLICE_INIT("a+b")}},
    {"AUTH=e+3Dmc2@example.com RET=FULL",
     PARAMS_OK,
     NULL,
     {.auth = SLICE_INIT("e=mc2@example.com"), .ret = RET_FULL}},
    {"SIZE=18446744073709551615", PARAMS_OK, NULL, {.has_size = true, .size = UINT64_MAX}},
    {"SIZE=18446744073709551616", PARAMS_VALUE, "SIZE=18446744073709551616", {0}},
    {"SIZE=000000000000000000001", PARAMS_VALUE, "SIZE=000000000000000000001", {0}},
    {"SIZE=-1", PARAMS_SYNTAX, "SIZE=-1", {0}},
    {"SIZE=", PARAMS_SYNTAX, "SIZE=", {0}},
    {"SIZE", PARAMS_SYNTAX, "SIZE", {0}},
    {"SIZE=1=2", PARAMS_SYNTAX, "SIZE=1=2", {0}},
    {"SIZE=1 BODY=9BIT", PARAMS_VALUE, "BODY=9BIT", {0}},
    {"SIZE=1 SIZE=1", PARAMS_DUPLICATE, "SIZE=1", {0}},
    {"SMTPUTF8=yes", PARAMS_SYNTAX, "SMTPUTF8=yes", {0}},
    {"xqueue SIZE=1", PARAMS_OK, NULL, {.has_size = true, .size = 1, .may_wait = true}},
    {"XQUEUE=1", PARAMS_SYNTAX, "XQUEUE=1", {0}},
    {"XQUEUE XQUEUE", PARAMS_DUPLICATE, "XQUEUE", {0}},
    {"NOTIFY=NEVER", PARAMS_UNKNOWN, "NOTIFY=NEVER", {0}},
    {"X-FOO=1 SIZE=x", PARAMS_UNKNOWN, "X-FOO=1", {0}},
    {"-X", PARAMS_SYNTAX, "-X", {0}},
    {"=1", PARAMS_SYNTAX, "=1", {0}},
    {"SI_ZE=1", PARAMS_SYNTAX, "SI_ZE=1", {0}},
    {"ENVID=\xc3\xbc", PARAMS_SYNTAX, "ENVID=\xc3\xbc", {0}},
    {"ENVID=a+0D+0Ab", PARAMS_VALUE, "ENVID=a+0D+0Ab", {0}},
    {"ENVID=a+0", PARAMS_SYNTAX, "ENVID=a+0", {0}},
    {"ENVID=a+2b", PARAMS_SYNTAX, "ENVID=a+2b", {0}},
    {"RET=SOME", PARAMS_VALUE, "RET=SOME", {0}},
    {"AUTH=someone", PARAMS_VALUE, "AUTH=someone", {0}},
};

static void check_mail(const char *row, const struct mail_params *got,
                       const struct mail_params *want)
{
    check_int(row, got->has_size, want->has_size);
    CHECK(row, got->size == want->size);
    check_int(row, got->body, want->body);
    check_int(row, got->smtputf8, want->smtputf8);
    check_int(row, got->may_wait, want->may_wait);
    check_int(row, got->ret, want->ret);
    check_slice(row, got->auth, want->auth);
    check_slice(row, got->envid, want->envid);
}

static void parses_those_of_mail(void **state)
{
    (void)state;
    struct arena a = ARENA_INIT;
    for (size_t i = 0; i < COUNT_OF(mail); i++) {
        struct mail_params p = {.size = 77};
        slice bad = {0};
        check_int(mail[i].in, mail_params_parse(&a, slice_of(mail[i].in), &p, &bad),
                  mail[i].result);
        if (mail[i].result == PARAMS_OK) {
            check_mail(mail[i].in, &p, &mail[i].want);
        } else {
            check_slice(mail[i].in, bad, slice_of(mail[i].bad));
            CHECK(mail[i].in, p.size == 77);
        }
    }
    arena_fini(&a);
}

static const struct {
    const char *in;
    enum params_result result;
    unsigned notify;
    const char *orcpt;
} rcpt[] = {
    {"", PARAMS_OK, 0, ""},
    {"NOTIFY=NEVER", PARAMS_OK, NOTIFY_NEVER, ""},
    {"NOTIFY=success,Failure,DELAY", PARAMS_OK, NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY,
     ""},
    {"ORCPT=rfc822;a+2Bb@c.example NOTIFY=DELAY", PARAMS_OK, NOTIFY_DELAY,
     "rfc822;a+b@c.example"},
    {"NOTIFY=NEVER,DELAY", PARAMS_VALUE, 0, ""},
    {"NOTIFY=,DELAY", PARAMS_VALUE, 0, ""},
    {"NOTIFY=DELAY,", PARAMS_VALUE, 0, ""},
    {"NOTIFY=ALWAYS", PARAMS_VALUE, 0, ""},
    {"NOTIFY", PARAMS_SYNTAX, 0, ""},
    {"ORCPT=a@b.example", PARAMS_SYNTAX, 0, ""},
    {"ORCPT=;a@b.example", PARAMS_SYNTAX, 0, ""},
    {"ORCPT=rfc+38;a@b.example", PARAMS_SYNTAX, 0, ""},
    {"ORCPT=rfc822;", PARAMS_VALUE, 0, ""},
    {"ORCPT=rfc822;a+0Ab", PARAMS_VALUE, 0, ""},
    {"SIZE=1", PARAMS_UNKNOWN, 0, ""},
};

static void parses_those_of_rcpt(void **state)
{
    (void)state;
    struct arena a = ARENA_INIT;
    for (size_t i = 0; i < COUNT_OF(rcpt); i++) {
        struct rcpt_params p = {0};
        slice bad = {0};
        check_int(rcpt[i].in, rcpt_params_parse(&a, slice_of(rcpt[i].in), &p, &bad),
                  rcpt[i].result);
        check_int(rcpt[i].in, p.notify, rcpt[i].notify);
        check_slice(rcpt[i].in, p.orcpt, slice_of(rcpt[i].orcpt));
    }
    arena_fini(&a);
}

static void bounds_values(void **state)
{
    (void)state;
    struct arena a = ARENA_INIT;
    char text[600];
    struct mail_params p;
    slice bad;
    memset(text, 'x', sizeof(text));
    memcpy(text, "ENVID=", 6);
    assert_int_equal(mail_params_parse(&a, (slice){text, 106}, &p, &bad), PARAMS_OK);
    assert_int_equal(mail_params_parse(&a, (slice){text, 107}, &p, &bad), PARAMS_VALUE);
    arena_fini(&a);
}

static void encodes_xtext_that_decodes(void **state)
{
    (void)state;
    struct arena a = ARENA_INIT;
    char all[256];
    for (int i = 0; i < 256; i++)
        all[i] = (char)i;
    slice in = {all, sizeof(all)};
    slice text = xtext_encode(&a, in);
    slice back;
    assert_true(xtext_decode(&a, text, &back));
    check_slice("all octets", back, in);
    check_slice("as in RFC 3461", xtext_encode(&a, SLICE("a=b+c")), SLICE("a+3Db+2Bc"));
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_those_of_mail),
        cmocka_unit_test(parses_those_of_rcpt),
        cmocka_unit_test(bounds_values),
        cmocka_unit_test(encodes_xtext_that_decodes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
