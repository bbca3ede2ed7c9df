/* What is held and what a gate stops, under a clock that the test moves. */
#include "delivery/gate.h"
#include "delivery/image.h"

#include "base/arena.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint64_t seed[2] = {1, 2};
static const stamp start = 1000 * SPAN_SECOND;

struct fixture {
    struct queue q;
    struct destination d, other;
    uint64_t next_id;
};

/* Customer 12 is one of 11's. */
static uint64_t parent_of(void *ctx, uint64_t customer)
{
    (void)ctx;
    return customer == 12 ? 11 : 0;
}

static void fixture_init(struct fixture *f)
{
    *f = (struct fixture){0};
    queue_init(&f->q, seed);
    f->q.gates.parent_of = parent_of;
    destination_init(&f->q, &f->d);
    destination_init(&f->q, &f->other);
}

static void fixture_fini(struct fixture *f)
{
    queue_fini(&f->q);
    destination_fini(&f->d);
    destination_fini(&f->other);
}

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    fixture_init(f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture_fini(*state);
    free(*state);
    return 0;
}

static struct parcel *add(struct fixture *f, struct destination *d, uint64_t account,
                          uint64_t customer, uint32_t recipients)
{
    struct parcel_facts facts = {
        .id = ++f->next_id, .account = account, .customer = customer, .accepted = start};
    return queue_add(&f->q, d, &facts, recipients, 0, start);
}

static uint64_t take(struct fixture *f, struct destination *d)
{
    uint32_t index, n;
    struct parcel *p = queue_take(&f->q, d, 1, &index, &n);
    return p ? p->facts.id : 0;
}

static void settle(struct fixture *f, uint64_t id, enum outcome_kind kind, uint32_t attempt,
                   stamp next)
{
    struct settlement s = {.id = id, .at = start};
    struct settled o = {.kind = kind, .attempt = attempt, .next = next};
    assert_int_equal(queue_settle(&f->q, &s, &o, start), QUEUE_APPLIED);
}

static void a_closed_gate_stops_its_account_everywhere(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 3; i++) {
        add(f, &f->d, 1, 10, 1);     /* 1, 4, 7 */
        add(f, &f->d, 2, 10, 1);     /* 2, 5, 8 */
        add(f, &f->other, 1, 10, 2); /* 3, 6, 9 */
    }
    struct gate *g = gate_of_account(&f->q, 1, 10);
    gate_stop(&f->q, g, GATE_HOLD);
    assert_int_equal(f->d.ready, 3);
    assert_int_equal(f->d.ready_parcels, 3);
    assert_int_equal(f->other.ready, 0);
    assert_int_equal(f->other.ready_parcels, 0);
    add(f, &f->d, 1, 10, 1); /* 10: what comes is stopped, too */
    assert_int_equal(f->d.ready, 3);
    assert_int_equal(take(f, &f->d), 2);
    assert_int_equal(take(f, &f->d), 5);
    assert_int_equal(take(f, &f->d), 8);
    assert_int_equal(take(f, &f->d), 0);
    assert_int_equal(take(f, &f->other), 0);
    gate_lift(&f->q, g, GATE_HOLD);
    assert_int_equal(f->d.ready, 4);
    assert_int_equal(f->other.ready_parcels, 3);
    assert_int_equal(take(f, &f->d), 1);
    assert_int_equal(take(f, &f->d), 4);
    assert_int_equal(take(f, &f->other), 3);
}

static void what_is_in_hand_comes_back_to_a_closed_gate(void **state)
{
    struct fixture *f = *state;
    struct parcel *p = add(f, &f->d, 1, 10, 1);
    uint32_t index = 0;
    assert_int_equal(take(f, &f->d), 1);
    struct gate *g = gate_of_account(&f->q, 1, 10);
    gate_stop(&f->q, g, GATE_LOCK);
    queue_put_back(&f->q, p, &index, 1);
    assert_int_equal(f->d.ready, 0);
    assert_int_equal(take(f, &f->d), 0);
    gate_lift(&f->q, g, GATE_LOCK);
    assert_int_equal(take(f, &f->d), 1);
    settle(f, 1, OUTCOME_DELIVERED, 1, 0);
    assert_int_equal(f->q.parcels, 0);
}

