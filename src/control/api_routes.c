/* What each route of the API is for and who may use it; the OpenAPI document is made of that.
 */
#include "control/api_request.h"

#include <stdio.h>
#include <string.h>

#define PEOPLE "language time_zone contact"
#define LOCK "reason for"
#define ORDER "ids account customer domain older_than all"
#define UNLOCK "queue revoke_credentials"
#define CUSTOMER "parent " PEOPLE
#define ACCOUNT \
    "senders sender_list max_recipients max_size expire_after warn_after profile " PEOPLE

/* who: may use it, and all who may more. query, body: names with blanks between; a "!" marks
 * what must be there. */
static const struct api_description {
    const char *method;
    const char *pattern; /* as in the table of routes */
    enum api_access who;
    const char *summary;
    const char *query;
    const char *body;
} descriptions[] = {
    {"GET", "/v1/customers", API_READ, "List the customers", "limit after"},
    {"POST", "/v1/customers", API_ADMIN, "Add a customer", NULL, "!name " CUSTOMER},
    {"GET", "/v1/customers/*", API_READ, "Show a customer"},
    {"PATCH", "/v1/customers/*", API_ADMIN, "Change a customer", NULL, "name " CUSTOMER},
    {"DELETE", "/v1/customers/*", API_ADMIN, "Remove a customer without accounts"},
    {"POST", "/v1/customers/*/lock", API_ADMIN, "Lock all accounts of a customer", NULL, LOCK},
    {"POST", "/v1/customers/*/unlock", API_ADMIN,
     "Lift a customer's lock; release or purge the queue that it froze", NULL, "queue"},
    {"GET", "/v1/accounts", API_READ, "List the accounts", "customer limit after"},
    {"POST", "/v1/accounts", API_ADMIN, "Add an account", NULL, "!login !customer " ACCOUNT},
    {"GET", "/v1/accounts/*", API_READ, "Show an account"},
    {"PATCH", "/v1/accounts/*", API_ADMIN, "Change an account", NULL,
     "login customer " ACCOUNT},
    {"DELETE", "/v1/accounts/*", API_ADMIN, "Remove an account and its credentials"},
    {"POST", "/v1/accounts/*/lock", API_ADMIN, "Stop an account from sending", NULL, LOCK},
    {"GET", "/v1/accounts/*/plan", API_READ, "Show an account's plan and its running period"},
    {"POST", "/v1/accounts/*/plan", API_ADMIN,
     "Change an account's plan: moments as 2026-12-01 or 2026-12-01T08:00 of its time zone",
     NULL, "start end once credit credit_until reset"},
    {"POST", "/v1/accounts/*/unlock", API_ADMIN,
     "Lift an account's lock; release or purge the queue that it froze", NULL, UNLOCK},
    {"GET", "/v1/accounts/*/credentials", API_READ, "List an account's credentials",
     "limit after"},
    {"POST", "/v1/accounts/*/credentials", API_ADMIN,
     "Add a credential; a generated secret is in this answer only", NULL,
     "kind label password cidr uid user may_act_for"},
    {"DELETE", "/v1/credentials/*", API_ADMIN, "Revoke a credential"},
    {"GET", "/v1/presets", API_READ, "List the presets of rules"},
    {"GET", "/v1/presets/*", API_READ, "Show a preset's rules"},
    {"GET", "/v1/accounts/*/rules", API_READ, "List an account's rules"},
    {"POST", "/v1/accounts/*/rules", API_ADMIN, "Add a rule to an account", NULL, "!rule"},
    {"DELETE", "/v1/accounts/*/rules/*", API_ADMIN, "Remove a rule of an account"},
    {"POST", "/v1/accounts/*/preset", API_ADMIN, "Give an account a preset", NULL, "!preset"},
    {"GET", "/v1/accounts/*/quota", API_READ, "What is left of an account's limits"},
    {"GET", "/v1/customers/*/rules", API_READ, "List a customer's rules"},
    {"POST", "/v1/customers/*/rules", API_ADMIN, "Add a rule to a customer", NULL, "!rule"},
    {"DELETE", "/v1/customers/*/rules/*", API_ADMIN, "Remove a rule of a customer"},
    {"POST", "/v1/customers/*/preset", API_ADMIN, "Give a customer a preset", NULL, "!preset"},
    {"GET", "/v1/locks", API_READ, "List who is locked, newest first",
     "account customer state limit after"},
    {"GET", "/v1/locks/*", API_READ, "Show a lock with its evidence"},
    {"GET", "/v1/queue", API_READ, "List the messages in the queue",
     "account customer domain older_than state limit after"},
    {"GET", "/v1/queue/*", API_READ, "Show a message in the queue"},
    {"POST", "/v1/queue/hold", API_ADMIN,
     "Hold mail: messages, or all of an account, customer or domain with what comes", NULL,
     ORDER},
    {"POST", "/v1/queue/release", API_ADMIN, "Send what was held", NULL, ORDER},
    {"POST", "/v1/queue/retry", API_ADMIN, "Try now what waits for its next attempt", NULL,
     ORDER},
    {"POST", "/v1/queue/remove", API_ADMIN, "Take mail out of the queue for good", NULL, ORDER},
    {"GET", "/v1/commands/*", API_READ, "How far a command about the queue is"},
    {"GET", "/v1/messages", API_ACCOUNT, "List accepted messages, newest first",
     "account since limit after"},
    {"POST", "/v1/messages", API_ACCOUNT,
     "Send a mail; with a header Idempotency-Key it is taken once in 24 hours", NULL,
     "account from sender to cc bcc reply_to subject text html attachments headers raw "
     "recipients"},
    {"GET", "/v1/trace", API_ACCOUNT,
     "Tell what happened to a message: by id, Message-ID or address", "!q account limit"},
    {"GET", "/v1/why", API_READ,
     "Tell why a message, or the mail for a domain, is still in the queue", "!q account limit"},
    {"GET", "/v1/accounts/*/usage", API_ACCOUNT, "Use of an account per period",
     "by since limit"},
    {"GET", "/v1/accounts/*/errors", API_ACCOUNT, "Addresses that an account could not reach",
     "limit after"},
    {"POST", "/v1/erase", API_ADMIN, "Remove an address from the ledger", NULL, "!address"},
    {"GET", "/v1/tokens", API_ADMIN, "List the tokens of the API", "limit after"},
    {"POST", "/v1/tokens", API_ADMIN, "Add a token; it is in this answer only", NULL,
     "!scope label"},
    {"DELETE", "/v1/tokens/*", API_ADMIN, "Revoke a token"},
    {"GET", "/v1/status", API_READ, "Show what the service does"},
    {"GET", "/v1/config", API_READ, "Show the configuration in effect"},
    {"GET", "/v1/openapi.json", API_ACCOUNT, "This document"},
    {"GET", "/metrics", API_READ, "Numbers for Prometheus, as text"},
};

