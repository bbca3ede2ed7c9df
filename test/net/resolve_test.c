/* Lookups through libunbound from a scripted name server. */
#include "net/resolve.h"

#include "name_server.h"

#include "../check.h"

/* One lookup and what it waits for. */
struct look {
    struct resolve *resolve;
    struct loop *loop;
    unsigned *pending;
    bool is_made;
};

static void on_made(void *ctx)
{
    struct look *k = ctx;
    assert_false(k->is_made);
    k->is_made = true;
    if (--*k->pending == 0)
        loop_stop(k->loop);
}

static const struct route_policy usual = {.hostname = SLICE_INIT("out.example.com")};

struct house {
    struct name_server server;
    struct loop *loop;
    struct resolver *resolver;
    unsigned pending;
};

static void house_open(struct house *h, const char *script, span timeout, const char *anchor)
{
    char forward[40];
    struct buf errors = BUF_INIT;
    ns_start(&h->server, script);
    snprintf(forward, sizeof(forward), "127.0.0.1@%u", h->server.port);
    struct conf_resolver c = {
        .forward = slice_of(forward), .trust_anchor = slice_of(anchor), .timeout = timeout};
    h->loop = loop_new();
    h->pending = 0;
    h->resolver = resolver_new(h->loop, &c, &errors);
    if (!h->resolver)
        fail_msg("%.*s", SLICE_ARG(buf_slice(&errors)));
}

static void house_close(struct house *h)
{
    resolver_free(&h->resolver);
    assert_null(h->resolver);
    loop_free(&h->loop);
    ns_stop(&h->server);
}

static void begin(struct house *h, struct look *k, const char *domain)
{
    *k = (struct look){.loop = h->loop, .pending = &h->pending};
    h->pending++;
    k->resolve = resolve_new(h->resolver, &usual, slice_of(domain), 1, on_made, k);
    assert_false(k->is_made);
}

static void check_route(const char *row, const struct look *k, const char *want)
{
    char text[2000];
    CHECK(row, k->is_made);
    const struct route *r = resolve_route(k->resolve);
    snprintf(text, sizeof(text), "%u.%u.%u %.*s", r->outcome.status.class,
             r->outcome.status.subject, r->outcome.status.detail, SLICE_ARG(r->text));
    check_slice(row, slice_of(text), slice_of(want));
}

static const char world[] = "usual.example.org MX 20 mx2.example.org\n"
                            "usual.example.org MX 10 mx1.example.org\n"
                            "mx1.example.org A 1.1.1.1\n"
                            "mx1.example.org AAAA 2a00::1\n"
                            "mx2.example.org A 1.1.1.2\n"
                            "implicit.example.org A 1.1.1.3\n"
                            "null.example.org MX 0 .\n"
                            "servfail.example.org MX SERVFAIL\n"
                            "refused.example.org MX REFUSED\n"
                            "garbage.example.org MX GARBAGE\n"
                            "alias.example.org CNAME usual.example.org\n"
                            "dangling.example.org CNAME gone.example.org\n"
                            "mxalias.example.org MX 10 www.example.org\n"
                            "www.example.org CNAME mx2.example.org\n"
                            "nothing.example.org CNAME empty.example.org\n"
                            "empty.example.org A 127.0.0.1\n"
                            "gonemx.example.org MX 5 gone.example.org\n"
                            "half.example.org MX 5 broken.example.org\n"
                            "half.example.org MX 50 mx2.example.org\n"
                            "broken.example.org A SERVFAIL\n"
                            "broken.example.org AAAA SERVFAIL\n";

