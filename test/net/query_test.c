#include "net/query.h"

#include "base/arena.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

struct answerer {
    struct loop *loop;
    struct query_server *server;
    pthread_t thread;
    char dir[32];
    char path[64];
    int fd;
};

static void answer(void *ctx, slice question, struct buf *out)
{
    (void)ctx;
    if (slice_eq(question, SLICE("big"))) {
        for (int i = 0; i < 300000; i++)
            buf_append(out, SLICE("0123456789"));
    } else if (slice_eq(question, SLICE("huge"))) {
        out->error = -EMSGSIZE;
    } else {
        buf_printf(out, "{\"asked\":\"%.*s\"}", SLICE_ARG(question));
    }
}

static void *serve(void *arg)
{
    struct answerer *a = arg;
    loop_run(a->loop);
    return NULL;
}

static int begin(void **state)
{
    struct answerer *a = calloc(1, sizeof(*a));
    snprintf(a->dir, sizeof(a->dir), "/tmp/query-test-XXXXXX");
    if (!mkdtemp(a->dir))
        return -1;
    snprintf(a->path, sizeof(a->path), "%s/q.sock", a->dir);
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    memcpy(at.sun_path, a->path, strlen(a->path));
    a->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(a->fd, (struct sockaddr *)&at, sizeof(at)) != 0 || listen(a->fd, 128) != 0)
        return -1;
    a->loop = loop_new();
    a->server = query_server_new(a->loop, a->fd, answer, a);
    *state = a;
    return pthread_create(&a->thread, NULL, serve, a);
}

static int end(void **state)
{
    struct answerer *a = *state;
    loop_stop(a->loop);
    pthread_join(a->thread, NULL);
    query_server_free(&a->server);
    loop_free(&a->loop);
    close(a->fd);
    unlink(a->path);
    rmdir(a->dir);
    free(a);
    return 0;
}

static void a_question_has_an_answer(void **state)
{
    struct answerer *a = *state;
    struct buf got = BUF_INIT;
    assert_int_equal(query_ask(a->path, SLICE("{\"what\":1}"), SPAN_MINUTE, &got), 0);
    assert_true(slice_eq(buf_slice(&got), SLICE("{\"asked\":\"{\"what\":1}\"}")));
    buf_fini(&got);
}

static void a_long_answer_comes_whole(void **state)
{
    struct answerer *a = *state;
    struct buf got = BUF_INIT;
    assert_int_equal(query_ask(a->path, SLICE("big"), SPAN_MINUTE, &got), 0);
    assert_int_equal(got.len, 3000000);
    buf_fini(&got);
}

static void an_answer_that_is_too_large_closes(void **state)
{
    struct answerer *a = *state;
    struct buf got = BUF_INIT;
    assert_int_equal(query_ask(a->path, SLICE("huge"), SPAN_MINUTE, &got), -ECONNRESET);
    assert_int_equal(got.len, 0);
}

static void a_question_that_is_too_long_closes(void **state)
{
    struct answerer *a = *state;
    struct buf got = BUF_INIT;
    char *question = malloc(QUERY_LINE_MAX + 2);
    memset(question, 'q', QUERY_LINE_MAX + 2);
    int err = query_ask(a->path, slice_make(question, QUERY_LINE_MAX + 2), SPAN_MINUTE, &got);
    assert_true(err == -ECONNRESET || err == -EPIPE);
    free(question);
}

static void nobody_there_is_told(void **state)
{
    (void)state;
    struct buf got = BUF_INIT;
    assert_int_equal(query_ask("/nonexistent/q", SLICE("x"), SPAN_MINUTE, &got), -ENOENT);
}

static void a_silent_server_times_out(void **state)
{
    struct answerer *a = *state;
    char path[80];
    snprintf(path, sizeof(path), "%s.silent", a->path);
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    memcpy(at.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(fd, 1), 0);
    struct buf got = BUF_INIT;
    assert_int_equal(query_ask(path, SLICE("x"), 20 * SPAN_MS, &got), -ETIMEDOUT);
    close(fd);
    unlink(path);
}

static void too_many_connections_are_turned_away(void **state)
{
    struct answerer *a = *state;
    int fds[65];
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    memcpy(at.sun_path, a->path, strlen(a->path));
    for (int i = 0; i < 65; i++) {
        fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(fds[i], (struct sockaddr *)&at, sizeof(at)), 0);
    }
    char c;
    assert_int_equal(read(fds[64], &c, 1), 0); /* closed at once, the others are served */
    assert_int_equal(write(fds[0], "x\n", 2), 2);
    assert_int_equal(read(fds[0], &c, 1), 1);
    for (int i = 0; i < 65; i++)
        close(fds[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_question_has_an_answer, begin, end),
        cmocka_unit_test_setup_teardown(a_long_answer_comes_whole, begin, end),
        cmocka_unit_test_setup_teardown(an_answer_that_is_too_large_closes, begin, end),
        cmocka_unit_test_setup_teardown(a_question_that_is_too_long_closes, begin, end),
        cmocka_unit_test_setup_teardown(nobody_there_is_told, begin, end),
        cmocka_unit_test_setup_teardown(a_silent_server_times_out, begin, end),
        cmocka_unit_test_setup_teardown(too_many_connections_are_turned_away, begin, end),
    };
    return cmocka_run_group_tests_name("net/query", tests, NULL, NULL);
}
