/* What operators order, carried out on a queue with its journals: held, released, tried again,
 * removed; what a lock has frozen, released and purged; and all of it over a restart. */
#include "office.h"

#include "base/log.h"
#include "delivery/gate.h"
#include "delivery/image.h"
#include "delivery/orders.h"
#include "model/directory.h"

struct desk {
    struct office *office;
    struct orders *orders;
    uint64_t position; /* of control's journal */
    uint64_t version;  /* of the directory */
    unsigned hurried;
};

static struct desk *desk;

static void on_hurry(void *ctx, struct destination *d)
{
    (void)d;
    ((struct desk *)ctx)->hurried++;
}

static void pump(struct office *o)
{
    (void)o;
    if (desk->orders)
        orders_pump(desk->orders);
}

static void open_orders(void)
{
    struct office *o = desk->office;
    const struct orders_config config = {
        .courier = &o->courier,
        .smtpd = &o->pages.watermark[ROLE_SMTPD],
        .on_hurry = on_hurry,
        .ctx = desk,
    };
    desk->orders = orders_new(&config);
    orders_begin(desk->orders, desk->office->tail);
}

static int set_up(void **state)
{
    desk = xcalloc(1, sizeof(*desk));
    struct office *o = desk->office = office_new();
    o->pump = pump;
    office_follow(o);
    open_orders();
    *state = desk;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tail_free(&desk->office->tail);
    struct orders *orders = desk->orders;
    desk->orders = NULL;
    queue_move(&desk->office->queue, NULL, &desk->office->limbo);
    settle_free(&desk->office->courier.settle);
    orders_free(&orders);
    office_free(desk->office);
    free(desk);
    return 0;
}

static uint64_t post(uint64_t account, const char *to)
{
    const char *all[4] = {NULL};
    char text[200];
    size_t n = 0;
    snprintf(text, sizeof(text), "%s", to);
    for (char *at = strtok(text, " "); at; at = strtok(NULL, " "))
        all[n++] = at;
    struct office_message m = {.account = account, .from = "from@x.test", .to = all};
    m.body = SLICE("A: b\r\n\r\nx\r\n");
    uint64_t id = office_post(desk->office, &m);
    tail_wake(desk->office->tail);
    return id;
}

static struct recipient *recipient(uint64_t id, uint32_t index)
{
    return office_recipient(desk->office, id, index);
}

static void read_record(enum record_type type, struct buf *fields)
{
    struct journal_record r = {.header = {.type = type}, .fields = buf_slice(fields)};
    r.header.at = env_now(desk->office->env);
    r.position = desk->position += 1000;
    orders_record(desk->orders, &r);
    buf_fini(fields);
}

static void give(const struct queue_command *c)
{
    struct buf fields = BUF_INIT;
    struct queue_command named = *c;
    named.by = SLICE("root");
    named.token = desk->position + 1;
    queue_command_put(&fields, &named);
    read_record(RECORD_COMMAND, &fields);
}

static bool is_done(struct office *o)
{
    (void)o;
    return tail_has_caught_up(desk->office->tail) &&
           orders_position(desk->orders, UINT64_MAX) == UINT64_MAX &&
           !desk->office->queue.gates.has_ending && settle_is_idle(o->courier.settle);
}

static void run(void)
{
    office_run(desk->office, is_done);
}

static struct order_progress order(const struct queue_command *c)
{
    struct order_progress p;
    give(c);
    run();
    orders_progress(desk->orders, desk->position - 1000 + 1, &p);
    assert_int_equal(p.state, ORDER_DONE);
    return p;
}

static void lock_by_rule(uint64_t account, uint64_t lock, bool is_over, stamp until)
{
    struct buf fields = BUF_INIT;
    record_put_u64(&fields, TAG_ID, lock);
    record_put_u64(&fields, TAG_VERSION, desk->version);
    record_put_u64(&fields, TAG_UNTIL, (uint64_t)until);
    if (is_over)
        record_put_u64(&fields, TAG_REMOVED, 1);
    struct journal_entry e = {.header = {.type = RECORD_LOCK, .account = account}};
    e.header.customer = 1;
    e.header.at = env_now(desk->office->env);
    e.fields = buf_slice(&fields);
    assert_int_equal(journal_append_wait(desk->office->smtpd, &e), 0);
    buf_fini(&fields);
    tail_wake(desk->office->tail);
}

static void lock_by_operator(uint64_t account, bool is_locked, stamp until)
{
    struct buf fields = BUF_INIT;
    struct directory_account a = {.id = account, .customer = 1, .login = SLICE("a@x.test")};
    a.state = is_locked ? ACCOUNT_LOCKED : ACCOUNT_ACTIVE;
    a.until = is_locked ? until : 0;
    directory_put_account(&fields, ++desk->version, &a);
    read_record(RECORD_DIRECTORY, &fields);
}

