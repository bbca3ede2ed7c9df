/* support: entries, expected contents and scratch directories for the journal's tests. */
#ifndef TEST_JOURNAL_SUPPORT_H
#define TEST_JOURNAL_SUPPORT_H

#include "journal/reader.h"
#include "journal/writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

/* A record whose fields and body follow from its id alone. */
struct sample {
    struct journal_entry entry;
    struct buf fields;
    struct iovec body[2];
    char *bytes;
    uint64_t id;
    bool is_done;
    size_t done_at; /* set by tests that count operations */
};

static inline char sample_byte(uint64_t id, size_t i)
{
    return (char)(id * 131 + i * 7 + (i >> 8));
}

static inline void sample_done(struct journal_entry *e)
{
    CONTAINER_OF(e, struct sample, entry)->is_done = true;
}

static inline void sample_fini(struct sample *s)
{
    buf_fini(&s->fields);
    free(s->bytes);
    s->bytes = NULL;
}

static inline void sample_init(struct sample *s, enum record_type type, uint64_t id, size_t len)
{
    *s = (struct sample){.id = id};
    record_put_u64(&s->fields, TAG_ID, id);
    record_put_u64(&s->fields, TAG_OCTETS, len);
    s->bytes = malloc(len ? len : 1);
    assert_non_null(s->bytes);
    for (size_t i = 0; i < len; i++)
        s->bytes[i] = sample_byte(id, i);
    s->body[0] = (struct iovec){s->bytes, len / 3};
    s->body[1] = (struct iovec){s->bytes + len / 3, len - len / 3};
    s->entry = (struct journal_entry){
        .header = {.type = type, .at = (stamp)(1000000 + id), .account = id % 7},
        .fields = buf_slice(&s->fields),
        .body = s->body,
        .body_count = 2,
        .done = sample_done,
    };
}

/* Does this record say what sample_init put into it? The body is compared by the caller, who
 * has its bytes. */
static inline bool sample_is(const struct journal_record *r)
{
    uint64_t id = record_get_u64(r->fields, TAG_ID);
    return r->header.at == (stamp)(1000000 + id) && r->header.account == id % 7 &&
           record_get_u64(r->fields, TAG_OCTETS) == r->header.body_len;
}

static inline bool sample_body_is(uint64_t id, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != sample_byte(id, i))
            return false;
    }
    return true;
}

#endif
