/* /v1/queue: what is in delivery's queue, and what of it. */
#include "base/id.h"
#include "codec/path.h"
#include "control/api_request.h"
#include "control/names.h"

#define ASK_TIMEOUT (10 * SPAN_SECOND)

json_t *api_ask_delivery(struct api_request *r, json_t *question, unsigned status,
                         const char *code, const char *hint)
{
    int rc;
    json_t *answer = api_ask(r, "delivery", question, ASK_TIMEOUT, &rc);
    if (!answer) {
        api_error(r, 503, "delivery-not-reachable", "See: utpost status",
                  "The delivery role does not answer: %s.", strerror(-rc));
        return NULL;
    }
    if (json_is_true(json_object_get(answer, "ok")))
        return answer;
    const char *why = json_string_value(json_object_get(answer, "error"));
    api_error(r, status, code, hint, "The delivery role says: %s.", why ? why : "no");
    json_decref(answer);
    return NULL;
}

/* ?account= and ?customer= as their ids; false with an answer when there is none. */
static bool take_owner(struct api_request *r, json_t *question)
{
    slice login = api_query(r, "account");
    slice name = api_query(r, "customer");
    uint64_t account = 0, customer = 0;
    if (login.len > 0 && !api_find_account(r, login, &account))
        return false;
    if (name.len > 0 && !api_find_customer(r, name, &customer))
        return false;
    if (login.len > 0)
        json_object_set_new(question, "account", json_integer((json_int_t)account));
    if (name.len > 0)
        json_object_set_new(question, "customer", json_integer((json_int_t)customer));
    return true;
}

/* ?domain= and ?older_than= */
static bool take_domain_and_age(struct api_request *r, json_t *question)
{
    slice domain = api_query(r, "domain");
    slice age = api_query(r, "older_than");
    span length = 0;
    if (age.len > 0 && !name_parse_span(age, &length)) {
        api_error(r, 400, "bad-value", "A time such as 30m, 24h, 5d or 2w.",
                  "\"older_than\" is not right here.");
        return false;
    }
    if (age.len > 0)
        json_object_set_new(question, "before", json_integer((json_int_t)(r->now - length)));
    if (domain.len > 0)
        json_object_set_new(question, "domain", api_text(path_domain(&r->arena, domain)));
    return true;
}

static bool take_state(struct api_request *r, json_t *question)
{
    static const char *const states[] = {"queued", "held", "frozen", "failed", "expired"};
    slice state = api_query(r, "state");
    if (state.len == 0)
        return true;
    for (size_t i = 0; i < COUNT_OF(states); i++) {
        if (!slice_eq(state, slice_of(states[i])))
            continue;
        json_object_set_new(question, "state", json_string(states[i]));
        return true;
    }
    api_error(r, 400, "bad-value", "Give queued, held, frozen, failed or expired.",
              "\"state\" is not right here.");
    return false;
}

/* ?limit= and ?after=, which is a queue id here. */
static bool take_queue_page(struct api_request *r, json_t *question)
{
    slice after = api_query(r, "after");
    slice limit = api_query(r, "limit");
    uint64_t id = 0;
    uint64_t count = API_PAGE;
    if (after.len > 0 && !id_parse(after, &id)) {
        api_error(r, 400, "bad-value", "The \"next\" of the page before.",
                  "\"after\" is not a queue id.");
        return false;
    }
    if (limit.len > 0 && (!slice_to_u64(limit, &count) || count == 0 || count > API_PAGE_MAX)) {
        api_error(r, 400, "bad-value", "A number from 1 to 1000.",
                  "\"limit\" is not right here.");
        return false;
    }
    json_object_set_new(question, "limit", json_integer((json_int_t)count));
    if (after.len > 0)
        json_object_set_new(question, "after", api_text(after));
    return true;
}

void api_queue_list(struct api_request *r)
{
    json_t *question = json_pack("{s:s}", "question", "queue-list");
    if (!take_queue_page(r, question) || !take_state(r, question) || !take_owner(r, question) ||
        !take_domain_and_age(r, question)) {
        json_decref(question);
        return;
    }
    json_t *answer = api_ask_delivery(r, question, 400, "bad-question", NULL);
    if (!answer)
        return;
    json_object_del(answer, "ok");
    json_object_del(answer, "more");
    api_answer(r, 200, answer);
}

void api_queue_show(struct api_request *r)
{
    uint64_t id = 0;
    if (!id_parse(r->args[0], &id)) {
        api_error(r, 400, "bad-value", "13 letters and digits, as in the 250 answer to DATA.",
                  "\"%.*s\" is not a queue id.", SLICE_ARG(slice_to(r->args[0], 64)));
        return;
    }
    json_t *answer = api_ask_delivery(
        r, json_pack("{s:s, s:o}", "question", "queue-show", "id", api_text(r->args[0])), 404,
        "not-in-queue", "The queue is listed by: utpost queue list");
    if (!answer)
        return;
    api_answer(r, 200, json_incref(json_object_get(answer, "message")));
    json_decref(answer);
}
