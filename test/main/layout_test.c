#include "main/layout.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct scratch {
    char dir[40];
    struct conf *conf;
    int state;
    struct buf why;
};

static int setup(void **state)
{
    struct scratch *s = calloc(1, sizeof(*s));
    char text[80];
    struct buf errors = BUF_INIT;
    snprintf(s->dir, sizeof(s->dir), "/tmp/layout-test-XXXXXX");
    if (!mkdtemp(s->dir))
        return -1;
    snprintf(text, sizeof(text), "[server]\nstate-dir = %s/a/b\n", s->dir);
    s->conf = conf_parse(SLICE("t"), slice_of(text), &errors);
    s->state = layout_open(s->conf, &s->why);
    *state = s;
    return s->state < 0;
}

static int teardown(void **state)
{
    struct scratch *s = *state;
    char command[80];
    snprintf(command, sizeof(command), "rm -rf %s", s->dir);
    int err = system(command);
    close(s->state);
    conf_free(&s->conf);
    buf_fini(&s->why);
    free(s);
    return err;
}

static void write_holder(struct scratch *s, int pid)
{
    int fd = openat(s->state, "lock", O_WRONLY | O_CREAT, 0600);
    dprintf(fd, "%d\n", pid);
    close(fd);
}

/* A process that holds the lock until `end` is closed, or for 100 ms when it is -1. */
static pid_t hold(struct scratch *s, int end)
{
    int ready[2];
    char c;
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        int fd = openat(s->state, "lock", O_RDWR);
        if (flock(fd, LOCK_EX) != 0)
            _exit(1);
        if (end < 0)
            ualarm(100000, 0);
        close(ready[0]);
        close(ready[1]);
        if (end < 0)
            pause();
        _exit(read(end, &c, 1) != 0);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &c, 1), 0);
    close(ready[0]);
    return pid;
}

static pid_t dead_process(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    waitpid(pid, NULL, 0);
    return pid;
}

static void the_roles_of_a_dead_parent_are_waited_for(void **state)
{
    struct scratch *s = *state;
    write_holder(s, dead_process());
    pid_t role = hold(s, -1);
    int lock = layout_lock(s->conf, s->state, &s->why);
    assert_true(lock >= 0);
    char text[24] = "";
    assert_true(pread(lock, text, sizeof(text) - 1, 0) > 0);
    assert_int_equal(atoi(text), getpid());
    waitpid(role, NULL, 0);
    close(lock);
}

static void a_living_parent_is_not_waited_for(void **state)
{
    struct scratch *s = *state;
    int end[2];
    assert_int_equal(pipe2(end, O_CLOEXEC), 0);
    write_holder(s, getpid());
    pid_t other = hold(s, end[0]);
    assert_int_equal(layout_lock(s->conf, s->state, &s->why), -1);
    assert_true(slice_search(buf_slice(&s->why), SLICE("already")) > 0);
    kill(other, SIGKILL);
    waitpid(other, NULL, 0);
    close(end[0]);
    close(end[1]);
}

static void what_is_there_gets_its_mode_back(void **state)
{
    struct scratch *s = *state;
    struct process_user users[ROLE_COUNT];
    struct stat st;
    for (size_t i = 0; i < ROLE_COUNT; i++)
        users[i] = (struct process_user){.uid = geteuid(), .gid = getegid()};
    assert_true(layout_make(s->conf, s->state, users, &s->why));
    assert_int_equal(fchmodat(s->state, "tls", 0777, 0), 0);
    assert_true(layout_make(s->conf, s->state, users, &s->why));
    assert_int_equal(fstatat(s->state, "tls", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(unlinkat(s->state, "tls", AT_REMOVEDIR), 0);
    assert_int_equal(symlinkat("/tmp", s->state, "tls"), 0);
    assert_false(layout_make(s->conf, s->state, users, &s->why)); /* never through a link */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_roles_of_a_dead_parent_are_waited_for, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_living_parent_is_not_waited_for, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_there_gets_its_mode_back, setup, teardown),
    };
    return cmocka_run_group_tests_name("main/layout", tests, NULL, NULL);
}
