/* The model disk itself: what is certain, what is not, and that it enumerates both. */
#include "base/env_model.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static int make(struct env *e, const char *path)
{
    int fd = env_open(e, path, ENV_CREATE);
    assert_true(fd >= 0);
    return fd;
}

static void put(struct env *e, int fd, const char *text, uint64_t at)
{
    struct iovec iov = {(void *)(uintptr_t)text, strlen(text)};
    assert_int_equal(env_pwritev(e, fd, &iov, 1, at), strlen(text));
}

/* The file's text, or "-" when it is not there. */
static const char *text_of(struct env *e, const char *path, char out[64])
{
    int fd = env_open(e, path, ENV_READ);
    if (fd < 0)
        return "-";
    memset(out, 0, 64);
    assert_true(env_read_full(e, fd, out, 63, 0) >= 0);
    env_close(e, fd);
    return out;
}

/* Which of the texts appear over all variants at the moment; none other may. */
static unsigned seen(struct env_model *m, size_t moment, const char *path,
                     const char *const *texts)
{
    unsigned found = 0;
    size_t variants = env_model_variants(m, moment);
    for (size_t v = 0; v < variants + 20; v++) {
        struct env_model *after = env_model_crash(m, moment, v);
        char room[64];
        const char *text = text_of(env_model_env(after), path, room);
        size_t i = 0;
        while (texts[i] && strcmp(texts[i], text) != 0)
            i++;
        if (!texts[i])
            fail_msg("unexpected: \"%s\"", text);
        found |= 1u << i;
        env_model_free(&after);
    }
    return found;
}

static void test_write_needs_both_syncs(void **state)
{
    (void)state;
    struct env_model *m = env_model_new();
    struct env *e = env_model_env(m);
    int fd = make(e, "a");
    put(e, fd, "hello", 0);
    const char *texts[] = {"-", "", "hello", NULL};
    assert_int_equal(seen(m, env_model_moment(m), "a", texts), 7);
    assert_int_equal(env_fdatasync(e, fd), 0);
    assert_int_equal(seen(m, env_model_moment(m), "a", texts), 5);
    assert_int_equal(env_sync_dir(e, "."), 0);
    assert_int_equal(seen(m, env_model_moment(m), "a", texts), 4);
    assert_int_equal(env_model_variants(m, env_model_moment(m)), 1);
    /* And the past stays what it was. */
    assert_int_equal(seen(m, 2, "a", texts), 7);
    env_close(e, fd);
    env_model_free(&m);
}

static void test_rename_replaces_whole(void **state)
{
    (void)state;
    struct env_model *m = env_model_new();
    struct env *e = env_model_env(m);
    assert_int_equal(env_replace_file(e, "f", SLICE("old")), 0);
    size_t before = env_model_moment(m);
    assert_int_equal(env_replace_file(e, "f", SLICE("new")), 0);
    size_t after = env_model_moment(m);
    const char *texts[] = {"old", "new", NULL};
    unsigned all = 0;
    for (size_t moment = before; moment < after; moment++)
        all |= seen(m, moment, "f", texts);
    assert_int_equal(all, 3);
    assert_int_equal(seen(m, before, "f", texts), 1);
    assert_int_equal(seen(m, after, "f", texts), 2);
    env_model_free(&m);
}

static void test_rename_across_directories(void **state)
{
    (void)state;
    struct env_model *m = env_model_new();
    struct env *e = env_model_env(m);
    assert_int_equal(env_mkdir(e, "d"), 0);
    assert_int_equal(env_mkdir(e, "d/tmp"), 0);
    assert_int_equal(env_sync_dir(e, "."), 0);
    assert_int_equal(env_sync_dir(e, "d"), 0);
    int fd = make(e, "d/tmp/x");
    put(e, fd, "x", 0);
    assert_int_equal(env_fdatasync(e, fd), 0);
    assert_int_equal(env_sync_dir(e, "d/tmp"), 0);
    assert_int_equal(env_rename(e, "d/tmp/x", "d/x"), 0);
    bool both = false;
    for (size_t v = 0; v < env_model_variants(m, env_model_moment(m)); v++) {
        struct env_model *after = env_model_crash(m, env_model_moment(m), v);
        char a[64];
        char b[64];
        bool old = text_of(env_model_env(after), "d/tmp/x", a)[0] == 'x';
        bool new = text_of(env_model_env(after), "d/x", b)[0] == 'x';
        assert_true(old || new);
        env_model_free(&after);
    }
    assert_int_equal(env_sync_dir(e, "d"), 0);
    for (size_t v = 0; v < env_model_variants(m, env_model_moment(m)); v++) {
        struct env_model *after = env_model_crash(m, env_model_moment(m), v);
        char a[64];
        char b[64];
        both |= text_of(env_model_env(after), "d/tmp/x", a)[0] == 'x';
        assert_string_equal(text_of(env_model_env(after), "d/x", b), "x");
        env_model_free(&after);
    }
    assert_true(both);
    env_close(e, fd);
    env_model_free(&m);
}

static void test_missing_directory_hides_its_files(void **state)
{
    (void)state;
    struct env_model *m = env_model_new();
    struct env *e = env_model_env(m);
    assert_int_equal(env_mkdir(e, "d"), 0);
    int fd = make(e, "d/a");
    put(e, fd, "x", 0);
    assert_int_equal(env_fdatasync(e, fd), 0);
    assert_int_equal(env_sync_dir(e, "d"), 0);
    const char *texts[] = {"-", "x", NULL};
    assert_int_equal(seen(m, env_model_moment(m), "d/a", texts), 3);
    assert_int_equal(env_sync_dir(e, "."), 0);
    assert_int_equal(seen(m, env_model_moment(m), "d/a", texts), 2);
    env_close(e, fd);
    env_model_free(&m);
}

