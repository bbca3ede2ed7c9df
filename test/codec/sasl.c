#include "../check.h"

#include "codec/sasl.h"

#define X51 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X255 X51 X51 X51 X51 X51
#define X1024 X255 X255 X255 X255 "xxxx"

static const struct {
    const char *text;
    bool is_good;
    slice decoded;
} base64[] = {
    {"", true, SLICE_INIT("")},
    {"=", true, SLICE_INIT("")},
    {"Zg==", true, SLICE_INIT("f")},
    {"Zm8=", true, SLICE_INIT("fo")},
    {"Zm9v", true, SLICE_INIT("foo")},
    {"Zm9vYg==", true, SLICE_INIT("foob")},
    {"Zm9vYmE=", true, SLICE_INIT("fooba")},
    {"Zm9vYmFy", true, SLICE_INIT("foobar")},
    {"AP+/", true, SLICE_INIT("\0\xff\xbf")},
    {"Zg", false, SLICE_INIT("")},
    {"Zg=", false, SLICE_INIT("")},
    {"Z===", false, SLICE_INIT("")},
    {"====", false, SLICE_INIT("")},
    {"==", false, SLICE_INIT("")},
    {"Zh==", false, SLICE_INIT("")},
    {"Zm9=", false, SLICE_INIT("")},
    {"Zg==Zg==", false, SLICE_INIT("")},
    {"Zm9v Zm9v", false, SLICE_INIT("")},
    {"Zm9v\n", false, SLICE_INIT("")},
    {"Zm9-", false, SLICE_INIT("")},
    {"Zm9vYmFyYg==", false, SLICE_INIT("")}, /* over the bound of 6 */
};

static void decodes_base64_strictly(void **state)
{
    (void)state;
    struct arena a = ARENA_INIT;
    for (size_t i = 0; i < COUNT_OF(base64); i++) {
        slice out = {"", 0};
        check_int(base64[i].text, base64_decode(&a, slice_of(base64[i].text), 6, &out),
                  base64[i].is_good);
        check_slice(base64[i].text, out, base64[i].decoded);
        if (base64[i].is_good && strcmp(base64[i].text, "=") != 0)
            check_slice(base64[i].text, base64_encode(&a, out), slice_of(base64[i].text));
    }
    arena_fini(&a);
}

static void encodes_what_decodes(void **state)
{
    (void)state;
    struct arena a = ARENA_INIT;
    char all[256];
    for (int i = 0; i < 256; i++)
        all[i] = (char)i;
    for (size_t len = 0; len <= sizeof(all); len++) {
        slice in = {all, len};
        slice out;
        assert_true(base64_decode(&a, base64_encode(&a, in), len, &out));
        check_slice("all octets", out, in);
    }
    arena_fini(&a);
}

static const struct {
    const char *name;
    slice message;
    bool is_good;
    const char *authzid, *authcid, *secret;
} plain[] = {
    {"usual", SLICE_INIT("\0tim\0tanstaaftanstaaf"), true, "", "tim", "tanstaaftanstaaf"},
    {"for another", SLICE_INIT("Ursel\0Kurt\0xipj3plmq"), true, "Ursel", "Kurt", "xipj3plmq"},
    {"UTF-8", SLICE_INIT("\0j\xc3\xbcrgen\0\xe2\x82\xac"), true, "", "j\xc3\xbcrgen",
     "\xe2\x82\xac"},
    {"longest", SLICE_INIT(X255 "\0" X255 "\0" X1024), true, X255, X255, X1024},
    {"authzid too long", SLICE_INIT("x" X255 "\0a\0b"), false, 0, 0, 0},
    {"authcid too long", SLICE_INIT("\0x" X255 "\0b"), false, 0, 0, 0},
    {"secret too long", SLICE_INIT("\0a\0x" X1024), false, 0, 0, 0},
    {"empty", SLICE_INIT(""), false, 0, 0, 0},
    {"no NUL", SLICE_INIT("tim"), false, 0, 0, 0},
    {"one NUL", SLICE_INIT("\0tim"), false, 0, 0, 0},
    {"three NUL", SLICE_INIT("\0tim\0a\0b"), false, 0, 0, 0},
    {"NUL at the end", SLICE_INIT("\0tim\0a\0"), false, 0, 0, 0},
    {"no authcid", SLICE_INIT("\0\0secret"), false, 0, 0, 0},
    {"no secret", SLICE_INIT("\0tim\0"), false, 0, 0, 0},
    {"not UTF-8", SLICE_INIT("\0tim\0\xff"), false, 0, 0, 0},
};

static void parses_plain(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(plain); i++) {
        struct sasl_identity id;
        check_int(plain[i].name, sasl_plain_parse(plain[i].message, &id), plain[i].is_good);
        if (!plain[i].is_good)
            continue;
        check_slice(plain[i].name, id.authzid, slice_of(plain[i].authzid));
        check_slice(plain[i].name, id.authcid, slice_of(plain[i].authcid));
        check_slice(plain[i].name, id.secret, slice_of(plain[i].secret));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes_base64_strictly),
        cmocka_unit_test(encodes_what_decodes),
        cmocka_unit_test(parses_plain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
