#include "net/loop_internal.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

struct trace {
    struct loop *loop;
    char text[64];
    size_t len;
    struct timer timers[3];
    unsigned turns;
};

static void note(struct trace *t, char c)
{
    assert_true(t->len < sizeof(t->text) - 1);
    t->text[t->len++] = c;
}

static void note_a(void *ctx)
{
    note(ctx, 'a');
}

static void note_b(void *ctx)
{
    note(ctx, 'b');
}

static void note_c(void *ctx)
{
    note(ctx, 'c');
}

static void timers_fire_in_order_and_the_loop_ends(void **state)
{
    (void)state;
    struct trace t = {.loop = loop_new()};
    timer_init(&t.timers[0], t.loop, note_a, &t);
    timer_init(&t.timers[1], t.loop, note_b, &t);
    timer_init(&t.timers[2], t.loop, note_c, &t);
    timer_set(&t.timers[0], 9 * SPAN_MS);
    timer_set(&t.timers[1], 3 * SPAN_MS);
    timer_set(&t.timers[2], 1 * SPAN_MS);
    timer_set(&t.timers[2], 6 * SPAN_MS); /* moved */
    loop_run(t.loop);
    assert_string_equal(t.text, "bca");
    loop_free(&t.loop);
    assert_null(t.loop);
}

static void a_cancelled_timer_does_not_fire_and_does_not_hold_the_loop(void **state)
{
    (void)state;
    struct trace t = {.loop = loop_new()};
    timer_init(&t.timers[0], t.loop, note_a, &t);
    timer_init(&t.timers[1], t.loop, note_b, &t);
    timer_set(&t.timers[0], SPAN_HOUR);
    timer_set(&t.timers[1], SPAN_MS);
    timer_cancel(&t.timers[0]);
    timer_cancel(&t.timers[0]); /* harmless */
    loop_run(t.loop);
    assert_string_equal(t.text, "b");
    loop_free(&t.loop);
}

static void a_timer_never_fires_early(void **state)
{
    (void)state;
    struct trace t = {.loop = loop_new()};
    timer_init(&t.timers[0], t.loop, note_a, &t);
    timer_set(&t.timers[0], 20 * SPAN_MS);
    span begun = loop_time(t.loop);
    loop_run(t.loop);
    assert_true(loop_time(t.loop) - begun >= 20 * SPAN_MS);
    loop_free(&t.loop);
}

struct counted_task {
    struct loop_task task;
    struct trace *trace;
    unsigned number;
};

enum { POSTS = 1000 };

struct poster {
    struct trace trace;
    struct counted_task tasks[POSTS];
    unsigned next;
};

static void take_task(struct loop_task *task)
{
    struct counted_task *t = CONTAINER_OF(task, struct counted_task, task);
    struct poster *p = CONTAINER_OF(t->trace, struct poster, trace);
    assert_int_equal(t->number, p->next); /* in the order in which they were posted */
    if (++p->next == POSTS)
        loop_stop(p->trace.loop);
}

static void *post_all(void *arg)
{
    struct poster *p = arg;
    for (unsigned i = 0; i < POSTS; i++) {
        p->tasks[i] = (struct counted_task){{.fn = take_task}, &p->trace, i};
        loop_post(p->trace.loop, &p->tasks[i].task);
    }
    return NULL;
}

static void tasks_of_another_thread_run_in_order(void **state)
{
    (void)state;
    struct poster *p = calloc(1, sizeof(*p));
    p->trace.loop = loop_new();
    loop_hold(p->trace.loop);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, post_all, p), 0);
    loop_run(p->trace.loop);
    pthread_join(thread, NULL);
    assert_int_equal(p->next, POSTS);
    loop_free(&p->trace.loop);
    free(p);
}

static void *stop_it(void *arg)
{
    loop_stop(arg);
    return NULL;
}

static void stop_ends_a_held_loop_from_another_thread(void **state)
{
    (void)state;
    struct loop *l = loop_new();
    loop_hold(l);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, stop_it, l), 0);
    loop_run(l);
    pthread_join(thread, NULL);
    loop_free(&l);
}

static void *release_it(void *arg)
{
    loop_release(arg);
    return NULL;
}

static void the_last_release_ends_the_loop(void **state)
{
    (void)state;
    struct loop *l = loop_new();
    loop_hold(l);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, release_it, l), 0);
    loop_run(l);
    pthread_join(thread, NULL);
    loop_free(&l);
}

struct watched {
    struct loop *loop;
    struct loop_watch *watch;
    int fd;
    unsigned calls;
};

