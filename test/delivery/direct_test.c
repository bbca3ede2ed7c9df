/* Direct delivery against a scripted name server and a mail host that plays by rules. */
#include "stage.h"

#include "../net/name_server.h"
#include "base/log.h"

static struct name_server name_server;
static unsigned most_connections; /* seen at the end of a turn */

static void pump(struct office *o)
{
    (void)o;
    direct_pump(on->direct);
    if (on->direct->pool.count > most_connections)
        most_connections = on->direct->pool.count;
}

static void open_direct(const char *zone, const char *delivery)
{
    struct buf lines = BUF_INIT, errors = BUF_INIT;
    struct courier *c = &on->office->courier;
    most_connections = 0;
    ns_start(&name_server, zone);
    buf_printf(&lines,
               "[delivery]\ntransport = direct\ndirect-port = %u\n%s\n"
               "[resolver]\nforward = 127.0.0.1@%u\ntimeout = 5s\n",
               on->sink->port, delivery, name_server.port);
    stage_read_conf("out.example.com", &lines, &errors);
    c->resolver = resolver_new(c->loop, &on->conf->resolver, &errors);
    if (c->resolver)
        on->direct = direct_new(c, on->conf, &errors);
    if (!on->direct)
        fail_msg("%.*s", (int)errors.len, errors.ptr);
    stage_use(&on->direct->settings, &on->direct->destination, pump);
    buf_fini(&lines);
    buf_fini(&errors);
}

#define LOCAL "allow-private = yes"

static bool is_closed(struct office *o)
{
    return direct_is_idle(on->direct) && settle_is_idle(o->courier.settle);
}

static int tear_down(void **state UNUSED)
{
    direct_close(on->direct);
    stage_close(is_closed);
    direct_free(&on->direct);
    resolver_free(&on->office->courier.resolver);
    ns_stop(&name_server);
    stage_free();
    return 0;
}

static bool is_empty(struct office *o)
{
    return o->queue.living == 0 && settle_is_idle(o->courier.settle);
}

/* One that waits is left. */
static bool one_waits(struct office *o)
{
    return o->queue.living == 1 && o->pages.stats.retried == 1 &&
           settle_is_idle(o->courier.settle);
}

static uint64_t post(const char *const *to)
{
    struct office_message m = {.account = 1,
                               .from = "from@x.test",
                               .to = to,
                               .body = SLICE("Subject: x\r\n\r\nx\r\n")};
    return office_post(on->office, &m);
}

static void check_trouble(uint64_t id, uint32_t index, enum recipient_state state,
                          const char *status, const char *text)
{
    struct recipient *r = office_recipient(on->office, id, index);
    char got[24];
    if (!r)
        fail_msg("recipient %u is gone", index);
    if (!r->trouble)
        fail_msg("recipient %u has no trouble", index);
    snprintf(got, sizeof(got), "%u.%u.%u", r->trouble->status.class, r->trouble->status.subject,
             r->trouble->status.detail);
    assert_int_equal(r->state, state);
    assert_int_equal(r->attempts, 1);
    assert_string_equal(got, status);
    if (slice_search(trouble_reply(r->trouble), slice_of(text)) < 0)
        fail_msg("recipient %u: \"%.*s\"", index, SLICE_ARG(trouble_reply(r->trouble)));
}

static const char *const two_domains = "one.example MX 10 mx.one.example\n"
                                       "mx.one.example A 127.0.0.1\n"
                                       "two.example A 127.0.0.1\n";

static void test_each_domain_gets_its_recipients(void **state)
{
    (void)state;
    open_direct(two_domains, LOCAL);
    start();
    static const char *const to[] = {"a@one.example", "b@two.example", "c@One.EXAMPLE", NULL};
    post(to);
    office_read(on->office);
    office_run(on->office, is_empty);
    assert_int_equal(on->sink->count, 2);
    bool one_first = strstr(on->sink->mail[0].to, "one") != NULL;
    assert_string_equal(on->sink->mail[!one_first].to, "<a@one.example>\n<c@One.EXAMPLE>\n");
    assert_string_equal(on->sink->mail[one_first].to, "<b@two.example>\n");
    assert_int_equal(on->sink->connections, 2);
    assert_int_equal(on->direct->sites.count, 2);
    assert_int_equal(on->office->queue.parcels, 0);
}

