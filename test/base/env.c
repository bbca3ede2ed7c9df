#include "../check.h"

#include "base/env.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* A disk of one file in memory that writes and reads at most `step` bytes at a time, can be
 * told to fail its n-th call, and writes down the names of the calls. */
struct fake {
    struct env env;
    char data[4096];
    size_t size;
    size_t step;
    int fail_at; /* the call with this number gives `error`; 0: none */
    int error;
    int calls;
    char trace[256];
};

static struct fake *fake_of(struct env *e)
{
    return CONTAINER_OF(e, struct fake, env);
}

static int called(struct env *e, const char *name, const char *arg)
{
    struct fake *f = fake_of(e);
    size_t len = strlen(f->trace);
    snprintf(f->trace + len, sizeof(f->trace) - len, "%s(%s) ", name, arg);
    return ++f->calls == f->fail_at ? f->error : 0;
}

static int fake_open(struct env *e, const char *path, enum env_open_mode mode)
{
    int err = called(e, mode == ENV_CREATE ? "create" : "open", path);
    if (err == 0)
        fake_of(e)->size = 0;
    return err < 0 ? err : 3;
}

static int fake_close(struct env *e, int fd)
{
    (void)fd;
    return called(e, "close", "");
}

static ssize_t fake_pwritev(struct env *e, int fd, const struct iovec *iov, int count,
                            uint64_t at)
{
    struct fake *f = fake_of(e);
    size_t done = 0;
    (void)fd;
    int err = called(e, "write", "");
    if (err < 0)
        return err;
    for (int i = 0; i < count; i++) {
        assert_true(iov[i].iov_len > 0);
        size_t n = iov[i].iov_len < f->step - done ? iov[i].iov_len : f->step - done;
        assert_true(at + done + n <= sizeof(f->data));
        memcpy(f->data + at + done, iov[i].iov_base, n);
        done += n;
    }
    if (at + done > f->size)
        f->size = at + done;
    return (ssize_t)done;
}

static ssize_t fake_pread(struct env *e, int fd, void *out, size_t len, uint64_t at)
{
    struct fake *f = fake_of(e);
    (void)fd;
    int err = called(e, "read", "");
    if (err < 0)
        return err;
    size_t left = at < f->size ? f->size - at : 0;
    size_t n = len < left ? len : left;
    n = n < f->step ? n : f->step;
    memcpy(out, f->data + at, n);
    return (ssize_t)n;
}

static int fake_fdatasync(struct env *e, int fd)
{
    (void)fd;
    return called(e, "sync", "");
}

static int fake_rename(struct env *e, const char *from, const char *to)
{
    char both[64];
    snprintf(both, sizeof(both), "%s,%s", from, to);
    return called(e, "rename", both);
}

static int fake_unlink(struct env *e, const char *path)
{
    return called(e, "unlink", path);
}

static int fake_sync_dir(struct env *e, const char *path)
{
    return called(e, "syncdir", path);
}

static const struct env_ops fake_ops = {
    .open = fake_open,
    .close = fake_close,
    .pread = fake_pread,
    .pwritev = fake_pwritev,
    .fdatasync = fake_fdatasync,
    .rename = fake_rename,
    .unlink = fake_unlink,
    .sync_dir = fake_sync_dir,
};

static struct fake *fake_new(size_t step)
{
    struct fake *f = calloc(1, sizeof(*f));
    f->env.ops = &fake_ops;
    f->step = step;
    return f;
}

enum { PIECES = 1100 };

static void writes_all_whatever_the_steps(void **state)
{
    (void)state;
    char text[PIECES * 3];
    struct iovec iov[PIECES];
    size_t len = 0;
    for (int i = 0; i < PIECES; i++) {
        size_t n = (size_t)i % 4; /* empty ones too */
        iov[i] = (struct iovec){text + len, n};
        for (size_t k = 0; k < n; k++, len++)
            text[len] = (char)('a' + len % 26);
    }
    static const size_t steps[] = {1, 2, 3, 7, 100, 4096};
    for (size_t s = 0; s < COUNT_OF(steps); s++) {
        struct fake *f = fake_new(steps[s]);
        assert_int_equal(env_write_all(&f->env, 3, iov, PIECES, 5), 0);
        check_slice("written", (slice){f->data + 5, f->size - 5}, (slice){text, len});
        free(f);
    }
}

