/* Saving and loading the directory.
 *
 * The contents are numbers and texts as fields (codec/record): first TAG_VERSION, TAG_COUNT (of
 * entities) and TAG_STATE (1: in the middle of a restatement); then for each entity TAG_STATE
 * (1: stale) and TAG_ENTITY, whose value is the fields of its last change. Customers come
 * first, then accounts, then credentials, so that each finds what it refers to. */
#include "model/directory_state.h"

#include <errno.h>

static void save_map(const struct map *m, struct buf *out)
{
    size_t at = 0;
    slice key;
    void *value;
    while (map_next(m, &at, &key, &value)) {
        const struct directory_node *n = value;
        record_put_u64(out, TAG_STATE, n->is_stale);
        record_put(out, TAG_ENTITY, n->fields);
    }
}

void directory_save(const struct directory *d, struct buf *out)
{
    struct directory *locked = (struct directory *)(uintptr_t)d;
    const struct directory_state *s = &d->state;
    pthread_rwlock_rdlock(&locked->lock);
    record_put_u64(out, TAG_VERSION, atomic_load(&d->version));
    record_put_u64(out, TAG_COUNT,
                   s->customers.count + s->accounts.count + s->credentials.count);
    record_put_u64(out, TAG_STATE, s->is_restating);
    save_map(&s->customers, out);
    save_map(&s->accounts, out);
    save_map(&s->credentials, out);
    pthread_rwlock_unlock(&locked->lock);
}

static int take(slice *contents, enum record_tag tag, struct record_field *f)
{
    return record_next(contents, f) == 1 && f->tag == tag ? 0 : -EBADMSG;
}

static void set_stale(struct directory_state *s, const struct directory_change *change,
                      bool is_stale)
{
    struct directory_node *n = NULL;
    if (change->entity == ENTITY_CUSTOMER)
        n = &directory_state_customer(s, change->key)->node;
    else if (change->entity == ENTITY_ACCOUNT)
        n = &directory_state_account(s, change->key)->node;
    else
        n = &directory_state_credential(s, change->key)->node;
    n->is_stale = is_stale;
}

static int load_entity(struct directory_state *s, slice *contents)
{
    struct record_field stale, entity;
    struct directory_change change;
    int rc = take(contents, TAG_STATE, &stale);
    if (rc == 0)
        rc = take(contents, TAG_ENTITY, &entity);
    if (rc == 0)
        rc = directory_change_parse(entity.value, &change);
    if (rc < 0)
        return rc;
    if (change.is_removal || change.entity >= ENTITY_RESTATEMENT)
        return -EBADMSG;
    rc = directory_state_apply(s, &change, entity.value);
    if (rc == 0)
        set_stale(s, &change, stale.number != 0);
    return rc;
}

static int load_state(struct directory_state *s, slice contents, uint64_t *version)
{
    struct record_field head, count, restating;
    int rc = take(&contents, TAG_VERSION, &head);
    if (rc == 0)
        rc = take(&contents, TAG_COUNT, &count);
    if (rc == 0)
        rc = take(&contents, TAG_STATE, &restating);
    if (rc < 0)
        return rc;
    for (uint64_t i = 0; i < count.number && rc == 0; i++)
        rc = load_entity(s, &contents);
    if (rc == 0 && contents.len > 0)
        rc = -EBADMSG;
    if (rc < 0)
        return rc;
    s->is_restating = restating.number != 0;
    *version = head.number;
    return 0;
}

int directory_load(struct directory *d, slice contents)
{
    struct directory_state loaded;
    uint64_t version = 0;
    directory_state_init(&loaded, d->seed);
    int rc = load_state(&loaded, contents, &version);
    if (rc < 0) {
        directory_state_fini(&loaded);
        return rc;
    }
    pthread_rwlock_wrlock(&d->lock);
    struct directory_state old = d->state;
    d->state = loaded;
    atomic_store(&d->version, version);
    pthread_rwlock_unlock(&d->lock);
    directory_state_fini(&old);
    return 0;
}
