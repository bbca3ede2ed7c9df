/* /v1/status, /v1/config: what the other roles say, and what this one knows. */
#include "control/api_request.h"
#include "net/journal_watch.h"
#include "model/conf_rows.h"
#include "net/query.h"

#include <errno.h>
#include <stdlib.h>

#define STATUS_TIMEOUT (2 * SPAN_SECOND)

static json_t *row_to_json(const struct conf_row *row, const void *value)
{
    struct buf text = BUF_INIT;
    json_t *json;
    switch (row->type) {
    case CONF_NUMBER:
    case CONF_SIZE:
        return json_integer((json_int_t) * (const uint64_t *)value);
    case CONF_FLAG:
        return json_boolean(*(const bool *)value);
    case CONF_TEXT:
        return json_stringn(((const slice *)value)->ptr ? ((const slice *)value)->ptr : "",
                            ((const slice *)value)->len);
    case CONF_SPAN:
    case CONF_CHOICE:
        break;
    }
    conf_write_value(row, value, &text);
    json = json_stringn(text.ptr, text.len);
    buf_fini(&text);
    return json;
}

static json_t *section_to_json(const struct conf *c, const void *named,
                               enum conf_section section)
{
    json_t *object = json_object();
    for (size_t i = 0; i < conf_row_count; i++)
        if (conf_rows[i].section == section)
            json_object_set_new(
                object, conf_rows[i].key,
                row_to_json(&conf_rows[i], conf_value(c, named, &conf_rows[i])));
    return object;
}

static void add_named(json_t *all, const struct conf *c, slice name, const void *named,
                      enum conf_section s)
{
    struct arena a = ARENA_INIT;
    json_object_set_new(all, arena_cstr(&a, name), section_to_json(c, named, s));
    arena_fini(&a);
}

static json_t *conf_to_json(const struct conf *c)
{
    json_t *all = json_object(), *listeners = json_object(), *destinations = json_object();
    for (size_t i = 0; i < c->listener_count; i++)
        add_named(listeners, c, c->listeners[i].name, &c->listeners[i], CONF_IN_LISTENER);
    for (size_t i = 0; i < c->destination_count; i++)
        add_named(destinations, c, c->destinations[i].name, &c->destinations[i],
                  CONF_IN_DESTINATION);
    for (int section = 0; section < CONF_SECTIONS; section++) {
        enum conf_section s = (enum conf_section)section;
        if (s == CONF_IN_LISTENER)
            json_object_set_new(all, "listeners", listeners);
        else if (s == CONF_IN_DESTINATION)
            json_object_set_new(all, "destinations", destinations);
        else
            json_object_set_new(all, conf_section_name(s), section_to_json(c, NULL, s));
    }
    return all;
}

static char *copy(slice s)
{
    char *text = xcalloc(1, s.len + 1);
    if (s.len > 0)
        memcpy(text, s.ptr, s.len);
    return text;
}

void api_settings_init(struct api_settings *s, const struct conf *conf)
{
    *s = (struct api_settings){
        .config = conf_to_json(conf),
        .run_dir = copy(conf->server.run_dir),
        .hostname = copy(conf->server.hostname),
        .node = conf->server.node,
    };
}

void api_settings_fini(struct api_settings *s)
{
    json_decref(s->config);
    free(s->run_dir);
    free(s->hostname);
}

void api_config_show(struct api_request *r)
{
    pthread_mutex_lock(&r->api->mutex);
    json_t *config = json_deep_copy(r->api->settings.config);
    pthread_mutex_unlock(&r->api->mutex);
    api_answer(r, 200, config);
}

json_t *api_ask(struct api_request *r, const char *role, json_t *question, span timeout,
                int *rc)
{
    struct buf answer = BUF_INIT;
    char *text = json_dumps(question, JSON_COMPACT);
    json_decref(question);
    if (!text) {
        *rc = -ENOMEM;
        return NULL;
    }
    pthread_mutex_lock(&r->api->mutex);
    slice path = arena_printf(&r->arena, "%s/query-%s.sock", r->api->settings.run_dir, role);
    pthread_mutex_unlock(&r->api->mutex);
    *rc = query_ask(path.ptr, slice_of(text), timeout, &answer);
    free(text);
    json_t *json = *rc < 0 ? NULL : json_loadb(answer.ptr, answer.len, 0, NULL);
    if (*rc == 0 && !json)
        *rc = -EBADMSG;
    buf_fini(&answer);
    return json;
}

