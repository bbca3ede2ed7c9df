#include "control/api.h"

#include "base/log.h"
#include "base/secret.h"
#include "control/api_request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* Chosen passwords take 30 ms and 19 MiB each: a few at a time. */
enum { THREADS = 4, TCP_THREADS = 2, CONNECTIONS = 256, IDLE_SECONDS = 60, GROUPS_MAX = 256 };

static bool is_member(int fd, gid_t primary, gid_t group)
{
    gid_t groups[GROUPS_MAX];
    socklen_t len = sizeof(groups);
    if (primary == group)
        return true;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0)
        return false;
    for (size_t i = 0; i < len / sizeof(gid_t); i++)
        if (groups[i] == group)
            return true;
    return false;
}

/* May the other end of this connection use the API? */
static bool may_use(const struct api *a, int fd, uid_t *uid)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
        return false;
    *uid = peer.uid;
    if (peer.uid == 0 || peer.uid == geteuid())
        return true;
    return a->config.has_group && is_member(fd, peer.gid, a->config.group);
}

static void admit(struct api_request *r, const struct api_door *door)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    const char *token = MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND,
                                                    MHD_HTTP_HEADER_AUTHORIZATION);
    r->access = API_NOBODY;
    if (door->is_tcp && token)
        api_admit_token(r, slice_of(token));
    else if (!door->is_tcp && info && may_use(r->api, info->connect_fd, &r->uid))
        r->access = API_ADMIN;
}

/* Who may use it at all may send large mails; everything else is small. */
static size_t body_max(const struct api_request *r, const char *url)
{
    bool is_mail = strcmp(r->method, "POST") == 0 && strcmp(url, "/v1/messages") == 0;
    return is_mail && r->access != API_NOBODY ? API_MESSAGE_MAX : API_BODY_MAX;
}

static struct api_request *request_new(const struct api_door *door, struct MHD_Connection *c,
                                       const char *method, const char *url)
{
    struct api *a = door->api;
    struct api_request *r = xcalloc(1, sizeof(*r));
    r->api = a;
    r->connection = c;
    r->method = method;
    r->now = env_now(a->config.env);
    r->uid = (uid_t)-1;
    r->is_tcp = door->is_tcp;
    admit(r, door);
    r->body_max = body_max(r, url);
    r->text = BUF_BOUNDED(r->body_max);
    return r;
}

/* Takes more of the body; what passes the memory for large ones is dropped. */
static void take_body(struct api_request *r, slice bytes)
{
    if (r->text.len + bytes.len > API_BODY_MAX && r->body_max > API_BODY_MAX) {
        r->charged += bytes.len;
        if (atomic_fetch_add(&r->api->memory, bytes.len) + bytes.len > API_MEMORY_MAX)
            r->text.error = -ENOMEM;
    }
    buf_append(&r->text, bytes);
}

static void request_free(struct api_request *r)
{
    /* Chosen passwords came in it. */
    secret_wipe(r->text.ptr, r->text.len);
    buf_fini(&r->text);
    atomic_fetch_sub(&r->api->memory, r->charged);
    json_decref(r->body);
    json_decref(r->answer);
    buf_fini(&r->plain);
    arena_fini(&r->arena);
    free(r);
}

/* The body as an object; false with an answer when it is none. */
static bool parse_body(struct api_request *r)
{
    json_error_t error;
    if (r->text.error == -EMSGSIZE) {
        api_error(r, 413, "body-too-large", NULL, "The body is larger than %zu octets.",
                  r->body_max);
        return false;
    }
    if (r->text.error) {
        api_fail(r, r->text.error);
        return false;
    }
    if (r->text.len == 0) {
        r->body = json_object();
        return true;
    }
    r->body = json_loadb(r->text.ptr, r->text.len, JSON_REJECT_DUPLICATES, &error);
    if (!r->body)
        api_error(r, 400, "bad-json", NULL, "The body is not JSON: line %d, column %d: %s.",
                  error.line, error.column, error.text);
    else if (!json_is_object(r->body))
        api_error(r, 400, "bad-json", NULL, "The body is not a JSON object.");
    return json_is_object(r->body);
}

static struct MHD_Response *response_of(const struct api_request *r)
{
    if (r->plain_type)
        return MHD_create_response_from_buffer(r->plain.len, r->plain.ptr,
                                               MHD_RESPMEM_MUST_COPY);
    char *text = json_dumps(r->answer, JSON_COMPACT);
    struct MHD_Response *response =
        text ? MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE)
             : NULL;
    if (!response)
        free(text);
    return response;
}