/* ---- commands ---- */

static void one_message_is_held_and_released(void **state)
{
    (void)state;
    uint64_t a = post(1, "a@y.test"), b = post(1, "b@y.test");
    const struct queue_command hold = {.verb = QUEUE_HOLD, .ids = &a, .id_count = 1};
    const struct queue_command release = {.verb = QUEUE_RELEASE, .ids = &a, .id_count = 1};
    struct order_progress p = order(&hold);
    assert_int_equal(p.messages, 1);
    assert_int_equal(p.recipients, 1);
    assert_int_equal(recipient(a, 0)->state, RECIPIENT_HELD);
    assert_int_equal(recipient(b, 0)->state, RECIPIENT_READY);
    assert_int_equal(order(&hold).recipients, 0); /* again: nothing new */
    assert_int_equal(order(&release).recipients, 1);
    assert_int_equal(recipient(a, 0)->state, RECIPIENT_READY);
    uint64_t unknown = 99;
    const struct queue_command nothing = {.verb = QUEUE_HOLD, .ids = &unknown, .id_count = 1};
    assert_int_equal(order(&nothing).messages, 0);
}

static void an_account_is_held_with_what_comes(void **state)
{
    (void)state;
    struct office *o = desk->office;
    post(1, "a@y.test");
    post(2, "b@y.test");
    assert_int_equal(order(&(struct queue_command){.verb = QUEUE_HOLD, .account = 1}).messages,
                     1);
    post(1, "c@y.test");
    run();
    assert_int_equal(o->limbo.ready, 1);
    struct order_progress p =
        order(&(struct queue_command){.verb = QUEUE_RELEASE, .account = 1});
    assert_int_equal(p.recipients, 2);
    assert_int_equal(p.closed, 0);
    assert_int_equal(o->limbo.ready, 3);
    order(&(struct queue_command){.verb = QUEUE_HOLD, .customer = 1});
    assert_int_equal(o->limbo.ready, 0);
    order(&(struct queue_command){.verb = QUEUE_RELEASE, .customer = 1});
    assert_int_equal(o->limbo.ready, 3);
}

static void a_domain_is_held_with_what_comes(void **state)
{
    (void)state;
    uint64_t a = post(1, "a@y.test b@Z.Test c@y.test");
    const struct queue_command hold = {.verb = QUEUE_HOLD, .domain = SLICE_INIT("z.test")};
    const struct queue_command release = {.verb = QUEUE_RELEASE,
                                          .domain = SLICE_INIT("z.test")};
    assert_int_equal(order(&hold).recipients, 1);
    assert_int_equal(recipient(a, 0)->state, RECIPIENT_READY);
    assert_int_equal(recipient(a, 1)->state, RECIPIENT_HELD);
    assert_int_equal(recipient(a, 2)->state, RECIPIENT_READY);
    uint64_t b = post(2, "d@z.test e@y.test");
    run();
    assert_int_equal(recipient(b, 0)->state, RECIPIENT_HELD);
    assert_int_equal(recipient(b, 1)->state, RECIPIENT_READY);
    assert_int_equal(order(&release).recipients, 2);
    assert_int_equal(recipient(b, 0)->state, RECIPIENT_READY);
    uint64_t c = post(2, "f@z.test");
    run();
    assert_int_equal(recipient(c, 0)->state, RECIPIENT_READY);
}

static void old_ones_are_held_alone(void **state)
{
    (void)state;
    struct office *o = desk->office;
    stamp now = env_now(o->env);
    const char *const to[] = {"a@y.test", NULL};
    struct office_message m = {.account = 1, .from = "f@x.test", .to = to};
    m.body = SLICE("A: b\r\n\r\nx\r\n");
    m.accepted = now - SPAN_DAY;
    uint64_t old = office_post(o, &m), young = post(1, "b@y.test");
    const struct queue_command hold = {
        .verb = QUEUE_HOLD, .account = 1, .before = now - SPAN_HOUR};
    assert_int_equal(order(&hold).messages, 1);
    assert_int_equal(recipient(old, 0)->state, RECIPIENT_HELD);
    assert_int_equal(recipient(young, 0)->state, RECIPIENT_READY);
    uint64_t later = post(1, "c@y.test");
    run();
    assert_int_equal(recipient(later, 0)->state, RECIPIENT_READY);
}

static void try_later(uint64_t id, stamp next)
{
    struct office *o = desk->office;
    struct settlement s = {.id = id, .at = env_now(o->env)};
    struct settled r = {.kind = OUTCOME_RETRY, .attempt = 1, .next = next};
    assert_int_equal(queue_settle(&o->queue, &s, &r, env_now(o->env)), QUEUE_APPLIED);
}

