#include "model/conf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static struct conf *parse(const char *text, struct buf *errors)
{
    return conf_parse(SLICE("t.conf"), slice_of(text), errors);
}

static struct conf *parse_good(const char *text)
{
    struct buf errors = BUF_INIT;
    struct conf *c = parse(text, &errors);
    if (!c)
        fail_msg("%.*s", SLICE_ARG(buf_slice(&errors)));
    assert_int_equal(errors.len, 0);
    return c;
}

static void assert_text(slice s, const char *want)
{
    if (!slice_eq(s, slice_of(want)))
        fail_msg("got \"%.*s\", want \"%s\"", SLICE_ARG(s), want);
}

static void nothing_gives_the_defaults(void **state)
{
    (void)state;
    struct conf *c = parse_good("");
    assert_text(c->server.state_dir, "/var/lib/utpost");
    assert_text(c->server.run_dir, "/var/lib/utpost/run");
    assert_text(c->api.socket, "/var/lib/utpost/run/api.sock");
    assert_true(c->server.hostname.len > 0);
    assert_true(c->server.sandbox);
    assert_int_equal(c->log.level, 2);
    assert_int_equal(c->delivery.transport, CONF_CAPTURE);
    assert_int_equal(c->delivery.expiry, 5 * SPAN_DAY);
    assert_int_equal(c->submission.max_message, 100 * 1024 * 1024);
    assert_int_equal(c->listener_count, 2);
    assert_text(c->listeners[0].name, "submission");
    assert_text(c->listeners[0].address, "[::]:587");
    assert_int_equal(c->listeners[0].tls, CONF_TLS_STARTTLS);
    assert_text(c->listeners[1].name, "submissions");
    assert_int_equal(c->listeners[1].tls, CONF_TLS_IMPLICIT);
    conf_free(&c);
    assert_null(c);
}

static void every_type_is_read(void **state)
{
    (void)state;
    struct conf *c = parse_good("\xef\xbb\xbf# comment\r\n"
                                "; another\n"
                                "[server]\r\n"
                                "  hostname =  mail.example.com  \r\n"
                                "state-dir=/srv/u\n"
                                "node = 255\n"
                                "sandbox = no\n"
                                "[tls]\n"
                                "certificate = /etc/x.pem\n"
                                "min-version = 1.3\n"
                                "[submission]\n"
                                "max-message-size = 25M\n"
                                "max-header-size = 64 k\n"
                                "memory = 33554432\n"
                                "min-free-space = 0\n"
                                "auth-delay = 0\n"
                                "[journal]\n"
                                "linger = 1ms\n"
                                "[delivery]\n"
                                "expiry = 36h\n"
                                "hold = yes\n"
                                "[listener one]\n"
                                "address = 127.0.0.1:2525\n"
                                "tls = none\n"
                                "plaintext-auth = yes\n"
                                "[listener two]\n"
                                "address = /run/x.sock\n"
                                "tls = none\n"
                                "plaintext-auth = yes\n");
    assert_text(c->server.hostname, "mail.example.com");
    assert_text(c->server.run_dir, "/srv/u/run");
    assert_int_equal(c->server.node, 255);
    assert_false(c->server.sandbox);
    assert_text(c->tls.key, "/etc/x.pem");
    assert_int_equal(c->tls.min_version, 1);
    assert_int_equal(c->submission.max_message, 25 * 1024 * 1024);
    assert_int_equal(c->submission.max_header, 64 * 1024);
    assert_int_equal(c->submission.memory, 33554432);
    assert_int_equal(c->submission.min_free_space, 0);
    assert_int_equal(c->submission.auth_delay, 0);
    assert_int_equal(c->journal.linger, SPAN_MS);
    assert_int_equal(c->delivery.expiry, 36 * SPAN_HOUR);
    assert_true(c->delivery.hold);
    assert_int_equal(c->listener_count, 2);
    assert_true(c->listeners[0].plaintext_auth);
    conf_free(&c);
}