static enum MHD_Result send_answer(struct api_request *r)
{
    struct MHD_Response *response = response_of(r);
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
                            r->plain_type ? r->plain_type : "application/json");
    if (r->retry_after > 0) {
        char seconds[24];
        snprintf(seconds, sizeof(seconds), "%llu", (unsigned long long)r->retry_after);
        MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, seconds);
    }
    if (r->status == 401)
        MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
    /* A generated secret is in some of them. */
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    enum MHD_Result result = MHD_queue_response(r->connection, r->status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **state)
{
    struct api_request *r = *state;
    (void)version;
    if (!r) {
        *state = request_new(ctx, connection, method, url);
        return MHD_YES;
    }
    if (*size > 0) {
        if (r->access != API_NOBODY)
            take_body(r, slice_make(data, *size));
        *size = 0;
        return MHD_YES;
    }
    if (r->access == API_NOBODY && r->is_tcp)
        api_error(r, 401, "unauthorized",
                  "Send the header \"Authorization: Bearer TOKEN\"; tokens are made by: utpost"
                  " token add",
                  "A valid token is needed here.");
    else if (r->access == API_NOBODY)
        api_error(r, 403, "forbidden",
                  "Run it as root, as the server's own user, or as a member of the group that"
                  " [api] group names.",
                  "User %ld may not use this socket.", (long)(int)r->uid);
    else if (parse_body(r))
        api_dispatch(r, slice_of(url));
    INVARIANT(r->answer || r->plain_type);
    log_debug("api-request", LOG_C("method", method), LOG_C("path", url),
              LOG_I("status", r->status), LOG_I("uid", r->uid));
    return send_answer(r);
}

static void on_completed(void *ctx, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode code)
{
    (void)ctx;
    (void)connection;
    (void)code;
    if (*state)
        request_free(*state);
    *state = NULL;
}

/* Paths are unescaped after they were split: a name may contain a slash. */
static size_t keep_escapes(void *ctx, struct MHD_Connection *connection, char *s)
{
    (void)ctx;
    (void)connection;
    return strlen(s);
}

static void on_log(void *ctx, const char *fmt, va_list args) PRINTF_LIKE(2, 0);
static void on_log(void *ctx, const char *fmt, va_list args)
{
    char text[512];
    (void)ctx;
    vsnprintf(text, sizeof(text), fmt, args);
    log_warning("api-server", LOG_S("what", slice_trim(slice_of(text))));
}

/* False when it could not start (logged). */
static bool open_door(struct api *a, struct api_door *door, int listen_fd)
{
    int fd = dup(listen_fd);
    door->api = a;
    if (fd >= 0)
        door->daemon = MHD_start_daemon(
            MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL | MHD_USE_ITC | MHD_USE_ERROR_LOG,
            0, NULL, NULL, on_request, door, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
            MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_THREAD_POOL_SIZE,
            door->is_tcp ? TCP_THREADS : THREADS, MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS,
            MHD_OPTION_CONNECTION_TIMEOUT, IDLE_SECONDS, MHD_OPTION_UNESCAPE_CALLBACK,
            keep_escapes, NULL, MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
            MHD_OPTION_END);
    if (door->daemon)
        return true;
    log_error("api-not-started", LOG_E("error", errno));
    if (fd >= 0)
        close(fd);
    return false;
}

struct api *api_new(const struct api_config *config)
{
    struct api *a = xcalloc(1, sizeof(*a));
    a->config = *config;
    a->config.conf = NULL;
    a->tcp.is_tcp = true;
    pthread_mutex_init(&a->mutex, NULL);
    api_settings_init(&a->settings, config->conf);
    if (!open_door(a, &a->local, config->listen_fd) ||
        (config->tcp_fd > 0 && !open_door(a, &a->tcp, config->tcp_fd)))
        api_free(&a);
    return a;
}

void api_free(struct api **a)
{
    if (!*a)
        return;
    if ((*a)->tcp.daemon)
        MHD_stop_daemon((*a)->tcp.daemon);
    if ((*a)->local.daemon)
        MHD_stop_daemon((*a)->local.daemon);
    api_settings_fini(&(*a)->settings);
    pthread_mutex_destroy(&(*a)->mutex);
    free(*a);
    *a = NULL;
}

void api_set_conf(struct api *a, const struct conf *conf)
{
    struct api_settings fresh;
    api_settings_init(&fresh, conf);
    pthread_mutex_lock(&a->mutex);
    struct api_settings old = a->settings;
    a->settings = fresh;
    pthread_mutex_unlock(&a->mutex);
    api_settings_fini(&old);
}
