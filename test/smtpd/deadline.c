#include "smtpd/deadline.h"

#include "../check.h"

#define KIB 1024ull

static const struct deadline_limits limits = {
    .command = 5 * SPAN_MINUTE, .data = 10 * SPAN_MINUTE, .session = 12 * SPAN_HOUR};

static struct deadline begin(span now)
{
    struct deadline d;
    deadline_init(&d, &limits, now);
    return d;
}

static void waits(struct deadline *d, span now, bool has_answered)
{
    struct deadline_facts f = {.wait = SUBMISSION_WAIT_COMMAND, .has_answered = has_answered};
    deadline_update(d, &limits, now, &f);
}

static void body(struct deadline *d, span now, uint64_t octets)
{
    struct deadline_facts f = {
        .wait = SUBMISSION_WAIT_BODY, .is_in_message = true, .octets = octets};
    deadline_update(d, &limits, now, &f);
}

static void a_command_must_be_whole_in_time(void **state)
{
    (void)state;
    struct deadline d = begin(0);
    check_int("greeted", deadline_due(&d), 5 * SPAN_MINUTE);
    for (int i = 1; i < 300; i++)
        waits(&d, i * SPAN_SECOND, false);
    check_int("a byte per second", deadline_due(&d), 5 * SPAN_MINUTE);
    waits(&d, 4 * SPAN_MINUTE, true);
    check_int("a command was answered", deadline_due(&d), 9 * SPAN_MINUTE);
}

static void a_command_after_an_answer_has_its_own_time(void **state)
{
    (void)state;
    struct deadline d = begin(0);
    struct deadline_facts ours = {.wait = SUBMISSION_WAIT_ANSWER};
    deadline_update(&d, &limits, SPAN_MINUTE, &ours);
    check_int("nobody waits for the client", deadline_due(&d), STAMP_NEVER);
    waits(&d, 20 * SPAN_MINUTE, false);
    check_int("it waits again", deadline_due(&d), 25 * SPAN_MINUTE);
}

static void a_message_must_make_progress(void **state)
{
    (void)state;
    struct deadline d = begin(0);
    body(&d, 0, 0);
    check_int("begun", deadline_due(&d), 10 * SPAN_MINUTE);
    for (int i = 1; i < 600; i++)
        body(&d, i * SPAN_SECOND, (uint64_t)i);
    check_int("a byte per second", deadline_due(&d), 10 * SPAN_MINUTE);
    body(&d, 9 * SPAN_MINUTE, 64 * KIB - 1);
    check_int("one byte too few", deadline_due(&d), 10 * SPAN_MINUTE);
    body(&d, 9 * SPAN_MINUTE, 64 * KIB);
    check_int("64 KiB", deadline_due(&d), 19 * SPAN_MINUTE);
    body(&d, 12 * SPAN_MINUTE, 127 * KIB);
    check_int("63 KiB more", deadline_due(&d), 19 * SPAN_MINUTE);
    body(&d, 13 * SPAN_MINUTE, 128 * KIB);
    check_int("64 KiB more", deadline_due(&d), 23 * SPAN_MINUTE);
}

static void chunks_do_not_reset_the_message(void **state)
{
    (void)state;
    struct deadline d = begin(0);
    body(&d, 0, 0);
    for (int i = 1; i <= 9; i++) {
        struct deadline_facts between = {.wait = SUBMISSION_WAIT_COMMAND,
                                         .has_answered = true,
                                         .is_in_message = true,
                                         .octets = (uint64_t)i};
        deadline_update(&d, &limits, i * SPAN_MINUTE, &between);
        body(&d, i * SPAN_MINUTE, (uint64_t)i);
    }
    check_int("BDAT 1 each minute", deadline_due(&d), 10 * SPAN_MINUTE);
    waits(&d, 9 * SPAN_MINUTE, true);
    check_int("the message is over", deadline_due(&d), 14 * SPAN_MINUTE);
    body(&d, 9 * SPAN_MINUTE, 9);
    check_int("the next one", deadline_due(&d), 19 * SPAN_MINUTE);
}

static void a_refused_message_must_end_too(void **state)
{
    (void)state;
    struct deadline d = begin(0);
    body(&d, 0, 0);
    for (int i = 1; i < 10; i++) {
        struct deadline_facts f = {.wait = SUBMISSION_WAIT_BODY, .octets = (uint64_t)i};
        deadline_update(&d, &limits, i * SPAN_MINUTE, &f);
    }
    check_int("a byte per minute", deadline_due(&d), 10 * SPAN_MINUTE);
}

static void a_session_ends(void **state)
{
    (void)state;
    struct deadline d = begin(0);
    waits(&d, 12 * SPAN_HOUR - SPAN_MINUTE, true);
    check_int("command", deadline_due(&d), 12 * SPAN_HOUR);
    body(&d, 12 * SPAN_HOUR - SPAN_MINUTE, 0);
    check_int("body", deadline_due(&d), 12 * SPAN_HOUR);
    struct deadline_facts closed = {.wait = SUBMISSION_CLOSED};
    deadline_update(&d, &limits, 0, &closed);
    check_int("closed", deadline_due(&d), STAMP_NEVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_must_be_whole_in_time),
        cmocka_unit_test(a_command_after_an_answer_has_its_own_time),
        cmocka_unit_test(a_message_must_make_progress),
        cmocka_unit_test(chunks_do_not_reset_the_message),
        cmocka_unit_test(a_refused_message_must_end_too),
        cmocka_unit_test(a_session_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