static void answers_become_routes(void **state)
{
    (void)state;
    static const struct {
        const char *domain;
        const char *want;
    } rows[] = {
        {"usual.example.org",
         "2.0.0 mx1.example.org (10) [2a00::1] [1.1.1.1]; mx2.example.org (20) [1.1.1.2]"},
        {"Usual.EXAMPLE.org",
         "2.0.0 mx1.example.org (10) [2a00::1] [1.1.1.1]; mx2.example.org (20) [1.1.1.2]"},
        {"alias.example.org",
         "2.0.0 mx1.example.org (10) [2a00::1] [1.1.1.1]; mx2.example.org (20) [1.1.1.2]"},
        {"mxalias.example.org", "2.0.0 www.example.org (10) [1.1.1.2]"},
        {"implicit.example.org", "2.0.0 implicit.example.org [1.1.1.3]"},
        {"half.example.org", "2.0.0 mx2.example.org (50) [1.1.1.2]"},
        {"null.example.org",
         "5.1.10 null.example.org takes no mail, and says so in DNS (null MX)"},
        {"nowhere.example.org", "5.1.2 the domain nowhere.example.org does not exist"},
        {"dangling.example.org", "5.1.2 the domain dangling.example.org does not exist"},
        {"gonemx.example.org", "5.4.4 no mail host of gonemx.example.org can be reached: "
                               "gone.example.org does not exist"},
        {"nothing.example.org", "5.4.6 nothing.example.org has a loopback address, 127.0.0.1, "
                                "where no mail is sent"},
        {"servfail.example.org",
         "4.4.3 DNS does not say where mail for servfail.example.org goes: SERVFAIL"},
        {"refused.example.org",
         "4.4.3 DNS does not say where mail for refused.example.org goes: SERVFAIL"},
        {"[1.2.3.4]", "2.0.0 [1.2.3.4]"},
        {"no domain", "5.1.3 \"no domain\" is not a domain"},
        {"localhost",
         "5.4.6 localhost has a loopback address, 127.0.0.1, where no mail is sent"},
    };
    struct house h;
    struct look looks[COUNT_OF(rows)];
    house_open(&h, world, 20 * SPAN_SECOND, "");
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        begin(&h, &looks[i], rows[i].domain);
    loop_run(h.loop);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        check_route(rows[i].domain, &looks[i], rows[i].want);
        assert_false(resolve_route(looks[i].resolve)->is_secure);
        resolve_free(&looks[i].resolve);
        assert_null(looks[i].resolve);
    }
    house_close(&h);
}

static void malformed_records_are_no_answer(void **state)
{
    (void)state;
    struct house h;
    struct look k;
    house_open(&h, world, 20 * SPAN_SECOND, "");
    begin(&h, &k, "garbage.example.org");
    loop_run(h.loop);
    assert_int_equal(resolve_route(k.resolve)->outcome.next, NEXT_RETRY);
    resolve_free(&k.resolve);
    house_close(&h);
}

static void a_large_answer_comes_over_tcp_and_is_bounded(void **state)
{
    (void)state;
    struct house h;
    struct look k;
    struct buf script = BUF_INIT;
    for (unsigned i = 0; i < 300; i++)
        buf_printf(&script,
                   "many.example.org MX %u a-rather-long-name-of-a-host-%u.example.org\n"
                   "a-rather-long-name-of-a-host-%u.example.org A 1.1.%u.%u\n",
                   i, i, i, i / 256, i % 256);
    buf_byte(&script, '\0');
    house_open(&h, script.ptr, 20 * SPAN_SECOND, "");
    begin(&h, &k, "many.example.org");
    loop_run(h.loop);
    assert_true(h.server.tcp_questions > 0);
    const struct route *r = resolve_route(k.resolve);
    assert_int_equal(r->outcome.next, NEXT_CONTINUE);
    assert_int_equal(r->host_count, ROUTE_HOSTS_MAX);
    assert_int_equal(r->target_count, ROUTE_HOSTS_MAX);
    resolve_free(&k.resolve);
    house_close(&h);
    buf_fini(&script);
}

static void what_is_late_counts_as_unanswered(void **state)
{
    (void)state;
    static const char script[] = "silent.example.org MX DROP\n"
                                 "half.example.org MX 10 mute.example.org\n"
                                 "half.example.org MX 20 mx.example.org\n"
                                 "all.example.org MX 10 mute.example.org\n"
                                 "mute.example.org A DROP\n"
                                 "mute.example.org AAAA DROP\n"
                                 "mx.example.org A 1.1.1.1\n";
    struct house h;
    struct look silent, half, all;
    house_open(&h, script, 300 * SPAN_MS, "");
    begin(&h, &silent, "silent.example.org");
    begin(&h, &half, "half.example.org");
    begin(&h, &all, "all.example.org");
    loop_run(h.loop);
    check_route("silent", &silent,
                "4.4.3 DNS does not say where mail for silent.example.org goes: no answer in "
                "time");
    check_route("half", &half, "2.0.0 mx.example.org (20) [1.1.1.1]");
    check_slice("note", resolve_route(half.resolve)->hosts[0].note,
                SLICE("DNS does not give the address of mute.example.org: no answer in time"));
    check_route(
        "all", &all,
        "4.4.3 for now no mail host of all.example.org can be reached: DNS does not give "
        "the address of mute.example.org: no answer in time");
    resolve_free(&silent.resolve);
    resolve_free(&half.resolve);
    resolve_free(&all.resolve);
    house_close(&h);
}

