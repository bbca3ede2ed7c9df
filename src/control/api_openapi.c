/* /v1/openapi.json: the document, made of the table of routes. */
#include "control/api_request.h"

#include <stdio.h>
#include <string.h>

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
    json_t *parameters = json_array();
    *path = path_of(a, route->pattern, parameters);
    add_query(parameters, route->query);
    json_t *operation =
        json_pack("{s:s, s:s, s:o, s:o}", "summary", route->summary, "x-scope", who[route->who],
                  "parameters", parameters, "responses", answers_of(route));
    if (route->body)
        json_object_set_new(operation, "requestBody", body_of(route->body));
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
