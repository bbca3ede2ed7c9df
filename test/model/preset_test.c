/* preset: what is built in, to the letter. */
#include "model/preset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* The numbers that the services are sold with. */
static const struct {
    const char *name;
    const char *rules[8];
} wanted[] = {
    {"personal-mailbox",
     {"message recipients 100 defer", "account messages 1/1s attempts defer",
      "account recipients 50/1m attempts defer", "account recipients 200/1h attempts defer",
      "account recipients 1000/1d attempts defer"}},
    {"presumed-hijack", {"message recipients 5000 defer", "account messages 500/30m lock"}},
    {"web-hosting",
     {"account messages 25/5m defer", "account recipients 250/5m defer",
      "account recipients 1000/1d defer", "account recipients 5000/30d defer",
      "customer messages 250/1h defer", "customer recipients 1500/1h defer"}},
    {"relay-plan", {"message recipients 50 defer", "account bytes 500MB/month suspend"}},
    {"prudent", {"account recipients 360/1h pace"}},
};

static void have_their_numbers(void **state)
{
    (void)state;
    struct arena a = ARENA_INIT;
    struct buf line = BUF_INIT;
    assert_int_equal(COUNT_OF(wanted), preset_count);
    for (size_t i = 0; i < preset_count; i++) {
        const struct rule *rules = NULL;
        assert_string_equal(wanted[i].name, presets[i].name);
        size_t count = preset_rules(&presets[i], &a, &rules);
        for (size_t k = 0; k < count; k++) {
            buf_clear(&line);
            rule_format(&rules[k], &line);
            buf_byte(&line, '\0');
            assert_non_null(wanted[i].rules[k]);
            assert_string_equal(wanted[i].rules[k], line.ptr);
        }
        assert_null(wanted[i].rules[count]);
    }
    buf_fini(&line);
    arena_fini(&a);
}

static void are_found_by_name(void **state)
{
    (void)state;
    assert_ptr_equal(&presets[2], preset_find(SLICE("web-hosting")));
    assert_null(preset_find(SLICE("web-hostin")));
    assert_null(preset_find(SLICE("Web-Hosting")));
    assert_null(preset_find((slice){0}));
}

static void say_what_they_are_in_one_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < preset_count; i++) {
        slice summary = preset_summary(&presets[i]);
        assert_true(summary.len > 20 && summary.len < 90);
        assert_int_equal('.', summary.ptr[summary.len - 1]);
        assert_true(slice_find(summary, '#') < 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(have_their_numbers),
        cmocka_unit_test(are_found_by_name),
        cmocka_unit_test(say_what_they_are_in_one_line),
    };
    return cmocka_run_group_tests_name("preset", tests, NULL, NULL);
}
