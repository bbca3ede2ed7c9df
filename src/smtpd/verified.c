#include "smtpd/verified.h"

#include "base/list.h"
#include "base/map.h"
#include "base/secret.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>

enum { MARK_LEN = 32 };

struct mark {
    struct list node; /* oldest first; all have the same age at their end */
    span ends;
    unsigned char sum[MARK_LEN];
};

struct verified {
    struct env *env;
    size_t max;
    span age;
    unsigned char key[crypto_generichash_KEYBYTES];
    pthread_mutex_t lock;
    struct map marks;
    struct list order;
};

struct verified *verified_new(struct env *env, size_t max, span age)
{
    struct verified *v = xcalloc(1, sizeof(*v));
    v->env = env;
    v->max = max;
    v->age = age;
    env_random(env, v->key, sizeof(v->key));
    pthread_mutex_init(&v->lock, NULL);
    uint64_t seed[2];
    env_random(env, seed, sizeof(seed));
    map_init(&v->marks, seed);
    list_init(&v->order);
    return v;
}

static void drop(struct verified *v, struct mark *m)
{
    list_remove(&m->node);
    map_remove(&v->marks, MAP_KEY(m->sum));
    free(m);
}

void verified_free(struct verified **v)
{
    if (!*v)
        return;
    LIST_EACH (&(*v)->order, node)
        drop(*v, LIST_ITEM(node, struct mark, node));
    map_fini(&(*v)->marks);
    pthread_mutex_destroy(&(*v)->lock);
    secret_wipe((*v)->key, sizeof((*v)->key));
    free(*v);
    *v = NULL;
}

static void hash_part(crypto_generichash_state *state, slice part)
{
    uint64_t len = part.len;
    crypto_generichash_update(state, (const unsigned char *)&len, sizeof(len));
    crypto_generichash_update(state, (const unsigned char *)part.ptr, part.len);
}

static void sum_of(const struct verified *v, const struct directory_credential *c, slice secret,
                   unsigned char sum[MARK_LEN])
{
    crypto_generichash_state state;
    crypto_generichash_init(&state, v->key, sizeof(v->key), MARK_LEN);
    hash_part(&state, slice_make(&c->id, sizeof(c->id)));
    hash_part(&state, c->verifier);
    hash_part(&state, secret);
    crypto_generichash_final(&state, sum, MARK_LEN);
    secret_wipe(&state, sizeof(state));
}

/* Marks end in the order in which they were made. */
static void drop_ended(struct verified *v, span now)
{
    LIST_EACH (&v->order, node) {
        struct mark *m = LIST_ITEM(node, struct mark, node);
        if (m->ends > now)
            break;
        drop(v, m);
    }
}

bool verified_has(struct verified *v, const struct directory_credential *c, slice secret)
{
    unsigned char sum[MARK_LEN];
    sum_of(v, c, secret, sum);
    span now = env_elapsed(v->env);
    pthread_mutex_lock(&v->lock);
    drop_ended(v, now);
    bool has = map_get(&v->marks, MAP_KEY(sum)) != NULL;
    pthread_mutex_unlock(&v->lock);
    return has;
}

void verified_add(struct verified *v, const struct directory_credential *c, slice secret)
{
    struct mark *m = xcalloc(1, sizeof(*m));
    sum_of(v, c, secret, m->sum);
    m->ends = env_elapsed(v->env) + v->age;
    pthread_mutex_lock(&v->lock);
    struct mark *before = map_get(&v->marks, MAP_KEY(m->sum));
    if (before)
        drop(v, before);
    else if (v->marks.count >= v->max)
        drop(v, LIST_ITEM(v->order.next, struct mark, node));
    map_put(&v->marks, MAP_KEY(m->sum), m);
    list_push(&v->order, &m->node);
    pthread_mutex_unlock(&v->lock);
}
