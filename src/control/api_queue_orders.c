/* /v1/queue/hold and so on: commands about the queue, on their way to the delivery role; and
 * how far they are. */
#include "base/id.h"
#include "codec/path.h"
#include "control/api_request.h"
#include "control/names.h"

#include <errno.h>
#include <time.h>

#define ASK_TIMEOUT (5 * SPAN_SECOND)
/* How long an answer waits for a command to be done: most take milliseconds. */
enum { PATIENCE_MS = 1500, STEP_MS = 15 };

static json_t *token_json(uint64_t token)
{
    char text[ID_TEXT_LEN + 1];
    id_format(token, text);
    return json_string(text);
}

int api_order_put(struct api_request *r, struct queue_command *c)
{
    struct buf fields = BUF_INIT;
    env_random(r->api->config.env, &c->token, sizeof(c->token));
    c->token |= 1; /* never 0 */
    c->by = api_by(r);
    queue_command_put(&fields, c);
    int rc = fields.error;
    if (rc == 0)
        rc = store_command_put(r->api->config.store, c->customer, c->account,
                               buf_slice(&fields));
    buf_fini(&fields);
    return rc;
}

/* ---- progress ---- */

static json_t *ask_progress(struct api_request *r, uint64_t token)
{
    int rc;
    return api_ask(
        r, "delivery",
        json_pack("{s:s, s:o}", "question", "queue-command", "command", token_json(token)),
        ASK_TIMEOUT, &rc);
}

static bool is_done(const json_t *progress)
{
    const char *state = json_string_value(json_object_get(progress, "state"));
    return state && strcmp(state, "done") == 0;
}

json_t *api_order_progress(struct api_request *r, uint64_t token)
{
    const struct timespec step = {.tv_nsec = STEP_MS * 1000000L};
    json_t *progress = ask_progress(r, token);
    for (int ms = 0; progress && !is_done(progress) && ms < PATIENCE_MS; ms += STEP_MS) {
        nanosleep(&step, NULL);
        json_decref(progress);
        progress = ask_progress(r, token);
    }
    if (!progress)
        progress = json_pack("{s:s}", "state", "waiting");
    json_object_del(progress, "ok");
    json_object_set_new(progress, "command", token_json(token));
    return progress;
}

void api_command_show(struct api_request *r)
{
    uint64_t token = 0;
    if (!id_parse(r->args[0], &token)) {
        api_error(r, 400, "bad-value", "13 letters and digits, as in the answer to it.",
                  "\"%.*s\" is not the id of a command.", SLICE_ARG(slice_to(r->args[0], 64)));
        return;
    }
    json_t *progress = api_ask_delivery(
        r, json_pack("{s:s, s:o}", "question", "queue-command", "command", token_json(token)),
        503, "delivery-not-reachable", NULL);
    if (!progress)
        return;
    json_object_del(progress, "ok");
    json_object_set_new(progress, "command", token_json(token));
    api_answer(r, 200, progress);
}

/* ---- what it is about ---- */

static bool take_ids(struct api_request *r, struct queue_command *c)
{
    json_t *list = NULL;
    size_t i;
    json_t *item;
    if (!api_take_list(r, "ids", QUEUE_COMMAND_IDS_MAX, &list))
        return false;
    uint64_t *ids = arena_array(&r->arena, uint64_t, json_array_size(list));
    json_array_foreach(list, i, item)
    {
        if (id_parse(slice_of(json_string_value(item)), &ids[i]))
            continue;
        api_error(r, 400, "bad-value", "13 letters and digits, as in the 250 answer to DATA.",
                  "\"%.64s\" is not a queue id.", json_string_value(item));
        return false;
    }
    c->ids = ids;
    c->id_count = json_array_size(list);
    return true;
}

static bool take_owner(struct api_request *r, struct queue_command *c)
{
    slice login = {0}, customer = {0};
    if (!api_take_text(r, "account", NULL, &login) ||
        !api_take_text(r, "customer", NULL, &customer))
        return false;
    if (login.len > 0 && !api_find_account(r, login, &c->account))
        return false;
    return customer.len == 0 || api_find_customer(r, customer, &c->customer);
}

