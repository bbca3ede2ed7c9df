#include "../check.h"

#include "base/secret.h"

static void compares(void **state)
{
    (void)state;
    slice none = {0};
    assert_true(secret_eq(SLICE("abc"), SLICE("abc")));
    assert_true(secret_eq(none, SLICE("")));
    assert_false(secret_eq(SLICE("abc"), SLICE("abd")));
    assert_false(secret_eq(SLICE("abc"), SLICE("xbc")));
    assert_false(secret_eq(SLICE("abc"), SLICE("ab")));
    assert_false(secret_eq(SLICE("\x80"), SLICE("\0")));
}

static void wipes(void **state)
{
    (void)state;
    char text[] = "secret!";
    secret_wipe(text, 6);
    assert_memory_equal(text, "\0\0\0\0\0\0!", 8);
    secret_wipe(NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compares),
        cmocka_unit_test(wipes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
