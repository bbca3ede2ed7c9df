#include "net/loop_internal.h"

#include "base/arena.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

struct after_turn {
    void (*fn)(void *ctx);
    void *ctx;
};

struct loop {
    uv_loop_t uv;
    uv_async_t wake;
    uv_timer_t clock; /* armed for the earliest timer, or earlier */
    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t idle; /* active while deferred tasks wait: the poll does not block */

    struct heap timers;
    span armed; /* when `clock` fires; STAMP_NEVER: it is stopped */
    bool timers_ran;
    bool is_running;

    _Atomic(struct loop_task *) posted; /* newest first */
    atomic_int holds;
    atomic_bool stop;

    struct list deferred;
    struct after_turn *after;
    size_t after_count;

    char *input; /* of the streams, made on first use */
    char *plain;
    struct buf output;
};

struct loop_watch {
    uv_poll_t poll;
    int fd;
    bool is_counter;
    void (*fn)(void *ctx);
    void *ctx;
};

static void run_posted(struct loop *l)
{
    struct loop_task *newest = atomic_exchange(&l->posted, NULL);
    struct loop_task *oldest = NULL;
    while (newest) {
        struct loop_task *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest) { /* fn may free its task */
        struct loop_task *t = oldest;
        oldest = t->next;
        t->next = NULL;
        t->fn(t);
    }
}

static bool is_awaited(struct loop *l)
{
    return atomic_load(&l->holds) > 0 || atomic_load(&l->posted);
}

/* The wake handle keeps uv_run going while somebody holds the loop. */
static void follow_holds(struct loop *l)
{
    if (is_awaited(l))
        uv_ref((uv_handle_t *)&l->wake);
    else
        uv_unref((uv_handle_t *)&l->wake);
}

static void on_wake(uv_async_t *h)
{
    struct loop *l = h->data;
    run_posted(l);
    if (atomic_load(&l->stop))
        uv_stop(&l->uv);
}

static void on_clock(uv_timer_t *h);

/* Arms the clock for the earliest timer unless it fires soon enough already: a deadline that is
 * moved on with every command costs no system call and no rearming. */
static void arm_clock(struct loop *l)
{
    struct heap_node *first = heap_peek(&l->timers);
    if (!first) {
        uv_timer_stop(&l->clock);
        l->armed = STAMP_NEVER;
        return;
    }
    if (l->armed <= first->key)
        return;
    span in = first->key - loop_time(l);
    uint64_t ms = in <= 0 ? 0 : (uint64_t)((in + SPAN_MS - 1) / SPAN_MS);
    l->armed = first->key;
    uv_timer_start(&l->clock, on_clock, ms, 0);
}

static void on_clock(uv_timer_t *h)
{
    struct loop *l = h->data;
    l->armed = STAMP_NEVER;
    l->timers_ran = true;
    span now = loop_time(l);
    for (;;) {
        struct heap_node *first = heap_peek(&l->timers);
        if (!first || first->key > now)
            break;
        struct timer *t = CONTAINER_OF(first, struct timer, node);
        heap_remove(&l->timers, first);
        t->fn(t->ctx);
    }
    arm_clock(l);
}

static void run_after_turn(struct loop *l)
{
    for (size_t i = 0; i < l->after_count; i++)
        l->after[i].fn(l->after[i].ctx);
}

/* Runs those that were deferred before now; what they defer waits for the next turn. */
static void run_deferred(struct loop *l)
{
    struct list now;
    list_init(&now);
    list_splice(&now, &l->deferred);
    struct list *node;
    while ((node = list_pop(&now))) {
        struct loop_deferred *d = LIST_ITEM(node, struct loop_deferred, node);
        d->fn(d);
    }
}

static void on_idle(uv_idle_t *h)
{
    (void)h; /* its being active is all: the poll returns at once */
}

static void on_prepare(uv_prepare_t *h)
{
    struct loop *l = h->data;
    /* Timers run before the poll, which may block: what they gathered must leave now. */
    if (l->timers_ran) {
        l->timers_ran = false;
        run_after_turn(l);
    }
    if (list_is_empty(&l->deferred))
        uv_idle_stop(&l->idle);
    else
        uv_idle_start(&l->idle, on_idle);
    follow_holds(l);
}

static void on_check(uv_check_t *h)
{
    struct loop *l = h->data;
    run_deferred(l);
    run_after_turn(l);
    follow_holds(l);
}

struct loop *loop_new(void)
{
    struct loop *l = calloc(1, sizeof(*l));
    if (!l)
        return NULL;
    if (uv_loop_init(&l->uv) != 0) {
        free(l);
        return NULL;
    }
    if (uv_async_init(&l->uv, &l->wake, on_wake) != 0) {
        INVARIANT(uv_loop_close(&l->uv) == 0);
        free(l);
        return NULL;
    }
    list_init(&l->deferred);
    l->armed = STAMP_NEVER;
    uv_timer_init(&l->uv, &l->clock);
    uv_prepare_init(&l->uv, &l->prepare);
    uv_check_init(&l->uv, &l->check);
    uv_idle_init(&l->uv, &l->idle);
    l->wake.data = l->clock.data = l->prepare.data = l->check.data = l->idle.data = l;
    uv_prepare_start(&l->prepare, on_prepare);
    uv_check_start(&l->check, on_check);
    uv_unref((uv_handle_t *)&l->prepare);
    uv_unref((uv_handle_t *)&l->check);
    uv_unref((uv_handle_t *)&l->wake);
    return l;
}

