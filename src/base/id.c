#include "base/id.h"

#include <stdatomic.h>

enum { SEQUENCE_BITS = 12, WRITER_BITS = 2, NODE_BITS = 8 };
enum { LOW_BITS = SEQUENCE_BITS + WRITER_BITS + NODE_BITS };

static const stamp EPOCH = 1577836800 * SPAN_SECOND; /* 2020-01-01 */
static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";

/* `last` holds (milliseconds << SEQUENCE_BITS) | sequence, so that the sequence carries into
 * the time when more than 4,096 ids are taken in one millisecond. */
static uint64_t compose(const struct id_source *s, uint64_t ticks)
{
    uint64_t sequence = ticks & ((1u << SEQUENCE_BITS) - 1);
    uint64_t ms = ticks >> SEQUENCE_BITS;
    return (ms << LOW_BITS) | ((uint64_t)s->node << (WRITER_BITS + SEQUENCE_BITS)) |
           ((uint64_t)s->writer << SEQUENCE_BITS) | sequence;
}

static uint64_t ticks_of(uint64_t id)
{
    return ((id >> LOW_BITS) << SEQUENCE_BITS) | (id & ((1u << SEQUENCE_BITS) - 1));
}

void id_source_init(struct id_source *s, uint8_t node, enum id_writer writer)
{
    atomic_init(&s->last, 0);
    s->node = node;
    s->writer = writer;
}

void id_source_raise(struct id_source *s, uint64_t seen)
{
    uint64_t floor = ticks_of(seen);
    uint64_t last = atomic_load(&s->last);
    while (last < floor && !atomic_compare_exchange_weak(&s->last, &last, floor))
        continue;
}

uint64_t id_next(struct id_source *s, stamp now)
{
    uint64_t clock = now > EPOCH ? (uint64_t)((now - EPOCH) / SPAN_MS) << SEQUENCE_BITS : 0;
    uint64_t last = atomic_load(&s->last);
    uint64_t next;
    do {
        next = clock > last ? clock : last + 1;
    } while (!atomic_compare_exchange_weak(&s->last, &last, next));
    return compose(s, next);
}

enum id_writer id_writer(uint64_t id)
{
    return (enum id_writer)(id >> SEQUENCE_BITS & ((1u << WRITER_BITS) - 1));
}

stamp id_stamp(uint64_t id)
{
    return EPOCH + (stamp)(id >> LOW_BITS) * SPAN_MS;
}

void id_format(uint64_t id, char text[ID_TEXT_LEN + 1])
{
    for (int i = ID_TEXT_LEN - 1; i >= 0; i--, id >>= 5)
        text[i] = alphabet[id & 31];
    text[ID_TEXT_LEN] = '\0';
}

bool id_parse(slice text, uint64_t *id)
{
    uint64_t n = 0;
    if (text.len != ID_TEXT_LEN)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        const char *at = memchr(alphabet, ascii_lower(text.ptr[i]), sizeof(alphabet) - 1);
        if (!at || (i == 0 && at - alphabet > 15))
            return false;
        n = (n << 5) | (uint64_t)(at - alphabet);
    }
    *id = n;
    return true;
}
