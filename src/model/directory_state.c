#include "model/directory_state.h"

#include "base/arena.h"
#include "base/log.h"
#include "model/zoneinfo.h"

#include <errno.h>
#include <stdlib.h>

void directory_state_init(struct directory_state *s, const uint64_t seed[2])
{
    *s = (struct directory_state){0};
    map_init(&s->customers, seed);
    map_init(&s->accounts, seed);
    map_init(&s->logins, seed);
    map_init(&s->credentials, seed);
    map_init(&s->doors, seed);
    map_init(&s->zones, seed);
}

static void free_all(struct map *m)
{
    size_t at = 0;
    slice key;
    void *value;
    while (map_next(m, &at, &key, &value))
        free(value);
    map_fini(m);
}

void directory_state_fini(struct directory_state *s)
{
    map_fini(&s->doors);
    map_fini(&s->logins);
    free_all(&s->credentials);
    free_all(&s->accounts);
    free_all(&s->customers);
    free_all(&s->zones);
}

struct customer_node *directory_state_customer(const struct directory_state *s, uint64_t id)
{
    return map_get(&s->customers, MAP_KEY(id));
}

const struct zone *directory_state_zone(const struct directory_state *s, uint64_t customer)
{
    for (int depth = 0; customer != 0 && depth < CUSTOMER_DEPTH_MAX; depth++) {
        const struct customer_node *c = directory_state_customer(s, customer);
        if (!c)
            break;
        if (c->zone)
            return c->zone;
        customer = c->value.parent;
    }
    return &zone_utc;
}

struct named_zone {
    struct zone zone; /* first: the map's value */
    char name[];
};

/* The system is asked once for each name. Control has refused those that it does not know, so
 * an unknown one was known before: it is UTC, which is what people then read behind times. */
static const struct zone *find_zone(struct directory_state *s, slice name)
{
    if (name.len == 0)
        return NULL;
    struct named_zone *z = map_get(&s->zones, name);
    if (z)
        return &z->zone;
    z = xcalloc(1, sizeof(*z) + name.len);
    memcpy(z->name, name.ptr, name.len);
    int err = zoneinfo_read(name, &z->zone);
    if (err < 0) {
        z->zone = zone_utc;
        log_warning("time-zone-unusable", LOG_S("name", name), LOG_E("error", err),
                    LOG_C("effect", "UTC is used"));
    }
    map_put(&s->zones, slice_make(z->name, name.len), z);
    return &z->zone;
}

struct account_node *directory_state_account(const struct directory_state *s, uint64_t id)
{
    return map_get(&s->accounts, MAP_KEY(id));
}

struct credential_node *directory_state_credential(const struct directory_state *s, uint64_t id)
{
    return map_get(&s->credentials, MAP_KEY(id));
}

static uint32_t *prefix_count(struct directory_state *s, const struct cidr *c)
{
    return &s->prefixes[c->address.family == 4 ? 0 : 1][c->prefix];
}

/* A door is entered in the map under the key of the chain's first credential. */
static void open_door(struct directory_state *s, struct credential_node *n)
{
    if (n->door.len == 0)
        return;
    n->door_next = map_get(&s->doors, n->door);
    map_put(&s->doors, n->door, n);
    if (n->value.kind == CREDENTIAL_ADDRESS)
        ++*prefix_count(s, &n->value.cidr);
}

static void close_door(struct directory_state *s, struct credential_node *n)
{
    if (n->door.len == 0)
        return;
    struct credential_node *first = map_get(&s->doors, n->door);
    if (first == n && n->door_next) {
        map_put(&s->doors, n->door_next->door, n->door_next);
    } else if (first == n) {
        map_remove(&s->doors, n->door);
    } else {
        struct credential_node *at = first;
        while (at->door_next != n)
            at = at->door_next;
        at->door_next = n->door_next;
    }
    if (n->value.kind == CREDENTIAL_ADDRESS)
        --*prefix_count(s, &n->value.cidr);
}

static void drop_credential(struct directory_state *s, struct credential_node *n)
{
    close_door(s, n);
    list_remove(&n->of_account);
    map_remove(&s->credentials, MAP_KEY(n->value.id));
    free(n);
}

static void drop_account(struct directory_state *s, struct account_node *n)
{
    LIST_EACH (&n->credentials, node)
        drop_credential(s, LIST_ITEM(node, struct credential_node, of_account));
    map_remove(&s->logins, n->login_key);
    map_remove(&s->accounts, MAP_KEY(n->value.id));
    free(n);
}

static void drop_customer(struct directory_state *s, struct customer_node *n)
{
    map_remove(&s->customers, MAP_KEY(n->value.id));
    free(n);
}

