#include "../check.h"

#include "base/arena.h"
#include "codec/path.h"

#define A10 "aaaaaaaaaa"
#define A60 A10 A10 A10 A10 A10 A10
#define A64 A60 "aaaa"
#define LABEL60 A60 "."
#define DOMAIN240 \
    LABEL60 LABEL60 LABEL60 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct {
    const char *in;
    enum path_result result;
    const char *address;
    const char *rest;
    const char *canonical;
} rows[] = {
    {"<a@b.example>", PATH_OK, "a@b.example", "", "a@b.example"},
    {"<a@b.example> SIZE=5  BODY=7BIT", PATH_OK, "a@b.example", "SIZE=5  BODY=7BIT",
     "a@b.example"},
    {"<a@b.example>\tX", PATH_OK, "a@b.example", "X", "a@b.example"},
    {"<>", PATH_OK, "", "", ""},
    {"<> SIZE=5", PATH_OK, "", "SIZE=5", ""},
    {"<PostMaster>", PATH_OK, "PostMaster", "", "postmaster"},
    {"<postmaster@b.example>", PATH_OK, "postmaster@b.example", "", "postmaster@b.example"},
    {"<Joe.User+tag@B.Example>", PATH_OK, "Joe.User+tag@B.Example", "",
     "Joe.User+tag@b.example"},
    {"<!#$%&'*+-/=?^_`{|}~@b>", PATH_OK, "!#$%&'*+-/=?^_`{|}~@b", "", "!#$%&'*+-/=?^_`{|}~@b"},
    {"<@x.example,@y.example:a@b.example>", PATH_OK, "a@b.example", "", "a@b.example"},
    {"<@x.example:a@b.example>", PATH_OK, "a@b.example", "", "a@b.example"},
    {"<\"joe\"@b.example>", PATH_OK, "\"joe\"@b.example", "", "joe@b.example"},
    {"<\"j\\oe\"@b.example>", PATH_OK, "\"j\\oe\"@b.example", "", "joe@b.example"},
    {"<\"joe user\"@b.example>", PATH_OK, "\"joe user\"@b.example", "",
     "\"joe user\"@b.example"},
    {"<\"a\\\"b\\\\c\\@d\"@b.example>", PATH_OK, "\"a\\\"b\\\\c\\@d\"@b.example", "",
     "\"a\\\"b\\\\c@d\"@b.example"},
    {"<\"a@b> c\"@d.example>", PATH_OK, "\"a@b> c\"@d.example", "", "\"a@b> c\"@d.example"},
    {"<\"\"@b.example>", PATH_OK, "\"\"@b.example", "", "\"\"@b.example"},
    {"<\"a..b\"@b.example>", PATH_OK, "\"a..b\"@b.example", "", "\"a..b\"@b.example"},
    {"<a@[192.0.2.1]>", PATH_OK, "a@[192.0.2.1]", "", "a@[192.0.2.1]"},
    {"<a@[IPv6:2001:DB8:0::1]>", PATH_OK, "a@[IPv6:2001:DB8:0::1]", "", "a@[ipv6:2001:db8::1]"},
    {"<\xc3\xbc@b.example>", PATH_OK, "\xc3\xbc@b.example", "", "\xc3\xbc@b.example"},
    {"<a@b\xc3\xbc\x63her.example>", PATH_OK, "a@b\xc3\xbc\x63her.example", "",
     "a@xn--bcher-kva.example"},
    {"<a@B\xc3\x9c\x43HER.example>", PATH_OK, "a@B\xc3\x9c\x43HER.example", "",
     "a@xn--bcher-kva.example"},
    {"<a@b.example\xef\xbc\xa0x>", PATH_OK, "a@b.example\xef\xbc\xa0x", "",
     "a@b.example\xef\xbc\xa0x"},
    {"<a@under_score.example>", PATH_OK, "a@under_score.example", "", "a@under_score.example"},
    {"<" A64 "@b.example>", PATH_OK, A64 "@b.example", "", A64 "@b.example"},
    {"<a" A64 "@b.example>", PATH_TOO_LONG, NULL, NULL, NULL},
    {"<a@" DOMAIN240 "." A10 ">", PATH_OK, "a@" DOMAIN240 "." A10, "", "a@" DOMAIN240 "." A10},
    {"<aaaaaa@" DOMAIN240 "." A10 ">", PATH_TOO_LONG, NULL, NULL, NULL},
    {"<a@" DOMAIN240 "." A10 A10 ">", PATH_TOO_LONG, NULL, NULL, NULL},
    {"<a@" A64 ".example>", PATH_SYNTAX, NULL, NULL, NULL},
    {"", PATH_SYNTAX, NULL, NULL, NULL},
    {"<", PATH_SYNTAX, NULL, NULL, NULL},
    {"a@b.example", PATH_SYNTAX, NULL, NULL, NULL},
    {"<a@b.example", PATH_SYNTAX, NULL, NULL, NULL},
    {"<a@b.example>x", PATH_SYNTAX, NULL, NULL, NULL},
    {"<a@b.example>>", PATH_SYNTAX, NULL, NULL, NULL},
    {"<<a@b.example>>", PATH_SYNTAX, NULL, NULL, NULL},
    {"< a@b.example>", PATH_SYNTAX, NULL, NULL, NULL},
    {"<a@b.example >", PATH_SYNTAX, NULL, NULL, NULL},
    {"<a b@c.example>", PATH_SYNTAX, NULL, NULL, NULL},
    {"<a>", PATH_SYNTAX, NULL, NULL, NULL},
    {"<a@>", PATH_SYNTAX, NULL, NULL, NULL},
    {"<@b.example>", PATH_SYNTAX, NULL, NULL, NULL},
    {"<@b.example:>", PATH_SYNTAX, NULL, NULL, NULL},
    {"<@a.example,b.example:a@b>", PATH_SYNTAX, NULL, NULL, NULL},
    {"<@a.example:@b.example:a@b>", PATH_SYNTAX, NULL, NULL, NULL},
    {"<a@@b.example>", PATH_SYNTAX, NULL, NULL, NULL},
    {"<a@b@c.example>", PATH_SYNTAX, NULL, NULL, NULL},
    {"<.a@b.example>", PATH_SYNTAX, NULL, NULL, NULL},
    {"<a.@b.example>", PATH_SYNTAX, NULL, NULL, NULL},
    {"<a..b@c.example>", PATH_SYNTAX, NULL, NULL, NULL},
    {"<a@b..example>", PATH_SYNTAX, NULL, NULL, NULL},
    {"<a@.example>", PATH_SYNTAX, NULL, NULL, NULL},
    {"<a@b.example.>", PATH_SYNTAX, NULL, NULL, NULL},
    {"<a@-b.example>", PATH_SYNTAX, NULL, NULL, NULL},
    {"<a@b!c.example>", PATH_SYNTAX, NULL, NULL, NULL},
    {"<a@[192.0.2.256]>", PATH_SYNTAX, NULL, NULL, NULL},
    {"<a@[x:y]>", PATH_SYNTAX, NULL, NULL, NULL},
    {"<a@[192.0.2.1>", PATH_SYNTAX, NULL, NULL, NULL},
    {"<\"a@b.example>", PATH_SYNTAX, NULL, NULL, NULL},
    {"<\"a\"b@c.example>", PATH_SYNTAX, NULL, NULL, NULL},
    {"<\"a\tb\"@c.example>", PATH_SYNTAX, NULL, NULL, NULL},
    {"<\"a\\", PATH_SYNTAX, NULL, NULL, NULL},
    {"<a\x7f@b.example>", PATH_SYNTAX, NULL, NULL, NULL},
    {"<a\xff@b.example>", PATH_UTF8, NULL, NULL, NULL},
    {"<a@b\xc0\x80.example>", PATH_UTF8, NULL, NULL, NULL},
    {"<\"a\xed\xa0\x80\"@b.example>", PATH_UTF8, NULL, NULL, NULL},
};

