#include "smtpd/tokens.h"

#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "journal/reader.h"
#include "journal/snapshot.h"

#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>

enum {
    KEY_LEN = 16,
    SNAPSHOT_VERSION = 1,
    SAVED_LEN = KEY_LEN + 8 + 8, /* key, id, stamp */
    SAVE_TICKS = 30,
};

/* Accepted: among the kept, in the order of their moments. Claimed: in no list, id 0. */
struct token_claim {
    struct list node;
    unsigned char key[KEY_LEN];
    uint64_t id;
    stamp at;
};

struct tokens {
    struct tokens_config config;
    pthread_mutex_t mutex;
    /* under the mutex: */
    struct map map; /* key -> struct token_claim */
    struct list kept;
    size_t kept_count;
    bool was_full;

    /* the loop's */
    unsigned ticks;
    struct job job;
    bool is_saving;
    uint64_t begin; /* position at the end of the restoring */
    uint64_t saved_position;
    uint64_t saving_position;
    struct buf saving;
    int saved;
};

static void key_of(uint64_t account, slice token, unsigned char key[KEY_LEN])
{
    crypto_generichash_state h;
    crypto_generichash_init(&h, NULL, 0, KEY_LEN);
    crypto_generichash_update(&h, (const unsigned char *)&account, sizeof(account));
    crypto_generichash_update(&h, (const unsigned char *)token.ptr, token.len);
    crypto_generichash_final(&h, key, KEY_LEN);
}

/* ---- what is remembered; under the mutex ---- */

static void forget(struct tokens *t, struct token_claim *c)
{
    map_remove(&t->map, MAP_KEY(c->key));
    if (c->id != 0)
        t->kept_count--;
    list_remove(&c->node);
    free(c);
}

static void forget_old(struct tokens *t, stamp now)
{
    while (!list_is_empty(&t->kept)) {
        struct token_claim *c = LIST_ITEM(t->kept.next, struct token_claim, node);
        bool is_full = t->kept_count > TOKENS_MAX;
        if (!is_full && now - c->at < TOKENS_AGE)
            return;
        if (is_full && !t->was_full)
            log_warning("tokens-full", LOG_I("kept", TOKENS_MAX),
                        LOG_C("effect", "tokens are forgotten before their 24 hours"));
        t->was_full = is_full;
        forget(t, c);
    }
}

static void keep(struct tokens *t, struct token_claim *c, uint64_t id, stamp at)
{
    c->id = id;
    c->at = at;
    list_push(&t->kept, &c->node);
    t->kept_count++;
    forget_old(t, at);
}

static struct token_claim *add(struct tokens *t, const unsigned char key[KEY_LEN])
{
    struct token_claim *c = xcalloc(1, sizeof(*c));
    memcpy(c->key, key, KEY_LEN);
    list_init(&c->node);
    map_put(&t->map, MAP_KEY(c->key), c);
    return c;
}

/* One that was accepted earlier: the first of several stays. */
static void recall(struct tokens *t, const unsigned char key[KEY_LEN], uint64_t id, stamp at)
{
    struct token_claim *c = map_get(&t->map, slice_make(key, KEY_LEN));
    if (c && at - c->at < TOKENS_AGE)
        return;
    if (c)
        forget(t, c);
    keep(t, add(t, key), id, at);
}

enum tokens_result tokens_claim(struct tokens *t, uint64_t account, slice token,
                                struct token_claim **claim, uint64_t *first_id)
{
    unsigned char key[KEY_LEN];
    enum tokens_result result = TOKENS_NEW;
    key_of(account, token, key);
    pthread_mutex_lock(&t->mutex);
    forget_old(t, env_now(t->config.env));
    struct token_claim *c = map_get(&t->map, slice_make(key, KEY_LEN));
    if (!c) {
        *claim = add(t, key);
    } else if (c->id == 0) {
        result = TOKENS_BUSY;
    } else {
        result = TOKENS_KNOWN;
        *first_id = c->id;
    }
    pthread_mutex_unlock(&t->mutex);
    return result;
}

void tokens_keep(struct tokens *t, struct token_claim **claim, uint64_t id, stamp at)
{
    pthread_mutex_lock(&t->mutex);
    keep(t, *claim, id, at);
    pthread_mutex_unlock(&t->mutex);
    *claim = NULL;
}

void tokens_drop(struct tokens *t, struct token_claim **claim)
{
    if (!*claim)
        return;
    pthread_mutex_lock(&t->mutex);
    forget(t, *claim);
    pthread_mutex_unlock(&t->mutex);
    *claim = NULL;
}

/* ---- what is restored ---- */

static void put_u64(struct buf *b, uint64_t n)
{
    buf_append(b, slice_make(&n, sizeof(n)));
}

static uint64_t get_u64(const char *at)
{
    uint64_t n;
    memcpy(&n, at, sizeof(n));
    return n;
}

static uint64_t load_snapshot(struct tokens *t)
{
    struct arena arena = ARENA_INIT;
    struct snapshot s = {0};
    uint64_t position = 0;
    int err = snapshot_read(t->config.env, t->config.snapshot, &arena, &s);
    if (err == 0 && (s.version != SNAPSHOT_VERSION || s.contents.len % SAVED_LEN != 0))
        err = -EBADMSG;
    if (err == 0) {
        position = s.position[ID_SMTPD];
        for (slice in = s.contents; in.len > 0; in = slice_from(in, SAVED_LEN))
            recall(t, (const unsigned char *)in.ptr, get_u64(in.ptr + KEY_LEN),
                   (stamp)get_u64(in.ptr + KEY_LEN + 8));
    } else if (err != -ENOENT) {
        log_warning("snapshot-unusable", LOG_C("path", t->config.snapshot), LOG_E("error", err),
                    LOG_C("effect", "the journal is read from its start"));
    }
    arena_fini(&arena);
    return position;
}

