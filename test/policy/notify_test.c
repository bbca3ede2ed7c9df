/* What each NOTIFY means for each thing that can become of a recipient. */
#include "../check.h"

#include "base/attr.h"
#include "policy/notify.h"

enum { N = NOTIFY_NEVER, S = NOTIFY_SUCCESS, F = NOTIFY_FAILURE, D = NOTIFY_DELAY };

static const struct {
    const char *name;
    unsigned notify;
    enum report failure, delay, final, without;
} rows[] = {
    {"nothing", 0, REPORT_FAILED, REPORT_DELAYED, REPORT_NONE, REPORT_NONE},
    {"NEVER", N, REPORT_UNWANTED, REPORT_NONE, REPORT_NONE, REPORT_NONE},
    {"SUCCESS", S, REPORT_UNWANTED, REPORT_NONE, REPORT_DELIVERED, REPORT_RELAYED},
    {"FAILURE", F, REPORT_FAILED, REPORT_NONE, REPORT_NONE, REPORT_NONE},
    {"DELAY", D, REPORT_UNWANTED, REPORT_DELAYED, REPORT_NONE, REPORT_NONE},
    {"SUCCESS,FAILURE", S | F, REPORT_FAILED, REPORT_NONE, REPORT_DELIVERED, REPORT_RELAYED},
    {"SUCCESS,DELAY", S | D, REPORT_UNWANTED, REPORT_DELAYED, REPORT_DELIVERED, REPORT_RELAYED},
    {"FAILURE,DELAY", F | D, REPORT_FAILED, REPORT_DELAYED, REPORT_NONE, REPORT_NONE},
    {"all three", S | F | D, REPORT_FAILED, REPORT_DELAYED, REPORT_DELIVERED, REPORT_RELAYED},
};

static void each_notify(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        unsigned notify = rows[i].notify;
        const char *name = rows[i].name;
        check_int(name, notify_of_failure(notify, true), rows[i].failure);
        check_int(name, notify_of_delay(notify, true), rows[i].delay);
        check_int(name, notify_of_success(notify, true, NOTIFY_TAKER_FINAL), rows[i].final);
        check_int(name, notify_of_success(notify, true, NOTIFY_TAKER_WITHOUT), rows[i].without);
        check_int(name, notify_of_success(notify, true, NOTIFY_TAKER_DSN), REPORT_NONE);
    }
}

static void nobody_is_told_without_a_sender(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        unsigned notify = rows[i].notify;
        const char *name = rows[i].name;
        check_int(name, notify_of_failure(notify, false), REPORT_IMPOSSIBLE);
        check_int(name, notify_of_delay(notify, false), REPORT_NONE);
        for (int t = NOTIFY_TAKER_FINAL; t <= NOTIFY_TAKER_WITHOUT; t++)
            check_int(name, notify_of_success(notify, false, (enum notify_taker)t),
                      REPORT_NONE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_notify),
        cmocka_unit_test(nobody_is_told_without_a_sender),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
