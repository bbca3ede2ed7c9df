#include "codec/record.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static const uint64_t SEED = 0x1122334455667788;

static struct record_header sample_header(void)
{
    return (struct record_header){
        .flags = RECORD_SKIPPABLE,
        .type = RECORD_MESSAGE,
        .node = 7,
        .body_len = 5,
        .at = 1750000000123456,
        .customer = 1,
        .account = 2,
        .credential = 3,
        .session = UINT64_MAX,
    };
}

static void sample_fields(struct buf *b)
{
    record_put_u64(b, TAG_ID, 0x0102030405060708);
    record_put(b, TAG_REVERSE_PATH, SLICE(""));
    record_put(b, TAG_RECIPIENT, SLICE("a@example.org"));
    record_put(b, TAG_RECIPIENT, SLICE("b@example.org"));
}

static void test_size(void **state)
{
    (void)state;
    static const struct {
        uint32_t fields;
        uint64_t body;
        uint64_t size;
    } rows[] = {
        {0, 0, 80}, {1, 0, 88}, {0, 8, 88}, {7, 1, 88}, {7, 2, 96}, {42, 10240, 10368},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_int_equal(record_size(rows[i].fields, rows[i].body), rows[i].size);
}

static void test_round_trip(void **state)
{
    (void)state;
    struct buf fields = BUF_INIT;
    sample_fields(&fields);
    assert_int_equal(fields.error, 0);
    struct iovec body = {(char[]){"hello"}, 5};
    struct record_header h = sample_header();
    h.body_sum = record_body_sum(&body, 1, SEED);
    char bytes[RECORD_HEADER_LEN];
    record_encode_header(&h, buf_slice(&fields), SEED, bytes);
    assert_memory_equal(bytes, "UTR1", 4);

    struct record_header d;
    assert_int_equal(record_decode_header(bytes, &d), 0);
    assert_int_equal(d.version, RECORD_VERSION);
    assert_int_equal(d.flags, RECORD_SKIPPABLE);
    assert_int_equal(d.type, RECORD_MESSAGE);
    assert_int_equal(d.node, 7);
    assert_int_equal(d.fields_len, fields.len);
    assert_int_equal(d.body_len, 5);
    assert_int_equal(d.at, h.at);
    assert_int_equal(d.customer, 1);
    assert_int_equal(d.account, 2);
    assert_int_equal(d.credential, 3);
    assert_int_equal(d.session, UINT64_MAX);
    assert_int_equal(d.head_sum, h.head_sum);
    assert_int_equal(d.body_sum, h.body_sum);
    assert_true(record_head_is_whole(bytes, buf_slice(&fields), SEED));
    buf_fini(&fields);
}

/* The layout is for ever: these bytes were written by version 1. */
static void test_golden(void **state)
{
    (void)state;
    static const char expected[RECORD_HEADER_LEN - 16] = {
        'U',        'T',        'R',        '1',        1,          1,          10,
        0,          0,          0,          0,          0,          7,          0,
        0,          0,          5,          0,          0,          0,          0,
        0,          0,          0,          0x40,       0x22,       0x79,       0x0b,
        (char)0x9d, 0x37,       0x06,       0x00,       1,          0,          0,
        0,          0,          0,          0,          0,          2,          0,
        0,          0,          0,          0,          0,          0,          3,
        0,          0,          0,          0,          0,          0,          0,
        (char)0xff, (char)0xff, (char)0xff, (char)0xff, (char)0xff, (char)0xff, (char)0xff,
        (char)0xff,
    };
    struct record_header h = sample_header();
    h.at = 0x0006379d0b792240;
    char bytes[RECORD_HEADER_LEN];
    record_encode_header(&h, SLICE(""), SEED, bytes);
    assert_memory_equal(bytes, expected, sizeof(expected));

    struct buf b = BUF_INIT;
    record_put(&b, TAG_RECIPIENT, SLICE("ab"));
    record_put_u64(&b, TAG_ID, 258);
    static const char fields[] = "\014\0\2\0\0\0ab\012\0\010\0\0\0\2\1\0\0\0\0\0\0";
    assert_int_equal(b.len, sizeof(fields) - 1);
    assert_memory_equal(b.ptr, fields, b.len);
    buf_fini(&b);
}

static void test_every_bit_matters(void **state)
{
    (void)state;
    struct buf fields = BUF_INIT;
    sample_fields(&fields);
    struct record_header h = sample_header();
    char bytes[RECORD_HEADER_LEN];
    record_encode_header(&h, buf_slice(&fields), SEED, bytes);
    for (size_t bit = 0; bit < 72 * 8; bit++) {
        bytes[bit / 8] ^= (char)(1 << bit % 8);
        assert_false(record_head_is_whole(bytes, buf_slice(&fields), SEED));
        bytes[bit / 8] ^= (char)(1 << bit % 8);
    }
    for (size_t bit = 0; bit < fields.len * 8; bit++) {
        fields.ptr[bit / 8] ^= (char)(1 << bit % 8);
        assert_false(record_head_is_whole(bytes, buf_slice(&fields), SEED));
        fields.ptr[bit / 8] ^= (char)(1 << bit % 8);
    }
    assert_true(record_head_is_whole(bytes, buf_slice(&fields), SEED));
    assert_false(record_head_is_whole(bytes, buf_slice(&fields), SEED + 1));
    assert_false(record_head_is_whole(bytes, slice_to(buf_slice(&fields), 5), SEED));
    buf_fini(&fields);
}

static void test_refused_headers(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t at;
        char value;
    } rows[] = {
        {"magic", 0, 'V'},         {"version 0", 4, 0},         {"version 2", 4, 2},
        {"type 0", 6, 0},          {"reserved", 14, 1},         {"fields too long", 11, 2},
        {"body too long", 20, 64}, {"body negative", 23, -128},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct record_header h = sample_header();
        char bytes[RECORD_HEADER_LEN];
        record_encode_header(&h, SLICE(""), SEED, bytes);
        bytes[rows[i].at] = rows[i].value;
        struct record_header d = {.node = 99};
        if (record_decode_header(bytes, &d) != -EBADMSG)
            fail_msg("%s was taken", rows[i].name);
        assert_int_equal(d.node, 99);
    }
}