static void goes_on_and_gives_up_as_it_should(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t step;
        int error;
        int result;
        size_t size;
    } rows[] = {
        {"interrupted", 2, -EINTR, 0, 6},
        {"disk full", 2, -ENOSPC, -ENOSPC, 2},
        {"no progress", 0, 0, -EIO, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fake *f = fake_new(rows[i].step);
        char text[] = "abcdef";
        struct iovec iov = {text, 6};
        f->fail_at = 2;
        f->error = rows[i].error;
        check_int(rows[i].name, env_write_all(&f->env, 3, &iov, 1, 0), rows[i].result);
        check_int(rows[i].name, (long long)f->size, (long long)rows[i].size);
        free(f);
    }
}

static void reads_until_the_end(void **state)
{
    (void)state;
    char out[16];
    struct fake *f = fake_new(3);
    memcpy(f->data, "0123456789", 10);
    f->size = 10;
    f->fail_at = 2;
    f->error = -EINTR;
    assert_int_equal(env_read_full(&f->env, 3, out, sizeof(out), 1), 9);
    assert_memory_equal(out, "123456789", 9);
    assert_int_equal(env_read_full(&f->env, 3, out, 4, 0), 4);
    assert_int_equal(env_read_full(&f->env, 3, out, 4, 10), 0);
    f->fail_at = f->calls + 2;
    f->error = -EIO;
    assert_int_equal(env_read_full(&f->env, 3, out, sizeof(out), 0), -EIO);
    free(f);
}

static void replaces_a_file_in_order(void **state)
{
    (void)state;
    struct fake *f = fake_new(100);
    assert_int_equal(env_replace_file(&f->env, "snap/x", SLICE("new")), 0);
    assert_string_equal(f->trace,
                        "unlink(snap/x.tmp) create(snap/x.tmp) write() sync() close() "
                        "rename(snap/x.tmp,snap/x) syncdir(snap) ");
    f->trace[0] = '\0';
    assert_int_equal(env_replace_file(&f->env, "x", SLICE("")), 0);
    assert_string_equal(f->trace, "unlink(x.tmp) create(x.tmp) sync() close() "
                                  "rename(x.tmp,x) syncdir(.) ");
    free(f);
}

/* Each call fails in turn: the error comes back, the file is closed, nothing is renamed that is
 * not synced, and the half-made file goes. */
static void replaces_nothing_when_a_call_fails(void **state)
{
    (void)state;
    for (int call = 1; call <= 7; call++) {
        struct fake *f = fake_new(100);
        char row[16];
        snprintf(row, sizeof(row), "call %d", call);
        f->fail_at = call;
        f->error = -EIO;
        check_int(row, env_replace_file(&f->env, "a/x", SLICE("new")), -EIO);
        CHECK(row, (strstr(f->trace, "rename") != NULL) == (call >= 6));
        bool was_opened = call > 2;
        CHECK(row, (strstr(f->trace, "close()") != NULL) == was_opened);
        slice trace = slice_of(f->trace);
        CHECK(row, slice_ends(trace, SLICE("unlink(a/x.tmp) ")) == (call < 7));
        free(f);
    }
    /* that there was no file of an earlier attempt is no error */
    struct fake *f = fake_new(100);
    f->fail_at = 1;
    f->error = -ENOENT;
    assert_int_equal(env_replace_file(&f->env, "a/x", SLICE("new")), 0);
    char path[600];
    memset(path, 'x', sizeof(path));
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(env_replace_file(&f->env, path, SLICE("new")), -ENAMETOOLONG);
    free(f);
}

/* The real disk, in a directory of its own. */
static int note_name(void *ctx, const char *name)
{
    char *names = ctx;
    strcat(names, name);
    strcat(names, "|");
    return 0;
}

static int stop_at_once(void *ctx, const char *name)
{
    (void)ctx;
    (void)name;
    return 42;
}

