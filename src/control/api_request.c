#include "control/api_request.h"

#include "base/id.h"

#include "base/log.h"
#include "base/utf8.h"
#include "control/names.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

/* smtpd follows within milliseconds; one that is down or far behind is not waited for. */
enum { WAIT_NS = 500 * 1000, WAIT_TIMES = 2000 };

void api_answer(struct api_request *r, unsigned status, json_t *answer)
{
    /* Only a text that is no UTF-8 or a want of memory can have kept it from being made. */
    if (!answer) {
        api_error(r, 500, "internal", NULL, "The answer could not be written as JSON.");
        return;
    }
    json_decref(r->answer);
    r->status = status;
    r->answer = answer;
}

void api_error(struct api_request *r, unsigned status, const char *code, const char *hint,
               const char *fmt, ...)
{
    char message[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    json_t *error = json_pack("{s:s, s:s}", "code", code, "message", message);
    if (!error)
        error = json_pack("{s:s, s:s}", "code", code, "message", "The name is not UTF-8.");
    if (hint)
        json_object_set_new(error, "hint", json_string(hint));
    json_decref(r->answer);
    r->status = status;
    r->answer = json_pack("{s:o}", "error", error);
    INVARIANT(r->answer);
}

void api_fail(struct api_request *r, int rc)
{
    if (rc == -ENOMEM)
        api_error(r, 503, "no-memory", "Try again later.", "The server is out of memory.");
    else if (rc == -ENOSPC)
        api_error(r, 503, "no-space", "Make room on the disk of the state directory.",
                  "The disk of the state directory is full.");
    else
        api_error(r, 503, "storage-failed", "The log of the control role says more.",
                  "The database or the journal failed: %s.", strerror(-rc));
}

bool api_knows_keys(struct api_request *r, const char *const *known)
{
    const char *key;
    json_t *value;
    json_object_foreach(r->body, key, value)
    {
        const char *const *k = known;
        while (*k && strcmp(*k, key) != 0)
            k++;
        if (*k)
            continue;
        slice list = {0};
        for (k = known; *k; k++)
            list =
                arena_printf(&r->arena, "%.*s%s%s", SLICE_ARG(list), list.len ? ", " : "", *k);
        api_error(r, 400, "unknown-key",
                  arena_printf(&r->arena, "Known are: %.*s.", SLICE_ARG(list)).ptr,
                  "There is no \"%.100s\" here.", key);
        return false;
    }
    return true;
}

bool api_has(const struct api_request *r, const char *key)
{
    return json_object_get(r->body, key) != NULL;
}

bool api_take_text(struct api_request *r, const char *key, const char *(*check)(slice),
                   slice *out)
{
    const json_t *value = json_object_get(r->body, key);
    slice text = {0};
    if (!value)
        return true;
    if (!json_is_null(value) && !json_is_string(value)) {
        api_error(r, 400, "bad-value", "A text in quotes.", "\"%s\" is not a text.", key);
        return false;
    }
    if (json_is_string(value))
        text = slice_make(json_string_value(value), json_string_length(value));
    const char *right = check ? check(text) : NULL;
    if (right) {
        api_error(r, 400, "bad-value", arena_printf(&r->arena, "Give %s.", right).ptr,
                  "\"%s\" is not right here.", key);
        return false;
    }
    *out = text;
    return true;
}

bool api_take_number(struct api_request *r, const char *key, uint64_t max, uint64_t *out)
{
    const json_t *value = json_object_get(r->body, key);
    json_int_t number = 0;
    if (!value)
        return true;
    if (!json_is_null(value)) {
        number = json_is_integer(value) ? json_integer_value(value) : -1;
        if (number < 0 || (uint64_t)number > max) {
            api_error(r, 400, "bad-value",
                      arena_printf(&r->arena, "A whole number from 0 to %llu.",
                                   (unsigned long long)max)
                          .ptr,
                      "\"%s\" is not right here.", key);
            return false;
        }
    }
    *out = (uint64_t)number;
    return true;
}

bool api_take_list(struct api_request *r, const char *key, size_t max, json_t **out)
{
    json_t *value = json_object_get(r->body, key);
    bool is_right = json_is_array(value) && json_array_size(value) <= max;
    size_t i;
    json_t *item;
    if (!value)
        return true;
    json_array_foreach(value, i, item) is_right = is_right && json_is_string(item);
    if (!is_right) {
        api_error(r, 400, "bad-value",
                  arena_printf(&r->arena, "An array of at most %zu texts.", max).ptr,
                  "\"%s\" is not right here.", key);
        return false;
    }
    *out = value;
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* %XX, and in queries + for a blank (application/x-www-form-urlencoded). */
static slice unescape(struct arena *a, slice s, bool is_query)
{
    char *out = arena_alloc(a, s.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < s.len; i++) {
        int high = s.ptr[i] == '%' && i + 2 < s.len ? hex_digit(s.ptr[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(s.ptr[i + 2]) : -1;
        if (low >= 0) {
            out[len++] = (char)(high << 4 | low);
            i += 2;
        } else {
            out[len++] = is_query && s.ptr[i] == '+' ? ' ' : s.ptr[i];
        }
    }
    return slice_make(out, len);
}

slice api_query(struct api_request *r, const char *name)
{
    const char *value = MHD_lookup_connection_value(r->connection, MHD_GET_ARGUMENT_KIND, name);
    return value ? unescape(&r->arena, slice_of(value), true) : (slice){0};
}

bool api_find_customer(struct api_request *r, slice name, uint64_t *id)
{
    store_lock(r->api->config.store);
    int rc = store_customer_find(r->api->config.store, name, id);
    store_unlock(r->api->config.store);
    if (rc == -ENOENT)
        api_error(r, 404, "no-such-customer", "Customers are listed by: utpost customer list",
                  "There is no customer \"%.*s\".", SLICE_ARG(slice_to(name, 255)));
    else if (rc < 0)
        api_fail(r, rc);
    return rc == 0;
}

bool api_find_account(struct api_request *r, slice login, uint64_t *id)
{
    uint64_t found = 0;
    store_lock(r->api->config.store);
    int rc = store_account_find(r->api->config.store, login, &found);
    store_unlock(r->api->config.store);
    if (r->only_account && (rc == -ENOENT || (rc == 0 && found != r->only_account))) {
        api_error(r, 403, "out-of-scope", NULL, "This token is for another account.");
        return false;
    }
    if (rc == 0)
        *id = found;
    if (rc == -ENOENT)
        api_error(r, 404, "no-such-account", "Accounts are listed by: utpost account list",
                  "There is no account \"%.*s\".", SLICE_ARG(slice_to(login, 255)));
    else if (rc < 0)
        api_fail(r, rc);
    return rc == 0;
}

bool api_take_limit(struct api_request *r, unsigned usual, unsigned most, unsigned *out)
{
    slice text = api_query(r, "limit");
    uint64_t limit = usual;
    if (text.len > 0 && (!slice_to_u64(text, &limit) || limit == 0 || limit > most)) {
        api_error(r, 400, "bad-value",
                  arena_printf(&r->arena, "A number from 1 to %u.", most).ptr,
                  "\"limit\" is not right here.");
        return false;
    }
    *out = (unsigned)limit;
    return true;
}

bool api_take_page(struct api_request *r, uint64_t *after, unsigned *limit)
{
    slice a = api_query(r, "after");
    *after = 0;
    if (a.len > 0 && !slice_to_u64(a, after)) {
        api_error(r, 400, "bad-value", "The \"next\" of the page before.",
                  "\"after\" is not a number.");
        return false;
    }
    return api_take_limit(r, API_PAGE, API_PAGE_MAX, limit);
}

bool api_begin(struct api_request *r)
{
    int rc = store_begin(r->api->config.store);
    if (rc < 0)
        api_fail(r, rc);
    else
        store_set_by(r->api->config.store, api_by(r));
    return rc == 0;
}

slice api_by(struct api_request *r)
{
    if (r->is_tcp)
        return arena_printf(&r->arena, "token=%llu", (unsigned long long)r->token);
    return arena_printf(&r->arena, "uid=%lu", (unsigned long)r->uid);
}

/* Whoever changes a rule and sends at once expects the rule to hold. */
static void wait_for_smtpd(const struct api_request *r)
{
    const struct shared_pages *p = r->api->config.pages;
    uint64_t published = atomic_load(&p->watermark[ROLE_CONTROL].durable);
    const struct timespec pause = {.tv_nsec = WAIT_NS};
    for (unsigned i = 0; i < WAIT_TIMES; i++) {
        uint64_t read = atomic_load(&p->stats.directory_position);
        if (read == 0 || read >= published)
            return;
        nanosleep(&pause, NULL);
    }
}

void api_commit(struct api_request *r, unsigned status, json_t *answer)
{
    int published = 0;
    int rc = store_commit(r->api->config.store, &published);
    if (rc == 0 && published == 0) {
        wait_for_smtpd(r);
        api_answer(r, status, answer);
        return;
    }
    json_decref(answer);
    if (rc < 0)
        api_fail(r, rc);
    else
        api_error(r, 503, "not-in-effect",
                  "It takes effect by itself as soon as the journal works again.",
                  "The change is kept, but the control journal failed: %s.",
                  strerror(-published));
}

void api_rollback(struct api_request *r)
{
    store_rollback(r->api->config.store);
}

json_t *api_text(slice s)
{
    return s.len > 0 ? json_stringn(s.ptr, s.len) : json_null();
}

json_t *api_foreign(slice s)
{
    struct buf clean = BUF_INIT;
    json_t *text = api_text(s);
    if (text)
        return text;
    while (s.len > 0) {
        size_t n = utf8_sequence(s);
        buf_append(&clean, n ? slice_to(s, n) : SLICE("?"));
        s = slice_from(s, n ? n : 1);
    }
    text = api_text(buf_slice(&clean));
    buf_fini(&clean);
    return text ? text : json_null();
}

json_t *api_id(uint64_t id)
{
    char text[ID_TEXT_LEN + 1];
    id_format(id, text);
    return json_string(text);
}

json_t *api_stamp(stamp at)
{
    char text[STAMP_TEXT_MAX];
    if (at == 0 || at == STAMP_NEVER)
        return json_null();
    stamp_format(at, text);
    return json_string(text);
}

const char *api_state(const struct api_request *r, enum account_state state, stamp until)
{
    return name_of_state(until <= r->now ? ACCOUNT_ACTIVE : state);
}

bool api_take_lock(struct api_request *r, enum account_state *state, stamp *until,
                   slice *reason)
{
    static const char *const keys[] = {"reason", "for", NULL};
    slice text = {0};
    slice why = {0};
    span length = 0;
    if (!api_knows_keys(r, keys) || !api_take_text(r, "reason", name_check_line, &why) ||
        !api_take_text(r, "for", NULL, &text))
        return false;
    if (text.len > 0 && !name_parse_span(text, &length)) {
        api_error(r, 400, "bad-value", "A time such as 30m, 24h, 5d or 2w; none: for good.",
                  "\"for\" is not right here.");
        return false;
    }
    *state = ACCOUNT_LOCKED;
    *until = text.len > 0 ? r->now + length : STAMP_NEVER;
    *reason = why;
    return true;
}

static bool matches(struct api_request *r, slice path, const char *pattern)
{
    slice rest = slice_of(pattern);
    slice want, have;
    size_t args = 0;
    while (rest.len > 0 && path.len > 0) {
        slice_split(&rest, '/', &want);
        slice_split(&path, '/', &have);
        if (slice_eq(want, SLICE("*")))
            r->args[args++] = unescape(&r->arena, have, false);
        else if (!slice_eq(want, have))
            return false;
    }
    return rest.len == 0 && path.len == 0;
}

void api_dispatch(struct api_request *r, slice path)
{
    bool is_known = false;
    for (size_t i = 0; i < api_route_count; i++) {
        if (!matches(r, path, api_routes[i].pattern))
            continue;
        is_known = true;
        if (strcmp(r->method, api_routes[i].method) != 0)
            continue;
        r->route = &api_routes[i];
        if (r->access < r->route->who)
            api_error(r, 403, "out-of-scope", "See: utpost token add --help",
                      "This token may not do this.");
        else
            r->route->handler(r);
        return;
    }
    if (is_known)
        api_error(r, 405, "bad-method", NULL, "%s cannot be done here.", r->method);
    else
        api_error(r, 404, "no-such-path", NULL, "There is nothing at this path.");
}
