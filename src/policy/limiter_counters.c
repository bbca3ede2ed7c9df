#include "policy/limiter_internal.h"

#include "base/arena.h"

#include <errno.h>
#include <stdlib.h>

struct limiter *limiter_new(const uint64_t seed[2])
{
    struct limiter *l = xcalloc(1, sizeof(*l));
    map_init(&l->entities, seed);
    return l;
}

static bool has_window(const struct counter *c)
{
    return !c->is_pace && c->length != RULE_PERIOD;
}

static void entity_free(struct entity *e)
{
    for (uint32_t i = 0; i < e->count; i++) {
        if (has_window(&e->counters[i]))
            window_fini(&e->counters[i].window);
        free(e->counters[i].line);
    }
    if (e->counters != e->first)
        free(e->counters);
    free(e);
}

static uint32_t room_of(const struct entity *e)
{
    return e->key.scope == RULE_ACCOUNT ? FIRST_ACCOUNT : FIRST_OTHER;
}

/* Room for one more counter. */
static struct counter *make_room(struct entity *e)
{
    bool is_inside = e->counters == e->first;
    if (is_inside && e->count < room_of(e))
        return e->counters;
    struct counter *more =
        reallocarray(is_inside ? NULL : e->counters, e->count + 1, sizeof(*more));
    if (more && is_inside)
        memcpy(more, e->first, e->count * sizeof(*more));
    if (more)
        e->counters = more;
    return more;
}

void limiter_forget_all(struct limiter *l)
{
    void *e;
    for (size_t at = 0; map_next(&l->entities, &at, NULL, &e);)
        entity_free(e);
    map_fini(&l->entities);
    memset(l->recent, 0, sizeof(l->recent));
}

void limiter_free(struct limiter **at)
{
    if (!*at)
        return;
    limiter_forget_all(*at);
    holds_free_spares(*at);
    free((*at)->places);
    free((*at)->whoms);
    free(*at);
    *at = NULL;
}

stamp limiter_advance(struct limiter *l, stamp now)
{
    if (now > l->now)
        l->now = now;
    return l->now;
}

/* Who is known is far more than a processor keeps near it: what all of its windows need is
 * asked of the memory at once. */
static void fetch(const struct entity *e)
{
    for (uint32_t i = 0; i < e->count; i++) {
        if (has_window(&e->counters[i]))
            window_fetch(&e->counters[i].window);
    }
}

static struct entity *make_entity(struct limiter *l, const struct entity_key *key)
{
    struct entity probe = {.key = *key};
    uint32_t room = room_of(&probe);
    struct entity *e = calloc(1, sizeof(*e) + room * sizeof(e->first[0]));
    if (!e)
        return NULL;
    e->key = probe.key;
    e->counters = e->first;
    map_put(&l->entities, MAP_KEY(e->key), e);
    return e;
}

static struct entity *find_entity(struct limiter *l, const struct entity_key *key,
                                  uint64_t hash)
{
    struct entity *e = map_get_hashed(&l->entities, MAP_KEY(*key), hash);
    if (e)
        fetch(e);
    else
        e = make_entity(l, key);
    if (e)
        l->recent[key->scope] = e;
    return e;
}

static struct entity *recent_entity(const struct limiter *l, enum rule_scope scope, uint64_t id)
{
    struct entity *e = l->recent[scope];
    return e && e->key.id == id ? e : NULL;
}

struct entity *limiter_entity(struct limiter *l, enum rule_scope scope, uint64_t id)
{
    struct entity_key key = {id, scope};
    struct entity *e = recent_entity(l, scope, id);
    return e ? e : find_entity(l, &key, map_hash(&l->entities, MAP_KEY(key)));
}

static bool is_of(const struct counter *c, const struct rule *r)
{
    return c->unit == r->unit && c->length == r->window &&
           c->is_pace == (r->action == RULE_PACE);
}

int limiter_counter_index(struct entity *e, const struct rule *r, uint32_t likely)
{
    if (likely < e->count && is_of(&e->counters[likely], r))
        return (int)likely;
    for (uint32_t i = 0; i < e->count; i++) {
        if (is_of(&e->counters[i], r))
            return (int)i;
    }
    struct counter *more = make_room(e);
    if (!more)
        return -1;
    more[e->count] = (struct counter){
        .unit = (uint8_t)r->unit, .length = r->window, .is_pace = r->action == RULE_PACE};
    if (r->window == RULE_PERIOD)
        more[e->count].period.end = STAMP_NEVER;
    return (int)e->count++;
}

