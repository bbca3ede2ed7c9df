/* End of data, exhaustively: every string of up to 6 octets over CR, LF, ".", NUL and "x", in a
 * message by DATA at every split between two reads and octet by octet, and in a message by BDAT
 * at every border of two chunks. The message ends at CRLF "." CRLF only; a bare CR, a bare LF
 * or a NUL is refused; what is behind the end is commands and what is before it never is.
 *
 * What must come is worked out here from the whole stream, without the code that is tested. */
#include "../check.h"
#include "submission_driver.h"

static const char alphabet[] = {'\r', '\n', '.', '\0', 'x'};
enum { LETTERS = sizeof(alphabet), STREAM_MAX = 64 };
/* A sanitizer is after bytes read beyond their memory, which shorter strings show as well. */
#if defined(__SANITIZE_ADDRESS__)
enum { LEN_MAX = 5, STRINGS = 3906 };
#else
enum { LEN_MAX = 6, STRINGS = 19531 };
#endif

static const slice header = SLICE_INIT("A: b\r\n\r\n");
static const slice tail = SLICE_INIT("\r\n.\r\nNOOP\r\n");

/* What a stream behind 354 must lead to. */
struct expected {
    bool is_bad;   /* refused for its content */
    slice content; /* of the message, before dots are removed, with its last CRLF */
    unsigned lines;
    bool ends_in_noop; /* the last line behind the message is NOOP */
};

static bool content_is_bad(slice content)
{
    for (size_t i = 0; i < content.len; i++) {
        char c = content.ptr[i];
        bool has_lf = i + 1 < content.len && content.ptr[i + 1] == '\n';
        bool has_cr = i > 0 && content.ptr[i - 1] == '\r';
        if (c == '\0' || (c == '\r' && !has_lf) || (c == '\n' && !has_cr))
            return true;
    }
    return false;
}

/* The data begins as if a CRLF were before it. */
static struct expected expect(slice data)
{
    static const slice end = SLICE_INIT("\r\n.\r\n");
    struct expected e = {0};
    slice rest;
    if (slice_starts(data, slice_from(end, 2))) {
        rest = slice_from(data, 3);
    } else {
        ptrdiff_t at = slice_search(data, end);
        assert_true(at >= 0);
        e.content = slice_to(data, (size_t)at + 2);
        rest = slice_from(data, (size_t)at + end.len);
    }
    e.is_bad = content_is_bad(e.content);
    slice line;
    while (slice_split(&rest, '\n', &line)) {
        e.lines++;
        e.ends_in_noop = slice_eq(line, SLICE("NOOP\r"));
    }
    return e;
}

/* The content with the dot at each line's start removed; lines end at CRLF. */
static slice without_dots(slice content, char out[STREAM_MAX])
{
    size_t len = 0;
    for (size_t i = 0; i < content.len; i++) {
        bool at_start =
            i == 0 || (i >= 2 && content.ptr[i - 1] == '\n' && content.ptr[i - 2] == '\r');
        if (at_start && content.ptr[i] == '.')
            continue;
        out[len++] = content.ptr[i];
    }
    return (slice){out, len};
}

static struct driver driver;

static void show(const char *what, slice s, size_t split)
{
    print_error("%s, split %zu:", what, split);
    for (size_t i = 0; i < s.len; i++)
        print_error(" %02x", (unsigned char)s.ptr[i]);
    print_error("\n said: %.*s\n", SLICE_ARG(buf_slice(&driver.said)));
    fail();
}

static void begin_transaction(void)
{
    driver.next_id = 1;
    driver_give(&driver, SLICE("MAIL FROM:<a@a.test>\r\nRCPT TO:<b@b.test>\r\n"));
    buf_clear(&driver.said);
    buf_clear(&driver.done);
    buf_clear(&driver.committed);
}