static const struct {
    const char *name;
    const char *text;
    const char *error; /* all of it */
} bad[] = {
    {"a key with a slip", "[server]\nhostnam = a.example\n",
     "t.conf:2: unknown key `hostnam` in [server]; did you mean `hostname`?\n"},
    {"a key of another section", "[server]\nhost = a.example\n",
     "t.conf:2: [server] has no key `host`; it belongs in [smarthost]\n"},
    {"a key like no other", "[log]\n\nxylophone = 1\n",
     "t.conf:3: unknown key `xylophone` in [log]; `utpost config show --documented` lists "
     "all\n"},
    {"a section with a slip", "[submision]\nmax-hops = 3\n",
     "t.conf:1: unknown section [submision]; did you mean [submission]?\n"},
    {"a section like no other", "[xylophones]\n",
     "t.conf:1: unknown section [xylophones]; the sections are server, log, tls, listener "
     "NAME, submission, delivery, destination NAME, smarthost, resolver, journal, api, "
     "retention, policy-service and notices\n"},
    {"an operator without an address", "[notices]\noperator = postmaster\n",
     "t.conf:2: operator: `postmaster` is no address; write `postmaster@example.com`, say\n"},
    {"an open section", "[server\n",
     "t.conf:1: a section's line ends with `]`; for example [server]\n"},
    {"a name too many", "[server x]\n",
     "t.conf:1: section [server] has no name; write [server]\n"},
    {"no name", "[listener]\naddress = 127.0.0.1:25\n",
     "t.conf:1: a listener needs a name of letters, digits and hyphens; for example [listener "
     "submission]\n"},
    {"no section", "hostname = a.example\n",
     "t.conf:1: `hostname` stands before any section; begin with one, for example [server]\n"},
    {"no setting", "[server]\nhostname\n",
     "t.conf:2: `hostname` is neither a section nor a setting; write `key = value`\n"},
    {"twice", "[server]\nnode = 1\nnode = 2\n",
     "t.conf:3: `node` was set already, in line 2; keep one of them\n"},
    {"twice in two places", "[server]\nnode = 1\n[log]\n[server]\nnode = 2\n",
     "t.conf:5: `node` was set already, in line 2; keep one of them\n"},
    {"too large", "[server]\nnode = 256\n",
     "t.conf:2: node: `256` is not possible; 0 to 255\n"},
    {"no number", "[submission]\nmax-recipients = many\n",
     "t.conf:2: max-recipients: `many` is not possible; 1 to 1000000 recipients\n"},
    {"a negative number", "[submission]\nmax-recipients = -1\n",
     "t.conf:2: max-recipients: `-1` is not possible; 1 to 1000000 recipients\n"},
    {"a comment behind a number", "[server]\nnode = 1 # mine\n",
     "t.conf:2: node: `1 # mine` is not possible; 0 to 255\n"},
    {"a comment behind a text", "[server]\nstate-dir = /x # mine\n",
     "t.conf:2: state-dir: `/x # mine` is not possible; a comment stands on a line of its "
     "own\n"},
    {"a size with a bad unit", "[submission]\nmax-message-size = 10 MB\n",
     "t.conf:2: max-message-size: `10 MB` is not possible; 1k to 1T octets (k, M and G stand "
     "for 1024, 1024k and 1024M)\n"},
    {"a size that overflows", "[submission]\nmax-message-size = 99999999999999999T\n",
     "t.conf:2: max-message-size: `99999999999999999T` is not possible; 1k to 1T octets (k, M "
     "and G stand for 1024, 1024k and 1024M)\n"},
    {"a time without a unit", "[delivery]\nexpiry = 5\n",
     "t.conf:2: expiry: `5` is not possible; 1s to 30d (units: ms, s, m, h, d)\n"},
    {"a flag that is none", "[delivery]\nhold = true\n",
     "t.conf:2: hold: `true` is not possible; yes or no\n"},
    {"a choice that is none", "[delivery]\ntransport = fax\n",
     "t.conf:2: transport: `fax` is not possible; one of capture, smarthost, direct\n"},
    {"bytes that a terminal obeys", "[log]\nlevel = \x1b[31m\n",
     "t.conf:2: level: `?[31m` is not possible; one of error, warning, info, debug\n"},
    {"two listeners of one name",
     "[listener a]\naddress = 127.0.0.1:1\n[listener a]\naddress = 127.0.0.1:2\n",
     "t.conf:3: listener a is there already, in line 1; give this one another name\n"},
    {"the local door's name", "[listener local]\naddress = 127.0.0.1:1\n",
     "t.conf:1: the listener `local` is the local door, which is always there; give this one "
     "another name\n"},
    {"two listeners at one address",
     "[listener a]\naddress = 127.0.0.1:1\n[listener b]\naddress = 127.0.0.1:1\n",
     "t.conf:4: listeners a and b have the same address; one must move\n"},
    {"a listener without an address", "[log]\n[listener a]\ntls = none\n",
     "t.conf:2: listener a has no address; add `address = [::]:587`, say\n"},
    {"an address without a port", "[listener a]\naddress = 127.0.0.1\n",
     "t.conf:2: address: `127.0.0.1` is no address with a port; write `0.0.0.0:587`, "
     "`[::]:587` or the path of a Unix socket\n"},
    {"an IPv6 address without brackets", "[listener a]\naddress = ::1:587\n",
     "t.conf:2: address: `::1:587` is no address with a port; write `0.0.0.0:587`, "
     "`[::]:587` or the path of a Unix socket\n"},
    {"passwords in the clear", "[listener a]\naddress = 0.0.0.0:587\nplaintext-auth = yes\n",
     "t.conf:3: plaintext-auth would send passwords in the clear to 0.0.0.0:587; it is "
     "possible on 127.0.0.1, [::1] and Unix sockets only\n"},
    {"TLS that is not there",
     "[listener a]\naddress = 127.0.0.1:1\ntls = none\nrequire-tls = yes\n",
     "t.conf:4: listener a requires TLS but does not offer it; set `tls = starttls` or `tls = "
     "implicit`\n"},
    {"a smarthost without a host", "[delivery]\ntransport = smarthost\n",
     "t.conf:2: transport = smarthost needs the next host; set `host` in [smarthost]\n"},
    {"a host with its port", "[smarthost]\nhost = a.example:25\n",
     "t.conf:2: host: `a.example:25` is neither a host name nor an address; write "
     "`mail.example.com`, `192.0.2.1` or `2001:db8::1`, the port apart\n"},
    {"a login without its password", "[smarthost]\nhost = a.example\nlogin = u\n",
     "t.conf:3: login and password-file belong together; set both or none\n"},
    {"a password in the clear to the world",
     "[smarthost]\nhost = a.example\nplaintext-auth = yes\n",
     "t.conf:3: plaintext-auth would send the password in the clear to a.example; it is "
     "possible for hosts on loopback only\n"},
    {"a password in the clear",
     "[smarthost]\nhost = a.example\nlogin = u\npassword-file = /p\ntls = none\n",
     "t.conf:5: the password would travel in the clear; set `tls = verify`\n"},
    {"a relative path", "[server]\nstate-dir = var/x\n",
     "t.conf:2: state-dir: `var/x` is not absolute; begin it with `/`\n"},
    {"a capture outside", "[delivery]\ncapture-dir = ../x\n",
     "t.conf:2: capture-dir: `../x` is outside the state directory; write a path below it, "
     "without `..`\n"},
    {"a name server with a name", "[resolver]\nforward = 127.0.0.1 dns.example\n",
     "t.conf:2: forward: `dns.example` is no address of a name server; write `192.0.2.1` or, "
     "with a port, `192.0.2.1@5353`, or `none`\n"},
    {"a name server with a colon", "[resolver]\nforward = 127.0.0.1:53\n",
     "t.conf:2: forward: `127.0.0.1:53` is no address of a name server; write `192.0.2.1` or, "
     "with a port, `192.0.2.1@5353`, or `none`\n"},
    {"a name server without its port", "[resolver]\nforward = 127.0.0.1@\n",
     "t.conf:2: forward: `127.0.0.1@` is no address of a name server; write `192.0.2.1` or, "
     "with a port, `192.0.2.1@5353`, or `none`\n"},
    {"a name server at a port that is none", "[resolver]\nforward = ::1@65536\n",
     "t.conf:2: forward: `::1@65536` is no address of a name server; write `192.0.2.1` or, "
     "with a port, `192.0.2.1@5353`, or `none`\n"},
    {"nine name servers", "[resolver]\nforward = ::1 ::2 ::3 ::4 ::5 ::6 ::7 ::8 ::9\n",
     "t.conf:2: forward: too many name servers; at most 8\n"},
    {"a relative anchor", "[resolver]\ntrust-anchor = root.key\n",
     "t.conf:2: trust-anchor: `root.key` is not absolute; begin it with `/`\n"},
    {"a destination without a name", "[destination]\ntls = encrypt\n",
     "t.conf:1: a destination needs a domain, `.` and a domain for all below it, or `*` for "
     "all; "
     "for example [destination example.com]\n"},
    {"a destination that is none", "[destination a b]\n",
     "t.conf:1: a destination needs a domain, `.` and a domain for all below it, or `*` for "
     "all; "
     "for example [destination example.com]\n"},
    {"a destination twice", "[destination a.example]\n[destination A.example]\n",
     "t.conf:2: destination a.example is there already, in line 1; keep one of them\n"},
    {"hosts that nobody looks at",
     "[destination a.example]\ntls = encrypt\nhosts = b.example\n",
     "t.conf:1: destination a.example has `hosts`, which only `tls = verify` looks at\n"},
    {"hosts that are none", "[destination a.example]\ntls = verify\nhosts = b.example *.c\n",
     "t.conf:1: hosts: `*.c` is no host name; write `mx.example.com`, or `.example.com` for "
     "any "
     "name below it\n"},
    {"a destination's key", "[delivery]\nhosts = a.example\n",
     "t.conf:2: [delivery] has no key `hosts`; it belongs in [destination NAME]\n"},
    {"a key alone", "[tls]\nkey = /k.pem\n",
     "t.conf:2: a key without its certificate; set `certificate` too, or leave both out\n"},
    {"retries that shrink", "[delivery]\nretry-first = 5h\n",
     "t.conf:2: retry-first is longer than retry-longest; make it shorter\n"},
    {"all at once", "[server]\nnode = x\n[delivery]\nhold = 1\n[lgo]\n",
     "t.conf:2: node: `x` is not possible; 0 to 255\n"
     "t.conf:4: hold: `1` is not possible; yes or no\n"
     "t.conf:5: unknown section [lgo]; did you mean [log]?\n"},
};