static void parcels_move_and_part_behind_a_closed_gate(void **state)
{
    struct fixture *f = *state;
    struct parcel *p = add(f, &f->d, 1, 10, 2);
    gate_stop(&f->q, gate_of_account(&f->q, 1, 10), GATE_HOLD);
    struct destination *to[] = {&f->d, &f->other};
    queue_part(&f->q, p, to, start);
    assert_int_equal(f->d.ready + f->other.ready, 0);
    queue_move(&f->q, NULL, &f->other);
    assert_int_equal(f->other.ready, 0);
    assert_int_equal(f->other.parcels, 2);
    gate_lift(&f->q, gate_of_account(&f->q, 1, 10), GATE_HOLD);
    assert_int_equal(f->other.ready, 2);
}

static void customers_stop_their_accounts(void **state)
{
    struct fixture *f = *state;
    add(f, &f->d, 1, 12, 1);
    add(f, &f->d, 2, 13, 1);
    struct gate *reseller = gate_of_customer(&f->q, 11);
    gate_stop(&f->q, reseller, GATE_OPERATOR);
    assert_int_equal(f->d.ready, 1);
    assert_ptr_equal(gate_in_the_way(&f->q, 1, 12), reseller);
    assert_null(gate_in_the_way(&f->q, 2, 13));
    add(f, &f->d, 3, 11, 1);
    assert_int_equal(f->d.ready, 1);
    assert_int_equal(take(f, &f->d), 2);
    gate_of_account(&f->q, 1, 13); /* it moves to another customer */
    assert_int_equal(take(f, &f->d), 1);
    gate_lift(&f->q, reseller, GATE_OPERATOR);
    assert_int_equal(take(f, &f->d), 3);
}

static void held_recipients_wait_for_their_release(void **state)
{
    struct fixture *f = *state;
    struct parcel *p = add(f, &f->d, 1, 10, 3);
    struct recipient *r = p->recipients;
    settle(f, 1, OUTCOME_RETRY, 1, start + SPAN_MINUTE);
    for (int i = 0; i < 3; i++)
        assert_true(queue_hold(&f->q, p, &r[i], HELD_BY_ORDER));
    assert_false(queue_hold(&f->q, p, &r[0], HELD_BY_ORDER));
    assert_true(queue_hold(&f->q, p, &r[1], HELD_DOMAIN));
    assert_int_equal(queue_due(&f->q, start + SPAN_HOUR), STAMP_NEVER);
    assert_int_equal(f->d.ready, 0);
    assert_int_equal(f->q.living, 3);
    assert_true(queue_release(&f->q, p, &r[0], HELD_BY_ORDER, start));
    assert_int_equal(r[0].state, RECIPIENT_WAITING);
    assert_true(queue_release(&f->q, p, &r[1], HELD_BY_ORDER, start));
    assert_int_equal(r[1].state, RECIPIENT_HELD); /* by its domain */
    assert_true(queue_release(&f->q, p, &r[1], HELD_ANY, start));
    assert_int_equal(r[1].state, RECIPIENT_READY);
    assert_false(queue_release(&f->q, p, &r[1], HELD_ANY, start));
    assert_true(queue_hurry(&f->q, p, &r[0]));
    assert_int_equal(f->d.ready, 2);
}