static void test_body_sum_in_pieces(void **state)
{
    (void)state;
    char body[3000];
    for (size_t i = 0; i < sizeof(body); i++)
        body[i] = (char)(i * 31);
    struct iovec whole = {body, sizeof(body)};
    uint64_t sum = record_body_sum(&whole, 1, SEED);
    for (size_t cut = 0; cut <= sizeof(body); cut += 97) {
        struct iovec parts[] = {{body, cut}, {NULL, 0}, {body + cut, sizeof(body) - cut}};
        assert_int_equal(record_body_sum(parts, 3, SEED), sum);
    }
    assert_int_not_equal(record_body_sum(&whole, 1, SEED + 1), sum);
    struct iovec nothing = {NULL, 0};
    assert_int_equal(record_body_sum(NULL, 0, SEED), record_body_sum(&nothing, 1, SEED));
}

static void test_fields_walk(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    sample_fields(&b);
    slice rest = buf_slice(&b);
    struct record_field f;
    assert_int_equal(record_next(&rest, &f), 1);
    assert_int_equal(f.tag, TAG_ID);
    assert_int_equal(f.number, 0x0102030405060708);
    assert_int_equal(record_next(&rest, &f), 1);
    assert_int_equal(f.tag, TAG_REVERSE_PATH);
    assert_int_equal(f.value.len, 0);
    assert_int_equal(record_next(&rest, &f), 1);
    assert_true(slice_eq(f.value, SLICE("a@example.org")));
    assert_int_equal(f.number, 0);
    assert_int_equal(record_next(&rest, &f), 1);
    assert_int_equal(record_next(&rest, &f), 0);

    assert_true(slice_eq(record_get(buf_slice(&b), TAG_RECIPIENT), SLICE("a@example.org")));
    assert_int_equal(record_get_u64(buf_slice(&b), TAG_ID), 0x0102030405060708);
    assert_int_equal(record_get_u64(buf_slice(&b), TAG_VERSION), 0);
    assert_int_equal(record_get(buf_slice(&b), TAG_VERSION).len, 0);
    buf_fini(&b);
}

/* Every truncation ends with -EBADMSG or, between two fields, with fewer fields. */
static void test_fields_cut(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    sample_fields(&b);
    for (size_t len = 0; len < b.len; len++) {
        char *copy = malloc(len ? len : 1);
        memcpy(copy, b.ptr, len);
        slice rest = slice_make(copy, len);
        struct record_field f;
        int r;
        int count = 0;
        while ((r = record_next(&rest, &f)) == 1)
            count++;
        bool between = len == 0 || len == 14 || len == 20 || len == 39;
        assert_int_equal(r, between ? 0 : -EBADMSG);
        assert_in_range(count, 0, 3);
        free(copy);
    }
    slice lie = SLICE("\014\0\377\377\377\377ab");
    struct record_field f;
    assert_int_equal(record_next(&lie, &f), -EBADMSG);
    assert_int_equal(lie.len, 8);
    buf_fini(&b);
}

static void test_bounded_buffer(void **state)
{
    (void)state;
    struct buf b = BUF_BOUNDED(20);
    record_put(&b, TAG_RECIPIENT, SLICE("12345678"));
    assert_int_equal(b.len, 14);
    record_put(&b, TAG_RECIPIENT, SLICE("1"));
    assert_int_equal(b.error, -EMSGSIZE);
    assert_int_equal(b.len, 14);
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_size),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_every_bit_matters),
        cmocka_unit_test(test_refused_headers),
        cmocka_unit_test(test_body_sum_in_pieces),
        cmocka_unit_test(test_fields_walk),
        cmocka_unit_test(test_fields_cut),
        cmocka_unit_test(test_bounded_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
