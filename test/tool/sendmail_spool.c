#include "../check.h"

#include "tool/sendmail_spool.h"

#include <unistd.h>

enum { PIECE = 65536 };

static char octet_at(uint64_t at)
{
    return (char)(at * 2654435761u >> 7);
}

/* Fills a spool with `size` octets and reads them again in pieces of another size. */
static void check_size(uint64_t size)
{
    struct sendmail_spool s;
    static char piece[PIECE];
    sendmail_spool_init(&s);
    for (uint64_t at = 0; at < size;) {
        size_t n = size - at < sizeof(piece) ? (size_t)(size - at) : sizeof(piece);
        for (size_t i = 0; i < n; i++)
            piece[i] = octet_at(at + i);
        assert_int_equal(sendmail_spool_add(&s, slice_make(piece, n)), 0);
        at += n;
    }
    assert_int_equal(s.size, size);
    assert_true(s.memory.len <= SENDMAIL_SPOOL_MEMORY);
    assert_int_equal(s.fd >= 0, size > SENDMAIL_SPOOL_MEMORY);
    uint64_t at = 0;
    for (;;) {
        ssize_t n = sendmail_spool_read(&s, at, piece, 10007);
        assert_true(n >= 0);
        if (n == 0)
            break;
        for (ssize_t i = 0; i < n; i++)
            assert_int_equal(piece[i], octet_at(at + (uint64_t)i));
        at += (uint64_t)n;
    }
    assert_int_equal(at, size);
    sendmail_spool_fini(&s);
}

static void gives_back_what_it_took(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {0,
                                     1,
                                     10007,
                                     SENDMAIL_SPOOL_MEMORY,
                                     SENDMAIL_SPOOL_MEMORY + 1,
                                     5 * SENDMAIL_SPOOL_MEMORY + 17};
    for (size_t i = 0; i < COUNT_OF(sizes); i++)
        check_size(sizes[i]);
}

static void tells_when_the_file_fails(void **state)
{
    (void)state;
    struct sendmail_spool s;
    static char piece[PIECE];
    sendmail_spool_init(&s);
    int err = 0;
    s.fd = dup(STDIN_FILENO);
    assert_true(s.fd >= 0);
    close(s.fd); /* a descriptor that cannot be written */
    err = sendmail_spool_add(&s, slice_make(piece, sizeof(piece)));
    assert_true(err < 0);
    assert_int_equal(s.size, 0);
    s.fd = -1;
    sendmail_spool_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_back_what_it_took),
        cmocka_unit_test(tells_when_the_file_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
