#include "net/channel.h"
#include "net/role.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void hand(int channel, const char *name, int fd)
{
    assert_int_equal(channel_send(channel, name, fd), 0);
    if (fd >= 0)
        close(fd);
}

static void hand_text(int channel, const char *name, const char *text)
{
    int fd = channel_sealed(name, slice_of(text));
    assert_true(fd >= 0);
    hand(channel, name, fd);
}

static int pages_fd(void)
{
    int fd = memfd_create("pages", MFD_CLOEXEC);
    assert_int_equal(ftruncate(fd, sizeof(struct shared_pages)), 0);
    return fd;
}

static void hand_all(int channel)
{
    hand_text(channel, "config", "[delivery]\nconnections = 7\n");
    hand_text(channel, "secret:tls-key", "the key");
    hand(channel, "state", open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    hand(channel, "pages", pages_fd());
    hand(channel, "wake:smtpd", eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    hand(channel, "listener:submission", eventfd(0, EFD_CLOEXEC));
    hand(channel, "go", -1);
}

struct seen {
    struct role *role;
    unsigned reloads;
    uint64_t connections;
    bool has_new_key;
};

static void on_reload(void *ctx)
{
    struct seen *s = ctx;
    s->reloads++;
    s->connections = s->role->conf->delivery.connections;
    s->has_new_key = slice_eq(role_secret(s->role, "tls-key"), SLICE("another key"));
}

static void on_drain(void *ctx)
{
    struct seen *s = ctx;
    loop_stop(s->role->loop);
}

static void a_role_gets_all_and_is_reloaded_and_drained(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(channel_pair(ends), 0);
    hand_all(ends[0]);
    struct role *r;
    assert_int_equal(role_receive(&r, ROLE_SMTPD, ends[1]), 0);
    assert_int_equal(r->kind, ROLE_SMTPD);
    assert_int_equal(r->conf->delivery.connections, 7);
    assert_true(slice_eq(role_secret(r, "tls-key"), SLICE("the key")));
    assert_int_equal(role_secret(r, "smarthost-ca").len, 0);
    assert_true(role_fd(r, "listener:submission") >= 0);
    assert_int_equal(role_fd(r, "listener:other"), -1);
    assert_true(r->wake[ROLE_SMTPD] >= 0);
    assert_int_equal(r->wake[ROLE_CONTROL], -1);
    assert_int_equal(atomic_load(&r->pages->stats.messages), 0);
    uint64_t bytes, inodes;
    assert_int_equal(env_free_space(r->env, &bytes, &inodes), 0);

    role_ready(r);
    char name[CHANNEL_NAME_MAX];
    int fd;
    assert_int_equal(channel_receive(ends[0], true, name, &fd), 1);
    assert_string_equal(name, "ready");

    struct seen seen = {.role = r};
    r->ctx = &seen;
    r->on_reload = on_reload;
    r->on_drain = on_drain;
    hand_text(ends[0], "config", "[delivery]\nconnections = 8\n");
    hand_text(ends[0], "secret:tls-key", "another key");
    hand(ends[0], "reload", -1);
    hand_text(ends[0], "config", "[nonsense]\n"); /* never replaces a good one */
    hand_text(ends[0], "secret:tls-key", "a third key");
    hand(ends[0], "reload", -1);
    hand(ends[0], "drain", -1);
    loop_run(r->loop);
    assert_int_equal(seen.reloads, 1);
    assert_int_equal(seen.connections, 8);
    assert_true(seen.has_new_key);
    assert_int_equal(r->conf->delivery.connections, 8);
    assert_true(slice_eq(role_secret(r, "tls-key"), SLICE("another key")));
    close(ends[0]);
    role_free(&r);
}

static void a_parent_that_goes_early_is_told(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(channel_pair(ends), 0);
    hand_text(ends[0], "config", "");
    close(ends[0]);
    struct role *r = NULL;
    assert_int_equal(role_receive(&r, ROLE_DELIVERY, ends[1]), -EPIPE);
    assert_null(r);
    close(ends[1]);
}

static void what_is_missing_is_refused(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(channel_pair(ends), 0);
    hand_text(ends[0], "config", "");
    hand(ends[0], "go", -1);
    struct role *r = NULL;
    assert_int_equal(role_receive(&r, ROLE_DELIVERY, ends[1]), -EPROTO);
    close(ends[0]);
    close(ends[1]);
}

static void a_role_ends_with_its_parent(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(channel_pair(ends), 0);
    hand_all(ends[0]);
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        struct role *r;
        if (role_receive(&r, ROLE_CONTROL, ends[1]) != 0)
            _exit(99);
        role_ready(r);
        loop_run(r->loop);
        _exit(98);
    }
    close(ends[1]);
    char name[CHANNEL_NAME_MAX];
    int fd;
    assert_int_equal(channel_receive(ends[0], true, name, &fd), 1);
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EXIT_FAILURE);
}

static void a_sealed_key_cannot_be_changed(void **state)
{
    (void)state;
    int fd = channel_sealed("key", SLICE("secret"));
    assert_int_equal(pwrite(fd, "x", 1, 0), -1);
    assert_int_equal(ftruncate(fd, 0), -1);
    struct buf text = BUF_INIT;
    assert_int_equal(channel_contents(fd, &text), 0);
    assert_true(slice_eq(buf_slice(&text), SLICE("secret")));
    buf_fini(&text);
    close(fd);
}

static void a_role_of_parts_serves_tests(void **state)
{
    (void)state;
    struct role *r = role_new(ROLE_SMTPD);
    role_add_fd(r, "query", eventfd(0, EFD_CLOEXEC));
    role_add_secret(r, "tls-key", SLICE("one"));
    role_add_secret(r, "tls-key", SLICE("two"));
    assert_true(role_fd(r, "query") >= 0);
    assert_true(slice_eq(role_secret(r, "tls-key"), SLICE("two")));
    assert_int_equal(r->wake[ROLE_SMTPD], -1);
    role_ready(r); /* nobody to tell */
    role_free(&r);
    assert_null(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_role_gets_all_and_is_reloaded_and_drained),
        cmocka_unit_test(a_parent_that_goes_early_is_told),
        cmocka_unit_test(what_is_missing_is_refused),
        cmocka_unit_test(a_role_ends_with_its_parent),
        cmocka_unit_test(a_sealed_key_cannot_be_changed),
        cmocka_unit_test(a_role_of_parts_serves_tests),
    };
    return cmocka_run_group_tests_name("net/role", tests, NULL, NULL);
}
