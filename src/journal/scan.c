#include "journal/scan.h"
#include "journal/segment.h"

#include <errno.h>
#include <stdlib.h>

enum {
    WINDOW = 128 * 1024,
    HEADS_WINDOW = 16 * 1024, /* heads_only: bodies lie between them */
    KEPT = 1024 * 1024,       /* a window that grew beyond this for one record is given back */
    STEP = 8,                 /* records begin at multiples of this */
};

void scan_enter(struct scan *s, struct env *env, int fd, uint64_t base, uint64_t key)
{
    s->env = env;
    s->fd = fd;
    s->base = base;
    s->key = key;
    s->len = 0;
    s->start = 0;
}

void scan_fini(struct scan *s)
{
    free(s->buf);
    s->buf = NULL;
    s->cap = s->len = 0;
}

static int make_room(struct scan *s, size_t len)
{
    size_t window = s->heads_only ? HEADS_WINDOW : WINDOW;
    size_t cap = len > window ? len : window;
    if (s->cap >= cap && (s->cap <= KEPT || cap > KEPT))
        return 0;
    char *buf = realloc(s->buf, cap);
    if (!buf)
        return -ENOMEM;
    s->buf = buf;
    s->cap = cap;
    if (s->len > cap)
        s->len = cap;
    return 0;
}

/* Moves the window so that it begins at the position, keeping what it has from there on. */
static void move_to(struct scan *s, uint64_t position)
{
    if (position >= s->start && position < s->start + s->len) {
        size_t skip = (size_t)(position - s->start);
        memmove(s->buf, s->buf + skip, s->len - skip);
        s->len -= skip;
    } else {
        s->len = 0;
    }
    s->start = position;
}

ssize_t scan_bytes(struct scan *s, uint64_t position, size_t len, uint64_t limit,
                   const char **out)
{
    if (position >= limit)
        return 0;
    if (len > limit - position)
        len = (size_t)(limit - position);
    bool at_hand = position >= s->start && position + len <= s->start + s->len;
    if (!at_hand) {
        move_to(s, position);
        int err = make_room(s, len);
        if (err < 0)
            return err;
        size_t want = s->cap < limit - position ? s->cap : (size_t)(limit - position);
        ssize_t n = env_read_full(s->env, s->fd, s->buf + s->len, want - s->len,
                                  position + s->len - s->base);
        if (n < 0)
            return n;
        s->len += (size_t)n;
    }
    size_t have = (size_t)(s->start + s->len - position);
    *out = s->buf + (position - s->start);
    return (ssize_t)(have < len ? have : len);
}

int scan_record(struct scan *s, uint64_t position, uint64_t limit, struct journal_record *out)
{
    const char *bytes;
    ssize_t n = scan_bytes(s, position, RECORD_HEADER_LEN, limit, &bytes);
    if (n < 0)
        return (int)n;
    struct journal_record r = {.position = position};
    if (n < RECORD_HEADER_LEN || record_decode_header(bytes, &r.header) < 0)
        return -EBADMSG;
    size_t head = RECORD_HEADER_LEN + (size_t)r.header.fields_len;
    uint64_t size = record_size(r.header.fields_len, r.header.body_len);
    if (size > limit - position)
        return -EBADMSG;
    n = scan_bytes(s, position, head, limit, &bytes);
    if (n < 0)
        return (int)n;
    uint64_t seed = segment_seed(s->key, position);
    slice fields = slice_make(bytes + RECORD_HEADER_LEN, r.header.fields_len);
    if ((size_t)n < head || !record_head_is_whole(bytes, fields, seed))
        return -EBADMSG;
    /* The head is ours, so the length of the body is one that was written once. */
    if (!s->heads_only) {
        n = scan_bytes(s, position, (size_t)size, limit, &bytes);
        if (n < 0)
            return (int)n;
        if ((uint64_t)n < size)
            return -EBADMSG;
        struct iovec body = {(void *)(uintptr_t)(bytes + head), (size_t)r.header.body_len};
        if (record_body_sum(&body, 1, seed) != r.header.body_sum)
            return -EBADMSG;
    }
    r.fields = slice_make(bytes + RECORD_HEADER_LEN, r.header.fields_len);
    r.next = position + size;
    r.body_position = position + head;
    *out = r;
    return 0;
}

int scan_search(struct scan *s, uint64_t position, uint64_t limit, uint64_t *found)
{
    for (position = (position + STEP - 1) / STEP * STEP;; position += STEP) {
        const char *bytes;
        ssize_t n = scan_bytes(s, position, RECORD_HEADER_LEN, limit, &bytes);
        if (n < 0)
            return (int)n;
        if (n < RECORD_HEADER_LEN)
            return -ENOENT;
        struct record_header h;
        if (record_decode_header(bytes, &h) < 0)
            continue;
        struct journal_record r;
        int err = scan_record(s, position, limit, &r);
        if (err == -EBADMSG)
            continue;
        if (err == 0)
            *found = position;
        return err;
    }
}

void scan_batch_note(struct scan_batch *b, const struct journal_record *r)
{
    if (r->header.type == RECORD_BATCH)
        *b = (struct scan_batch){r->position, record_get_u64(r->fields, TAG_COUNT), false};
    else if (b->left > 0 && !b->is_torn)
        b->left--;
}

void scan_batch_tear(struct scan_batch *b)
{
    b->is_torn = true;
}