static void works_on_the_real_disk(void **state)
{
    (void)state;
    char root[] = "/tmp/env-test-XXXXXX";
    assert_non_null(mkdtemp(root));
    int root_fd = open(root, O_RDONLY | O_DIRECTORY);
    struct env_real real;
    struct env *e = &real.env;
    env_real_init(&real, root_fd);

    assert_int_equal(env_mkdir(e, "d"), 0);
    assert_int_equal(env_mkdir(e, "d"), -EEXIST);
    assert_int_equal(env_open(e, "d/x", ENV_READ), -ENOENT);
    assert_int_equal(env_open(e, "d/x", ENV_WRITE), -ENOENT);
    assert_int_equal(env_replace_file(e, "d/x", SLICE("hello")), 0);
    assert_int_equal(env_replace_file(e, "d/x", SLICE("new")), 0);
    assert_int_equal(env_open(e, "d/x", ENV_CREATE), -EEXIST);
    int fd = env_open(e, "d/x", ENV_READ);
    char text[16];
    uint64_t size;
    assert_true(fd >= 0);
    assert_int_equal(env_size(e, fd, &size), 0);
    assert_int_equal(size, 3);
    assert_int_equal(env_read_full(e, fd, text, sizeof(text), 0), 3);
    assert_memory_equal(text, "new", 3);
    struct iovec iov = {text, 1};
    assert_int_equal(env_pwritev(e, fd, &iov, 1, 0), -EBADF);
    assert_int_equal(env_close(e, fd), 0);

    char names[64] = "";
    assert_int_equal(env_list(e, "d", note_name, names), 0);
    assert_string_equal(names, "x|");
    assert_int_equal(env_list(e, "d", stop_at_once, NULL), 42);
    assert_int_equal(env_list(e, "nowhere", note_name, names), -ENOENT);
    assert_int_equal(env_sync_dir(e, "nowhere"), -ENOENT);
    uint64_t bytes, inodes;
    assert_int_equal(env_free_space(e, &bytes, &inodes), 0);
    assert_true(env_now(e) > 0 && env_elapsed(e) > 0);
    unsigned char random[32] = {0};
    unsigned char zero[32] = {0};
    env_random(e, random, sizeof(random));
    assert_memory_not_equal(random, zero, sizeof(zero));

    assert_int_equal(env_rename(e, "d/x", "y"), 0);
    assert_int_equal(env_unlink(e, "d/x"), -ENOENT);
    assert_int_equal(env_unlink(e, "y"), 0);
    close(root_fd);
    char dir[64];
    snprintf(dir, sizeof(dir), "%s/d", root);
    assert_int_equal(rmdir(dir), 0);
    assert_int_equal(rmdir(root), 0);
}

static void has_a_clock_for_tests(void **state)
{
    (void)state;
    struct env_test t;
    struct env_test same;
    char a[16], b[16];
    env_test_init(&t, NULL, 1000);
    env_test_init(&same, NULL, 1000);
    assert_int_equal(env_now(&t.env), 1000);
    span before = env_elapsed(&t.env);
    env_test_advance(&t, SPAN_SECOND);
    assert_int_equal(env_now(&t.env), 1000 + SPAN_SECOND);
    assert_int_equal(env_elapsed(&t.env) - before, SPAN_SECOND);
    env_random(&t.env, a, sizeof(a));
    env_random(&same.env, b, sizeof(b));
    assert_memory_equal(a, b, sizeof(a));
    env_random(&t.env, a, sizeof(a));
    assert_memory_not_equal(a, b, sizeof(a));
    assert_int_equal(env_open(&t.env, "x", ENV_READ), -ENOSYS);
    assert_int_equal(env_sync_dir(&t.env, "x"), -ENOSYS);

    struct fake *f = fake_new(100);
    env_test_init(&t, &f->env, 0);
    assert_int_equal(env_replace_file(&t.env, "x", SLICE("new")), 0);
    check_slice("forwarded", (slice){f->data, f->size}, SLICE("new"));
    free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_all_whatever_the_steps),
        cmocka_unit_test(goes_on_and_gives_up_as_it_should),
        cmocka_unit_test(reads_until_the_end),
        cmocka_unit_test(replaces_a_file_in_order),
        cmocka_unit_test(replaces_nothing_when_a_call_fails),
        cmocka_unit_test(works_on_the_real_disk),
        cmocka_unit_test(has_a_clock_for_tests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