static const struct api_description *find(const struct api_route *route)
{
    for (size_t i = 0; i < COUNT_OF(descriptions); i++)
        if (strcmp(descriptions[i].method, route->method) == 0 &&
            strcmp(descriptions[i].pattern, route->pattern) == 0)
            return &descriptions[i];
    return NULL;
}

enum api_access api_route_needs(const struct api_route *route)
{
    const struct api_description *d = find(route);
    if (d)
        return d->who;
    return strcmp(route->method, "GET") == 0 ? API_READ : API_ADMIN;
}

/* ---- the document ---- */

/* "/v1/accounts/{account}/usage": a part is named by what is before it. */
static slice path_of(struct arena *a, const char *pattern, json_t *parameters)
{
    slice rest = slice_of(pattern);
    slice part, before = {0}, path = {0};
    slice_split(&rest, '/', &part); /* what is before the first slash */
    while (slice_split(&rest, '/', &part)) {
        if (slice_eq(part, SLICE("*"))) {
            slice name = slice_eq(before, SLICE("queue"))
                             ? SLICE("id")
                             : slice_to(before, before.len ? before.len - 1 : 0);
            json_array_append_new(
                parameters, json_pack("{s:s%, s:s, s:b, s:{s:s}}", "name", name.ptr, name.len,
                                      "in", "path", "required", 1, "schema", "type", "string"));
            path = arena_printf(a, "%.*s/{%.*s}", SLICE_ARG(path), SLICE_ARG(name));
        } else {
            path = arena_printf(a, "%.*s/%.*s", SLICE_ARG(path), SLICE_ARG(part));
        }
        before = part;
    }
    return path;
}

