/* window: how much of a unit was used in the last w, exactly enough, in few bytes.
 *
 * Time is cut into cells of w/256 (at least one microsecond). What is used at a moment counts
 * as if used at the last moment of its cell: so use is never counted for less than w, and for
 * at most w + w/256. Only cells in which something was used take memory: two to six bytes each,
 * in a packed log (the first few inside of the window), the newest unpacked. Equal stamps give
 * equal windows, live and replayed. */
#ifndef POLICY_WINDOW_H
#define POLICY_WINDOW_H

#include "base/buf.h"
#include "base/stamp.h"

enum { WINDOW_CELLS = 256, WINDOW_INSIDE = 16 };

struct window {
    uint64_t total; /* of all cells, the newest included */
    int64_t oldest; /* cell of the first packed entry (valid when len > 0) */
    int64_t last;   /* cell of the last packed entry (valid when len > 0) */
    int64_t newest; /* cell of the unpacked entry */
    uint64_t newest_used;
    stamp lapses; /* before this moment nothing does; 0: not known */
    /* Entries, the oldest first: distance from the entry before, amount. */
    union {
        uint8_t *packed;
        uint8_t inside[WINDOW_INSIDE];
    };
    uint16_t head; /* offset of the first entry */
    uint16_t len;  /* offset behind the last one */
    uint16_t cap;  /* of packed; 0: they are inside */
};

/* A zeroed one is empty; this makes it so again. */
void window_fini(struct window *w) NONNULL(1);
/* Adds use at `at`; a moment before the newest cell counts in the newest (the clock stepped
 * back: later is stricter). 0 or -ENOMEM, which changes nothing. */
int window_add(struct window *w, span length, stamp at, uint64_t amount) MUST_USE NONNULL(1);
void window_forget(struct window *w, span length, stamp now) NONNULL(1);
/* What counts at `now`; forgets what does not any more. */
static inline uint64_t window_used(struct window *w, span length, stamp now)
{
    if (now >= w->lapses)
        window_forget(w, length, now);
    return w->total;
}
/* The first moment >= now at which at most `keep` counts, if nothing is added before;
 * now when it does already. */
stamp window_free_at(const struct window *w, span length, stamp now, uint64_t keep) NONNULL(1);
/* When what is used at `at` counts no more. */
stamp window_lapse(span length, stamp at);

/* What is in a window at most: its own cells, and those at its two borders. */
enum { WINDOW_CELLS_MOST = WINDOW_CELLS + 4 };
struct window_cell {
    stamp lapse; /* from then on its amount counts no more */
    uint64_t amount;
};
/* What counts, the oldest first; returns how many. Forget what has lapsed first (window_used).
 */
size_t window_cells(const struct window *w, span length,
                    struct window_cell out[WINDOW_CELLS_MOST]) NONNULL(1, 3);

/* Asks the memory for what will be needed of it. */
static inline void window_fetch(const struct window *w)
{
    if (w->cap == 0)
        return;
    __builtin_prefetch(w->packed + w->head);
    __builtin_prefetch(w->packed + w->len, 1);
}

/* For snapshots. Loading takes its part off the front: 0, or -EBADMSG and -ENOMEM, which change
 * nothing. */
void window_save(const struct window *w, struct buf *out) NONNULL(1, 2);
int window_load(struct window *w, slice *in) MUST_USE NONNULL(1, 2);

#endif