static int open_reader(const struct tokens *t, uint64_t position, struct journal_reader **out)
{
    const struct tokens_config *c = &t->config;
    bool is_there = position <= atomic_load(&c->watermark->durable);
    int err = is_there
                  ? journal_reader_open(out, c->env, c->journal_dir, c->watermark, position)
                  : -ENOENT;
    if (err != -ENOENT || position == 0)
        return err;
    return journal_reader_open(out, c->env, c->journal_dir, c->watermark, 0);
}

static void apply(struct tokens *t, const struct journal_record *r)
{
    slice token = record_get(r->fields, TAG_TOKEN);
    if (r->header.type != RECORD_MESSAGE || token.len == 0)
        return;
    unsigned char key[KEY_LEN];
    key_of(r->header.account, token, key);
    recall(t, key, record_get_u64(r->fields, TAG_ID), r->header.at);
}

static void restore(struct tokens *t)
{
    struct journal_reader *reader;
    struct journal_record r;
    t->saved_position = load_snapshot(t);
    int got = open_reader(t, t->saved_position, &reader);
    if (got == 0) {
        journal_reader_skip_bodies(reader);
        while ((got = journal_next(reader, &r)) > 0 || got == -EBADMSG)
            if (got > 0)
                apply(t, &r);
        t->begin = journal_reader_position(reader);
        journal_reader_close(&reader);
    }
    if (got < 0)
        log_error("journal-unreadable", LOG_C("journal", t->config.journal_dir),
                  LOG_E("error", got), LOG_C("effect", "idempotency tokens are forgotten"));
}

struct tokens *tokens_new(const struct tokens_config *c)
{
    struct tokens *t = xcalloc(1, sizeof(*t));
    uint64_t seed[2];
    t->config = *c;
    env_random(c->env, seed, sizeof(seed));
    map_init(&t->map, seed);
    list_init(&t->kept);
    pthread_mutex_init(&t->mutex, NULL);
    restore(t);
    return t;
}

/* ---- what is saved ---- */

static uint64_t position_of(const struct tokens *t)
{
    uint64_t settled = limiting_position(t->config.limiting);
    return settled > t->begin ? settled : t->begin;
}

/* The position first: what is settled later may be in the contents too, which does no harm. */
static void gather(struct tokens *t)
{
    buf_clear(&t->saving);
    t->saving_position = position_of(t);
    pthread_mutex_lock(&t->mutex);
    forget_old(t, env_now(t->config.env));
    LIST_EACH (&t->kept, node) {
        const struct token_claim *c = LIST_ITEM(node, struct token_claim, node);
        buf_append(&t->saving, slice_make(c->key, KEY_LEN));
        put_u64(&t->saving, c->id);
        put_u64(&t->saving, (uint64_t)c->at);
    }
    pthread_mutex_unlock(&t->mutex);
}

static int write_snapshot(const struct tokens *t)
{
    struct snapshot s = {
        .version = SNAPSHOT_VERSION,
        .at = env_now(t->config.env),
        .contents = buf_slice(&t->saving),
    };
    for (int i = 0; i < SNAPSHOT_JOURNALS; i++)
        s.needs[i] = UINT64_MAX;
    s.position[ID_SMTPD] = t->saving_position;
    return snapshot_write(t->config.env, t->config.snapshot, &s);
}

static void tell(struct tokens *t, int err)
{
    if (err == 0)
        t->saved_position = t->saving_position;
    else
        log_error("snapshot-failed", LOG_C("path", t->config.snapshot), LOG_E("error", err));
}

static void save_work(struct job *j)
{
    struct tokens *t = CONTAINER_OF(j, struct tokens, job);
    t->saved = write_snapshot(t);
}

static void save_done(struct job *j)
{
    struct tokens *t = CONTAINER_OF(j, struct tokens, job);
    t->is_saving = false;
    buf_fini(&t->saving);
    tell(t, t->saved);
}

void tokens_tick(struct tokens *t)
{
    if (t->ticks++ % SAVE_TICKS != 0 || t->is_saving || t->saved_position == position_of(t))
        return;
    gather(t);
    t->job = (struct job){.work = save_work, .done = save_done, .loop = t->config.loop};
    int err = t->saving.error;
    if (err == 0)
        err = jobs_submit(t->config.jobs, &t->job);
    t->is_saving = err == 0;
    if (err < 0)
        tell(t, err);
}

void tokens_free(struct tokens **at)
{
    struct tokens *t = *at;
    if (!t)
        return;
    *at = NULL;
    if (t->saved_position != position_of(t)) {
        gather(t);
        tell(t, t->saving.error ? t->saving.error : write_snapshot(t));
    }
    void *value;
    for (size_t i = 0; map_next(&t->map, &i, NULL, &value);)
        free(value);
    map_fini(&t->map);
    buf_fini(&t->saving);
    pthread_mutex_destroy(&t->mutex);
    free(t);
}