static void test_connections_are_used_again(void **state)
{
    (void)state;
    open_direct(two_domains, LOCAL "\nconnections = 1");
    start();
    static const char *const to[] = {"a@one.example", NULL};
    for (int i = 0; i < 20; i++)
        post(to);
    office_read(on->office);
    office_run(on->office, is_empty);
    assert_int_equal(on->sink->count, 20);
    assert_int_equal(on->sink->connections, 1);
    assert_int_equal(name_server.questions, 3); /* MX, A, AAAA */
}

static void test_dead_hosts_are_passed_over(void **state)
{
    (void)state;
    open_direct("one.example MX 10 dead.one.example\n"
                "one.example MX 20 mx.one.example\n"
                "dead.one.example A 127.0.0.2\n"
                "dead.one.example A 127.0.0.3\n"
                "mx.one.example A 127.0.0.4\n"
                "mx.one.example A 127.0.0.1\n",
                LOCAL);
    start();
    static const char *const to[] = {"a@one.example", NULL};
    uint64_t id = post(to);
    office_read(on->office);
    office_run(on->office, is_empty);
    assert_int_equal(on->sink->count, 1);
    assert_null(office_recipient(on->office, id, 0));
    assert_int_equal(on->office->pages.stats.retried, 0);
}

static void test_what_dns_says_decides(void **state)
{
    (void)state;
    open_direct("good.example A 127.0.0.1\n"
                "null.example MX 0 .\n"
                "broken.example MX SERVFAIL\n"
                "empty.example CNAME nothing.example\n"
                "nothing.example MX NODATA\n"
                "self.example MX 10 out.example.com\n"
                "lost.example MX 10 gone.example\n",
                LOCAL);
    on->direct->settings.retry.first = on->direct->settings.retry.longest = SPAN_HOUR;
    start();
    static const char *const to[] = {"a@null.example",   "a@nowhere.example",
                                     "a@broken.example", "a@self.example",
                                     "a@lost.example",   "a@good.example",
                                     "postmaster",       "b@null.example",
                                     "a@[127.0.0.999]",  NULL};
    uint64_t id = post(to);
    office_read(on->office);
    office_run(on->office, one_waits);
    assert_int_equal(on->sink->count, 1);
    assert_string_equal(on->sink->mail[0].to, "<a@good.example>\n");
    check_trouble(id, 0, RECIPIENT_FAILED, "5.1.10", "null.example takes no mail");
    check_trouble(id, 1, RECIPIENT_FAILED, "5.1.2", "nowhere.example does not exist");
    check_trouble(id, 2, RECIPIENT_WAITING, "4.4.3", "broken.example goes: SERVFAIL");
    check_trouble(id, 3, RECIPIENT_FAILED, "5.4.6", "would come back to this server");
    check_trouble(id, 4, RECIPIENT_FAILED, "5.4.4", "gone.example does not exist");
    assert_null(office_recipient(on->office, id, 5));
    check_trouble(id, 6, RECIPIENT_FAILED, "5.1.3", "is not a domain");
    check_trouble(id, 7, RECIPIENT_FAILED, "5.1.10", "null.example takes no mail");
    check_trouble(id, 8, RECIPIENT_FAILED, "5.1.3", "is not a domain");
    struct recipient *r = office_recipient(on->office, id, 0);
    assert_int_equal(r->trouble->stage, STAGE_RESOLVE);
    assert_true(slice_eq(trouble_remote(r->trouble), SLICE("null.example")));
    assert_true(slice_eq(record_get(trouble_facts(r->trouble), TAG_RECIPIENT),
                         SLICE("a@null.example")));
    assert_int_equal(on->office->queue.failed, 7);
    /* Only the one that may be better later pauses. */
    struct direct_numbers n;
    direct_numbers(on->direct, &n);
    assert_int_equal(n.paused, 1);
}

static void test_our_own_networks_are_refused(void **state)
{
    (void)state;
    open_direct("one.example MX 10 mx.one.example\nmx.one.example A 127.0.0.1\n"
                "two.example A 10.1.2.3\n",
                "");
    start();
    static const char *const to[] = {"a@one.example", "a@two.example", "a@[127.0.0.1]", NULL};
    uint64_t id = post(to);
    office_read(on->office);
    office_run(on->office, is_empty);
    check_trouble(id, 0, RECIPIENT_FAILED, "5.4.6", "loopback address, 127.0.0.1");
    check_trouble(id, 1, RECIPIENT_FAILED, "5.4.4", "private address, 10.1.2.3");
    check_trouble(id, 2, RECIPIENT_FAILED, "5.4.6", "loopback address, 127.0.0.1");
    assert_int_equal(on->sink->connections, 0);
}

