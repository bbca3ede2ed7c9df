/* journal_watch: levels, who a journal is kept for, and what the stats page is told. */
#include "net/journal_watch.h"

#include "base/arena.h"
#include "base/log.h"
#include "journal/readers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static void test_levels(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t alarm, max, bytes;
        enum journal_level level;
    } rows[] = {
        {"small", 100, 200, 99, JOURNAL_FINE},
        {"at the alarm", 100, 200, 100, JOURNAL_LARGE},
        {"just below the bound", 100, 200, 199, JOURNAL_LARGE},
        {"at the bound", 100, 200, 200, JOURNAL_FULL},
        {"no alarm", 0, 200, 150, JOURNAL_FINE},
        {"no bound", 100, 0, UINT64_MAX, JOURNAL_LARGE},
        {"neither", 0, 0, UINT64_MAX, JOURNAL_FINE},
        {"a bound below the alarm", 200, 100, 150, JOURNAL_FULL},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct conf_journal c = {.alarm_bytes = rows[i].alarm, .max_bytes = rows[i].max};
        if (journal_level(&c, rows[i].bytes) != rows[i].level)
            fail_msg("%s", rows[i].name);
    }
}

/* Every reader of every journal is somebody's. */
static void test_each_reader_has_a_role(void **state)
{
    (void)state;
    for (int k = 0; k < ROLE_COUNT; k++) {
        size_t count;
        journal_readers((enum id_writer)k, &count);
        assert_true(count > 0);
        for (size_t i = 0; i < count; i++)
            assert_int_not_equal(journal_holder((enum role_kind)k, (int)i), ROLE_COUNT);
        assert_int_equal(journal_holder((enum role_kind)k, -1), ROLE_COUNT);
        assert_int_equal(journal_holder((enum role_kind)k, (int)count), ROLE_COUNT);
    }
    assert_int_equal(journal_holder(ROLE_SMTPD, 0), ROLE_DELIVERY);
    assert_int_equal(journal_holder(ROLE_SMTPD, 1), ROLE_CONTROL);
}

static void test_the_page_is_told(void **state)
{
    (void)state;
    struct shared_pages *pages = xcalloc(1, sizeof(*pages));
    struct conf *conf = xcalloc(1, sizeof(*conf));
    struct role role = {.kind = ROLE_DELIVERY, .pages = pages, .conf = conf};
    struct journal_watch w = {JOURNAL_FINE};
    struct journal_numbers n = {.records = 3, .disk_bytes = 150, .holder = 1};
    conf->journal.alarm_bytes = 100;
    conf->journal.max_bytes = 200;
    journal_watch_look(&w, &role, &n);
    assert_int_equal(w.level, JOURNAL_LARGE);
    assert_int_equal(pages->stats.journal_bytes[ROLE_DELIVERY], 150);
    assert_int_equal(pages->stats.journal_level[ROLE_DELIVERY], JOURNAL_LARGE);
    assert_int_equal(pages->stats.journal_kept_for[ROLE_DELIVERY], 1 + ROLE_CONTROL);
    assert_int_equal(pages->stats.journal_bytes[ROLE_SMTPD], 0);
    n.disk_bytes = 300;
    journal_watch_look(&w, &role, &n);
    assert_int_equal(w.level, JOURNAL_FULL);
    conf->journal.max_bytes = 1000; /* a reload */
    journal_watch_look(&w, &role, &n);
    assert_int_equal(w.level, JOURNAL_LARGE);
    n = (struct journal_numbers){.disk_bytes = 10, .holder = -1};
    journal_watch_look(&w, &role, &n);
    assert_int_equal(w.level, JOURNAL_FINE);
    assert_int_equal(pages->stats.journal_kept_for[ROLE_DELIVERY], 1 + ROLE_COUNT);
    free(conf);
    free(pages);
}

int main(void)
{
    log_setup("test", LOG_LOGFMT, LOG_ERROR + 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_each_reader_has_a_role),
        cmocka_unit_test(test_the_page_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