static void each_mistake_is_told_with_its_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct buf errors = BUF_INIT;
        struct conf *c = parse(bad[i].text, &errors);
        if (c)
            fail_msg("%s: was taken", bad[i].name);
        if (!slice_eq(buf_slice(&errors), slice_of(bad[i].error)))
            fail_msg("%s:\n%.*swant:\n%s", bad[i].name, SLICE_ARG(buf_slice(&errors)),
                     bad[i].error);
        buf_fini(&errors);
    }
}

static void what_is_written_is_read_again(void **state)
{
    (void)state;
    static const char text[] = "[server]\nhostname = a.example\nstate-dir = /s\n"
                               "[listener x]\naddress = [::1]:26\nplaintext-auth = yes\n"
                               "[smarthost]\nhost = 192.0.2.1\nport = 26\n"
                               "[delivery]\ntransport = smarthost\nretry-first = 90s\n"
                               "[destination A.example]\ntls = verify\nhosts = .b.example\n"
                               "[destination *]\ntls = encrypt\n"
                               "[submission]\nmax-message-size = 1025\n";
    for (int documented = 0; documented < 2; documented++) {
        struct conf *first = parse_good(text);
        struct buf one = BUF_INIT;
        conf_write(first, documented, &one);
        buf_byte(&one, '\0');
        struct conf *second = parse_good(one.ptr);
        struct buf two = BUF_INIT;
        conf_write(second, documented, &two);
        buf_byte(&two, '\0');
        assert_string_equal(one.ptr, two.ptr);
        assert_text(second->server.hostname, "a.example");
        assert_int_equal(second->smarthost.port, 26);
        assert_int_equal(second->delivery.retry_first, 90 * SPAN_SECOND);
        assert_int_equal(second->submission.max_message, 1025);
        assert_true(second->listeners[0].plaintext_auth);
        assert_int_equal(second->listener_count, 1);
        assert_int_equal(second->destination_count, 2);
        assert_text(second->destinations[0].name, "a.example");
        assert_text(second->destinations[0].hosts, ".b.example");
        assert_int_equal(second->destinations[1].tls, CONF_DESTINATION_TLS_ENCRYPT);
        buf_fini(&one);
        buf_fini(&two);
        conf_free(&first);
        conf_free(&second);
    }
}