static void what_waits_is_tried_now(void **state)
{
    (void)state;
    uint64_t a = post(1, "a@y.test");
    run();
    try_later(a, env_now(desk->office->env) + SPAN_HOUR);
    assert_int_equal(recipient(a, 0)->state, RECIPIENT_WAITING);
    const struct queue_command retry = {.verb = QUEUE_RETRY, .is_all = true};
    assert_int_equal(order(&retry).recipients, 1);
    assert_int_equal(recipient(a, 0)->state, RECIPIENT_READY);
    assert_int_equal(desk->hurried, 1);
}

static void what_is_removed_has_an_outcome(void **state)
{
    (void)state;
    struct office *o = desk->office;
    uint64_t a = post(1, "a@y.test b@z.test"), b = post(2, "c@y.test");
    run();
    uint32_t index;
    struct parcel *p = queue_find(&o->queue, b);
    assert_int_equal(queue_take_from(&o->queue, p, 1, &index), 1);
    struct queue_command remove = {.verb = QUEUE_REMOVE, .domain = SLICE_INIT("z.test")};
    assert_int_equal(order(&remove).recipients, 1);
    assert_non_null(recipient(a, 0));
    assert_null(recipient(a, 1));
    remove = (struct queue_command){.verb = QUEUE_REMOVE, .is_all = true};
    struct order_progress done = order(&remove);
    assert_int_equal(done.recipients, 1);
    assert_int_equal(done.busy, 1); /* it is being sent */
    assert_int_equal(o->queue.living, 1);
    queue_put_back(&o->queue, p, &index, 1);
    /* Its record says by whom. */
    struct journal_reader *r;
    struct journal_record record;
    unsigned found = 0;
    assert_int_equal(journal_reader_open(&r, o->env, "journal/delivery",
                                         &o->pages.watermark[ROLE_DELIVERY], 0),
                     0);
    while (journal_next(r, &record) > 0)
        found += slice_eq(record_get(record.fields, TAG_REPLY), SLICE("removed by root"));
    journal_reader_close(&r);
    assert_int_equal(found, 2);
}

/* ---- locks ---- */

static void a_lock_freezes_and_its_time_releases(void **state)
{
    (void)state;
    struct office *o = desk->office;
    uint64_t a = post(1, "a@y.test");
    post(2, "b@y.test");
    lock_by_rule(1, 50, false, env_now(o->env) + SPAN_HOUR);
    run();
    assert_int_equal(o->limbo.ready, 1);
    lock_by_rule(1, 50, true, env_now(o->env));
    run();
    assert_int_equal(o->limbo.ready, 2);
    assert_int_equal(recipient(a, 0)->flags & HELD_ANY, 0);
}

static void unlocked_without_more_it_stays_frozen(void **state)
{
    (void)state;
    struct office *o = desk->office;
    uint64_t a = post(1, "a@y.test");
    lock_by_rule(1, 50, false, STAMP_NEVER);
    run();
    lock_by_rule(1, 50, true, STAMP_NEVER);
    run();
    assert_int_equal(recipient(a, 0)->state, RECIPIENT_HELD);
    uint64_t b = post(1, "b@y.test"); /* what comes goes */
    run();
    assert_int_equal(recipient(b, 0)->state, RECIPIENT_READY);
    assert_int_equal(o->limbo.ready, 1);
    const struct queue_command thaw = {.verb = QUEUE_THAW, .account = 1, .version = 9};
    order(&thaw);
    assert_int_equal(o->limbo.ready, 2);
}

/* Both journals tell of the unlocking, in any order. */
static void unlock_and_release_in_any_order(void **state)
{
    (void)state;
    struct office *o = desk->office;
    for (int is_swapped = 0; is_swapped < 2; is_swapped++) {
        uint64_t account = 10 + (uint64_t)is_swapped;
        uint64_t a = post(account, "a@y.test");
        lock_by_rule(account, 50, false, STAMP_NEVER);
        run();
        const struct queue_command thaw = {
            .verb = QUEUE_THAW, .account = account, .version = desk->version + 1};
        if (is_swapped)
            order(&thaw);
        lock_by_rule(account, 50, true, STAMP_NEVER);
        run();
        if (!is_swapped)
            order(&thaw);
        assert_int_equal(recipient(a, 0)->state, RECIPIENT_READY);
    }
    assert_int_equal(o->limbo.ready, 2);
}

