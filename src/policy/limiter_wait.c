/* What waits is as if it had been used already, at a moment to come. So a window is looked at
 * at every moment at which it can be fullest: now, and whenever something that waits is used.
 */
#include "policy/limiter_internal.h"

#include <errno.h>
#include <stdlib.h>

enum { FIRST_ROOM = 4 };

/* Goes through the moments of a counter, forwards. */
struct sight {
    const struct counter *counter;
    struct window_cell cells[WINDOW_CELLS_MOST]; /* used before now */
    size_t count;
};
struct sight_at {
    uint64_t load; /* of the window that ends there */
    size_t cell;   /* the first cell, */
    uint32_t out;  /* and the first of the line, that count */
    uint32_t in;   /* the first of the line that is still to come */
};

static struct sight_at begin(const struct counter *c, struct sight *s)
{
    struct sight_at here = {0};
    s->counter = c;
    s->count = window_cells(&c->window, c->length, s->cells);
    for (size_t i = 0; i < s->count; i++)
        here.load += s->cells[i].amount;
    return here;
}

static void go_to(const struct sight *s, struct sight_at *here, stamp at)
{
    const struct counter *c = s->counter;
    const struct wait_line *line = c->line;
    for (; here->cell < s->count && s->cells[here->cell].lapse <= at; here->cell++)
        here->load -= s->cells[here->cell].amount;
    for (; line && here->in < line->count && line->of[here->in].at <= at; here->in++)
        here->load += line->of[here->in].amount;
    for (; here->out < here->in && window_lapse(c->length, line->of[here->out].at) <= at;
         here->out++)
        here->load -= line->of[here->out].amount;
}

/* The next moment at which the window may be fuller, of those that count what is used at `at`;
 * STAMP_NEVER: there is none. */
static stamp next_of(const struct sight *s, const struct sight_at *here, stamp at)
{
    const struct wait_line *line = s->counter->line;
    if (!line || here->in >= line->count)
        return STAMP_NEVER;
    stamp next = line->of[here->in].at;
    return next < window_lapse(s->counter->length, at) ? next : STAMP_NEVER;
}

uint64_t wait_peak(const struct counter *c, stamp at)
{
    struct sight s;
    struct sight_at here = begin(c, &s);
    uint64_t peak = 0;
    for (stamp x = at; x != STAMP_NEVER; x = next_of(&s, &here, at)) {
        go_to(&s, &here, x);
        peak = here.load > peak ? here.load : peak;
    }
    return peak;
}

/* When enough has lapsed that at most `keep` is left of what counts here. */
static stamp lapse_of(const struct sight *s, struct sight_at here, stamp at, uint64_t keep)
{
    const struct counter *c = s->counter;
    while (here.load > keep) {
        if (here.cell < s->count) {
            at = s->cells[here.cell].lapse;
            here.load -= s->cells[here.cell++].amount;
        } else {
            at = window_lapse(c->length, c->line->of[here.out].at);
            here.load -= c->line->of[here.out++].amount;
        }
    }
    return at;
}

stamp wait_free_at(const struct counter *c, stamp at, uint64_t keep)
{
    struct sight s;
    struct sight_at here = begin(c, &s);
    for (;;) {
        go_to(&s, &here, at);
        struct sight_at ahead = here;
        struct sight_at fullest = here;
        bool is_over = here.load > keep;
        for (stamp x = next_of(&s, &ahead, at); x != STAMP_NEVER; x = next_of(&s, &ahead, at)) {
            go_to(&s, &ahead, x);
            if (ahead.load <= keep)
                continue;
            is_over = true;
            fullest = ahead;
        }
        if (!is_over)
            return at;
        /* Nothing fits before the last moment that is over. */
        here = fullest;
        at = lapse_of(&s, fullest, at, keep);
    }
}

/* ---- the line ---- */

static void take_first(struct counter *c, uint32_t count)
{
    struct wait_line *line = c->line;
    line->count -= count;
    memmove(line->of, line->of + count, line->count * sizeof(line->of[0]));
    if (line->count > 0)
        return;
    free(line);
    c->line = NULL;
}

void wait_roll(struct counter *c, stamp now)
{
    uint32_t over = 0;
    if (!c->line)
        return;
    /* Out of memory: what stays in line counts as well. */
    while (over < c->line->count && c->line->of[over].at <= now &&
           window_add(&c->window, c->length, c->line->of[over].at, c->line->of[over].amount) ==
               0)
        over++;
    if (over > 0 || c->line->count == 0)
        take_first(c, over);
}

int wait_make_room(struct counter *c)
{
    const struct wait_line *line = c->line;
    if (line && line->count < line->cap)
        return 0;
    uint32_t cap = line ? line->cap * 2 : FIRST_ROOM;
    struct wait_line *more = realloc(c->line, sizeof(*more) + cap * sizeof(more->of[0]));
    if (!more)
        return -ENOMEM;
    if (!line)
        more->count = 0;
    more->cap = cap;
    c->line = more;
    return 0;
}

/* The first that is used at that moment or later. */
static uint32_t find(const struct wait_line *line, stamp at)
{
    uint32_t low = 0;
    for (uint32_t high = line->count; low < high;) {
        uint32_t middle = low + (high - low) / 2;
        if (line->of[middle].at < at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void wait_add(struct counter *c, stamp at, uint64_t amount)
{
    struct wait_line *line = c->line;
    INVARIANT(line);
    if (amount == 0)
        return;
    uint32_t i = find(line, at);
    if (i < line->count && line->of[i].at == at) {
        line->of[i].amount += amount;
        return;
    }
    INVARIANT(line->count < line->cap);
    memmove(line->of + i + 1, line->of + i, (line->count - i) * sizeof(line->of[0]));
    line->of[i] = (struct waiting){at, amount};
    line->count++;
}

void wait_remove(struct counter *c, stamp at, uint64_t amount)
{
    struct wait_line *line = c->line;
    uint32_t i = line ? find(line, at) : 0;
    if (!line || i >= line->count || line->of[i].at != at)
        return;
    INVARIANT(line->of[i].amount >= amount);
    line->of[i].amount -= amount;
    if (line->of[i].amount > 0)
        return;
    memmove(line->of + i, line->of + i + 1, (line->count - i - 1) * sizeof(line->of[0]));
    line->count--;
    if (line->count == 0)
        take_first(c, 0);
}

/* Saved: how many, then moment and amount of each. */
void wait_save(const struct counter *c, struct buf *out)
{
    uint64_t count = c->line ? c->line->count : 0;
    buf_append(out, slice_make(&count, sizeof(count)));
    if (count > 0)
        buf_append(out, slice_make(c->line->of, count * sizeof(c->line->of[0])));
}

int wait_load(struct counter *c, slice *in)
{
    uint64_t count;
    if (in->len < sizeof(count))
        return -EBADMSG;
    memcpy(&count, in->ptr, sizeof(count));
    *in = slice_from(*in, sizeof(count));
    if (count > in->len / sizeof(struct waiting))
        return -EBADMSG;
    for (uint64_t i = 0; i < count; i++) {
        struct waiting w;
        memcpy(&w, in->ptr, sizeof(w));
        *in = slice_from(*in, sizeof(w));
        if (w.amount == 0 || w.at < 0 || w.at > INT64_MAX / 2)
            return -EBADMSG;
        int err = wait_make_room(c);
        if (err < 0)
            return err;
        wait_add(c, w.at, w.amount);
    }
    return 0;
}