static int make_places(struct limiter *l, size_t count)
{
    if (count <= l->place_cap)
        return 0;
    struct place *places = reallocarray(l->places, count, sizeof(*places));
    if (!places)
        return -ENOMEM;
    l->places = places;
    struct whom *whoms = reallocarray(l->whoms, count, sizeof(*whoms));
    if (!whoms)
        return -ENOMEM;
    l->whoms = whoms;
    l->place_cap = count;
    return 0;
}

/* Whom the limits are about; limits about the same one follow each other, as a rule. Where
 * those are who are not known from the last message is asked of the memory. */
static size_t find_whoms(struct limiter *l, const struct limit *limits, size_t count)
{
    size_t whoms = 0;
    for (size_t i = 0; i < count; i++) {
        struct entity_key key = {limits[i].entity, limits[i].rule.scope};
        struct place *p = &l->places[i];
        *p = (struct place){0};
        if (key.scope == RULE_MESSAGE)
            continue;
        const struct whom *last = whoms > 0 ? &l->whoms[whoms - 1] : NULL;
        if (!last || last->key.id != key.id || last->key.scope != key.scope) {
            struct whom *w = &l->whoms[whoms++];
            *w = (struct whom){recent_entity(l, limits[i].rule.scope, key.id), key, 0};
            if (!w->entity) {
                w->hash = map_hash(&l->entities, MAP_KEY(key));
                map_fetch_place(&l->entities, w->hash);
            }
        }
        p->whom = (uint32_t)(whoms - 1);
    }
    return whoms;
}

/* All of them are asked of the memory before the first is needed. */
static int find_entities(struct limiter *l, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct entity probe = {.key = l->whoms[i].key};
        if (!l->whoms[i].entity)
            map_fetch_value(&l->entities, l->whoms[i].hash,
                            sizeof(probe) + room_of(&probe) * sizeof(probe.first[0]));
    }
    for (size_t i = 0; i < count; i++) {
        struct whom *w = &l->whoms[i];
        if (!w->entity)
            w->entity = find_entity(l, &w->key, w->hash);
        if (!w->entity)
            return -ENOMEM;
    }
    return 0;
}

int limiter_find(struct limiter *l, const struct limit *limits, size_t count)
{
    if (make_places(l, count) < 0 || find_entities(l, find_whoms(l, limits, count)) < 0)
        return -ENOMEM;
    uint32_t likely = 0; /* of one entity they are in the order of its limits, as a rule */
    for (size_t i = 0; i < count; i++) {
        struct place *p = &l->places[i];
        if (limits[i].rule.scope == RULE_MESSAGE)
            continue;
        p->entity = l->whoms[p->whom].entity;
        if (i > 0 && p[-1].entity != p->entity)
            likely = 0;
        int index = limiter_counter_index(p->entity, &limits[i].rule, likely);
        if (index < 0)
            return -ENOMEM;
        p->counter = (uint32_t)index;
        likely = p->counter + 1;
    }
    return 0;
}

struct counter *limiter_counter(struct limiter *l, const struct limit *limit,
                                struct entity **entity)
{
    *entity = limiter_entity(l, limit->rule.scope, limit->entity);
    int index = *entity ? limiter_counter_index(*entity, &limit->rule, 0) : -1;
    if (index < 0)
        return NULL;
    struct counter *c = &(*entity)->counters[index];
    counter_bind(c, limit, l->now);
    return c;
}

static void empty_period(struct counter *c)
{
    c->period.used = 0;
    c->notified = false;
    c->suspended = false;
}

/* What is used from its end on is of the next one, whoever asks first. */
static void roll(struct counter *c, stamp now)
{
    if (now < c->period.end)
        return;
    c->period.start = c->period.end;
    c->period.end = STAMP_NEVER;
    empty_period(c);
}

void counter_bind(struct counter *c, const struct limit *limit, stamp now)
{
    if (c->length != RULE_PERIOD)
        return;
    struct period *p = &c->period;
    roll(c, now);
    if (limit->period_reset > p->reset) {
        /* An operator forgives what was used until this is heard of. */
        p->reset = limit->period_reset;
        p->forgiven = now;
        empty_period(c);
    }
    /* A plan that was changed may begin a period within what was counted: how much of that was
     * used before is not known, and all of it stays. */
    if (limit->period_start > p->start && p->last < limit->period_start)
        empty_period(c);
    p->start = limit->period_start;
    p->end = limit->period_end > 0 ? limit->period_end : STAMP_NEVER;
}

