/* loop_internal: what the loop offers to the modules of this floor only. */
#ifndef NET_LOOP_INTERNAL_H
#define NET_LOOP_INTERNAL_H

#include "base/buf.h"
#include "base/list.h"
#include "net/loop.h"

/* A task for the loop's own thread, at the end of this turn (when it is deferred by an event of
 * the turn) or of the next one. Initialise node with list_init; a task that is removed from the
 * list (list_remove) does not run. */
struct loop_deferred {
    struct list node;
    void (*fn)(struct loop_deferred *d);
};
void loop_defer(struct loop *l, struct loop_deferred *d) NONNULL(1, 2);

/* What all streams of a loop share, in use only within one event: room for what one read
 * brings, for the plaintext of that (a record that was begun earlier may end in it), and for
 * ciphertext on its way out. */
enum { LOOP_INPUT = 64 * 1024, LOOP_PLAIN = LOOP_INPUT + 32 * 1024 };
char *loop_input(struct loop *l) NONNULL(1);
char *loop_plain(struct loop *l) NONNULL(1);
struct buf *loop_output(struct loop *l) NONNULL(1);

#endif