static bool take_rest(struct api_request *r, struct queue_command *c)
{
    slice domain = {0}, age = {0};
    span length = 0;
    const json_t *all = json_object_get(r->body, "all");
    if (!api_take_text(r, "domain", name_check_line, &domain) ||
        !api_take_text(r, "older_than", NULL, &age))
        return false;
    if (age.len > 0 && !name_parse_span(age, &length)) {
        api_error(r, 400, "bad-value", "A time such as 30m, 24h, 5d or 2w.",
                  "\"older_than\" is not right here.");
        return false;
    }
    if (all && !json_is_boolean(all)) {
        api_error(r, 400, "bad-value", "true or false.", "\"all\" is not right here.");
        return false;
    }
    if (domain.len > 0 && domain.ptr[0] == '@')
        domain = slice_from(domain, 1);
    c->domain = path_domain(&r->arena, domain);
    c->before = age.len > 0 ? r->now - length : 0;
    c->is_all = json_is_true(all);
    return true;
}

static bool take_order(struct api_request *r, struct queue_command *c)
{
    static const char *const keys[] = {"ids",        "account", "customer", "domain",
                                       "older_than", "all",     NULL};
    if (!api_knows_keys(r, keys) || !take_ids(r, c) || !take_owner(r, c) || !take_rest(r, c))
        return false;
    bool is_narrow = c->id_count || c->account || c->customer || c->domain.len || c->before;
    if (is_narrow || c->is_all)
        return true;
    api_error(r, 400, "bad-value",
              "Give queue ids, an account, a customer, a domain or an age; or all.",
              "It is not said which mail is meant.");
    return false;
}

void api_queue_order(struct api_request *r)
{
    enum queue_verb verb = r->route->verb;
    struct queue_command c = {.verb = verb};
    if (!take_order(r, &c) || !api_begin(r))
        return;
    int rc = api_order_put(r, &c);
    if (rc < 0) {
        api_fail(r, rc);
        api_rollback(r);
        return;
    }
    api_commit(r, 202, json_object());
    if (r->status != 202)
        return;
    json_t *progress = api_order_progress(r, c.token);
    json_object_set_new(progress, "verb", json_string(queue_verb_name(verb)));
    json_object_set_new(progress, "standing",
                        json_boolean(verb == QUEUE_HOLD && queue_command_is_standing(&c)));
    api_answer(r, is_done(progress) ? 200 : 202, progress);
}

/* ---- unlocking ---- */

bool api_take_unlock(struct api_request *r, enum queue_verb *verb, bool *revokes)
{
    const char *const keys[] = {"queue", revokes ? "revoke_credentials" : NULL, NULL};
    slice queue = {0};
    const json_t *revoke = json_object_get(r->body, "revoke_credentials");
    if (!api_knows_keys(r, keys) || !api_take_text(r, "queue", NULL, &queue))
        return false;
    bool is_release = slice_eq(queue, SLICE("release"));
    bool is_purge = slice_eq(queue, SLICE("purge"));
    if (queue.len > 0 && !is_release && !is_purge) {
        api_error(r, 400, "bad-value", "Give release or purge; without it, it stays frozen.",
                  "\"queue\" is not right here.");
        return false;
    }
    if (revoke && !json_is_boolean(revoke)) {
        api_error(r, 400, "bad-value", "true or false.",
                  "\"revoke_credentials\" is not right here.");
        return false;
    }
    *verb = is_release ? QUEUE_THAW : is_purge ? QUEUE_PURGE : 0;
    if (revokes)
        *revokes = json_is_true(revoke);
    return true;
}

/* How much of the account or customer is queued and held. */
static json_t *count_queue(struct api_request *r, const struct queue_command *c)
{
    int rc;
    const char *key = c->customer ? "customer" : "account";
    uint64_t id = c->customer ? c->customer : c->account;
    return api_ask(r, "delivery",
                   json_pack("{s:s, s:I}", "question", "queue-count", key, (json_int_t)id),
                   ASK_TIMEOUT, &rc);
}

void api_add_queue(struct api_request *r, json_t *answer, const struct queue_command *c)
{
    static const char *const states[] = {
        [0] = "frozen", [QUEUE_THAW] = "released", [QUEUE_PURGE] = "purged"};
    json_t *queue = c->verb ? api_order_progress(r, c->token) : count_queue(r, c);
    if (!queue)
        queue = json_object();
    json_object_del(queue, "ok");
    json_object_del(queue, "verb");
    json_object_set_new(queue, "is", json_string(states[c->verb]));
    json_object_set_new(answer, "queue", queue);
}
