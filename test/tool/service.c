/* service: the control role's store and API with a delivery role that gives fixed answers, for
 * the tests of the command. Usage: tool_service CONFIG. Says "ready" and ends with its standard
 * input. */
#include "control/api.h"
#include "model/conf.h"
#include "net/query.h"

#include <fcntl.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const char message[] =
    "{\"id\":\"0123456789abc\",\"accepted\":\"2026-11-22T01:02:03.000Z\",\"customer\":1,"
    "\"account\":1,\"login\":\"anna@x.test\",\"from\":\"\",\"message_id\":\"<m@x.test>\","
    "\"size\":1234,\"recipient_count\":3,\"recipients\":["
    "{\"address\":\"bo@y.test\",\"state\":\"queued\",\"attempts\":2,"
    "\"next\":\"2026-11-22T02:00:00.000Z\",\"trouble\":{\"code\":450,"
    "\"text\":\"450 4.2.0 mailbox \\u001b[31m busy\"}},"
    "{\"address\":\"c@y.test\",\"state\":\"queued\",\"attempts\":0,\"next\":null,\"trouble\":"
    "null},"
    "{\"address\":\"d@y.test\",\"state\":\"failed\",\"attempts\":1,\"next\":null,"
    "\"trouble\":{\"code\":550,\"text\":\"no such user\"}}]}";

static void answer_for_delivery(void *ctx, slice question, struct buf *out)
{
    json_t *q = json_loadb(question.ptr, question.len, 0, NULL);
    const char *name = json_string_value(json_object_get(q, "question"));
    const char *id = json_string_value(json_object_get(q, "id"));
    (void)ctx;
    if (name && strcmp(name, "status") == 0)
        buf_printf(out, "{\"ok\":true}");
    else if (name && strcmp(name, "queue-list") == 0 && !json_object_get(q, "after"))
        buf_printf(out,
                   "{\"ok\":true,\"messages\":[%s],\"more\":true,\"next\":\"0123456789abc\"}",
                   message);
    else if (name && strcmp(name, "queue-list") == 0)
        buf_printf(out, "{\"ok\":true,\"messages\":[],\"more\":false,\"next\":null}");
    else if (id && strcmp(id, "0123456789abc") == 0)
        buf_printf(out, "{\"ok\":true,\"message\":%s}", message);
    else
        buf_printf(out, "{\"ok\":false,\"error\":\"no such message in the queue\"}");
    json_decref(q);
}

static int publish(void *ctx, const struct store_outbox_row *row)
{
    (void)ctx;
    (void)row;
    return 0;
}

static int listen_on(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    strncpy(to.sun_path, path, sizeof(to.sun_path) - 1);
    unlink(path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&to, sizeof(to)) < 0 || listen(fd, 16) < 0) {
        perror(path);
        exit(1);
    }
    return fd;
}

static void on_stdin(void *ctx)
{
    loop_stop(ctx);
}

int main(int argc, char **argv)
{
    static struct shared_pages pages;
    struct buf errors = BUF_INIT;
    struct arena arena = ARENA_INIT;
    struct env_real env;
    struct store *store;
    struct conf *conf = argc == 2 ? conf_read(argv[1], &errors) : NULL;
    if (!conf || sodium_init() < 0) {
        fprintf(stderr, "%.*s", SLICE_ARG(buf_slice(&errors)));
        return 1;
    }
    slice dir = conf->server.state_dir;
    env_real_init(&env, open(arena_cstr(&arena, dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (store_open(&store, arena_printf(&arena, "%.*s/directory.db", SLICE_ARG(dir)).ptr) < 0)
        return 1;
    store_set_publisher(store, publish, NULL);
    struct loop *loop = loop_new();
    int api_fd = listen_on(arena_cstr(&arena, conf->api.socket));
    slice run = conf->server.run_dir;
    int delivery_fd =
        listen_on(arena_printf(&arena, "%.*s/query-delivery.sock", SLICE_ARG(run)).ptr);
    struct query_server *delivery =
        query_server_new(loop, delivery_fd, answer_for_delivery, NULL);
    struct api *api = api_new(&(struct api_config){
        .listen_fd = api_fd, .store = store, .env = &env.env, .pages = &pages, .conf = conf});
    struct loop_watch *watch = loop_watch(loop, STDIN_FILENO, on_stdin, loop);
    if (!api || !watch)
        return 1;
    puts("ready");
    fflush(stdout);
    loop_run(loop);
    loop_unwatch(&watch);
    query_server_free(&delivery);
    api_free(&api);
    loop_free(&loop);
    store_close(&store);
    conf_free(&conf);
    arena_fini(&arena);
    return 0;
}
