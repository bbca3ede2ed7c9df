/* /v1/accounts/X/quota: how much of each limit is used, as smtpd has it at this moment. */
#include "control/api_request.h"

#define ASK_TIMEOUT (5 * SPAN_SECOND)

/* free_at is a moment as text; null: never, or not in this period. */
static json_t *line_to_json(const json_t *line)
{
    const char *rule = json_string_value(json_object_get(line, "rule"));
    const char *scope = json_string_value(json_object_get(line, "scope"));
    json_int_t used = json_integer_value(json_object_get(line, "used"));
    json_int_t max = json_integer_value(json_object_get(line, "max"));
    json_t *free_at = json_object_get(line, "free_at");
    if (!rule || !scope)
        return NULL;
    free_at = json_is_integer(free_at) ? api_stamp((stamp)json_integer_value(free_at))
              : free_at                ? json_incref(free_at)
                                       : json_null();
    json_t *answer =
        json_pack("{s:s, s:s, s:I, s:I, s:I, s:o}", "rule", rule, "scope", scope, "used", used,
                  "max", max, "left", used < max ? max - used : 0, "free_at", free_at);
    json_t *period = json_object_get(line, "period"); /* of a plan */
    json_t *paced = json_object_get(line, "paced_until");
    if (answer && period)
        json_object_set(answer, "period", period);
    if (answer && paced)
        json_object_set(answer, "paced_until", paced);
    return answer;
}

/* Whether it is locked, too: then no room in a window helps. */
static void copy_lock(json_t *answer, json_t *says)
{
    static const char *const keys[] = {"locked", "until", "reason"};
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        json_t *value = json_object_get(says, keys[i]);
        if (answer && value)
            json_object_set(answer, keys[i], value);
    }
}

void api_account_quota(struct api_request *r)
{
    struct store_account a;
    size_t i;
    json_t *item;
    int rc;
    store_lock(r->api->config.store);
    bool found = api_take_account(r, &a);
    store_unlock(r->api->config.store);
    if (!found)
        return;
    json_t *says = api_ask(
        r, "smtpd", json_pack("{s:s, s:I}", "question", "quota", "account", (json_int_t)a.d.id),
        ASK_TIMEOUT, &rc);
    const json_t *rules = json_is_array(says) ? says : json_object_get(says, "rules");
    if (!json_is_array(rules)) {
        const char *why = json_string_value(json_object_get(says, "error"));
        api_error(r, 503, "smtpd-not-reachable", "See: utpost status",
                  "The smtpd role does not say what is used: %s.",
                  why  ? why
                  : rc ? strerror(-rc)
                       : "its answer is not understood");
        json_decref(says);
        return;
    }
    json_t *list = json_array();
    json_array_foreach(rules, i, item) json_array_append_new(list, line_to_json(item));
    json_t *answer =
        json_pack("{s:o, s:o, s:o, s:o}", "account", api_text(a.d.login), "customer",
                  api_text(a.customer_name), "now", api_stamp(r->now), "quota", list);
    copy_lock(answer, says);
    json_decref(says);
    api_answer(r, 200, answer);
}