static bool has_retried(struct office *o)
{
    return o->pages.stats.retried >= 3 && settle_is_idle(o->courier.settle);
}

static void test_an_unreachable_domain_is_an_attempt_of_each(void **state)
{
    (void)state;
    uint16_t port = on->sink->port;
    close(on->sink->fd); /* nobody listens there now */
    open_direct(two_domains, LOCAL);
    static const char *const to[] = {"a@one.example", "b@one.example", NULL};
    static const char *const other[] = {"c@one.example", NULL};
    uint64_t id = post(to), second = post(other);
    on->direct->settings.retry.first = on->direct->settings.retry.longest = 2 * SPAN_SECOND;
    office_read(on->office);
    office_run(on->office, has_retried);
    check_trouble(id, 0, RECIPIENT_WAITING, "4.4.1", "connection refused");
    check_trouble(id, 1, RECIPIENT_WAITING, "4.4.1", "connection refused");
    check_trouble(second, 0, RECIPIENT_WAITING, "4.4.1", "connection refused");
    struct recipient *r = office_recipient(on->office, id, 0);
    assert_true(slice_search(trouble_remote(r->trouble), SLICE("mx.one.example [127.0.0.1]")) ==
                0);
    on->sink->fd = sink_listen(&port);
    start();
    office_run(on->office, is_empty);
    assert_int_equal(on->sink->count, 2);
}

static bool has_failed_two(struct office *o)
{
    return o->queue.failed == 2;
}

static void test_too_old_for_another_attempt(void **state)
{
    (void)state;
    close(on->sink->fd);
    open_direct("one.example A 127.0.0.1\nbroken.example MX SERVFAIL\n", LOCAL "\nexpiry = 1h");
    static const char *const to[] = {"a@one.example", "b@broken.example", NULL};
    struct office_message m = {.account = 1,
                               .from = "from@x.test",
                               .to = to,
                               .body = SLICE("Subject: x\r\n\r\nx\r\n"),
                               .accepted = env_now(on->office->env) - 2 * SPAN_HOUR};
    uint64_t id = office_post(on->office, &m);
    office_read(on->office);
    office_run(on->office, has_failed_two);
    check_trouble(id, 0, RECIPIENT_EXPIRED, "4.4.1", "connection refused");
    check_trouble(id, 1, RECIPIENT_EXPIRED, "4.4.3", "SERVFAIL");
    on->sink->fd = sink_listen(&on->sink->port);
}

static void test_the_pool_bounds_all_sites(void **state)
{
    (void)state;
    struct buf dns = BUF_INIT;
    for (int i = 0; i < 30; i++)
        buf_printf(&dns, "d%d.example A 127.0.0.1\n", i);
    buf_byte(&dns, '\0');
    open_direct(dns.ptr, LOCAL "\nmax-connections = 3\nidle-timeout = 1m");
    start();
    for (int i = 0; i < 30; i++) {
        char address[40];
        snprintf(address, sizeof(address), "a@d%d.example", i);
        post((const char *const[]){address, NULL});
    }
    office_read(on->office);
    office_run(on->office, is_empty);
    assert_int_equal(on->sink->count, 30);
    assert_int_equal(on->sink->connections, 30);
    assert_in_range(most_connections, 1, 3);
    buf_fini(&dns);
}

static void test_a_busy_site_gives_way(void **state)
{
    (void)state;
    open_direct(two_domains, LOCAL "\nmax-connections = 1");
    start();
    for (int i = 0; i < 100; i++)
        post((const char *const[]){"a@one.example", NULL});
    post((const char *const[]){"b@two.example", NULL});
    office_read(on->office);
    office_run(on->office, is_empty);
    assert_int_equal(on->sink->count, 101);
    size_t at = 0;
    while (!strstr(on->sink->mail[at].to, "two"))
        at++;
    assert_in_range(at, 0, 25);
    assert_int_equal(most_connections, 1);
}

