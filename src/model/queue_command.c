#include "model/queue_command.h"

#include <errno.h>

static const char *const verbs[] = {
    [QUEUE_HOLD] = "hold",     [QUEUE_RELEASE] = "release", [QUEUE_RETRY] = "retry",
    [QUEUE_REMOVE] = "remove", [QUEUE_THAW] = "thaw",       [QUEUE_PURGE] = "purge",
};

static const slice prefix = SLICE_INIT("queue-");

const char *queue_verb_name(enum queue_verb v)
{
    return (size_t)v < COUNT_OF(verbs) ? verbs[v] : NULL;
}

static void put_number(struct buf *fields, enum record_tag tag, uint64_t n)
{
    if (n != 0)
        record_put_u64(fields, tag, n);
}

void queue_command_put(struct buf *fields, const struct queue_command *c)
{
    char room[32];
    struct buf verb = {.ptr = room, .cap = sizeof(room), .max = sizeof(room)};
    buf_append(&verb, prefix);
    buf_append(&verb, slice_of(verbs[c->verb]));
    record_put(fields, TAG_VERB, buf_slice(&verb));
    record_put_u64(fields, TAG_TOKEN, c->token);
    record_put(fields, TAG_BY, slice_to(c->by, QUEUE_COMMAND_BY_MAX));
    for (size_t i = 0; i < c->id_count; i++)
        record_put_u64(fields, TAG_ID, c->ids[i]);
    put_number(fields, TAG_OF_ACCOUNT, c->account);
    put_number(fields, TAG_OF_CUSTOMER, c->customer);
    if (c->domain.len > 0)
        record_put(fields, TAG_OF_DOMAIN, c->domain);
    put_number(fields, TAG_OF_BEFORE, (uint64_t)c->before);
    put_number(fields, TAG_OF_ALL, c->is_all);
    put_number(fields, TAG_VERSION, c->version);
}

static enum queue_verb verb_of(slice text)
{
    if (!slice_starts(text, prefix))
        return 0;
    text = slice_from(text, prefix.len);
    for (size_t i = 1; i < COUNT_OF(verbs); i++)
        if (slice_eq(text, slice_of(verbs[i])))
            return (enum queue_verb)i;
    return 0;
}

/* False: more ids than a command may have. */
static bool read_field(struct queue_command *c, uint64_t *ids, const struct record_field *f)
{
    switch ((unsigned)f->tag) {
    case TAG_TOKEN:
        c->token = f->number;
        break;
    case TAG_BY:
        c->by = f->value;
        break;
    case TAG_ID:
        if (c->id_count == QUEUE_COMMAND_IDS_MAX)
            return false;
        ids[c->id_count++] = f->number;
        break;
    case TAG_OF_ACCOUNT:
        c->account = f->number;
        break;
    case TAG_OF_CUSTOMER:
        c->customer = f->number;
        break;
    case TAG_OF_DOMAIN:
        c->domain = f->value;
        break;
    case TAG_OF_BEFORE:
        c->before = (stamp)f->number;
        break;
    case TAG_OF_ALL:
        c->is_all = f->number != 0;
        break;
    case TAG_VERSION:
        c->version = f->number;
        break;
    default:
        break;
    }
    return true;
}

static bool is_about_something(const struct queue_command *c)
{
    bool is_about = c->id_count > 0 || c->account || c->customer || c->domain.len > 0 ||
                    c->before != 0 || c->is_all;
    if (c->verb == QUEUE_THAW || c->verb == QUEUE_PURGE)
        return c->version != 0 && (c->account != 0) != (c->customer != 0);
    return is_about;
}

int queue_command_read(slice fields, uint64_t ids[QUEUE_COMMAND_IDS_MAX],
                       struct queue_command *out)
{
    struct queue_command c = {.verb = verb_of(record_get(fields, TAG_VERB)), .ids = ids};
    struct record_field f;
    int more;
    if (c.verb == 0)
        return -ENOENT;
    while ((more = record_next(&fields, &f)) > 0)
        if (!read_field(&c, ids, &f))
            return -EBADMSG;
    if (more < 0 || c.before < 0 || !is_about_something(&c))
        return -EBADMSG;
    *out = c;
    return 0;
}

bool queue_command_is_standing(const struct queue_command *c)
{
    int whole = (c->account != 0) + (c->customer != 0) + (c->domain.len > 0);
    return whole == 1 && c->id_count == 0 && c->before == 0 && !c->is_all;
}