void loop_free(struct loop **at)
{
    struct loop *l = *at;
    if (!l)
        return;
    *at = NULL;
    uv_close((uv_handle_t *)&l->wake, NULL);
    uv_close((uv_handle_t *)&l->clock, NULL);
    uv_close((uv_handle_t *)&l->prepare, NULL);
    uv_close((uv_handle_t *)&l->check, NULL);
    uv_close((uv_handle_t *)&l->idle, NULL);
    uv_run(&l->uv, UV_RUN_NOWAIT);
    /* Streams, watches and listeners are closed before their loop. */
    INVARIANT(uv_loop_close(&l->uv) == 0);
    heap_fini(&l->timers);
    free(l->after);
    free(l->input);
    free(l->plain);
    buf_fini(&l->output);
    free(l);
}

void loop_run(struct loop *l)
{
    l->is_running = true;
    do {
        follow_holds(l);
        /* Tasks may have been deferred before there was a turn. */
        if (!list_is_empty(&l->deferred))
            uv_idle_start(&l->idle, on_idle);
        uv_run(&l->uv, UV_RUN_DEFAULT);
    } while (!atomic_load(&l->stop) && (is_awaited(l) || !list_is_empty(&l->deferred)));
    atomic_store(&l->stop, false);
    l->is_running = false;
}

void loop_stop(struct loop *l)
{
    atomic_store(&l->stop, true);
    uv_async_send(&l->wake);
}

void loop_post(struct loop *l, struct loop_task *t)
{
    struct loop_task *newest = atomic_load(&l->posted);
    do {
        t->next = newest;
    } while (!atomic_compare_exchange_weak(&l->posted, &newest, t));
    /* Whoever found the list empty wakes the loop for all that follow. */
    if (!newest)
        uv_async_send(&l->wake);
}

void loop_hold(struct loop *l)
{
    atomic_fetch_add(&l->holds, 1);
}

void loop_release(struct loop *l)
{
    if (atomic_fetch_sub(&l->holds, 1) == 1)
        uv_async_send(&l->wake); /* so that it looks whether there is anything left */
}

void timer_init(struct timer *t, struct loop *l, void (*fn)(void *ctx), void *ctx)
{
    *t = (struct timer){.loop = l, .fn = fn, .ctx = ctx};
}

void timer_set(struct timer *t, span in)
{
    struct loop *l = t->loop;
    if (!l->is_running)
        uv_update_time(&l->uv);
    if (in < 0)
        in = 0;
    span now = loop_time(l);
    span due = in > STAMP_NEVER - now ? STAMP_NEVER - 1 : now + in;
    heap_set(&l->timers, &t->node, due);
    if (due < l->armed)
        arm_clock(l);
}

void timer_cancel(struct timer *t)
{
    if (!heap_has(&t->node))
        return;
    heap_remove(&t->loop->timers, &t->node);
    if (!heap_peek(&t->loop->timers))
        arm_clock(t->loop);
}

static void on_readable(uv_poll_t *h, int status, int events)
{
    (void)events;
    struct loop_watch *w = h->data;
    if (w->is_counter) {
        uint64_t count;
        if (read(w->fd, &count, sizeof(count)) < 0 && errno == EAGAIN)
            return; /* another loop was faster */
    }
    if (status < 0) /* libuv has stopped it; the owner finds the error when it reads */
        uv_poll_stop(h);
    w->fn(w->ctx);
}

/* Event, timer and signal descriptors have no file type; a read empties them. */
static bool is_counter(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) == 0;
}

struct loop_watch *loop_watch(struct loop *l, int fd, void (*fn)(void *ctx), void *ctx)
{
    struct loop_watch *w = xcalloc(1, sizeof(*w));
    w->fd = fd;
    w->fn = fn;
    w->ctx = ctx;
    w->poll.data = w;
    w->is_counter = is_counter(fd);
    int err = uv_poll_init(&l->uv, &w->poll, fd);
    if (err == 0)
        err = uv_poll_start(&w->poll, UV_READABLE, on_readable);
    INVARIANT(err == 0); /* a descriptor that can not be polled, or is watched twice */
    return w;
}

static void free_watch(uv_handle_t *h)
{
    free(h->data);
}

void loop_unwatch(struct loop_watch **at)
{
    struct loop_watch *w = *at;
    if (!w)
        return;
    *at = NULL;
    uv_close((uv_handle_t *)&w->poll, free_watch);
}

void loop_after_turn(struct loop *l, void (*fn)(void *ctx), void *ctx)
{
    l->after = xrealloc(l->after, l->after_count + 1, sizeof(*l->after));
    l->after[l->after_count++] = (struct after_turn){fn, ctx};
}

void loop_defer(struct loop *l, struct loop_deferred *d)
{
    if (list_is_empty(&d->node))
        list_push(&l->deferred, &d->node);
}

span loop_time(const struct loop *l)
{
    return (span)uv_now(&l->uv) * SPAN_MS;
}

void *loop_uv(struct loop *l)
{
    return &l->uv;
}

char *loop_input(struct loop *l)
{
    if (!l->input)
        l->input = xcalloc(1, LOOP_INPUT);
    return l->input;
}

char *loop_plain(struct loop *l)
{
    if (!l->plain)
        l->plain = xcalloc(1, LOOP_PLAIN);
    return l->plain;
}

struct buf *loop_output(struct loop *l)
{
    buf_clear(&l->output);
    return &l->output;
}
