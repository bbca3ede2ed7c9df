#include "policy/window.h"

#include <errno.h>
#include <stdlib.h>

/* A varint has 7 bits a byte, the lowest first (LEB128): at most 10 bytes for 64 bits. */
enum { VARINT_MAX = 10, SMALLEST = 32, LARGEST = UINT16_MAX };

static span cell_span(span length)
{
    span cell = length / WINDOW_CELLS;
    return cell > 0 ? cell : 1;
}

static int64_t cell_of(span length, stamp at)
{
    return at / cell_span(length);
}

/* The moment at which what was used in a cell counts no more. */
static stamp lapses_at(span length, int64_t cell)
{
    return (cell + 1) * cell_span(length) + length;
}

stamp window_lapse(span length, stamp at)
{
    return lapses_at(length, cell_of(length, at));
}

static unsigned varint_put(uint8_t *out, uint64_t value)
{
    unsigned n = 0;
    for (; value >= 0x80; value >>= 7)
        out[n++] = (uint8_t)(value | 0x80);
    out[n++] = (uint8_t)value;
    return n;
}

static unsigned varint_len(uint64_t value)
{
    unsigned n = 1;
    for (; value >= 0x80; value >>= 7)
        n++;
    return n;
}

/* 0 when the value does not end within len bytes. */
static unsigned varint_get(const uint8_t *in, unsigned len, uint64_t *value)
{
    uint64_t v = 0;
    if (len > 0 && !(in[0] & 0x80)) { /* as nearly all are */
        *value = in[0];
        return 1;
    }
    for (unsigned n = 0; n < len && n < VARINT_MAX; n++) {
        v |= (uint64_t)(in[n] & 0x7f) << (7 * n);
        if (!(in[n] & 0x80)) {
            *value = v;
            return n + 1;
        }
    }
    return 0;
}

struct entry {
    uint64_t distance;
    uint64_t amount;
};

static const uint8_t *entries(const struct window *w)
{
    return w->cap > 0 ? w->packed : w->inside;
}

/* The packed entry at an offset; returns the offset behind it. */
static unsigned entry_at(const struct window *w, unsigned offset, struct entry *out)
{
    const uint8_t *from = entries(w);
    unsigned n = varint_get(from + offset, w->len - offset, &out->distance);
    unsigned m = varint_get(from + offset + n, w->len - offset - n, &out->amount);
    INVARIANT(n > 0 && m > 0);
    return offset + n + m;
}

void window_fini(struct window *w)
{
    if (w->cap > 0)
        free(w->packed);
    *w = (struct window){0};
}

/* Room for an entry of so many bytes, or NULL: out of memory. What has lapsed goes first. */
static uint8_t *make_room(struct window *w, unsigned more)
{
    unsigned cap = w->cap > 0 ? w->cap : WINDOW_INSIDE;
    uint8_t *from = w->cap > 0 ? w->packed : w->inside;
    if (w->len + more <= cap)
        return from;
    if (w->head > 0) {
        memmove(from, from + w->head, (size_t)(w->len - w->head));
        w->len = (uint16_t)(w->len - w->head);
        w->head = 0;
        if (w->len + more <= cap)
            return from;
    }
    cap = w->cap > 0 ? cap + cap / 2u : SMALLEST;
    if (cap < w->len + more)
        cap = w->len + more;
    INVARIANT(cap <= LARGEST);
    uint8_t *packed = realloc(w->cap > 0 ? w->packed : NULL, cap);
    if (!packed)
        return NULL;
    if (w->cap == 0)
        memcpy(packed, w->inside, w->len);
    w->packed = packed;
    w->cap = (uint16_t)cap;
    return packed;
}

static int pack_newest(struct window *w)
{
    bool is_first = w->head == w->len;
    uint64_t distance = is_first ? 0 : (uint64_t)(w->newest - w->last);
    uint8_t *to = make_room(w, varint_len(distance) + varint_len(w->newest_used));
    if (!to)
        return -ENOMEM;
    unsigned len = w->len;
    len += varint_put(to + len, distance);
    len += varint_put(to + len, w->newest_used);
    w->len = (uint16_t)len;
    if (is_first)
        w->oldest = w->newest;
    w->last = w->newest;
    return 0;
}

void window_forget(struct window *w, span length, stamp now)
{
    while (w->head < w->len && lapses_at(length, w->oldest) <= now) {
        struct entry e;
        unsigned next = entry_at(w, w->head, &e);
        w->total -= e.amount;
        w->head = (uint16_t)next;
        if (next < w->len) {
            entry_at(w, next, &e);
            w->oldest += (int64_t)e.distance;
        }
    }
    if (w->head == w->len)
        w->head = w->len = 0;
    if (w->newest_used > 0 && lapses_at(length, w->newest) <= now) {
        w->total -= w->newest_used;
        w->newest_used = 0;
    }
    if (w->total == 0)
        w->lapses = STAMP_NEVER;
    else
        w->lapses = lapses_at(length, w->head < w->len ? w->oldest : w->newest);
}

