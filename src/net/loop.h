/* loop: one thread's event loop (libuv), its timers, and tasks from other threads.
 *
 * Everything but loop_post and loop_stop is called on the loop's own thread (or before it
 * runs). */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include "base/heap.h"
#include "base/slice.h"
#include "base/stamp.h"

struct loop;

struct loop *loop_new(void); /* NULL: out of descriptors or memory */
/* Nothing may be registered any more. Clears the pointer; takes NULL. */
void loop_free(struct loop **l);
/* Until loop_stop, or nothing is left to wait for: no stream, listener, watch, timer or job,
 * and nobody holds it. A loop that only gets tasks from other threads must be held. */
void loop_run(struct loop *l) NONNULL(1);
void loop_stop(struct loop *l) NONNULL(1); /* from any thread */
/* Keeps loop_run going though nothing is registered; counted; from any thread. */
void loop_hold(struct loop *l) NONNULL(1);
void loop_release(struct loop *l) NONNULL(1);

/* Runs fn(ctx) soon on the loop's thread. The caller's storage until fn is called. From any
 * thread; one wake-up serves all that is posted before the loop looks. */
struct loop_task {
    void (*fn)(struct loop_task *t);
    struct loop_task *next;
};
void loop_post(struct loop *l, struct loop_task *t) NONNULL(1, 2);

/* A timer: the caller's storage, zeroed by timer_init. Many thousand are cheap (one heap). */
struct timer {
    struct heap_node node;
    struct loop *loop;
    void (*fn)(void *ctx);
    void *ctx;
};
void timer_init(struct timer *t, struct loop *l, void (*fn)(void *ctx), void *ctx)
    NONNULL(1, 2, 3);
/* Fires once, after `in` (rounded up to a millisecond); setting it again moves it. */
void timer_set(struct timer *t, span in) NONNULL(1);
/* Harmless when it is not set. */
void timer_cancel(struct timer *t) NONNULL(1);

/* Calls fn when the eventfd (or any readable descriptor) is readable; for an eventfd its
 * counter has been read. The descriptor stays the caller's. Never NULL. */
struct loop_watch;
struct loop_watch *loop_watch(struct loop *l, int fd, void (*fn)(void *ctx), void *ctx)
    NONNULL(1, 3);
/* Clears the pointer; takes NULL. */
void loop_unwatch(struct loop_watch **w);

/* Runs once per turn of the loop, after all events of the turn: to write what was gathered. */
void loop_after_turn(struct loop *l, void (*fn)(void *ctx), void *ctx) NONNULL(1, 2);

/* A monotonic clock read once per turn. */
span loop_time(const struct loop *l) NONNULL(1);

/* For the modules of this floor. */
void *loop_uv(struct loop *l) NONNULL(1);

#endif