uint64_t counter_used_of_period(struct counter *c, stamp now)
{
    roll(c, now);
    return c->period.used;
}

int counter_use(struct counter *c, stamp at, uint64_t amount)
{
    if (c->length != RULE_PERIOD) {
        if (c->line)
            wait_roll(c, at);
        return window_add(&c->window, c->length, at, amount);
    }
    roll(c, at);
    if (at >= c->period.start && at >= c->period.forgiven)
        c->period.used += amount;
    if (at > c->period.last)
        c->period.last = at;
    return 0;
}

struct counter *limiter_known(const struct limiter *l, const struct limit *limit)
{
    struct entity probe = {.key = {limit->entity, limit->rule.scope}};
    struct entity *e = map_get(&l->entities, MAP_KEY(probe.key));
    for (uint32_t i = 0; e && i < e->count; i++) {
        if (is_of(&e->counters[i], &limit->rule))
            return &e->counters[i];
    }
    return NULL;
}

void limiter_noticed(struct limiter *l, const struct limit *limit)
{
    struct entity *e;
    if (limit->rule.action == RULE_SUSPEND) {
        (void)limiter_suspends(l, limit);
        return;
    }
    struct counter *c = limiter_counter(l, limit, &e);
    if (c)
        c->notified = true;
}

bool limiter_suspends(struct limiter *l, const struct limit *limit)
{
    struct counter *c = limiter_known(l, limit);
    if (!c || c->suspended)
        return false;
    c->suspended = true;
    return true;
}

void limiter_forget(struct limiter *l, const struct limit *limit)
{
    struct counter *c = limiter_known(l, limit);
    if (!c)
        return;
    if (c->is_pace)
        c->pace.next = 0;
    else if (c->length == RULE_PERIOD)
        c->period.used = 0;
    else
        window_fini(&c->window);
    c->notified = false;
    c->suspended = false;
}

static bool is_idle(struct entity *e, stamp now)
{
    if (e->holds > 0)
        return false;
    for (uint32_t i = 0; i < e->count; i++) {
        struct counter *c = &e->counters[i];
        if (c->is_pace ? c->pace.next > now : counter_used(c, now) > 0 || c->line)
            return false;
    }
    return true;
}

void limiter_sweep(struct limiter *l, stamp at, unsigned most)
{
    stamp now = limiter_advance(l, at);
    void *value;
    while (most-- > 0 && map_next(&l->entities, &l->swept, NULL, &value)) {
        struct entity *e = value;
        if (!is_idle(e, now))
            continue;
        map_remove(&l->entities, MAP_KEY(e->key));
        if (l->recent[e->key.scope] == e)
            l->recent[e->key.scope] = NULL;
        entity_free(e);
    }
    if (l->swept >= l->entities.cap)
        l->swept = 0;
}

static stamp moved(stamp at, span by)
{
    return at == STAMP_NEVER || at == 0 ? at : at + by;
}

void limiter_move_periods(struct limiter *l, span by)
{
    void *value;
    for (size_t at = 0; map_next(&l->entities, &at, NULL, &value);) {
        const struct entity *e = value;
        for (uint32_t i = 0; i < e->count; i++) {
            struct period *p = &e->counters[i].period;
            if (e->counters[i].length != RULE_PERIOD)
                continue;
            p->start = moved(p->start, by);
            p->end = moved(p->end, by);
            p->last = moved(p->last, by);
            p->forgiven = moved(p->forgiven, by);
        }
    }
}

void limiter_numbers(const struct limiter *l, size_t *entities, size_t *bytes)
{
    *entities = l->entities.count;
    *bytes = sizeof(*l) + l->entities.cap * sizeof(struct map_entry);
    void *value;
    for (size_t at = 0; map_next(&l->entities, &at, NULL, &value);) {
        const struct entity *e = value;
        *bytes += sizeof(*e) + room_of(e) * sizeof(struct counter);
        if (e->counters != e->first)
            *bytes += e->count * sizeof(struct counter);
        for (uint32_t i = 0; i < e->count; i++) {
            const struct counter *c = &e->counters[i];
            *bytes += has_window(c) ? c->window.cap : 0;
            *bytes += c->line ? sizeof(*c->line) + c->line->cap * sizeof(c->line->of[0]) : 0;
        }
    }
}