int window_add(struct window *w, span length, stamp at, uint64_t amount)
{
    if (amount == 0)
        return 0;
    int64_t cell = cell_of(length, at);
    if (cell <= w->newest && w->newest_used > 0) {
        w->newest_used += amount;
        w->total += amount;
        return 0;
    }
    if (cell < w->newest)
        cell = w->newest;
    (void)window_used(w, length, at);
    if (w->total == 0)
        w->lapses = lapses_at(length, cell);
    if (w->newest_used > 0) {
        int err = pack_newest(w);
        if (err < 0)
            return err;
    }
    w->newest = cell;
    w->newest_used = amount;
    w->total += amount;
    return 0;
}

stamp window_free_at(const struct window *w, span length, stamp now, uint64_t keep)
{
    uint64_t left = w->total;
    stamp moment = now;
    int64_t cell = w->oldest;
    for (unsigned at = w->head; at < w->len && left > keep;) {
        struct entry e;
        bool is_first = at == w->head;
        at = entry_at(w, at, &e);
        if (!is_first)
            cell += (int64_t)e.distance;
        left -= e.amount;
        moment = lapses_at(length, cell);
    }
    if (left > keep)
        moment = lapses_at(length, w->newest);
    return moment > now ? moment : now;
}

size_t window_cells(const struct window *w, span length,
                    struct window_cell out[WINDOW_CELLS_MOST])
{
    int64_t cell = w->oldest;
    size_t count = 0;
    for (unsigned at = w->head; at < w->len;) {
        struct entry e;
        bool is_first = at == w->head;
        at = entry_at(w, at, &e);
        if (!is_first)
            cell += (int64_t)e.distance;
        INVARIANT(count < WINDOW_CELLS_MOST);
        out[count++] = (struct window_cell){lapses_at(length, cell), e.amount};
    }
    if (w->newest_used > 0) {
        INVARIANT(count < WINDOW_CELLS_MOST);
        out[count++] = (struct window_cell){lapses_at(length, w->newest), w->newest_used};
    }
    return count;
}

/* Saved: the number of entries, then each one's cell (as the distance from the one before; the
 * first from 0) and amount. */
void window_save(const struct window *w, struct buf *out)
{
    uint8_t bytes[VARINT_MAX];
    uint64_t count = w->newest_used > 0;
    struct entry e;
    for (unsigned at = w->head; at < w->len; count++)
        at = entry_at(w, at, &e);
    buf_append(out, slice_make(bytes, varint_put(bytes, count)));
    int64_t before = 0;
    int64_t cell = w->oldest;
    for (unsigned at = w->head; at < w->len;) {
        bool is_first = at == w->head;
        at = entry_at(w, at, &e);
        if (!is_first)
            cell += (int64_t)e.distance;
        buf_append(out, slice_make(bytes, varint_put(bytes, (uint64_t)(cell - before))));
        buf_append(out, slice_make(bytes, varint_put(bytes, e.amount)));
        before = cell;
    }
    if (w->newest_used > 0) {
        buf_append(out, slice_make(bytes, varint_put(bytes, (uint64_t)(w->newest - before))));
        buf_append(out, slice_make(bytes, varint_put(bytes, w->newest_used)));
    }
}

static bool take_varint(slice *in, uint64_t *value)
{
    unsigned len = in->len < VARINT_MAX ? (unsigned)in->len : VARINT_MAX;
    unsigned n = varint_get((const uint8_t *)in->ptr, len, value);
    *in = slice_from(*in, n);
    return n > 0;
}

int window_load(struct window *w, slice *in)
{
    struct window loaded = {0};
    uint64_t count;
    slice rest = *in;
    /* Two more than the cells of a window: its borders need not be those of cells. */
    int err = take_varint(&rest, &count) && count <= WINDOW_CELLS + 2 ? 0 : -EBADMSG;
    for (uint64_t i = 0; err == 0 && i < count; i++) {
        uint64_t distance;
        uint64_t amount;
        if (!take_varint(&rest, &distance) || !take_varint(&rest, &amount) || amount == 0 ||
            distance > INT64_MAX / 2 || loaded.total > UINT64_MAX - amount) {
            err = -EBADMSG;
            break;
        }
        if (i > 0)
            err = pack_newest(&loaded);
        loaded.newest += (int64_t)distance;
        loaded.newest_used = amount;
        loaded.total += amount;
    }
    if (err < 0) {
        window_fini(&loaded);
        return err;
    }
    window_fini(w);
    *w = loaded;
    *in = rest;
    return 0;
}
