/* /v1/messages, /v1/accounts/…/usage, /v1/accounts/…/errors, /v1/erase. */
#include "base/id.h"
#include "control/api_request.h"
#include "control/ledger_read.h"
#include "control/names.h"
#include "control/story.h"

bool api_open_ledger(struct api_request *r, struct ledger_reader **out)
{
    const struct api_config *c = &r->api->config;
    if (!c->ledger) {
        api_error(r, 503, "no-ledger", "The log of the control role says why.",
                  "The ledger could not be opened.");
        return false;
    }
    int rc = ledger_reader_open(out, ledger_path(c->ledger));
    if (rc < 0)
        api_fail(r, rc);
    return rc == 0;
}

bool api_query_account(struct api_request *r, uint64_t *out)
{
    slice login = api_query(r, "account");
    *out = r->only_account;
    return login.len == 0 || api_find_account(r, login, out);
}

/* ?since=: for how long back. */
static bool take_since(struct api_request *r, span usual, stamp *out)
{
    slice text = api_query(r, "since");
    span length = usual;
    if (text.len > 0 && !name_parse_span(text, &length)) {
        api_error(r, 400, "bad-value", "A time such as 30m, 24h, 5d or 2w, back from now.",
                  "\"since\" is not right here.");
        return false;
    }
    *out = length ? r->now - length : 0;
    return true;
}

void api_messages_list(struct api_request *r)
{
    struct ledger_line *lines;
    struct ledger_reader *reader;
    uint64_t account;
    uint64_t before = 0;
    stamp since;
    unsigned limit;
    slice after = api_query(r, "after");
    if (after.len > 0 && !id_parse(after, &before)) {
        api_error(r, 400, "bad-value", "The \"next\" of the page before.",
                  "\"after\" is not a queue id.");
        return;
    }
    if (!api_query_account(r, &account) || !take_since(r, 0, &since) ||
        !api_take_limit(r, API_PAGE, API_PAGE_MAX, &limit) || !api_open_ledger(r, &reader))
        return;
    int count = ledger_list(reader, account, since, before, limit, &r->arena, &lines);
    ledger_reader_close(&reader);
    if (count < 0) {
        api_fail(r, count);
        return;
    }
    json_t *list = json_array();
    for (int i = 0; i < count; i++) {
        json_t *message = api_message(&lines[i].message);
        json_object_set_new(message, "delivered", json_integer((json_int_t)lines[i].delivered));
        json_object_set_new(message, "queued", json_integer((json_int_t)lines[i].queued));
        json_object_set_new(message, "failed", json_integer((json_int_t)lines[i].failed));
        json_array_append_new(list, message);
    }
    bool is_full = count > 0 && (unsigned)count == limit;
    api_answer(r, 200,
               json_pack("{s:o, s:o}", "messages", list, "next",
                         is_full ? api_id(lines[count - 1].message.id) : json_null()));
}

void api_usage(struct api_request *r)
{
    static const struct {
        const char *name;
        unsigned seconds;
        span usual;
    } periods[] = {
        {"day", 86400, 31 * SPAN_DAY},
        {"hour", 3600, 2 * SPAN_DAY},
        {"minute", 60, 2 * SPAN_HOUR},
    };
    struct ledger_usage *use;
    struct ledger_reader *reader;
    slice by = api_query(r, "by");
    uint64_t account;
    stamp since;
    unsigned limit;
    size_t p = 0;
    while (by.len > 0 && p < COUNT_OF(periods) && !slice_eq(by, slice_of(periods[p].name)))
        p++;
    if (p == COUNT_OF(periods)) {
        api_error(r, 400, "bad-value", "Give day, hour or minute.",
                  "\"by\" is not right here.");
        return;
    }
    if (!api_find_account(r, r->args[0], &account) ||
        !take_since(r, periods[p].usual, &since) ||
        !api_take_limit(r, API_PAGE_MAX, API_PAGE_MAX, &limit) || !api_open_ledger(r, &reader))
        return;
    since -= since % ((span)periods[p].seconds * SPAN_SECOND);
    int count =
        ledger_usage(reader, account, periods[p].seconds, since, limit, &r->arena, &use);
    ledger_reader_close(&reader);
    if (count < 0) {
        api_fail(r, count);
        return;
    }
    json_t *list = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(
            list, json_pack("{s:o, s:I, s:I, s:I, s:I, s:I}", "start", api_stamp(use[i].start),
                            "messages", (json_int_t)use[i].messages, "recipients",
                            (json_int_t)use[i].recipients, "octets", (json_int_t)use[i].octets,
                            "delivered", (json_int_t)use[i].delivered, "failed",
                            (json_int_t)use[i].failed));
    api_answer(r, 200, json_pack("{s:s, s:o}", "by", periods[p].name, "usage", list));
}

static json_t *error_json(const struct ledger_error *e)
{
    const struct ledger_attempt a = {
        .outcome = e->outcome, .stage = e->stage, .code = e->code, .enhanced = e->enhanced};
    return json_pack("{s:o, s:o, s:o, s:I, s:o, s:s, s:i, s:o, s:o, s:o, s:s}", "address",
                     api_foreign(e->address), "first", api_stamp(e->first), "last",
                     api_stamp(e->last), "count", (json_int_t)e->count, "message",
                     api_id(e->message), "stage", stage_name(e->stage), "code", (int)e->code,
                     "enhanced", api_foreign(e->enhanced), "reply", api_foreign(e->reply),
                     "remote", api_foreign(e->remote), "means", story_meaning(&a));
}

void api_errors(struct api_request *r)
{
    struct ledger_error *errors;
    struct ledger_reader *reader;
    uint64_t account;
    unsigned limit;
    if (!api_find_account(r, r->args[0], &account) ||
        !api_take_limit(r, API_PAGE, API_PAGE_MAX, &limit) || !api_open_ledger(r, &reader))
        return;
    int count =
        ledger_errors(reader, account, api_query(r, "after"), limit, &r->arena, &errors);
    ledger_reader_close(&reader);
    if (count < 0) {
        api_fail(r, count);
        return;
    }
    json_t *list = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(list, error_json(&errors[i]));
    bool is_full = count > 0 && (unsigned)count == limit;
    api_answer(r, 200,
               json_pack("{s:o, s:o}", "errors", list, "next",
                         is_full ? api_foreign(errors[count - 1].address) : json_null()));
}

/* ---- erasure ---- */

void api_erase(struct api_request *r)
{
    static const char *const keys[] = {"address", NULL};
    struct ledger_erased erased;
    slice address = {0};
    if (!api_knows_keys(r, keys) || !api_take_text(r, "address", name_check_line, &address))
        return;
    if (address.len == 0) {
        api_error(r, 400, "bad-value", "The address whose traces are to go.",
                  "\"address\" is missing.");
        return;
    }
    if (!r->api->config.ledger) {
        api_error(r, 503, "no-ledger", "The log of the control role says why.",
                  "The ledger could not be opened.");
        return;
    }
    int rc = ledger_erase(r->api->config.ledger, address, &erased);
    if (rc < 0)
        api_fail(r, rc);
    else
        api_answer(r, 200,
                   json_pack("{s:I, s:I, s:I, s:I}", "recipients",
                             (json_int_t)erased.recipients, "senders",
                             (json_int_t)erased.senders, "errors", (json_int_t)erased.errors,
                             "evidence", (json_int_t)erased.evidence));
}
