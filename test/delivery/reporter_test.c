/* Who is told what, and when: the reporter with a queue and delivery's own journal, without a
 * transport. test/wire/dsn_test.py has whole daemons, and other programs read what they send.
 */
#include "office.h"

#include "../check.h"
#include "delivery/image.h"
#include "delivery/reporter.h"

struct desk {
    struct office *office;
    struct reporter *reporter;
    struct conf *conf;
    struct destination other;
    bool may_warn;
    uint64_t awaited; /* notifications */
};

static struct desk *desk; /* of the running test */

static void note(void *ctx, uint64_t id)
{
    (void)ctx;
    reporter_note(desk->reporter, id);
}

static bool may_warn(void *ctx)
{
    return ((struct desk *)ctx)->may_warn;
}

static void pump(struct office *o)
{
    (void)o;
    reporter_pump(desk->reporter);
}

static void open_reporter(void)
{
    const struct reporter_config c = {&desk->office->courier, desk->conf, 0, may_warn, desk};
    desk->reporter = reporter_new(&c);
}

static int set_up(void **state)
{
    struct buf why = BUF_INIT;
    desk = xcalloc(1, sizeof(*desk));
    desk->office = office_new();
    desk->conf = conf_parse(SLICE("test"), SLICE("[server]\nhostname = out.test\n"), &why);
    assert_non_null(desk->conf);
    buf_fini(&why);
    desk->may_warn = true;
    desk->office->queue.on_unreported = note;
    desk->office->pump = pump;
    destination_init(&desk->office->queue, &desk->other);
    open_reporter();
    *state = desk;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    reporter_free(&desk->reporter);
    queue_move(&desk->office->queue, &desk->other, &desk->office->limbo);
    destination_fini(&desk->other);
    conf_free(&desk->conf);
    office_free(desk->office);
    free(desk);
    return 0;
}

/* ---- what happens to recipients ---- */

struct fate {
    enum outcome_next next;
    enum notify_taker taker;
};

/* Recipients of the message get this outcome now. */
static void settle(uint64_t id, const uint32_t *indexes, uint32_t count, struct fate fate)
{
    struct office *o = desk->office;
    struct parcel *p = queue_find(&o->queue, id);
    struct relay_recipient *read = xcalloc(count, sizeof(*read));
    struct retry_policy policy = {SPAN_MINUTE, SPAN_HOUR, SPAN_DAY};
    struct letter l;
    while (!parcel_recipient(p, indexes[0]))
        p = queue_also(p);
    letter_init(&l, o->env, o->courier.store);
    assert_int_equal(letter_open(&l, &p->facts), 0);
    assert_int_equal(letter_recipients(&l, indexes, count, read), 0);
    struct slip *slip = slip_new(o->courier.settle);
    bool is_good = fate.next == NEXT_CONTINUE;
    for (uint32_t i = 0; i < count; i++) {
        struct attempt a = {
            .letter = &l,
            .parcel = p,
            .recipient = &read[i],
            .outcome = {.next = fate.next, .status = {is_good ? 2 : 5, 1, is_good ? 0 : 1}},
            .stage = STAGE_RCPT,
            .code = is_good ? 250 : 550,
            .text = is_good ? SLICE("fine") : SLICE("nobody here"),
            .remote = SLICE("mx.test [192.0.2.1]:25"),
            .taker = fate.taker,
        };
        courier_settle(&o->courier, &policy, slip, &a);
    }
    courier_hand_in(&o->courier, slip, &l, SLICE("mx.test [192.0.2.1]:25"));
    letter_fini(&l);
    free(read);
}

static const struct fate failed = {NEXT_FAIL, NOTIFY_TAKER_FINAL};

static bool is_quiet(struct office *o)
{
    struct stats_page *s = o->courier.stats;
    return settle_is_idle(o->courier.settle) && o->queue.failed == 0 &&
           s->notifications >= desk->awaited;
}

/* Until that many notifications were written in all, and nothing is left to report. */
static void run(uint64_t notifications)
{
    desk->awaited = notifications;
    office_run(desk->office, is_quiet);
    check_int("notifications", (long long)desk->office->courier.stats->notifications,
              (long long)notifications);
}

static bool is_settled(struct office *o)
{
    return settle_is_idle(o->courier.settle);
}

/* ---- what was written ---- */

struct search {
    struct letter *letter;
    uint64_t not_id; /* all but these messages are notifications */
    size_t count;
};

