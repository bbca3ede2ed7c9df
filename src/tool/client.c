#include "tool/client.h"

#include "base/buf.h"
#include "model/conf.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ANSWER_MAX = 256 * 1024 * 1024, CONNECT_SECONDS = 5, ANSWER_SECONDS = 60 };

static size_t on_data(char *data, size_t size, size_t count, void *ctx)
{
    struct buf *b = ctx;
    buf_append(b, slice_make(data, size * count));
    return b->error ? 0 : size * count;
}

/* The socket's path, or NULL with an explanation. */
static const char *find_socket(struct tool_call *c)
{
    struct buf errors = BUF_INIT;
    const char *path = NULL;
    if (c->socket)
        return c->socket;
    struct conf *conf = conf_read(c->config, &errors);
    if (conf)
        path = arena_cstr(&c->arena, conf->api.socket);
    else
        fprintf(stderr, "%.*s  Name the server's configuration with --config FILE.\n",
                SLICE_ARG(buf_slice(&errors)));
    conf_free(&conf);
    buf_fini(&errors);
    return path;
}

static int explain_unreachable(const char *socket, CURLcode code, long error)
{
    fprintf(stderr, "utpost: cannot reach the service at %s: ", socket);
    if (code == CURLE_OPERATION_TIMEDOUT)
        fputs("it does not answer in time.\n", stderr);
    else if (code != CURLE_COULDNT_CONNECT)
        fprintf(stderr, "%s.\n", curl_easy_strerror(code));
    else if (error == EACCES || error == EPERM)
        fputs(
            "permission denied.\n  Run it as root, as the server's own user, or as a member of"
            " the group that [api] group names.\n",
            stderr);
    else
        fprintf(stderr, "is utpostd running? (%s)\n",
                error ? strerror((int)error) : "connection failed");
    return TOOL_UNREACHABLE;
}

static int explain_refusal(const struct tool_call *c, const json_t *answer, long status)
{
    const json_t *error = json_object_get(answer, "error");
    const char *message = json_string_value(json_object_get(error, "message"));
    const char *hint = json_string_value(json_object_get(error, "hint"));
    if (message)
        fprintf(stderr, "utpost: %s\n", message);
    else
        fprintf(stderr, "utpost: the service answered %ld without saying why.\n", status);
    if (hint)
        fprintf(stderr, "  %s\n", hint);
    if (c->wants_json && answer)
        client_print_json(answer);
    return TOOL_REFUSED;
}

struct request {
    const char *socket;
    const char *method;
    const char *path;
    const char *body; /* or NULL */
};

static CURLcode perform(const struct request *r, struct buf *got, long *status, long *error)
{
    char url[4096];
    CURL *curl = curl_easy_init();
    if (!curl)
        return CURLE_OUT_OF_MEMORY;
    snprintf(url, sizeof(url), "http://localhost%s", r->path);
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    headers = curl_slist_append(headers, "Expect:");
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, r->socket);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, r->method);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)ANSWER_SECONDS);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, got);
    if (r->body)
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, r->body);
    CURLcode code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, status);
    curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, error);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    return code;
}

int client_call(struct tool_call *c, const char *method, const char *path, json_t *body,
                json_t **answer)
{
    struct buf got = BUF_BOUNDED(ANSWER_MAX);
    long status = 0;
    long error = 0;
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    if (body && !text) {
        fputs("utpost: what was given is not UTF-8 text.\n", stderr);
        return TOOL_REFUSED;
    }
    const char *socket = find_socket(c);
    if (!socket) {
        free(text);
        return TOOL_REFUSED;
    }
    const struct request r = {socket, method, path, text};
    CURLcode code = perform(&r, &got, &status, &error);
    free(text);
    if (code != CURLE_OK) {
        buf_fini(&got);
        return explain_unreachable(socket, code, error);
    }
    json_t *json = json_loadb(got.ptr ? got.ptr : "", got.len, 0, NULL);
    buf_fini(&got);
    if (status >= 200 && status < 300 && json_is_object(json)) {
        *answer = json;
        return TOOL_OK;
    }
    int refused = explain_refusal(c, json, status);
    json_decref(json);
    return refused;
}

static const char *next_page(struct tool_call *c, const char *path, const json_t *next)
{
    char joint = strchr(path, '?') ? '&' : '?';
    if (json_is_integer(next))
        return arena_printf(&c->arena, "%s%climit=1000&after=%lld", path, joint,
                            (long long)json_integer_value(next))
            .ptr;
    if (json_is_string(next))
        return client_path(c, arena_printf(&c->arena, "%s%climit=1000&after=", path, joint).ptr,
                           json_string_value(next), "");
    return NULL;
}

int client_list(struct tool_call *c, const char *path, const char *key, json_t **list)
{
    json_t *all = json_array();
    const char *page =
        arena_printf(&c->arena, "%s%climit=1000", path, strchr(path, '?') ? '&' : '?').ptr;
    while (page) {
        json_t *answer = NULL;
        int status = client_call(c, "GET", page, NULL, &answer);
        if (status != TOOL_OK) {
            json_decref(all);
            return status;
        }
        json_array_extend(all, json_object_get(answer, key));
        page = next_page(c, path, json_object_get(answer, "next"));
        json_decref(answer);
    }
    *list = all;
    return TOOL_OK;
}

static slice escape(struct arena *a, const char *part)
{
    static const char hex[] = "0123456789ABCDEF";
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~@";
    char *out = arena_alloc(a, strlen(part) * 3 + 1);
    size_t len = 0;
    for (; *part; part++) {
        unsigned char byte = (unsigned char)*part;
        if (strchr(plain, *part)) {
            out[len++] = *part;
        } else {
            out[len++] = '%';
            out[len++] = hex[byte >> 4];
            out[len++] = hex[byte & 15];
        }
    }
    return slice_make(out, len);
}

const char *client_path(struct tool_call *c, const char *before, const char *part,
                        const char *after)
{
    slice escaped = escape(&c->arena, part);
    return arena_printf(&c->arena, "%s%.*s%s", before, SLICE_ARG(escaped), after).ptr;
}

void client_print_json(const json_t *answer)
{
    json_dumpf(answer, stdout, JSON_INDENT(2));
    putchar('\n');
}