static void a_dead_name_server_is_no_answer(void **state)
{
    (void)state;
    struct house h;
    struct look k;
    house_open(&h, world, 300 * SPAN_MS, "");
    close(h.server.udp); /* nobody is there: refused at once, or in silence */
    h.server.udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    begin(&h, &k, "usual.example.org");
    loop_run(h.loop);
    const struct route *r = resolve_route(k.resolve);
    assert_int_equal(r->outcome.next, NEXT_RETRY);
    assert_int_equal(r->outcome.status.detail, 3);
    resolve_free(&k.resolve);
    house_close(&h);
}

static void many_wait_for_their_turn(void **state)
{
    (void)state;
    enum { MANY = 3 * RESOLVES_ACTIVE_MAX };
    struct house h;
    struct look *looks = calloc(MANY, sizeof(*looks));
    struct buf script = BUF_INIT;
    for (unsigned i = 0; i < MANY; i++)
        buf_printf(&script, "d%u.example.org A 1.1.%u.%u\n", i, i / 256, i % 256);
    buf_byte(&script, '\0');
    house_open(&h, script.ptr, 20 * SPAN_SECOND, "");
    for (unsigned i = 0; i < MANY; i++) {
        char domain[40];
        snprintf(domain, sizeof(domain), "d%u.example.org", i);
        begin(&h, &looks[i], domain);
    }
    loop_run(h.loop);
    for (unsigned i = 0; i < MANY; i++) {
        const struct route *r = resolve_route(looks[i].resolve);
        assert_int_equal(r->target_count, 1);
        assert_int_equal(r->targets[0].address.bytes[3], i % 256);
        resolve_free(&looks[i].resolve);
    }
    house_close(&h);
    buf_fini(&script);
    free(looks);
}

static void those_that_are_freed_never_call(void **state)
{
    (void)state;
    enum { MANY = RESOLVES_ACTIVE_MAX + 50 };
    struct house h;
    struct look *looks = calloc(MANY + 1, sizeof(*looks));
    house_open(&h, "x.example.org A 1.1.1.1\nmute.example.org MX DROP\n", 20 * SPAN_SECOND, "");
    for (unsigned i = 0; i < MANY; i++)
        begin(&h, &looks[i], i % 2 ? "mute.example.org" : "x.example.org");
    for (unsigned i = 0; i < MANY; i++) { /* before the first turn */
        if (i % 3 == 0) {
            resolve_free(&looks[i].resolve);
            h.pending--;
        } else if (i % 2) {
            h.pending--; /* will not be waited for */
        }
    }
    loop_run(h.loop);
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(looks[i].is_made, i % 3 != 0 && i % 2 == 0);
    for (unsigned i = 0; i < MANY; i++) /* questions are open */
        resolve_free(&looks[i].resolve);
    begin(&h, &looks[MANY], "x.example.org");
    loop_run(h.loop);
    check_route("after", &looks[MANY], "2.0.0 x.example.org [1.1.1.1]");
    resolve_free(&looks[MANY].resolve);
    house_close(&h);
    free(looks);
}

static void stop(void *ctx)
{
    loop_stop(ctx);
}

static void answers_to_those_that_were_freed_are_dropped(void **state)
{
    (void)state;
    enum { MANY = 50 };
    struct house h;
    struct look looks[MANY], last;
    struct timer timer;
    struct buf script = BUF_INIT;
    for (unsigned i = 0; i <= MANY; i++)
        buf_printf(&script, "d%u.example.org A 1.1.1.%u\n", i, i);
    buf_byte(&script, '\0');
    house_open(&h, script.ptr, 20 * SPAN_SECOND, "");
    for (unsigned i = 0; i < MANY; i++) {
        char domain[40];
        snprintf(domain, sizeof(domain), "d%u.example.org", i);
        begin(&h, &looks[i], domain);
    }
    timer_init(&timer, h.loop, stop, h.loop);
    timer_set(&timer, 0);
    loop_run(h.loop); /* asks */
    for (unsigned i = 0; i < MANY; i++)
        resolve_free(&looks[i].resolve);
    h.pending = 0;
    begin(&h, &last, "d50.example.org"); /* is answered after all others */
    loop_run(h.loop);
    check_route("last", &last, "2.0.0 d50.example.org [1.1.1.50]");
    resolve_free(&last.resolve);
    house_close(&h);
    buf_fini(&script);
}

struct chain {
    struct house *house;
    struct resolve *resolve;
    struct resolve *other;
    unsigned left;
};

static void never(void *ctx)
{
    (void)ctx;
    fail_msg("was freed before");
}

/* Frees itself and another one, and begins the next. */
static void on_link(void *ctx)
{
    struct chain *c = ctx;
    resolve_free(&c->resolve);
    resolve_free(&c->other);
    if (--c->left == 0) {
        loop_stop(c->house->loop);
        return;
    }
    struct resolver *r = c->house->resolver;
    c->resolve = resolve_new(r, &usual, SLICE("x.example.org"), 1, on_link, c);
    c->other = resolve_new(r, &usual, SLICE("[1.1.1.1]"), 1, never, c);
    resolve_free(&c->other);
    c->other = resolve_new(r, &usual, SLICE("mute.example.org"), 1, never, c);
}

