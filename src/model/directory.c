#include "model/directory.h"

#include "model/directory_state.h"
#include "model/preset.h"

#include <errno.h>
#include <stdlib.h>

struct directory *directory_new(const uint64_t seed[2])
{
    struct directory *d = xcalloc(1, sizeof(*d));
    int rc = pthread_rwlock_init(&d->lock, NULL);
    INVARIANT(rc == 0);
    d->seed[0] = seed[0];
    d->seed[1] = seed[1];
    directory_state_init(&d->state, seed);
    d->presets = arena_array(&d->arena, struct rule_set, preset_count);
    for (size_t i = 0; i < preset_count; i++)
        d->presets[i].count = preset_rules(&presets[i], &d->arena, &d->presets[i].rules);
    return d;
}

void directory_free(struct directory **d)
{
    if (!*d)
        return;
    directory_state_fini(&(*d)->state);
    pthread_rwlock_destroy(&(*d)->lock);
    arena_fini(&(*d)->arena);
    free(*d);
    *d = NULL;
}

uint64_t directory_version(const struct directory *d)
{
    return atomic_load_explicit(&d->version, memory_order_acquire);
}

int directory_apply(struct directory *d, slice fields)
{
    struct directory_change change;
    int rc = directory_change_parse(fields, &change);
    if (rc < 0)
        return rc;
    pthread_rwlock_wrlock(&d->lock);
    uint64_t known = atomic_load(&d->version);
    if (change.version > known) {
        bool follows = change.version == known + 1 || change.entity == ENTITY_RESTATEMENT;
        rc = follows ? directory_state_apply(&d->state, &change, fields) : -EBADMSG;
        if (rc == 0) {
            atomic_store_explicit(&d->version, change.version, memory_order_release);
            rc = 1;
        }
    }
    pthread_rwlock_unlock(&d->lock);
    return rc;
}

const struct directory_state *directory_read_lock(const struct directory *d)
{
    pthread_rwlock_rdlock((pthread_rwlock_t *)(uintptr_t)&d->lock);
    return &d->state;
}

void directory_read_unlock(const struct directory *d)
{
    pthread_rwlock_unlock((pthread_rwlock_t *)(uintptr_t)&d->lock);
}

static int strictness(enum account_state s)
{
    return s == ACCOUNT_LOCKED ? 2 : s == ACCOUNT_SUSPENDED ? 1 : 0;
}

/* Takes over a state that is stricter than the one the account has. */
static void restrict_state(struct account *out, enum account_state state, stamp until,
                           slice reason, stamp now)
{
    if (state == ACCOUNT_ACTIVE || until <= now)
        return;
    int difference = strictness(state) - strictness(out->state);
    if (difference < 0 || (difference == 0 && until <= out->until))
        return;
    out->state = state;
    out->until = until;
    out->reason = reason;
}

/* What an account has from its customer and that customer's resellers. False: one is gone. */
static bool inherit(const struct directory_state *s, uint64_t customer, stamp now,
                    struct account *out)
{
    for (int depth = 0; customer != 0; depth++) {
        const struct customer_node *c = directory_state_customer(s, customer);
        if (!c || depth == CUSTOMER_DEPTH_MAX)
            return false;
        restrict_state(out, c->value.state, c->value.until, c->value.reason, now);
        if (out->language.len == 0)
            out->language = c->value.language;
        if (!out->zone)
            out->zone = c->zone;
        customer = c->value.parent;
    }
    if (out->language.len == 0)
        out->language = SLICE("en");
    if (!out->zone)
        out->zone = &zone_utc;
    return true;
}

static bool copy_account(const struct directory *d, const struct account_node *n, stamp now,
                         struct arena *a, struct account *out)
{
    if (!n)
        return false;
    const struct directory_account *from = &n->value;
    struct account copy = {
        .id = from->id,
        .customer = from->customer,
        .version = atomic_load(&d->version),
        .login = from->login,
        .language = from->language,
        .zone = n->zone,
        .right = from->right,
        .sender_count = from->sender_count,
        .max_recipients = from->max_recipients,
        .max_size = from->max_size,
        .unlocked = from->unlocked,
    };
    restrict_state(&copy, from->state, from->until, from->reason, now);
    if (!inherit(&d->state, from->customer, now, &copy))
        return false;
    slice *senders = arena_array(a, slice, from->sender_count);
    for (size_t i = 0; i < from->sender_count; i++)
        senders[i] = arena_dup(a, from->senders[i]);
    copy.senders = senders;
    copy.login = arena_dup(a, copy.login);
    copy.language = arena_dup(a, copy.language);
    copy.reason = arena_dup(a, copy.reason);
    *out = copy;
    return true;
}

bool directory_account(const struct directory *d, uint64_t id, stamp now, struct arena *a,
                       struct account *out)
{
    const struct directory_state *s = directory_read_lock(d);
    bool found = copy_account(d, directory_state_account(s, id), now, a, out);
    directory_read_unlock(d);
    return found;
}

bool directory_account_by_login(const struct directory *d, slice login, stamp now,
                                struct arena *a, struct account *out)
{
    slice key = arena_lower(a, login);
    const struct directory_state *s = directory_read_lock(d);
    bool found = copy_account(d, map_get(&s->logins, key), now, a, out);
    directory_read_unlock(d);
    return found;
}