static void check_fields(const char *row, const struct path *p)
{
    check_int(row, p->is_null, p->address.len == 0);
    if (p->is_null || p->is_postmaster)
        return;
    CHECK(row, p->address.len == p->local.len + 1 + p->domain.len);
    CHECK(row, p->address.ptr == p->local.ptr);
    CHECK(row, p->address.ptr[p->local.len] == '@');
}

static void parses_paths(void **state)
{
    (void)state;
    struct arena a = ARENA_INIT;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        slice in = slice_of(rows[i].in);
        slice whole = in;
        struct path p;
        check_int(rows[i].in, path_parse(&in, &p), rows[i].result);
        if (rows[i].result != PATH_OK) {
            CHECK(rows[i].in, in.ptr == whole.ptr && in.len == whole.len);
            continue;
        }
        check_slice(rows[i].in, p.address, slice_of(rows[i].address));
        check_slice(rows[i].in, in, slice_of(rows[i].rest));
        check_slice(rows[i].in, path_canonical(&a, &p), slice_of(rows[i].canonical));
        check_fields(rows[i].in, &p);
    }
    arena_fini(&a);
}

/* No prefix of a path is one, and none is read beyond its end. */
static void refuses_every_prefix(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t len = strlen(rows[i].in);
        for (size_t n = 0; n < len; n++) {
            char *copy = malloc(n + 1);
            memcpy(copy, rows[i].in, n);
            slice in = {copy, n};
            struct path p;
            if (path_parse(&in, &p) == PATH_OK)
                CHECK(rows[i].in, n && memchr(copy, '>', n));
            free(copy);
        }
    }
}

static void takes_a_bare_mailbox(void **state)
{
    (void)state;
    struct path p;
    assert_int_equal(mailbox_parse(SLICE("a@b.example"), &p), PATH_OK);
    check_slice("domain", p.domain, SLICE("b.example"));
    assert_int_equal(mailbox_parse(SLICE("\"a b\"@[192.0.2.1]"), &p), PATH_OK);
    assert_int_equal(mailbox_parse(SLICE("a@b.example "), &p), PATH_SYNTAX);
    assert_int_equal(mailbox_parse(SLICE("<a@b.example>"), &p), PATH_SYNTAX);
    assert_int_equal(mailbox_parse(SLICE("@x:a@b.example"), &p), PATH_SYNTAX);
    assert_int_equal(mailbox_parse(SLICE("postmaster"), &p), PATH_SYNTAX);
    assert_int_equal(mailbox_parse(SLICE(""), &p), PATH_SYNTAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_paths),
        cmocka_unit_test(refuses_every_prefix),
        cmocka_unit_test(takes_a_bare_mailbox),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