static void an_operators_lock_freezes_and_purges(void **state)
{
    (void)state;
    struct office *o = desk->office;
    post(1, "a@y.test");
    post(2, "b@y.test");
    run();
    lock_by_operator(1, true, STAMP_NEVER);
    assert_int_equal(o->limbo.ready, 1); /* at once */
    lock_by_operator(1, false, 0);
    const struct queue_command purge = {
        .verb = QUEUE_PURGE, .account = 1, .version = desk->version};
    assert_int_equal(order(&purge).recipients, 1);
    assert_int_equal(o->queue.living, 1);
    uint64_t c = post(1, "c@y.test");
    run();
    assert_int_equal(recipient(c, 0)->state, RECIPIENT_READY);
    assert_null(gate_in_the_way(&o->queue, 1, 1));
}

static void released_while_it_is_locked_it_says_so(void **state)
{
    (void)state;
    uint64_t a = post(1, "a@y.test");
    const struct queue_command hold = {.verb = QUEUE_HOLD, .ids = &a, .id_count = 1};
    const struct queue_command release = {.verb = QUEUE_RELEASE, .ids = &a, .id_count = 1};
    order(&hold);
    lock_by_operator(1, true, STAMP_NEVER);
    assert_int_equal(order(&release).closed, 1);
    assert_int_equal(desk->office->limbo.ready, 0);
}

/* ---- restarts ---- */

static void what_is_not_done_is_read_again(void **state)
{
    (void)state;
    uint64_t a = post(1, "a@y.test");
    run();
    const struct queue_command remove = {.verb = QUEUE_REMOVE, .ids = &a, .id_count = 1};
    uint64_t before = desk->position;
    give(&remove);
    assert_int_equal(orders_position(desk->orders, before + 5000), before + 1000);
    orders_pump(desk->orders); /* it is on its way into the journal */
    assert_int_equal(orders_position(desk->orders, before + 5000), before + 1000);
    run();
    assert_int_equal(orders_position(desk->orders, before + 5000), before + 5000);
}

static void mail_that_was_accepted_before_is_waited_for(void **state)
{
    (void)state;
    run();
    /* Accepted, but not yet read here when the command is. */
    const char *const to[] = {"a@y.test", NULL};
    struct office_message m = {.account = 1, .from = "f@x.test", .to = to};
    m.body = SLICE("A: b\r\n\r\nx\r\n");
    office_post(desk->office, &m);
    give(&(struct queue_command){.verb = QUEUE_REMOVE, .account = 1});
    orders_pump(desk->orders);
    struct order_progress p;
    orders_progress(desk->orders, desk->position - 999, &p);
    assert_int_equal(p.state, ORDER_WAITING);
    tail_wake(desk->office->tail);
    run();
    assert_int_equal(desk->office->queue.living, 0);
}

static void a_lifted_lock_is_remembered_over_a_restart(void **state)
{
    (void)state;
    struct office *o = desk->office;
    uint64_t a = post(1, "a@y.test");
    lock_by_rule(1, 50, false, STAMP_NEVER);
    run();
    gate_unlock(&o->queue, gate_find(&o->queue, false, 1), 50, STAMP_NEVER, env_now(o->env));
    /* Here the process ends; what is left to do is in the image. */
    struct buf image = BUF_INIT;
    struct image_needs needs;
    image_save(&o->queue, &image, &needs);
    queue_clear(&o->queue);
    orders_free(&desk->orders);
    assert_int_equal(image_load(&o->queue, &o->limbo, buf_slice(&image), env_now(o->env)), 0);
    buf_fini(&image);
    open_orders();
    assert_int_equal(o->limbo.ready, 0);
    run();
    assert_int_equal(recipient(a, 0)->state, RECIPIENT_HELD);
    assert_null(gate_in_the_way(&o->queue, 1, 1));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    log_setup("test", LOG_LOGFMT, getenv("VERBOSE") ? LOG_DEBUG : LOG_ERROR);
    const struct CMUnitTest tests[] = {
        TEST(one_message_is_held_and_released),
        TEST(an_account_is_held_with_what_comes),
        TEST(a_domain_is_held_with_what_comes),
        TEST(old_ones_are_held_alone),
        TEST(what_waits_is_tried_now),
        TEST(what_is_removed_has_an_outcome),
        TEST(a_lock_freezes_and_its_time_releases),
        TEST(unlocked_without_more_it_stays_frozen),
        TEST(unlock_and_release_in_any_order),
        TEST(an_operators_lock_freezes_and_purges),
        TEST(released_while_it_is_locked_it_says_so),
        TEST(what_is_not_done_is_read_again),
        TEST(mail_that_was_accepted_before_is_waited_for),
        TEST(a_lifted_lock_is_remembered_over_a_restart),
    };
    return cmocka_run_group_tests_name("delivery/orders", tests, NULL, NULL);
}