static void test_tears(void **state)
{
    (void)state;
    struct env_model *m = env_model_new();
    struct env *e = env_model_env(m);
    int fd = make(e, "a");
    assert_int_equal(env_sync_dir(e, "."), 0);
    enum { LEN = 10000 };
    char *bytes = malloc(LEN);
    memset(bytes, 'y', LEN);
    struct iovec iov = {bytes, LEN};
    assert_int_equal(env_pwritev(e, fd, &iov, 1, 100), LEN);
    bool head = false;
    bool zeros = false;
    bool hole = false;
    for (size_t v = 0; v < env_model_variants(m, env_model_moment(m)); v++) {
        struct env_model *after = env_model_crash(m, env_model_moment(m), v);
        struct env *a = env_model_env(after);
        int in = env_open(a, "a", ENV_READ);
        uint64_t size;
        assert_int_equal(env_size(a, in, &size), 0);
        char got[LEN + 200] = {0};
        assert_int_equal(env_read_full(a, in, got, sizeof(got), 0), size);
        assert_true(size == 0 || size == LEN + 100 || size % 512 == 0);
        size_t lost = 0;
        for (size_t i = 100; i < size; i++)
            lost += got[i] != 'y';
        head |= size == 512 && lost == 0;
        zeros |= size == LEN + 100 && got[100] == 'y' && got[size - 1] == 0;
        hole |= size == LEN + 100 && got[100] == 0 && got[size - 1] == 'y';
        env_close(a, in);
        env_model_free(&after);
    }
    assert_true(head && zeros && hole);
    free(bytes);
    env_close(e, fd);
    env_model_free(&m);
}

static void test_failed_sync_loses_for_ever(void **state)
{
    (void)state;
    struct env_model *m = env_model_new();
    struct env *e = env_model_env(m);
    int fd = make(e, "a");
    assert_int_equal(env_sync_dir(e, "."), 0);
    put(e, fd, "x", 0);
    env_model_fail(m, &(struct env_model_fault){.calls = MODEL_SYNC, .nth = 1, .error = EIO});
    assert_int_equal(env_fdatasync(e, fd), -EIO);
    assert_int_equal(env_fdatasync(e, fd), 0);
    assert_int_equal(env_model_counted(m), 2);
    assert_int_equal(env_model_failed(m), 1);
    char room[64];
    assert_string_equal(text_of(e, "a", room), "x");
    const char *texts[] = {"", "x", NULL};
    assert_int_equal(seen(m, env_model_moment(m), "a", texts), 3);
    put(e, fd, "x", 0);
    assert_int_equal(env_fdatasync(e, fd), 0);
    assert_int_equal(seen(m, env_model_moment(m), "a", texts), 2);
    env_close(e, fd);
    env_model_free(&m);
}

static void test_faults(void **state)
{
    (void)state;
    struct env_model *m = env_model_new();
    struct env *e = env_model_env(m);
    int fd = make(e, "a");
    struct iovec iov = {(char[]){"abcdef"}, 6};
    struct env_model_fault f = {.calls = MODEL_WRITE, .nth = 2, .error = ENOSPC};
    env_model_fail(m, &f);
    assert_int_equal(env_pwritev(e, fd, &iov, 1, 0), 6);
    assert_int_equal(env_pwritev(e, fd, &iov, 1, 6), -ENOSPC);
    assert_int_equal(env_pwritev(e, fd, &iov, 1, 6), 6);
    f.is_sticky = true;
    f.how = MODEL_WRITES_SHORT;
    env_model_fail(m, &f);
    assert_int_equal(env_write_all(e, fd, &iov, 1, 0), 0);
    assert_int_equal(env_pwritev(e, fd, &iov, 1, 0), 3);
    f.how = MODEL_WRITES_HALF;
    f.nth = 1;
    env_model_fail(m, &f);
    assert_int_equal(env_pwritev(e, fd, &iov, 1, 100), -ENOSPC);
    uint64_t size;
    assert_int_equal(env_size(e, fd, &size), 0);
    assert_int_equal(size, 103);
    f.calls = MODEL_CREATE;
    env_model_fail(m, &f);
    assert_int_equal(env_open(e, "b", ENV_CREATE), -ENOSPC);
    assert_int_equal(env_open(e, "b", ENV_READ), -ENOENT);
    env_close(e, fd);
    env_model_free(&m);
}

static void test_kill_keeps_the_cache(void **state)
{
    (void)state;
    struct env_model *m = env_model_new();
    struct env *e = env_model_env(m);
    int fd = make(e, "a");
    put(e, fd, "hello", 0);
    struct env_model *killed = env_model_kill(m, 1, 2);
    char room[64];
    assert_string_equal(text_of(env_model_env(killed), "a", room), "he");
    const char *texts[] = {"-", "", "he", NULL};
    assert_int_equal(seen(killed, env_model_moment(killed), "a", texts), 7);
    env_model_free(&killed);
    killed = env_model_kill(m, 2, 0);
    assert_int_equal(env_model_hash(killed), env_model_hash(m));
    env_model_free(&killed);
    env_close(e, fd);
    env_model_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_needs_both_syncs),
        cmocka_unit_test(test_rename_replaces_whole),
        cmocka_unit_test(test_rename_across_directories),
        cmocka_unit_test(test_missing_directory_hides_its_files),
        cmocka_unit_test(test_tears),
        cmocka_unit_test(test_failed_sync_loses_for_ever),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_kill_keeps_the_cache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