static void test_an_idle_connection_gives_way(void **state)
{
    (void)state;
    open_direct(two_domains, LOCAL "\nmax-connections = 1\nidle-timeout = 1m");
    start();
    post((const char *const[]){"a@one.example", NULL});
    office_read(on->office);
    office_run(on->office, is_empty);
    assert_int_equal(on->direct->pool.count, 1);
    post((const char *const[]){"a@two.example", NULL});
    office_read(on->office);
    office_run(on->office, is_empty);
    assert_int_equal(on->sink->count, 2);
    assert_int_equal(most_connections, 1);
}

static bool is_forgotten(struct office *o)
{
    (void)o;
    return on->direct->sites.count == 0;
}

static void test_sites_are_forgotten(void **state)
{
    (void)state;
    open_direct(two_domains, LOCAL "\nidle-timeout = 0s");
    start();
    post((const char *const[]){"a@one.example", "a@two.example", NULL});
    office_read(on->office);
    office_run(on->office, is_empty);
    assert_int_equal(on->direct->sites.count, 2);
    while (on->direct->pool.count > 0)
        office_run(on->office, is_closed);
    timer_set(&on->direct->sweep, 0);
    office_run(on->office, is_forgotten);
    post((const char *const[]){"a@one.example", NULL});
    office_read(on->office);
    office_run(on->office, is_empty);
    assert_int_equal(on->sink->count, 3);
}

static void test_hold_and_release(void **state)
{
    (void)state;
    open_direct(two_domains, LOCAL "\nidle-timeout = 1m");
    start();
    on->office->courier.is_held = true;
    post((const char *const[]){"a@one.example", NULL});
    office_read(on->office);
    direct_pump(on->direct);
    assert_int_equal(on->direct->destination.ready, 1);
    on->office->courier.is_held = false;
    office_run(on->office, is_empty);
    assert_int_equal(on->sink->count, 1);
    assert_true(on->direct->pool.count == 1);
    on->office->courier.is_held = true; /* ends what is idle at once */
    office_run(on->office, is_closed);
}

static void test_an_envelope_that_cannot_be_read_waits(void **state)
{
    (void)state;
    open_direct(two_domains, LOCAL);
    start();
    uint64_t id = post((const char *const[]){"a@one.example", NULL});
    office_read(on->office);
    on->office->faulty.fail_in = 1;
    on->office->faulty.fail_times = 1;
    direct_pump(on->direct);
    office_run(on->office, is_empty); /* the second attempt */
    assert_null(office_recipient(on->office, id, 0));
    assert_int_equal(on->office->pages.stats.retried, 1);
    assert_int_equal(on->sink->count, 1);
}

static bool only_one_is_left(struct office *o)
{
    return o->queue.living == 1 && settle_is_idle(o->courier.settle);
}

static void test_another_transport_takes_over(void **state)
{
    (void)state;
    open_direct("one.example A 127.0.0.1\nmute.example MX DROP\n", LOCAL);
    start();
    uint64_t id = post((const char *const[]){"a@mute.example", "a@one.example", NULL});
    office_read(on->office);
    office_run(on->office, only_one_is_left);
    assert_int_equal(on->direct->destination.ready, 0);
    queue_move(&on->office->queue, NULL, &on->office->limbo);
    assert_int_equal(on->office->limbo.ready, 1);
    assert_int_equal(office_recipient(on->office, id, 0)->state, RECIPIENT_READY);
    queue_move(&on->office->queue, NULL, &on->direct->destination);
    direct_pump(on->direct);
    assert_int_equal(on->direct->destination.ready, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, stage_set_up, tear_down)

int main(void)
{
    log_setup("test", LOG_LOGFMT, LOG_ERROR);
    const struct CMUnitTest tests[] = {
        TEST(test_each_domain_gets_its_recipients),
        TEST(test_connections_are_used_again),
        TEST(test_dead_hosts_are_passed_over),
        TEST(test_what_dns_says_decides),
        TEST(test_our_own_networks_are_refused),
        TEST(test_an_unreachable_domain_is_an_attempt_of_each),
        TEST(test_too_old_for_another_attempt),
        TEST(test_the_pool_bounds_all_sites),
        TEST(test_a_busy_site_gives_way),
        TEST(test_an_idle_connection_gives_way),
        TEST(test_sites_are_forgotten),
        TEST(test_hold_and_release),
        TEST(test_an_envelope_that_cannot_be_read_waits),
        TEST(test_another_transport_takes_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
