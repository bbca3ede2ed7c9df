/* routes: docs/openapi.json has every route of the API, and nothing else. With
 * OPENAPI_WRITE=FILE in the environment it is written there. */
#include "control/api_request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* As the API answers it. */
static json_t *made(void)
{
    struct api_request r = {.method = "GET", .access = API_READ};
    api_dispatch(&r, SLICE("/v1/openapi.json"));
    assert_int_equal(200, r.status);
    json_t *document = json_incref(r.answer);
    json_decref(r.answer);
    arena_fini(&r.arena);
    return document;
}

static void the_document_is_current(void **state)
{
    const char *to = getenv("OPENAPI_WRITE");
    json_t *document = made();
    (void)state;
    if (to)
        assert_int_equal(0, json_dump_file(document, to, JSON_INDENT(1) | JSON_SORT_KEYS));
    json_t *kept = json_load_file(OPENAPI, 0, NULL);
    if (!json_equal(document, kept))
        fail_msg("docs/openapi.json is old: OPENAPI_WRITE=docs/openapi.json %s",
                 "build/test/control/control_routes_test");
    json_decref(document);
    json_decref(kept);
}

/* The route's pattern from a path of the document: "{…}" is '*'. */
static void to_pattern(const char *path, char *out, size_t size)
{
    size_t n = 0;
    for (; *path && n + 1 < size; path++) {
        if (*path == '{') {
            out[n++] = '*';
            path = strchr(path, '}');
        } else {
            out[n++] = *path;
        }
    }
    out[n] = '\0';
}

static bool is_route(const char *method, const char *pattern)
{
    for (size_t i = 0; i < api_route_count; i++)
        if (slice_ieq(slice_of(method), slice_of(api_routes[i].method)) &&
            strcmp(pattern, api_routes[i].pattern) == 0)
            return true;
    return false;
}

static void the_document_and_the_table_agree(void **state)
{
    json_t *document = json_load_file(OPENAPI, 0, NULL);
    const char *path, *method;
    json_t *item, *operation;
    size_t count = 0;
    (void)state;
    json_object_foreach(json_object_get(document, "paths"), path, item)
    {
        char pattern[256];
        to_pattern(path, pattern, sizeof(pattern));
        json_object_foreach(item, method, operation)
        {
            const char *summary = json_string_value(json_object_get(operation, "summary"));
            count++;
            if (!is_route(method, pattern))
                fail_msg("%s %s is in the document only", method, path);
            if (!summary || !summary[0])
                fail_msg("%s %s is not described in api_routes.c", method, path);
        }
    }
    assert_int_equal(api_route_count, count);
    json_decref(document);
}

static void changes_need_an_admin(void **state)
{
    (void)state;
    for (size_t i = 0; i < api_route_count; i++) {
        const struct api_route *route = &api_routes[i];
        enum api_access needs = route->who;
        /* an account's token sends its mail (which of them may, the handler says) */
        bool sends = strcmp(route->pattern, "/v1/messages") == 0;
        if (strcmp(route->method, "GET") != 0 && needs != API_ADMIN && !sends)
            fail_msg("%s %s needs no admin", route->method, route->pattern);
        assert_true(needs > API_NOBODY);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_document_is_current),
        cmocka_unit_test(the_document_and_the_table_agree),
        cmocka_unit_test(changes_need_an_admin),
    };
    return cmocka_run_group_tests_name("control/routes", tests, NULL, NULL);
}