/* The replies: one for the message, one for each line behind it. */
static bool replies_are(const struct expected *e)
{
    slice said = buf_slice(&driver.said);
    slice first;
    slice line;
    slice last = {0};
    unsigned lines = 0;
    slice_split(&said, '\n', &first);
    while (slice_split(&said, '\n', &line)) {
        last = line;
        if (++lines < e->lines && !slice_starts(line, SLICE("500 ")))
            return false;
    }
    bool is_refused = slice_starts(first, SLICE("554 5.6.0 Bare")) ||
                      slice_starts(first, SLICE("554 5.6.0 NUL"));
    if (is_refused != e->is_bad || lines != e->lines)
        return false;
    return slice_starts(last, e->ends_in_noop ? SLICE("250 ") : SLICE("500 "));
}

static bool body_is(slice content)
{
    struct buf want = BUF_INIT;
    buf_append(&want, header);
    buf_append(&want, content);
    buf_byte(&want, '\n');
    bool is_same = slice_ends(buf_slice(&driver.committed), buf_slice(&want));
    buf_fini(&want);
    return is_same;
}

/* Gives two reads (split > 0: at that octet), or single octets (split = len + 1). */
static void give_split(slice stream, size_t split)
{
    if (split > stream.len) {
        driver_feed(&driver, stream, 1);
        return;
    }
    size_t used = driver_give(&driver, slice_to(stream, split));
    /* an incomplete line is offered again with what is behind it */
    slice rest = slice_from(stream, used);
    used = driver_give(&driver, rest);
    assert_int_equal(used, rest.len);
}

static void check_data(slice stream, size_t split, slice before)
{
    begin_transaction();
    driver_give(&driver, SLICE("DATA\r\n"));
    buf_clear(&driver.said);
    driver_give(&driver, before);
    give_split(stream, split);
    struct expected e = expect(stream);
    char room[STREAM_MAX];
    if (before.len && !replies_are(&e))
        show("DATA", stream, split);
    if (before.len && !e.is_bad && !body_is(without_dots(e.content, room)))
        show("DATA: body", stream, split);
    if (driver.s->state != STATE_READY || (e.is_bad && driver.committed.len))
        show("DATA: state", stream, split);
}

/* The first octets of a message are its header, of which this test has no opinion: the replies
 * must be those of the stream given whole, and bad content must be refused. */
static void check_first(slice stream, size_t split, struct buf *whole)
{
    check_data(stream, split, (slice){0});
    struct expected e = expect(stream);
    slice said = buf_slice(&driver.said);
    bool is_refused = slice_starts(said, SLICE("554 5.6.0 Bare")) ||
                      slice_starts(said, SLICE("554 5.6.0 NUL"));
    if (is_refused != e.is_bad)
        show("DATA: first", stream, split);
    if (split == 0) {
        buf_clear(whole);
        buf_append(whole, said);
        return;
    }
    if (!slice_eq(said, buf_slice(whole)))
        show("DATA: differs", stream, split);
}

static size_t make_string(unsigned index, size_t len, char out[LEN_MAX])
{
    for (size_t i = 0; i < len; i++) {
        out[i] = alphabet[index % LETTERS];
        index /= LETTERS;
    }
    return index;
}

static unsigned count_of(size_t len)
{
    unsigned n = 1;
    while (len-- > 0)
        n *= LETTERS;
    return n;
}

static void each_string(void (*check)(slice s))
{
    unsigned total = 0;
    for (size_t len = 0; len <= LEN_MAX; len++) {
        for (unsigned i = 0; i < count_of(len); i++, total++) {
            char s[LEN_MAX];
            make_string(i, len, s);
            check((slice){s, len});
        }
    }
    assert_int_equal(total, STRINGS);
}

static slice stream_of(slice s, char out[STREAM_MAX])
{
    if (s.len)
        memcpy(out, s.ptr, s.len);
    memcpy(out + s.len, tail.ptr, tail.len);
    return (slice){out, s.len + tail.len};
}

static void data_with(slice s)
{
    char room[STREAM_MAX];
    slice stream = stream_of(s, room);
    for (size_t split = 0; split <= stream.len + 1; split++)
        check_data(stream, split, header);
}