static bool next_name(const char **names, slice *name, bool *must)
{
    const char *at = *names ? *names : "";
    while (*at == ' ')
        at++;
    *must = *at == '!';
    at += *must;
    *name = slice_make(at, strcspn(at, " "));
    *names = at + name->len;
    return name->len > 0;
}

static void add_query(json_t *parameters, const char *names)
{
    slice name;
    bool must;
    while (next_name(&names, &name, &must))
        json_array_append_new(
            parameters, json_pack("{s:s%, s:s, s:b, s:{s:s}}", "name", name.ptr, name.len, "in",
                                  "query", "required", must, "schema", "type", "string"));
}

/* An object of these keys; what may be in each is said by the errors, and by the manual. */
static json_t *body_of(const char *names)
{
    json_t *keys = json_object();
    json_t *required = json_array();
    slice name;
    bool must;
    while (next_name(&names, &name, &must)) {
        json_object_setn_new(keys, name.ptr, name.len, json_object());
        if (must)
            json_array_append_new(required, json_stringn(name.ptr, name.len));
    }
    json_t *schema = json_pack("{s:s, s:b, s:o}", "type", "object", "additionalProperties", 0,
                               "properties", keys);
    if (json_array_size(required) > 0)
        json_object_set(schema, "required", required);
    json_decref(required);
    return json_pack("{s:{s:{s:o}}}", "content", "application/json", "schema", schema);
}

static json_t *answers_of(const struct api_route *route)
{
    bool is_text = route->handler == api_metrics;
    json_t *content = json_pack("{s:{s:{s:s}}}", is_text ? "text/plain" : "application/json",
                                "schema", "type", is_text ? "string" : "object");
    return json_pack("{s:{s:s, s:o}, s:{s:s}}", "2XX", "description", "Done", "content",
                     content, "default", "$ref", "#/components/responses/error");
}

static json_t *operation_of(struct arena *a, const struct api_route *route, slice *path)
{
    static const char *const who[] = {
        [API_ACCOUNT] = "account", [API_READ] = "read", [API_ADMIN] = "admin"};
    const struct api_description *d = find(route);
    json_t *parameters = json_array();
    *path = path_of(a, route->pattern, parameters);
    add_query(parameters, d ? d->query : NULL);
    json_t *operation = json_pack("{s:s, s:s, s:o, s:o}", "summary", d ? d->summary : "",
                                  "x-scope", who[api_route_needs(route)], "parameters",
                                  parameters, "responses", answers_of(route));
    if (d && d->body)
        json_object_set_new(operation, "requestBody", body_of(d->body));
    return operation;
}

static json_t *components(void)
{
    json_t *error = json_pack(
        "{s:s, s:{s:{s:{s:s, s:{s:{s:s, s:{s:{s:s}, s:{s:s}, s:{s:s}}}}}}}}", "description",
        "What is wrong, and what would be right", "content", "application/json", "schema",
        "type", "object", "properties", "error", "type", "object", "properties", "code", "type",
        "string", "message", "type", "string", "hint", "type", "string");
    return json_pack("{s:{s:o}, s:{s:{s:s, s:s}}}", "responses", "error", error,
                     "securitySchemes", "token", "type", "http", "scheme", "bearer");
}

void api_openapi(struct api_request *r)
{
    json_t *paths = json_object();
    for (size_t i = 0; i < api_route_count; i++) {
        slice path;
        char method[8];
        json_t *operation = operation_of(&r->arena, &api_routes[i], &path);
        slice lower = arena_lower(&r->arena, slice_of(api_routes[i].method));
        snprintf(method, sizeof(method), "%.*s", SLICE_ARG(lower));
        json_t *item = json_object_getn(paths, path.ptr, path.len);
        if (!item) {
            item = json_object();
            json_object_setn_new(paths, path.ptr, path.len, item);
        }
        json_object_set_new(item, method, operation);
    }
    api_answer(r, 200,
               json_pack("{s:s, s:{s:s, s:s}, s:o, s:[{s:[]}], s:o}", "openapi", "3.1.0",
                         "info", "title", "Utpost", "version", UTPOST_VERSION, "paths", paths,
                         "security", "token", "components", components()));
}