static bool look(void *ctx, struct parcel *p)
{
    struct search *s = ctx;
    if (!(p->facts.flags & PARCEL_OWN))
        return true;
    s->count++;
    assert_int_equal(letter_open(s->letter, &p->facts), 0);
    return true;
}

/* The notification that is queued; its body is in the letter. NULL: none. */
static const char *notification(struct letter *l)
{
    struct search s = {.letter = l};
    slice piece;
    letter_init(l, desk->office->env, desk->office->courier.store);
    queue_each(&desk->office->queue, look, &s);
    if (s.count == 0)
        return NULL;
    check_int("one notification", (long long)s.count, 1);
    check_slice("it comes from", l->reverse_path, SLICE(""));
    assert_int_equal(letter_piece(l, &piece), 1);
    char *text = xcalloc(1, piece.len + 1);
    memcpy(text, piece.ptr, piece.len);
    return text;
}

static uint64_t post(struct office_message m)
{
    static const char *const one[] = {"bo@y.test", NULL};
    if (!m.to)
        m.to = one;
    if (!m.from)
        m.from = "anna@x.test";
    if (!m.body.ptr)
        m.body = SLICE("Subject: lunch\r\nFrom: anna@x.test\r\n\r\nsoup\r\n");
    m.account = 1;
    uint64_t id = office_post(desk->office, &m);
    office_read(desk->office);
    return id;
}

/* ---- every NOTIFY with every RET ---- */

enum { N = NOTIFY_NEVER, S = NOTIFY_SUCCESS, F = NOTIFY_FAILURE, D = NOTIFY_DELAY };

static void one_combination(unsigned notify, unsigned ret, struct fate fate, const char *action)
{
    static const uint32_t first = 0;
    struct letter l;
    char row[64];
    snprintf(row, sizeof(row), "NOTIFY %u RET %u fate %d/%d", notify, ret, (int)fate.next,
             (int)fate.taker);
    uint64_t written = desk->office->courier.stats->notifications;
    uint64_t id = post((struct office_message){.notify = notify, .ret = ret, .envid = "e+1"});
    settle(id, &first, 1, fate);
    run(written + (action != NULL));
    CHECK(row, queue_find(&desk->office->queue, id) == NULL);
    const char *text = notification(&l);
    CHECK(row, (text != NULL) == (action != NULL));
    if (text) {
        bool is_whole = ret == RET_FULL && fate.next == NEXT_FAIL;
        CHECK(row, strstr(text, action));
        CHECK(row, strstr(text, "Original-Envelope-Id: e+1\r\n"));
        CHECK(row, strstr(text, "Subject: lunch\r\n"));
        CHECK(row, (strstr(text, "\r\nsoup\r\n") != NULL) == is_whole);
        CHECK(row, (strstr(text, "message/rfc822\r\n") != NULL) == is_whole);
        CHECK(row, record_get_u64(l.fields, TAG_RECIPIENT_NOTIFY) == NOTIFY_NEVER);
    }
    free((void *)(uintptr_t)text);
    letter_fini(&l);
    queue_clear(&desk->office->queue);
}

static void every_notify_with_every_ret(void **state)
{
    (void)state;
    static const unsigned all[] = {0, N, S, F, D, S | F, S | D, F | D, S | F | D};
    for (size_t i = 0; i < COUNT_OF(all); i++)
        for (unsigned ret = RET_NONE; ret <= RET_HDRS; ret++) {
            unsigned n = all[i];
            one_combination(n, ret, failed, n == 0 || n & F ? "Action: failed" : NULL);
            one_combination(n, ret, (struct fate){NEXT_CONTINUE, NOTIFY_TAKER_FINAL},
                            n & S ? "Action: delivered" : NULL);
            one_combination(n, ret, (struct fate){NEXT_CONTINUE, NOTIFY_TAKER_WITHOUT},
                            n & S ? "Action: relayed" : NULL);
            one_combination(n, ret, (struct fate){NEXT_CONTINUE, NOTIFY_TAKER_DSN}, NULL);
        }
}

static void nobody_is_told_of_a_message_without_sender(void **state)
{
    (void)state;
    static const uint32_t first = 0;
    uint64_t id = post((struct office_message){.from = "", .notify = S | F | D});
    settle(id, &first, 1, failed);
    run(0);
    assert_null(queue_find(&desk->office->queue, id));
    assert_int_equal(desk->office->courier.stats->unreportable, 1);
    assert_int_equal(desk->office->queue.parcels, 0);
}