static void one_that_is_being_sent_is_held_afterwards(void **state)
{
    struct fixture *f = *state;
    struct parcel *p = add(f, &f->d, 1, 10, 1);
    uint32_t index = 0;
    take(f, &f->d);
    assert_true(queue_hold(&f->q, p, p->recipients, HELD_BY_ORDER));
    assert_int_equal(p->recipients[0].state, RECIPIENT_SENDING);
    settle(f, 1, OUTCOME_RETRY, 1, start);
    assert_int_equal(p->recipients[0].state, RECIPIENT_HELD);
    queue_release(&f->q, p, p->recipients, HELD_BY_ORDER, start);
    take(f, &f->d);
    queue_hold(&f->q, p, p->recipients, HELD_BY_ORDER);
    queue_put_back(&f->q, p, &index, 1);
    assert_int_equal(p->recipients[0].state, RECIPIENT_HELD);
    assert_int_equal(f->d.ready, 0);
    /* Taken out to be removed. */
    assert_true(queue_lift(&f->q, p, p->recipients));
    assert_false(queue_lift(&f->q, p, p->recipients));
    settle(f, 1, OUTCOME_REMOVED, 1, 0);
    assert_int_equal(f->q.parcels, 0);
}

/* ---- locks: what happens to a gate, and what stops it then ---- */

enum step { LOCK, TIME, LIFT, OLD_LIFT, OP, OP_OFF, OP_TIME, THAW, KEPT };

static const struct {
    const char *name;
    enum step steps[5];
    unsigned count;
    unsigned stops;
    unsigned ending;
} lives[] = {
    {"locked", {LOCK}, 1, GATE_LOCK, 0},
    {"its time is over", {LOCK, TIME}, 2, 0, 0},
    {"somebody lifted it", {LOCK, LIFT}, 2, GATE_LOCK, GATE_LOCK},
    {"lifted, and all is held", {LOCK, LIFT, KEPT}, 3, 0, 0},
    {"the end of an older lock", {LOCK, OLD_LIFT}, 2, GATE_LOCK, 0},
    {"lifted and locked again", {LOCK, LIFT, LOCK, KEPT}, 4, GATE_LOCK, 0},
    {"released before its end is read", {LOCK, THAW, LIFT}, 3, 0, 0},
    {"released before it is read", {THAW, LOCK, LIFT}, 3, 0, 0},
    {"released after its end is read", {LOCK, LIFT, THAW, KEPT}, 4, 0, 0},
    {"by an operator", {OP}, 1, GATE_OPERATOR, 0},
    {"by an operator, lifted", {OP, OP_OFF}, 2, GATE_OPERATOR, GATE_OPERATOR},
    {"by an operator, released", {OP, OP_OFF, THAW}, 3, 0, 0},
    {"by an operator, its time is over", {OP, OP_TIME}, 2, 0, 0},
    {"and lifted after that", {OP, OP_TIME, OP_OFF}, 3, 0, 0},
    {"both", {LOCK, OP, LIFT, KEPT}, 4, GATE_OPERATOR, 0},
    {"read again after the release", {LOCK, THAW, LOCK}, 3, 0, 0},
};

static void step(struct fixture *f, enum step s)
{
    struct gate *g = gate_of_account(&f->q, 1, 10);
    switch (s) {
    case LOCK:
        gate_lock(&f->q, g, 50, STAMP_NEVER, 5);
        break;
    case TIME:
        gate_unlock(&f->q, g, 50, start, start);
        break;
    case LIFT:
        gate_unlock(&f->q, g, 50, STAMP_NEVER, start);
        break;
    case OLD_LIFT:
        gate_unlock(&f->q, g, 49, STAMP_NEVER, start);
        break;
    case OP:
        gate_set_operator(&f->q, g, true, start + SPAN_HOUR, 6, start);
        break;
    case OP_OFF:
        gate_set_operator(&f->q, g, false, 0, 7, start);
        break;
    case OP_TIME:
        assert_int_equal(gates_due(&f->q, start), start + SPAN_HOUR);
        assert_int_equal(gates_due(&f->q, start + SPAN_HOUR), STAMP_NEVER);
        break;
    case THAW:
        gate_thaw(&f->q, g, 7);
        break;
    case KEPT:
        gate_lift(&f->q, g, g->ending);
        break;
    }
}