static void the_nearest_destination_counts(void **state)
{
    (void)state;
    struct conf *c = parse_good("[destination .example.org]\n[destination *]\n"
                                "[destination a.example.org]\n[destination .a.example.org]\n");
    static const struct {
        const char *domain, *name;
    } rows[] = {
        {"a.example.org", "a.example.org"}, {"b.a.example.org", ".a.example.org"},
        {"b.example.org", ".example.org"},  {"example.org", "*"},
        {"xa.example.org", ".example.org"}, {"elsewhere.test", "*"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_text(conf_destination_find(c->destinations, c->destination_count,
                                          slice_of(rows[i].domain))
                        ->name,
                    rows[i].name);
    assert_null(conf_destination_find(c->destinations, 1, SLICE("example.org")));
    conf_free(&c);
}

static void the_sample_documents_and_sets_nothing_of_this_machine(void **state)
{
    (void)state;
    struct conf *c = parse_good("");
    struct buf out = BUF_INIT;
    conf_write(c, true, &out);
    slice text = buf_slice(&out);
    assert_true(slice_search(text, SLICE("\n#hostname =\n")) > 0);
    assert_true(slice_search(text, SLICE("\n#run-dir =\n")) > 0);
    assert_true(slice_search(text, SLICE("\n#max-recipients = 5000\n")) > 0);
    assert_true(slice_search(text, SLICE("\n# 1 to 1000000 recipients\n")) > 0);
    assert_true(slice_search(text, SLICE("\n#address = [::]:2525\n")) > 0);
    assert_true(slice_search(text, SLICE("\n[listener submission]\n")) > 0);
    buf_fini(&out);
    conf_free(&c);
}

static void a_reload_keeps_what_needs_a_restart(void **state)
{
    (void)state;
    struct conf *old = parse_good("[server]\nnode = 1\nhostname = a.example\n"
                                  "[listener x]\naddress = 127.0.0.1:25\n"
                                  "[log]\nlevel = error\n");
    struct conf *fresh = parse_good("[server]\nnode = 2\nhostname = b.example\n"
                                    "[listener x]\naddress = 127.0.0.1:26\n"
                                    "[log]\nlevel = debug\n");
    struct buf names = BUF_INIT;
    assert_int_equal(conf_keep_fixed(fresh, old, &names), 3);
    assert_text(buf_slice(&names), "server.hostname, server.node, listeners");
    conf_free(&old); /* fresh has copies */
    assert_int_equal(fresh->server.node, 1);
    assert_text(fresh->server.hostname, "a.example");
    assert_text(fresh->listeners[0].address, "127.0.0.1:25");
    assert_int_equal(fresh->log.level, 3);
    buf_fini(&names);
    conf_free(&fresh);
}

static void a_missing_file_is_told(void **state)
{
    (void)state;
    struct buf errors = BUF_INIT;
    assert_null(conf_read("/nonexistent/utpost.conf", &errors));
    assert_text(buf_slice(&errors),
                "/nonexistent/utpost.conf: the configuration file is missing; make it, or name "
                "another one with --config\n");
    buf_fini(&errors);
    char path[] = "/tmp/conf-test-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, "[log]\nlevel = debug\n", 20), 20);
    close(fd);
    struct conf *c = conf_read(path, &errors);
    assert_non_null(c);
    assert_int_equal(c->log.level, 3);
    conf_free(&c);
    unlink(path);
    buf_fini(&errors);
}

static void name_servers_are_taken_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned family;
        unsigned port;
    } rows[] = {
        {"127.0.0.1", 4, 53}, {"2001:db8::1@5353", 6, 5353}, {"x", 0, 53}, {"::1@", 0, 53}};
    struct conf *c = parse_good("[resolver]\nforward = 127.0.0.1   2001:db8::1@5353\n");
    assert_text(c->resolver.forward, "127.0.0.1   2001:db8::1@5353");
    assert_int_equal(c->resolver.timeout, 30 * SPAN_SECOND);
    conf_free(&c);
    slice list = SLICE("  127.0.0.1   2001:db8::1@5353 x ::1@ ");
    struct conf_name_server server;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_true(conf_next_name_server(&list, &server));
        assert_text(server.text, rows[i].text);
        assert_int_equal(server.address.family, rows[i].family);
        assert_int_equal(server.port, rows[i].port);
    }
    assert_false(conf_next_name_server(&list, &server));
    c = parse_good("[resolver]\nforward = none\n");
    conf_free(&c);
}