static void a_callback_may_free_and_begin(void **state)
{
    (void)state;
    struct house h;
    house_open(&h, "x.example.org A 1.1.1.1\nmute.example.org MX DROP\n", 20 * SPAN_SECOND, "");
    struct chain c = {.house = &h, .left = 20};
    c.resolve = resolve_new(h.resolver, &usual, SLICE("x.example.org"), 1, on_link, &c);
    loop_run(h.loop);
    assert_int_equal(c.left, 0);
    house_close(&h);
}

/* An anchor for a zone that is served without signatures. */
static void signatures_that_are_missing_are_bogus(void **state)
{
    (void)state;
    static const char anchor[] =
        "signed.example. IN DS 4711 13 2 "
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n";
    char path[] = "/tmp/resolve-test-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, anchor, sizeof(anchor) - 1), sizeof(anchor) - 1);
    close(fd);
    struct house h;
    struct look bogus, plain;
    house_open(&h,
               "signed.example MX 10 mx.example.org\nsigned.example A 1.1.1.1\n"
               "mx.example.org A 1.1.1.1\nx.example.org A 1.1.1.1\n",
               20 * SPAN_SECOND, path);
    unlink(path);
    begin(&h, &bogus, "signed.example");
    begin(&h, &plain, "x.example.org");
    loop_run(h.loop);
    const struct route *r = resolve_route(bogus.resolve);
    slice text = SLICE("DNS answers about signed.example fail DNSSEC validation: ");
    assert_int_equal(r->outcome.next, NEXT_RETRY);
    assert_int_equal(r->outcome.status.subject, 7);
    assert_true(slice_starts(r->text, text) && r->text.len > text.len + 10);
    check_route("plain", &plain, "2.0.0 x.example.org [1.1.1.1]");
    resolve_free(&bogus.resolve);
    resolve_free(&plain.resolve);
    house_close(&h);
}

static void what_cannot_be_used_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct conf_resolver conf;
        const char *error;
    } rows[] = {
        {"no file",
         {.forward = SLICE_INIT("127.0.0.1"), .trust_anchor = SLICE_INIT("/nonexistent/key")},
         "[resolver] trust-anchor cannot be used"},
        {"no anchors in it",
         {.forward = SLICE_INIT("127.0.0.1"), .trust_anchor = SLICE_INIT("/bin/true")},
         "[resolver] trust-anchor cannot be used"},
        {"no address",
         {.forward = SLICE_INIT("dns.example")},
         "[resolver] forward cannot be used"},
    };
    struct loop *l = loop_new();
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf errors = BUF_INIT;
        CHECK(rows[i].name, !resolver_new(l, &rows[i].conf, &errors));
        CHECK(rows[i].name, slice_starts(buf_slice(&errors), slice_of(rows[i].error)));
        buf_fini(&errors);
    }
    loop_free(&l);
}

static void the_machines_name_servers_and_none_will_do(void **state)
{
    (void)state;
    static const slice forwards[] = {SLICE_INIT(""), SLICE_INIT("none"),
                                     SLICE_INIT("127.0.0.1 ::1@5353")};
    struct loop *l = loop_new();
    for (size_t i = 0; i < COUNT_OF(forwards); i++) {
        struct buf errors = BUF_INIT;
        struct conf_resolver c = {.forward = forwards[i], .timeout = SPAN_SECOND};
        struct resolver *r = resolver_new(l, &c, &errors);
        if (!r)
            fail_msg("%.*s", SLICE_ARG(buf_slice(&errors)));
        resolver_free(&r);
    }
    loop_free(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_become_routes),
        cmocka_unit_test(malformed_records_are_no_answer),
        cmocka_unit_test(a_large_answer_comes_over_tcp_and_is_bounded),
        cmocka_unit_test(what_is_late_counts_as_unanswered),
        cmocka_unit_test(a_dead_name_server_is_no_answer),
        cmocka_unit_test(many_wait_for_their_turn),
        cmocka_unit_test(those_that_are_freed_never_call),
        cmocka_unit_test(answers_to_those_that_were_freed_are_dropped),
        cmocka_unit_test(a_callback_may_free_and_begin),
        cmocka_unit_test(signatures_that_are_missing_are_bogus),
        cmocka_unit_test(what_cannot_be_used_is_told),
        cmocka_unit_test(the_machines_name_servers_and_none_will_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