static void locks_begin_and_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(lives); i++) {
        struct fixture f;
        fixture_init(&f);
        for (unsigned s = 0; s < lives[i].count; s++)
            step(&f, lives[i].steps[s]);
        const struct gate *g = gate_of_account(&f.q, 1, 10);
        if (g->stops != lives[i].stops || g->ending != lives[i].ending)
            fail_msg("%s: stops %u, ending %u", lives[i].name, g->stops, g->ending);
        add(&f, &f.d, 1, 10, 1);
        if ((f.d.ready == 0) != (lives[i].stops != 0))
            fail_msg("%s: ready %u", lives[i].name, (unsigned)f.d.ready);
        fixture_fini(&f);
    }
}

/* ---- over a restart ---- */

static void an_image_has_what_is_held_and_stopped(void **state)
{
    struct fixture *f = *state;
    struct fixture again;
    struct buf image = BUF_INIT;
    struct image_needs needs;
    struct parcel *p = add(f, &f->d, 1, 10, 2);
    queue_hold(&f->q, p, &p->recipients[1], HELD_BY_LOCK);
    add(f, &f->d, 2, 12, 1);
    struct gate *g = gate_of_account(&f->q, 1, 10);
    gate_lock(&f->q, g, 50, STAMP_NEVER, 5);
    gate_unlock(&f->q, g, 50, STAMP_NEVER, start + 7);
    gate_thaw(&f->q, gate_of_account(&f->q, 3, 10), 9);
    gate_set_operator(&f->q, gate_of_customer(&f->q, 11), true, start + SPAN_HOUR, 6, start);
    queue_hold_domain(&f->q, SLICE("y.test"));
    image_save(&f->q, &image, &needs);
    fixture_init(&again);
    assert_int_equal(image_load(&again.q, &again.d, buf_slice(&image), start), 0);
    assert_int_equal(again.d.ready, 0);
    assert_int_equal(again.q.living, 3);
    struct gate *a = gate_find(&again.q, false, 1);
    assert_int_equal(a->stops, GATE_LOCK);
    assert_int_equal(a->ending, GATE_LOCK);
    assert_int_equal(a->ended_at, start + 7);
    assert_int_equal(a->lock, 50);
    assert_true(again.q.gates.has_ending);
    assert_int_equal(gate_find(&again.q, false, 3)->thawed, 9);
    assert_true(queue_holds_domain(&again.q, SLICE("y.test")));
    assert_false(queue_holds_domain(&again.q, SLICE("x.test")));
    struct recipient *r = &queue_find(&again.q, 1)->recipients[1];
    assert_int_equal(r->state, RECIPIENT_HELD);
    assert_int_equal(r->flags, HELD_BY_LOCK);
    /* The operator's lock ends at its time. */
    assert_int_equal(gates_due(&again.q, start), start + SPAN_HOUR);
    gates_due(&again.q, start + SPAN_HOUR);
    assert_int_equal(take(&again, &again.d), 2);
    /* Cut anywhere it is refused. */
    for (size_t len = 1; len < image.len; len++) {
        queue_clear(&again.q);
        int err = image_load(&again.q, &again.d, slice_make(image.ptr, len), start);
        if (err == 0 && again.q.parcels == 2)
            fail_msg("cut at %zu", len);
    }
    fixture_fini(&again);
    buf_fini(&image);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_closed_gate_stops_its_account_everywhere),
        TEST(what_is_in_hand_comes_back_to_a_closed_gate),
        TEST(parcels_move_and_part_behind_a_closed_gate),
        TEST(customers_stop_their_accounts),
        TEST(held_recipients_wait_for_their_release),
        TEST(one_that_is_being_sent_is_held_afterwards),
        TEST(locks_begin_and_end),
        TEST(an_image_has_what_is_held_and_stopped),
    };
    return cmocka_run_group_tests_name("delivery/hold", tests, NULL, NULL);
}