static void endpoints_are_taken_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum conf_endpoint_kind kind;
        unsigned family;
        unsigned port;
    } rows[] = {
        {"127.0.0.1:587", CONF_ENDPOINT_INET, 4, 587},
        {"[::1]:465", CONF_ENDPOINT_INET, 6, 465},
        {"/run/x.sock", CONF_ENDPOINT_UNIX, 0, 0},
        {"[::1]", CONF_ENDPOINT_BAD, 0, 0},
        {":587", CONF_ENDPOINT_BAD, 0, 0},
        {"localhost:587", CONF_ENDPOINT_BAD, 0, 0},
        {"127.0.0.1:0", CONF_ENDPOINT_BAD, 0, 0},
        {"127.0.0.1:65536", CONF_ENDPOINT_BAD, 0, 0},
        {"", CONF_ENDPOINT_BAD, 0, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct address a = {0};
        uint16_t port = 0;
        assert_int_equal(conf_endpoint(slice_of(rows[i].text), &a, &port), rows[i].kind);
        assert_int_equal(a.family, rows[i].family);
        assert_int_equal(port, rows[i].port);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_gives_the_defaults),
        cmocka_unit_test(every_type_is_read),
        cmocka_unit_test(each_mistake_is_told_with_its_line),
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(the_nearest_destination_counts),
        cmocka_unit_test(the_sample_documents_and_sets_nothing_of_this_machine),
        cmocka_unit_test(a_reload_keeps_what_needs_a_restart),
        cmocka_unit_test(a_missing_file_is_told),
        cmocka_unit_test(name_servers_are_taken_apart),
        cmocka_unit_test(endpoints_are_taken_apart),
    };
    return cmocka_run_group_tests_name("model/conf", tests, NULL, NULL);
}