/* ---- rounds ---- */

static void a_round_waits_for_those_in_hand(void **state)
{
    (void)state;
    static const char *const to[] = {"a@y.test", "b@y.test", "c@z.test", NULL};
    struct office *o = desk->office;
    uint64_t id = post((struct office_message){.to = to});
    struct parcel *p = queue_find(&o->queue, id);
    struct destination *places[] = {&o->limbo, &o->limbo, &desk->other};
    queue_part(&o->queue, p, places, env_now(o->env));
    settle(id, (uint32_t[]){0, 1}, 2, failed);
    office_run(o, is_settled);
    assert_int_equal(o->courier.stats->notifications, 0);
    assert_int_equal(o->queue.failed, 2);
    settle(id, (uint32_t[]){2}, 1, failed);
    run(1);
    struct letter l;
    const char *text = notification(&l);
    assert_non_null(strstr(text, "rfc822; a@y.test"));
    assert_non_null(strstr(text, "rfc822; c@z.test"));
    free((void *)(uintptr_t)text);
    letter_fini(&l);
}

static void one_that_is_tried_again_later_is_of_another_round(void **state)
{
    (void)state;
    static const char *const to[] = {"a@y.test", "b@y.test", NULL};
    uint64_t id = post((struct office_message){.to = to});
    settle(id, (uint32_t[]){1}, 1, (struct fate){NEXT_RETRY, NOTIFY_TAKER_FINAL});
    settle(id, (uint32_t[]){0}, 1, failed);
    run(1);
    settle(id, (uint32_t[]){1}, 1, failed);
    run(2);
    assert_int_equal(desk->office->queue.parcels, 2);
}

/* ---- delays ---- */

static bool is_warned(struct office *o)
{
    struct parcel *p = queue_find(&o->queue, desk->awaited);
    return p && p->recipients[0].flags & RECIPIENT_WARNED && is_settled(o);
}

static uint64_t post_old(unsigned notify)
{
    stamp old = env_now(desk->office->env) - 5 * SPAN_HOUR;
    uint64_t id = post((struct office_message){.accepted = old, .notify = notify});
    settle(id, (uint32_t[]){0}, 1, (struct fate){NEXT_RETRY, NOTIFY_TAKER_FINAL});
    office_run(desk->office, is_settled);
    return id;
}

static void a_delay_is_told_once(void **state)
{
    (void)state;
    struct office *o = desk->office;
    struct letter l;
    uint64_t id = post_old(0);
    desk->awaited = id;
    office_run(o, is_warned);
    const char *text = notification(&l);
    assert_non_null(strstr(text, "Action: delayed"));
    assert_non_null(strstr(text, "Will-Retry-Until: "));
    assert_non_null(strstr(text, "Status: 4."));
    free((void *)(uintptr_t)text);
    letter_fini(&l);
    assert_int_equal(o->courier.stats->notifications, 1);
    /* What a snapshot keeps knows it too. */
    struct buf image = BUF_INIT;
    struct image_needs needs;
    image_save(&o->queue, &image, &needs);
    queue_clear(&o->queue);
    assert_int_equal(image_load(&o->queue, &o->limbo, buf_slice(&image), env_now(o->env)), 0);
    buf_fini(&image);
    assert_false(recipient_is_delayed(&queue_find(&o->queue, id)->recipients[0]));
}

static void a_delay_that_nobody_wants_to_know_is_not_told(void **state)
{
    (void)state;
    desk->awaited = post_old(F);
    office_run(desk->office, is_warned);
    assert_int_equal(desk->office->courier.stats->notifications, 0);
    assert_int_equal(desk->office->queue.parcels, 1);
}

/* ---- restarts ---- */

static void restart(void)
{
    struct office *o = desk->office;
    struct tail_config c = office_tail(o, ROLE_DELIVERY);
    uint64_t end;
    reporter_free(&desk->reporter);
    replay_fini(&o->replay);
    queue_clear(&o->queue);
    replay_init(&o->replay, &o->queue, &o->limbo);
    open_reporter();
    assert_int_equal(tail_read_all(&c, &end), 0);
    o->has_read = 0;
    office_read(o);
    replay_caught_up(&o->replay, env_now(o->env));
}