static void on_counter(void *ctx)
{
    struct watched *w = ctx;
    uint64_t n;
    assert_int_equal(read(w->fd, &n, sizeof(n)), -1); /* the loop has read it */
    if (++w->calls == 2) {
        loop_unwatch(&w->watch);
        return;
    }
    n = 1;
    assert_int_equal(write(w->fd, &n, sizeof(n)), sizeof(n));
}

static void an_eventfd_is_read_before_its_watcher_is_told(void **state)
{
    (void)state;
    struct watched w = {.loop = loop_new(), .fd = eventfd(7, EFD_CLOEXEC | EFD_NONBLOCK)};
    w.watch = loop_watch(w.loop, w.fd, on_counter, &w);
    loop_run(w.loop);
    assert_int_equal(w.calls, 2);
    loop_free(&w.loop);
    close(w.fd);
}

static void on_pipe(void *ctx)
{
    struct watched *w = ctx;
    char c;
    assert_int_equal(read(w->fd, &c, 1), 1); /* left to the watcher */
    w->calls++;
    loop_unwatch(&w->watch);
}

static void a_pipe_is_left_to_its_watcher(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct watched w = {.loop = loop_new(), .fd = ends[0]};
    w.watch = loop_watch(w.loop, w.fd, on_pipe, &w);
    assert_int_equal(write(ends[1], "x", 1), 1);
    loop_run(w.loop);
    assert_int_equal(w.calls, 1);
    loop_free(&w.loop);
    close(ends[0]);
    close(ends[1]);
}

struct gathering {
    struct trace trace;
    struct watched watched;
};

static void gather(void *ctx)
{
    struct gathering *g = ctx;
    uint64_t one = 1;
    note(&g->trace, 'T');
    assert_int_equal(write(g->watched.fd, &one, sizeof(one)), sizeof(one));
}

static void note_event(void *ctx)
{
    struct gathering *g = ctx;
    note(&g->trace, 'w');
    loop_unwatch(&g->watched.watch);
}

static void flush(void *ctx)
{
    struct trace *t = ctx;
    if (t->len > 0 && t->text[t->len - 1] != 'F')
        note(t, 'F');
}

static void what_timers_gathered_leaves_before_the_loop_waits(void **state)
{
    (void)state;
    struct gathering g = {.trace = {.loop = loop_new()}};
    g.watched.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    g.watched.watch = loop_watch(g.trace.loop, g.watched.fd, note_event, &g);
    loop_after_turn(g.trace.loop, flush, &g.trace);
    timer_init(&g.trace.timers[0], g.trace.loop, gather, &g);
    timer_set(&g.trace.timers[0], SPAN_MS);
    loop_run(g.trace.loop);
    assert_string_equal(g.trace.text, "TFwF");
    loop_free(&g.trace.loop);
    close(g.watched.fd);
}

struct again {
    struct loop_deferred deferred;
    struct trace trace;
    unsigned left;
};

static void defer_again(struct loop_deferred *d)
{
    struct again *a = CONTAINER_OF(d, struct again, deferred);
    note(&a->trace, 'd');
    if (--a->left > 0)
        loop_defer(a->trace.loop, d);
}

static void deferred_tasks_run_once_per_turn(void **state)
{
    (void)state;
    struct again a = {.trace = {.loop = loop_new()}, .left = 3};
    list_init(&a.deferred.node);
    a.deferred.fn = defer_again;
    loop_after_turn(a.trace.loop, flush, &a.trace);
    loop_defer(a.trace.loop, &a.deferred);
    loop_defer(a.trace.loop, &a.deferred); /* harmless */
    loop_run(a.trace.loop);
    assert_string_equal(a.trace.text, "dFdFdF");
    loop_free(&a.trace.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_in_order_and_the_loop_ends),
        cmocka_unit_test(a_cancelled_timer_does_not_fire_and_does_not_hold_the_loop),
        cmocka_unit_test(a_timer_never_fires_early),
        cmocka_unit_test(tasks_of_another_thread_run_in_order),
        cmocka_unit_test(stop_ends_a_held_loop_from_another_thread),
        cmocka_unit_test(the_last_release_ends_the_loop),
        cmocka_unit_test(an_eventfd_is_read_before_its_watcher_is_told),
        cmocka_unit_test(a_pipe_is_left_to_its_watcher),
        cmocka_unit_test(what_timers_gathered_leaves_before_the_loop_waits),
        cmocka_unit_test(deferred_tasks_run_once_per_turn),
    };
    return cmocka_run_group_tests_name("net/loop", tests, NULL, NULL);
}