/* The header and s, in two chunks with the border at `border` of s, read whole or by octets. */
static void check_chunks(slice s, size_t border, size_t step)
{
    char command[64];
    struct buf stream = BUF_INIT;
    size_t first = header.len + border;
    buf_append(&stream, (slice){command, (size_t)snprintf(command, sizeof(command),
                                                          "BDAT %zu\r\n", first)});
    buf_append(&stream, header);
    buf_append(&stream, slice_to(s, border));
    buf_append(&stream,
               (slice){command, (size_t)snprintf(command, sizeof(command), "BDAT %zu LAST\r\n",
                                                 s.len - border)});
    buf_append(&stream, slice_from(s, border));
    buf_append(&stream, SLICE("NOOP\r\n"));
    begin_transaction();
    driver_feed(&driver, buf_slice(&stream), step);
    slice said = buf_slice(&driver.said);
    bool first_is_bad = slice_starts(said, SLICE("554 5.6.0 "));
    slice line;
    slice_split(&said, '\n', &line);
    bool second_is_bad = slice_starts(said, SLICE("554 5.6.0 "));
    bool second_is_out_of_sequence = slice_starts(said, SLICE("503 5.5.1 "));
    slice_split(&said, '\n', &line);
    bool is_bad = content_is_bad(s);
    if (!slice_eq(said, SLICE("250 2.0.0 OK\r\n")) || driver.s->state != STATE_READY)
        show("BDAT: sequence", s, border);
    if (first_is_bad != second_is_out_of_sequence || (first_is_bad || second_is_bad) != is_bad)
        show("BDAT: verdict", s, border);
    if (first_is_bad && !content_is_bad(slice_to(s, border)))
        show("BDAT: too early", s, border);
    if (is_bad ? driver.committed.len > 0 : !body_is(s))
        show("BDAT: body", s, border);
    buf_fini(&stream);
}

/* The string at each place in a block of text, for code that reads in blocks. */
static void padded_with(slice s)
{
    enum { BLOCK = 17, BEHIND = 20 };
    if (s.len > 4)
        return;
    for (size_t pad = 0; pad <= BLOCK; pad++) {
        char room[STREAM_MAX];
        memset(room, 'x', sizeof(room));
        size_t len = pad + s.len + BEHIND;
        if (s.len)
            memcpy(room + pad, s.ptr, s.len);
        memcpy(room + len, tail.ptr, tail.len);
        slice stream = {room, len + tail.len};
        check_data(stream, 0, header);
        check_data(stream, stream.len + 1, header);
        check_chunks(slice_to(stream, len), 0, STREAM_MAX * 4);
    }
}

static void data_first_with(slice s)
{
    char room[STREAM_MAX];
    struct buf whole = BUF_INIT;
    slice stream = stream_of(s, room);
    for (size_t split = 0; split <= stream.len + 1; split++)
        check_first(stream, split, &whole);
    buf_fini(&whole);
}

static void chunks_with(slice s)
{
    for (size_t border = 0; border <= s.len; border++) {
        check_chunks(s, border, STREAM_MAX * 4);
        check_chunks(s, border, 1);
    }
}

static void test_data(void **state UNUSED)
{
    each_string(data_with);
}

static void test_data_first(void **state UNUSED)
{
    each_string(data_first_with);
}

static void test_blocks(void **state UNUSED)
{
    each_string(padded_with);
}

static void test_chunks(void **state UNUSED)
{
    each_string(chunks_with);
}

static int setup(void **state UNUSED)
{
    static struct account account;
    driver_init(&driver);
    driver.config.max_errors = 0;
    assert_true(driver_find(SLICE("any"), &account));
    driver.peer.account = &account;
    driver_start(&driver);
    driver_give(&driver, SLICE("EHLO c.test\r\n"));
    return 0;
}

static int teardown(void **state UNUSED)
{
    driver_fini(&driver);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_data, setup, teardown),
        cmocka_unit_test_setup_teardown(test_data_first, setup, teardown),
        cmocka_unit_test_setup_teardown(test_blocks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_chunks, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