static json_int_t number(const _Atomic uint64_t *n)
{
    return (json_int_t)atomic_load_explicit(n, memory_order_relaxed);
}

static json_t *role_status(struct api_request *r, enum role_kind kind)
{
    const struct stats_page *s = &r->api->config.pages->stats;
    json_t *answer = NULL;
    int rc = 0;
    if (kind != ROLE_CONTROL)
        answer = api_ask(r, role_name(kind), json_pack("{s:s}", "question", "status"),
                         STATUS_TIMEOUT, &rc);
    return json_pack("{s:I, s:b, s:o}", "starts", number(&s->started[kind]), "answers", rc == 0,
                     "says", answer ? answer : json_null());
}

/* Whose snapshot holds the oldest segment that could go otherwise. */
static json_t *kept_for(const struct stats_page *s, enum role_kind kind)
{
    uint64_t n = atomic_load_explicit(&s->journal_kept_for[kind], memory_order_relaxed);
    return n == 0 || n > ROLE_COUNT ? json_null()
                                    : json_string(role_name((enum role_kind)(n - 1)));
}

static json_t *journal_status(const struct shared_pages *p, enum role_kind kind)
{
    uint64_t level = atomic_load_explicit(&p->stats.journal_level[kind], memory_order_relaxed);
    return json_pack(
        "{s:I, s:s, s:o, s:I, s:I, s:I, s:I}", "bytes", number(&p->stats.journal_bytes[kind]),
        "level", journal_level_name((enum journal_level)level), "kept_for",
        kept_for(&p->stats, kind), "position", number(&p->watermark[kind].durable), "records",
        number(&p->stats.journal_records[kind]), "syncs", number(&p->stats.journal_syncs[kind]),
        "failures", number(&p->stats.journal_failures[kind]));
}

static json_t *directory_status(struct api_request *r)
{
    struct store_counts c = {0};
    store_lock(r->api->config.store);
    uint64_t version = store_version(r->api->config.store);
    int rc = store_count(r->api->config.store, &c);
    store_unlock(r->api->config.store);
    if (rc < 0)
        return NULL;
    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "version", (json_int_t)version, "customers",
                     (json_int_t)c.customers, "accounts", (json_int_t)c.accounts, "credentials",
                     (json_int_t)c.credentials, "waiting", (json_int_t)c.outbox);
}

static json_t *mail_status(const struct stats_page *s)
{
    return json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "sessions", number(&s->sessions),
        "sessions_open", number(&s->sessions_open), "sign_ins", number(&s->sign_ins),
        "sign_in_failures", number(&s->sign_in_failures), "messages", number(&s->messages),
        "recipients", number(&s->recipients), "refused", number(&s->refused), "delivered",
        number(&s->delivered), "retried", number(&s->retried), "failed", number(&s->failed));
}

void api_status(struct api_request *r)
{
    const struct shared_pages *p = r->api->config.pages;
    json_t *directory = directory_status(r);
    if (!directory) {
        api_fail(r, -EIO);
        return;
    }
    json_t *roles = json_object();
    json_t *journals = json_object();
    for (int i = 0; i < ROLE_COUNT; i++) {
        enum role_kind kind = (enum role_kind)i;
        json_object_set_new(roles, role_name(kind), role_status(r, kind));
        json_object_set_new(journals, role_name(kind), journal_status(p, kind));
    }
    pthread_mutex_lock(&r->api->mutex);
    json_t *hostname = json_string(r->api->settings.hostname);
    json_int_t node = (json_int_t)r->api->settings.node;
    pthread_mutex_unlock(&r->api->mutex);
    api_answer(r, 200,
               json_pack("{s:s, s:o, s:I, s:o, s:o, s:{s:I, s:I, s:I}, s:o, s:o, s:o}",
                         "version", UTPOST_VERSION, "hostname", hostname, "node", node, "roles",
                         roles, "mail", mail_status(&p->stats), "queue", "recipients",
                         number(&p->stats.queued), "failed_unreported",
                         number(&p->stats.failed_unreported), "connections",
                         number(&p->stats.connections_out), "journals", journals, "directory",
                         directory, "notices", api_notices_status(r)));
}