static void copy_credential(const struct directory_credential *from, struct arena *a,
                            struct directory_credential *out)
{
    *out = *from;
    out->label = arena_dup(a, from->label);
    out->scheme = arena_dup(a, from->scheme);
    out->verifier = arena_dup(a, from->verifier);
    uint64_t *others = arena_array(a, uint64_t, from->may_act_for_count);
    for (size_t i = 0; i < from->may_act_for_count; i++)
        others[i] = from->may_act_for[i];
    out->may_act_for = others;
}

static size_t count_secrets(const struct account_node *n)
{
    size_t count = 0;
    LIST_EACH (&n->credentials, node)
        count += LIST_ITEM(node, struct credential_node, of_account)->value.kind ==
                 CREDENTIAL_SECRET;
    return count;
}

size_t directory_verifiers(const struct directory *d, uint64_t account, struct arena *a,
                           const struct directory_credential **out)
{
    const struct directory_state *s = directory_read_lock(d);
    const struct account_node *n = directory_state_account(s, account);
    size_t count = 0;
    if (n) {
        struct directory_credential *copies =
            arena_array(a, struct directory_credential, count_secrets(n));
        LIST_EACH (&n->credentials, node) {
            const struct directory_credential *c =
                &LIST_ITEM(node, struct credential_node, of_account)->value;
            if (c->kind == CREDENTIAL_SECRET)
                copy_credential(c, a, &copies[count++]);
        }
        *out = copies;
    }
    directory_read_unlock(d);
    return count;
}

/* The oldest credential of a door, if all of them belong to one customer: of two customers we
 * could not tell whose mail it is. */
static const struct credential_node *choose(const struct directory_state *s, slice door)
{
    const struct credential_node *chosen = map_get(&s->doors, door);
    if (!chosen)
        return NULL;
    uint64_t customer = chosen->account->value.customer;
    for (const struct credential_node *n = chosen->door_next; n; n = n->door_next) {
        if (n->account->value.customer != customer)
            return NULL;
        if (n->value.id < chosen->value.id)
            chosen = n;
    }
    return chosen;
}

static bool copy_signed_in(const struct directory *d, const struct credential_node *n,
                           stamp now, struct arena *a, struct account *out)
{
    if (!n || !copy_account(d, n->account, now, a, out))
        return false;
    out->credential = n->value.id;
    return true;
}

bool directory_by_address(const struct directory *d, const struct address *client, stamp now,
                          struct arena *a, struct account *out)
{
    if (client->family != 4 && client->family != 6)
        return false;
    const struct directory_state *s = directory_read_lock(d);
    const uint32_t *counts = s->prefixes[client->family == 4 ? 0 : 1];
    const struct credential_node *n = NULL;
    char key[DIRECTORY_DOOR_MAX];
    for (int prefix = client->family == 4 ? 32 : 128; prefix >= 0; prefix--) {
        if (counts[prefix] == 0)
            continue;
        slice door = directory_door_of_address(client, (uint8_t)prefix, key);
        if (!map_get(&s->doors, door))
            continue;
        n = choose(s, door);
        break;
    }
    bool found = copy_signed_in(d, n, now, a, out);
    directory_read_unlock(d);
    return found;
}

bool directory_by_uid(const struct directory *d, uint32_t uid, stamp now, struct arena *a,
                      struct account *out)
{
    char key[DIRECTORY_DOOR_MAX];
    const struct directory_state *s = directory_read_lock(d);
    const struct credential_node *n = choose(s, directory_door_of_uid(uid, key));
    bool found = copy_signed_in(d, n, now, a, out);
    directory_read_unlock(d);
    return found;
}

static bool lists_account(const struct directory_credential *c, uint64_t account)
{
    for (size_t i = 0; i < c->may_act_for_count; i++)
        if (c->may_act_for[i] == account)
            return true;
    return c->account == account;
}

bool directory_may_act_for(const struct directory *d, uint64_t credential, uint64_t account)
{
    const struct directory_state *s = directory_read_lock(d);
    const struct credential_node *n = directory_state_credential(s, credential);
    bool may = n && directory_state_account(s, account) && lists_account(&n->value, account);
    directory_read_unlock(d);
    return may;
}

void directory_patience(const struct directory *d, uint64_t account, span *expiry,
                        span *warn_after)
{
    const struct directory_state *s = directory_read_lock(d);
    const struct account_node *n = directory_state_account(s, account);
    span expire = n ? n->value.expire_after : 0;
    span warn = n ? n->value.warn_after : 0;
    directory_read_unlock(d);
    if (expire > 0)
        *expiry = expire;
    if (warn != 0)
        *warn_after = warn > 0 ? warn : 0;
}

uint64_t directory_parent(const struct directory *d, uint64_t customer)
{
    const struct directory_state *s = directory_read_lock(d);
    const struct customer_node *c = directory_state_customer(s, customer);
    uint64_t parent = c ? c->value.parent : 0;
    directory_read_unlock(d);
    return parent;
}

uint64_t directory_customer_of(const struct directory *d, uint64_t account)
{
    const struct directory_state *s = directory_read_lock(d);
    const struct account_node *n = directory_state_account(s, account);
    uint64_t customer = n ? n->value.customer : 0;
    directory_read_unlock(d);
    return customer;
}

bool directory_has_credential(const struct directory *d, uint64_t credential)
{
    const struct directory_state *s = directory_read_lock(d);
    bool has = directory_state_credential(s, credential) != NULL;
    directory_read_unlock(d);
    return has;
}