static int put_customer(struct directory_state *s, slice fields)
{
    struct customer_node *n;
    int rc = customer_node_new(fields, &n);
    if (rc < 0)
        return rc;
    n->zone = find_zone(s, n->value.time_zone);
    free(map_put(&s->customers, MAP_KEY(n->value.id), n));
    return 0;
}

/* A login belongs to one account. Only an account that the running restatement has not named
 * again may stand in the way: it is one that was removed while nobody was told. */
static int make_room_for_login(struct directory_state *s, const struct account_node *n)
{
    struct account_node *holder = map_get(&s->logins, n->login_key);
    if (!holder || holder->value.id == n->value.id)
        return 0;
    if (!holder->node.is_stale)
        return -EBADMSG;
    drop_account(s, holder);
    return 0;
}

static int put_account(struct directory_state *s, slice fields)
{
    struct account_node *n;
    int rc = account_node_new(fields, &n);
    if (rc == 0) {
        rc = make_room_for_login(s, n);
        if (rc < 0)
            free(n);
    }
    if (rc < 0)
        return rc;
    n->zone = find_zone(s, n->value.time_zone);
    struct account_node *old = directory_state_account(s, n->value.id);
    if (old) {
        map_remove(&s->logins, old->login_key);
        list_splice(&n->credentials, &old->credentials);
        LIST_EACH (&n->credentials, node)
            LIST_ITEM(node, struct credential_node, of_account)->account = n;
    }
    map_put(&s->logins, n->login_key, n);
    map_put(&s->accounts, MAP_KEY(n->value.id), n);
    free(old);
    return 0;
}

static int put_credential(struct directory_state *s, slice fields)
{
    struct credential_node *n;
    int rc = credential_node_new(fields, &n);
    if (rc < 0)
        return rc;
    n->account = directory_state_account(s, n->value.account);
    if (!n->account) {
        free(n);
        return -EBADMSG;
    }
    struct credential_node *old = directory_state_credential(s, n->value.id);
    if (old)
        drop_credential(s, old);
    list_push(&n->account->credentials, &n->of_account);
    map_put(&s->credentials, MAP_KEY(n->value.id), n);
    open_door(s, n);
    return 0;
}

static void mark_stale(const struct map *m)
{
    size_t at = 0;
    slice key;
    void *value;
    while (map_next(m, &at, &key, &value))
        ((struct directory_node *)value)->is_stale = true;
}

static void begin_restatement(struct directory_state *s)
{
    mark_stale(&s->customers);
    mark_stale(&s->accounts);
    mark_stale(&s->credentials);
    s->is_restating = true;
}

static void end_restatement(struct directory_state *s)
{
    size_t at = 0;
    slice key;
    void *value;
    while (map_next(&s->credentials, &at, &key, &value))
        if (((struct directory_node *)value)->is_stale)
            drop_credential(s, value);
    at = 0;
    while (map_next(&s->accounts, &at, &key, &value))
        if (((struct directory_node *)value)->is_stale)
            drop_account(s, value);
    at = 0;
    while (map_next(&s->customers, &at, &key, &value))
        if (((struct directory_node *)value)->is_stale)
            drop_customer(s, value);
    s->is_restating = false;
}

/* Removing what is not there is nothing: the state is as the change wants it. */
static void remove_entity(struct directory_state *s, const struct directory_change *change)
{
    struct customer_node *customer;
    struct account_node *account;
    struct credential_node *credential;
    switch (change->entity) {
    case ENTITY_CUSTOMER:
        customer = directory_state_customer(s, change->key);
        if (customer)
            drop_customer(s, customer);
        break;
    case ENTITY_ACCOUNT:
        account = directory_state_account(s, change->key);
        if (account)
            drop_account(s, account);
        break;
    case ENTITY_CREDENTIAL:
        credential = directory_state_credential(s, change->key);
        if (credential)
            drop_credential(s, credential);
        break;
    case ENTITY_RESTATEMENT:
    case ENTITY_RESTATEMENT_END:
        break;
    }
}

int directory_state_apply(struct directory_state *s, const struct directory_change *change,
                          slice fields)
{
    if (change->is_removal) {
        remove_entity(s, change);
        return 0;
    }
    switch (change->entity) {
    case ENTITY_CUSTOMER:
        return put_customer(s, fields);
    case ENTITY_ACCOUNT:
        return put_account(s, fields);
    case ENTITY_CREDENTIAL:
        return put_credential(s, fields);
    case ENTITY_RESTATEMENT:
        begin_restatement(s);
        return 0;
    case ENTITY_RESTATEMENT_END:
        if (!s->is_restating)
            return -EBADMSG;
        end_restatement(s);
        return 0;
    }
    return -EBADMSG;
}