static void what_was_reported_is_not_reported_after_a_restart(void **state)
{
    (void)state;
    static const char *const to[] = {"a@y.test", "b@y.test", NULL};
    struct office *o = desk->office;
    uint64_t id = post((struct office_message){.to = to});
    settle(id, (uint32_t[]){0}, 1, failed);
    settle(id, (uint32_t[]){1}, 1, (struct fate){NEXT_RETRY, NOTIFY_TAKER_FINAL});
    run(1);
    restart();
    assert_int_equal(o->queue.failed, 0);
    assert_int_equal(o->queue.living, 2); /* b, and the notification */
    run(1);
    settle(id, (uint32_t[]){1}, 1, failed);
    run(2);
    restart();
    assert_null(queue_find(&o->queue, id));
    assert_int_equal(o->queue.living, 2); /* the notifications */
    run(2);
}

static void what_was_not_reported_is_reported_after_a_restart(void **state)
{
    (void)state;
    struct office *o = desk->office;
    uint64_t id = post((struct office_message){0});
    o->pump = NULL; /* nobody looks */
    settle(id, (uint32_t[]){0}, 1, failed);
    office_run(o, is_settled);
    assert_int_equal(o->queue.failed, 1);
    o->queue.on_unreported = NULL; /* an image tells nobody either */
    restart();
    assert_int_equal(o->queue.failed, 1);
    o->pump = pump;
    run(1);
    assert_null(queue_find(&o->queue, id));
}

static bool has_an_error(struct office *o)
{
    return o->own.fail_times == 0 && o->queue.failed == 0 && is_settled(o);
}

static void a_journal_that_fails_loses_and_doubles_nothing(void **state)
{
    (void)state;
    struct office *o = desk->office;
    uint64_t id = post((struct office_message){0});
    o->pump = NULL;
    settle(id, (uint32_t[]){0}, 1, failed);
    office_run(o, is_settled);
    o->pump = pump;
    o->own.fail_times = 2; /* the record, and it again */
    o->own.fail_in = 1;
    office_run(o, has_an_error);
    assert_int_equal(o->courier.stats->notifications, 1);
    restart();
    assert_int_equal(o->queue.living, 1);
    assert_int_equal(o->queue.failed, 0);
}

/* ---- bounds ---- */

static void what_does_not_fit_is_in_the_next_one(void **state)
{
    (void)state;
    enum { MANY = REPORT_RECIPIENTS_MAX + 5 };
    struct office *o = desk->office;
    const char **to = xcalloc(MANY + 1, sizeof(*to));
    uint32_t *indexes = xcalloc(MANY, sizeof(*indexes));
    for (uint32_t i = 0; i < MANY; i++) {
        to[i] = "a@y.test";
        indexes[i] = i;
    }
    uint64_t id = post((struct office_message){.to = to});
    settle(id, indexes, MANY, failed);
    run(2);
    assert_null(queue_find(&o->queue, id));
    free(to);
    free(indexes);
}

static void a_large_message_is_not_returned_whole(void **state)
{
    (void)state;
    struct office *o = desk->office;
    char *body = xcalloc(1, REPORT_FULL_MAX + 100);
    memset(body, 'x', REPORT_FULL_MAX + 99);
    memcpy(body, "Subject: lunch\r\n\r\n", 18);
    for (int in_file = 0; in_file < 2; in_file++) {
        struct letter l;
        uint64_t id = post((struct office_message){
            .ret = RET_FULL, .body = slice_of(body), .in_file = in_file});
        settle(id, (uint32_t[]){0}, 1, failed);
        run(o->courier.stats->notifications + 1);
        const char *text = notification(&l);
        assert_non_null(strstr(text, "text/rfc822-headers\r\n\r\nSubject: lunch\r\n"));
        assert_null(strstr(text, "xxxx"));
        free((void *)(uintptr_t)text);
        letter_fini(&l);
        queue_clear(&o->queue);
    }
    free(body);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_notify_with_every_ret),
        TEST(nobody_is_told_of_a_message_without_sender),
        TEST(a_round_waits_for_those_in_hand),
        TEST(one_that_is_tried_again_later_is_of_another_round),
        TEST(a_delay_is_told_once),
        TEST(a_delay_that_nobody_wants_to_know_is_not_told),
        TEST(what_was_reported_is_not_reported_after_a_restart),
        TEST(what_was_not_reported_is_reported_after_a_restart),
        TEST(a_journal_that_fails_loses_and_doubles_nothing),
        TEST(what_does_not_fit_is_in_the_next_one),
        TEST(a_large_message_is_not_returned_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
