/* From DNS to targets: a small world of answers per row, and what the route makes of it. */
#include "policy/tls_level.h"
#include "../check.h"

/* A world is lines: "MX 10 host", "host A address", "host AAAA address"; in the place of a
 * value NXDOMAIN, SERVFAIL, TIMEOUT or BOGUS. What is not said has no data. A line that begins
 * with '!' was validated. "_25._tcp.host TLSA 311", by usage, selector and matching, and "host
 * ALIAS other". */
struct world {
    struct dns_answer mx;
    struct dns_mx records[300];
    size_t record_count;
    const char *text;
    struct address addresses[100][2][40];
    struct dns_tlsa tlsa[10][2][40];
};

static bool read_result(slice word, struct dns_answer *out)
{
    static const struct {
        const char *word;
        enum dns_result result;
        const char *why;
    } results[] = {
        {"NXDOMAIN", DNS_NO_NAME, ""},
        {"NODATA", DNS_NO_DATA, ""},
        {"SERVFAIL", DNS_FAILED, "SERVFAIL"},
        {"TIMEOUT", DNS_TIMEOUT, ""},
        {"BOGUS", DNS_BOGUS, "signature\nexpired"},
        {"SILENT", DNS_FAILED, ""},
    };
    for (size_t i = 0; i < COUNT_OF(results); i++)
        if (slice_eq(word, slice_of(results[i].word))) {
            out->result = results[i].result;
            out->why = slice_of(results[i].why);
            return true;
        }
    return false;
}

static void world_mx(struct world *w)
{
    slice rest = slice_of(w->text), line, word;
    w->mx = (struct dns_answer){.result = DNS_NO_DATA};
    while (slice_split(&rest, '\n', &line)) {
        bool is_secure = slice_starts(line, SLICE("!"));
        if (is_secure)
            line = slice_from(line, 1);
        if (!slice_starts(line, SLICE("MX")))
            continue;
        w->mx.is_secure = is_secure;
        slice_split(&line, ' ', &word);
        slice_split(&line, ' ', &word);
        if (read_result(word, &w->mx))
            continue;
        uint64_t preference;
        assert_true(slice_to_u64(word, &preference));
        w->mx.result = DNS_FOUND;
        slice host = slice_eq(line, SLICE(".")) ? SLICE("") : line;
        w->records[w->record_count++] = (struct dns_mx){(uint16_t)preference, host};
    }
}

static void world_addresses(const struct world *w, slice name, slice type,
                            struct dns_addresses *out, struct address *list)
{
    slice rest = slice_of(w->text), line, word;
    *out = (struct dns_addresses){.answer.result = DNS_NO_DATA, .list = list};
    while (slice_split(&rest, '\n', &line)) {
        bool is_secure = slice_starts(line, SLICE("!"));
        if (is_secure)
            line = slice_from(line, 1);
        slice_split(&line, ' ', &word);
        if (!slice_eq(word, name))
            continue;
        slice_split(&line, ' ', &word);
        if (!slice_eq(word, type))
            continue;
        out->answer.is_secure = is_secure;
        if (read_result(line, &out->answer))
            continue;
        out->answer.result = DNS_FOUND;
        assert_true(address_parse(line, &list[out->count++]));
    }
}

static void world_aliases(const struct world *w, struct route_host *h)
{
    slice rest = slice_of(w->text), line, word;
    while (slice_split(&rest, '\n', &line)) {
        slice_split(&line, ' ', &word);
        if (slice_eq(word, h->name) && slice_split(&line, ' ', &word) &&
            slice_eq(word, SLICE("ALIAS")))
            h->v4.canonical = h->v6.canonical = line;
    }
}

static void world_tlsa(const struct world *w, slice name, struct dns_tlsas *out,
                       struct dns_tlsa *list)
{
    static const char digest[] =
        "0123456789012345678901234567890101234567890123456789012345678901";
    slice rest = slice_of(w->text), line, word;
    *out = (struct dns_tlsas){.answer.result = DNS_NO_DATA, .list = list};
    while (slice_split(&rest, '\n', &line)) {
        bool is_secure = slice_starts(line, SLICE("!"));
        if (is_secure)
            line = slice_from(line, 1);
        slice_split(&line, ' ', &word);
        if (!slice_eq(word, name))
            continue;
        slice_split(&line, ' ', &word);
        out->answer.is_secure = is_secure;
        if (read_result(line, &out->answer))
            continue;
        out->answer.result = DNS_FOUND;
        uint8_t n[3];
        for (size_t i = 0; i < 3; i++)
            n[i] = (uint8_t)(line.ptr[i] - '0');
        list[out->count++] =
            (struct dns_tlsa){n[0], n[1], n[2], slice_make(digest, n[2] == 2 ? 64 : 32)};
    }
}

static void run(struct route *r, struct arena *a, const struct route_policy *p, slice domain,
                uint64_t random, const char *text)
{
    struct world *w = calloc(1, sizeof(*w));
    w->text = text;
    route_begin(r, a, p, domain, random);
    if (r->wants == ROUTE_WANTS_MX) {
        world_mx(w);
        route_mx(r, &w->mx, w->records, w->record_count);
    }
    if (r->wants == ROUTE_WANTS_ADDRESSES) {
        for (size_t i = 0; i < r->host_count; i++) {
            struct route_host *h = &r->hosts[i];
            world_addresses(w, h->name, SLICE("A"), &h->v4, w->addresses[i][0]);
            world_addresses(w, h->name, SLICE("AAAA"), &h->v6, w->addresses[i][1]);
            world_aliases(w, h);
        }
        route_addresses(r);
    }
    if (r->wants == ROUTE_WANTS_TLSA) {
        for (size_t i = 0; i < r->host_count; i++)
            for (size_t j = 0; j < r->hosts[i].tlsa_count; j++) {
                struct route_tlsa *q = &r->hosts[i].tlsa[j];
                world_tlsa(w, q->name, &q->found, w->tlsa[i][j]);
            }
        route_tlsa(r);
    }
    assert_int_equal(r->wants, ROUTE_IS_MADE);
    free(w);
}

static const struct address own[] = {
    {4, {5, 5, 5, 5}},
    {6, {0x2a, 0, [15] = 5}},
};
static const struct route_policy usual = {
    .hostname = SLICE_INIT("out.Example.com"),
    .own = own,
    .own_count = COUNT_OF(own),
};

/* "2.0.0 targets", "5.1.10 why", "4.4.3 why" */
struct row {
    const char *name;
    const char *domain;
    const char *world;
    const char *want;
};

static void check_rows(const struct row *rows, size_t count, const struct route_policy *p)
{
    for (size_t i = 0; i < count; i++) {
        struct arena a = ARENA_INIT;
        struct route r;
        run(&r, &a, p, slice_of(rows[i].domain), 1, rows[i].world);
        slice got =
            arena_printf(&a, "%u.%u.%u %.*s", r.outcome.status.class, r.outcome.status.subject,
                         r.outcome.status.detail, SLICE_ARG(r.text));
        check_slice(rows[i].name, got, slice_of(rows[i].want));
        enum outcome_next next = r.outcome.status.class == 2   ? NEXT_CONTINUE
                                 : r.outcome.status.class == 4 ? NEXT_RETRY
                                                               : NEXT_FAIL;
        check_int(rows[i].name, r.outcome.next, next);
        check_int(rows[i].name, r.outcome.scope, SCOPE_SITE);
        CHECK(rows[i].name, (r.target_count > 0) == (next == NEXT_CONTINUE));
        check_int(rows[i].name, r.fault,
                  next == NEXT_FAIL    ? FAULT_NO_HOST
                  : next == NEXT_RETRY ? FAULT_DNS
                                       : FAULT_NONE);
        arena_fini(&a);
    }
}

static void a_domain_has_mail_hosts_or_none(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"one host", "Example.ORG", "MX 10 MX.example.org\nmx.example.org A 1.1.1.1\n",
         "2.0.0 mx.example.org (10) [1.1.1.1]"},
        {"by preference", "example.org",
         "MX 20 b.example.org\nMX 10 a.example.org\nMX 65535 c.example.org\n"
         "a.example.org A 1.1.1.1\nb.example.org A 1.1.1.2\nc.example.org AAAA 2a00::3\n",
         "2.0.0 a.example.org (10) [1.1.1.1]; b.example.org (20) [1.1.1.2]; "
         "c.example.org (65535) [2a00::3]"},
        {"families in turn", "example.org",
         "MX 0 a.example.org\na.example.org A 1.1.1.1\na.example.org A 1.1.1.2\n"
         "a.example.org A 1.1.1.3\na.example.org AAAA 2a00::1\na.example.org AAAA 2a00::2\n",
         "2.0.0 a.example.org (0) [2a00::1] [1.1.1.1] [2a00::2] [1.1.1.2] [1.1.1.3]"},
        {"five addresses of a host", "example.org",
         "MX 0 a.example.org\na.example.org A 1.1.1.1\na.example.org A 1.1.1.2\n"
         "a.example.org A 1.1.1.3\na.example.org A 1.1.1.4\na.example.org AAAA 2a00::1\n"
         "a.example.org AAAA 2a00::2\na.example.org AAAA 2a00::3\n",
         "2.0.0 a.example.org (0) [2a00::1] [1.1.1.1] [2a00::2] [1.1.1.2] [2a00::3]"},
        {"the same host twice", "example.org",
         "MX 10 a.example.org\nMX 5 A.example.org\na.example.org A 1.1.1.1\n",
         "2.0.0 a.example.org (5) [1.1.1.1]"},
        {"the same address twice", "example.org",
         "MX 10 a.example.org\nMX 20 b.example.org\na.example.org A 1.1.1.1\n"
         "b.example.org A 1.1.1.1\n",
         "2.0.0 a.example.org (10) [1.1.1.1]"},
        {"implicit MX", "example.org", "example.org A 1.1.1.1\nexample.org AAAA 2a00::1\n",
         "2.0.0 example.org [2a00::1] [1.1.1.1]"},
        {"null MX", "example.org", "MX 0 .\n",
         "5.1.10 example.org takes no mail, and says so in DNS (null MX)"},
        {"null MX of another preference", "example.org", "MX 10 .\n",
         "5.1.10 example.org takes no mail, and says so in DNS (null MX)"},
        {"null MX with an address", "example.org", "MX 0 .\nexample.org A 1.1.1.1\n",
         "5.1.10 example.org takes no mail, and says so in DNS (null MX)"},
        {"null MX beside a host", "example.org",
         "MX 0 .\nMX 10 a.example.org\na.example.org A 1.1.1.1\n",
         "2.0.0 a.example.org (10) [1.1.1.1]"},
        {"no such domain", "example.org", "MX NXDOMAIN\nexample.org A 1.1.1.1\n",
         "5.1.2 the domain example.org does not exist"},
        {"neither MX nor address", "example.org", "",
         "5.1.2 the domain example.org has no mail host: DNS has neither an MX record nor an "
         "address for it"},
        {"MX unanswered", "example.org", "MX SERVFAIL\nexample.org A 1.1.1.1\n",
         "4.4.3 DNS does not say where mail for example.org goes: SERVFAIL"},
        {"MX unanswered, without a reason", "example.org", "MX SILENT\n",
         "4.4.3 DNS does not say where mail for example.org goes: no reason given"},
        {"MX late", "example.org", "MX TIMEOUT\nexample.org A 1.1.1.1\n",
         "4.4.3 DNS does not say where mail for example.org goes: no answer in time"},
        {"MX bogus", "example.org", "MX BOGUS\nexample.org A 1.1.1.1\n",
         "4.7.5 DNS answers about example.org fail DNSSEC validation: signature?expired"},
        {"implicit MX unanswered", "example.org", "example.org A SERVFAIL\n",
         "4.4.3 DNS does not give the address of example.org: SERVFAIL"},
        {"implicit MX bogus", "example.org", "example.org AAAA BOGUS\n",
         "4.7.5 the address of example.org fails DNSSEC validation: signature?expired"},
        {"U-labels",
         "b\xc3\xbc"
         "cher.example",
         "MX 0 a.example.org\na.example.org A 1.1.1.1\n", "2.0.0 a.example.org (0) [1.1.1.1]"},
    };
    check_rows(rows, COUNT_OF(rows), &usual);
}

static void one_usable_host_is_enough(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"others unanswered", "example.org",
         "MX 10 a.example.org\nMX 10 b.example.org\nMX 20 c.example.org\n"
         "a.example.org A SERVFAIL\nb.example.org A BOGUS\nc.example.org A 1.1.1.1\n",
         "2.0.0 c.example.org (20) [1.1.1.1]"},
        {"others do not exist", "example.org",
         "MX 10 a.example.org\nMX 20 c.example.org\n"
         "a.example.org A NXDOMAIN\na.example.org AAAA NXDOMAIN\nc.example.org A 1.1.1.1\n",
         "2.0.0 c.example.org (20) [1.1.1.1]"},
        {"others loopback", "example.org",
         "MX 10 a.example.org\nMX 20 c.example.org\na.example.org A 127.0.0.1\n"
         "c.example.org A 1.1.1.1\n",
         "2.0.0 c.example.org (20) [1.1.1.1]"},
        {"one family unanswered", "example.org",
         "MX 10 a.example.org\na.example.org AAAA TIMEOUT\na.example.org A 1.1.1.1\n",
         "2.0.0 a.example.org (10) [1.1.1.1]"},
        {"a bad name beside a good one", "example.org",
         "MX 10 -bad-\nMX 20 a.example.org\na.example.org A 1.1.1.1\n",
         "2.0.0 a.example.org (20) [1.1.1.1]"},
        {"a private address beside a public one", "example.org",
         "MX 10 a.example.org\na.example.org A 10.0.0.1\na.example.org A 1.1.1.1\n"
         "a.example.org AAAA fd00::1\n",
         "2.0.0 a.example.org (10) [1.1.1.1]"},
    };
    check_rows(rows, COUNT_OF(rows), &usual);
}

static void without_any_the_hope_decides(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"no host exists", "example.org",
         "MX 10 a.example.org\nMX 20 b.example.org\na.example.org A NXDOMAIN\n"
         "a.example.org AAAA NXDOMAIN\n",
         "5.4.4 no mail host of example.org can be reached: a.example.org does not exist"},
        {"no host has an address", "example.org", "MX 10 a.example.org\n",
         "5.4.4 no mail host of example.org can be reached: a.example.org has no address"},
        {"an address for a name", "example.org", "MX 10 1.1.1.1\n1.1.1.1 A NXDOMAIN\n",
         "5.4.4 no mail host of example.org can be reached: 1.1.1.1 is an address, where DNS "
         "must "
         "have a host name"},
        {"no host name at all", "example.org", "MX 10 bad host\n",
         "5.4.4 DNS names a mail host of example.org that is no host name: \"bad host\""},
        {"one unanswered", "example.org",
         "MX 10 a.example.org\nMX 20 b.example.org\na.example.org A NXDOMAIN\n"
         "b.example.org A SERVFAIL\n",
         "4.4.3 for now no mail host of example.org can be reached: DNS does not give the "
         "address "
         "of b.example.org: SERVFAIL"},
        {"one bogus", "example.org",
         "MX 10 a.example.org\nMX 20 b.example.org\na.example.org A 127.0.0.1\n"
         "b.example.org AAAA BOGUS\n",
         "4.7.5 for now no mail host of example.org can be reached: the address of "
         "b.example.org "
         "fails DNSSEC validation: signature?expired"},
        {"unanswered before bogus", "example.org",
         "MX 10 a.example.org\nMX 20 b.example.org\na.example.org A BOGUS\n"
         "b.example.org A TIMEOUT\n",
         "4.4.3 for now no mail host of example.org can be reached: DNS does not give the "
         "address "
         "of b.example.org: no answer in time"},
        {"private, the other family unanswered", "example.org",
         "MX 10 a.example.org\na.example.org A 10.0.0.1\na.example.org AAAA SERVFAIL\n",
         "4.4.3 for now no mail host of example.org can be reached: DNS does not give the "
         "address "
         "of a.example.org: SERVFAIL"},
        {"loopback", "example.org", "MX 10 a.example.org\na.example.org A 127.0.0.1\n",
         "5.4.6 no mail host of example.org can be reached: a.example.org has a loopback "
         "address, "
         "127.0.0.1, where no mail is sent"},
        {"this host", "example.org", "MX 10 a.example.org\na.example.org A 0.0.0.0\n",
         "5.4.6 no mail host of example.org can be reached: a.example.org has an unspecified "
         "address, 0.0.0.0, where no mail is sent"},
        {"private", "example.org", "MX 10 a.example.org\na.example.org A 192.168.1.2\n",
         "5.4.4 no mail host of example.org can be reached: a.example.org has a private "
         "address, "
         "192.168.1.2, where no mail is sent"},
        {"private implicit MX", "example.org", "example.org AAAA fd00::1\n",
         "5.4.4 example.org has a private address, fd00::1, where no mail is sent"},
        {"behind a translator", "example.org",
         "MX 10 a.example.org\na.example.org AAAA 64:ff9b::127.0.0.1\n",
         "5.4.6 no mail host of example.org can be reached: a.example.org has a loopback "
         "address, "
         "64:ff9b::7f00:1, where no mail is sent"},
    };
    check_rows(rows, COUNT_OF(rows), &usual);
}

static void mail_does_not_come_back_to_us(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"we are the best, by name", "example.org",
         "MX 10 out.example.com\nMX 20 b.example.org\nb.example.org A 1.1.1.1\n",
         "5.4.6 mail for example.org would come back to this server: its mail host is "
         "out.example.com"},
        {"we are an equal, by name", "example.org",
         "MX 10 a.example.org\nMX 10 OUT.example.com\nMX 10 b.example.org\n"
         "a.example.org A 1.1.1.1\nb.example.org A 1.1.1.2\n",
         "5.4.6 mail for example.org would come back to this server: its mail host is "
         "out.example.com"},
        {"we are in the middle, by name", "example.org",
         "MX 10 a.example.org\nMX 20 out.example.com\nMX 20 b.example.org\nMX 30 "
         "c.example.org\n"
         "a.example.org A 1.1.1.1\nb.example.org A 1.1.1.2\nc.example.org A 1.1.1.3\n",
         "2.0.0 a.example.org (10) [1.1.1.1]"},
        {"we are in the middle, by address", "example.org",
         "MX 10 a.example.org\nMX 20 us.example.org\nMX 20 b.example.org\nMX 30 c.example.org\n"
         "a.example.org A 1.1.1.1\nb.example.org A 1.1.1.2\nc.example.org A 1.1.1.3\n"
         "us.example.org A 1.1.1.4\nus.example.org AAAA 2a00::5\n",
         "2.0.0 a.example.org (10) [1.1.1.1]"},
        {"we are the best, by address", "example.org",
         "MX 10 us.example.org\nMX 20 b.example.org\nus.example.org A 5.5.5.5\n"
         "b.example.org A 1.1.1.2\n",
         "5.4.6 mail for example.org would come back to this server: its mail host is "
         "us.example.org"},
        {"the better one is unanswered", "example.org",
         "MX 10 a.example.org\nMX 20 out.example.com\na.example.org A SERVFAIL\n",
         "4.4.3 for now no mail host of example.org can be reached: DNS does not give the "
         "address "
         "of a.example.org: SERVFAIL"},
        {"the better one is private", "example.org",
         "MX 10 a.example.org\nMX 20 us.example.org\na.example.org A 10.0.0.1\n"
         "us.example.org A 5.5.5.5\n",
         "5.4.6 mail for example.org would come back to this server: its mail host is "
         "us.example.org"},
        {"our own name as a domain", "out.example.com", "out.example.com A 1.1.1.1\n",
         "5.4.6 mail for out.example.com would come back to this server"},
        {"our own address as a domain", "example.org", "example.org A 5.5.5.5\n",
         "5.4.6 mail for example.org would come back to this server"},
    };
    check_rows(rows, COUNT_OF(rows), &usual);
}

static void our_equals_are_left_out_in_every_order(void **state)
{
    (void)state;
    static const char *const worlds[] = {
        "MX 10 a.example.org\nMX 20 b.example.org\nMX 20 us.example.org\nMX 20 c.example.org\n"
        "a.example.org A 1.1.1.1\nb.example.org A 1.1.1.2\nc.example.org A 1.1.1.3\n"
        "us.example.org A 5.5.5.5\n",
        "MX 10 a.example.org\nMX 20 b.example.org\nMX 20 out.example.com\nMX 20 c.example.org\n"
        "a.example.org A 1.1.1.1\nb.example.org A 1.1.1.2\nc.example.org A 1.1.1.3\n",
    };
    for (uint64_t random = 0; random < 100; random++) {
        struct arena a = ARENA_INIT;
        struct route r;
        run(&r, &a, &usual, SLICE("example.org"), random, worlds[random % 2]);
        check_slice("targets", r.text, SLICE("a.example.org (10) [1.1.1.1]"));
        arena_fini(&a);
    }
}

static void literals_and_what_is_no_domain(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"IPv4", "[1.1.1.1]", "", "2.0.0 [1.1.1.1]"},
        {"IPv6", "[IPv6:2A00::1]", "", "2.0.0 [ipv6:2a00::1]"},
        {"loopback", "[127.0.0.1]", "",
         "5.4.6 [127.0.0.1] has a loopback address, 127.0.0.1, where no mail is sent"},
        {"private", "[10.1.1.1]", "",
         "5.4.4 [10.1.1.1] has a private address, 10.1.1.1, where no mail is sent"},
        {"ours", "[5.5.5.5]", "", "5.4.6 mail for [5.5.5.5] would come back to this server"},
        {"not an address", "[1.1.1]", "", "5.1.3 \"[1.1.1]\" is not a domain"},
        {"empty", "", "", "5.1.3 \"\" is not a domain"},
        {"not a name", "exa mple.org", "", "5.1.3 \"exa mple.org\" is not a domain"},
        {"a final dot", "example.org.", "", "5.1.3 \"example.org.\" is not a domain"},
        {"control characters", "a\x1b[2J", "", "5.1.3 \"a?[2j\" is not a domain"},
    };
    check_rows(rows, COUNT_OF(rows), &usual);
}

static void special_addresses_are_used_when_it_was_configured(void **state)
{
    (void)state;
    static const struct route_policy lenient = {
        .hostname = SLICE_INIT("out.example.com"),
        .own = own,
        .own_count = COUNT_OF(own),
        .allow_special = true,
    };
    static const struct row rows[] = {
        {"loopback", "example.org",
         "MX 10 a.example.org\nMX 20 b.example.org\na.example.org A 127.0.0.1\n"
         "b.example.org AAAA fd00::1\n",
         "2.0.0 a.example.org (10) [127.0.0.1]; b.example.org (20) [fd00::1]"},
        {"our own address", "example.org", "example.org A 5.5.5.5\n",
         "2.0.0 example.org [5.5.5.5]"},
        {"our own name still loops", "example.org", "MX 10 out.example.com\n",
         "5.4.6 mail for example.org would come back to this server: its mail host is "
         "out.example.com"},
        {"literal", "[127.0.0.1]", "", "2.0.0 [127.0.0.1]"},
    };
    check_rows(rows, COUNT_OF(rows), &lenient);
}

static void security_goes_all_the_way(void **state)
{
    (void)state;
    static const struct {
        const char *world;
        bool is_secure;
    } rows[] = {
        {"!MX 10 a.example.org\n!a.example.org A 1.1.1.1\n", true},
        {"!MX 10 a.example.org\na.example.org A 1.1.1.1\n", false},
        {"MX 10 a.example.org\n!a.example.org A 1.1.1.1\n", false},
        {"!MX NODATA\n!example.org A 1.1.1.1\n", true},
        {"MX NODATA\n!example.org A 1.1.1.1\n", false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arena a = ARENA_INIT;
        struct route r;
        run(&r, &a, &usual, SLICE("example.org"), 1, rows[i].world);
        check_int(rows[i].world, (long long)r.target_count, 1);
        check_int(rows[i].world, r.targets[0].is_secure, rows[i].is_secure);
        arena_fini(&a);
    }
}

static void dane_is_heeded_where_the_way_is_secure(void **state)
{
    (void)state;
#define SECURE "!MX 10 a.example.org\n!a.example.org A 1.1.1.1\n"
#define TWO SECURE "!MX 20 b.example.org\n!b.example.org A 1.1.1.2\n"
    static const struct {
        const char *name;
        const char *world;
        const char
            *want; /* of each target: its last number, "=BASE/usable records" with DANE */
    } rows[] = {
        {"none", SECURE, "1 "},
        {"there is no such name", SECURE "!_25._tcp.a.example.org TLSA NXDOMAIN\n", "1 "},
        {"one", SECURE "!_25._tcp.a.example.org TLSA 311\n", "1=a.example.org/1 "},
        {"those of authorities in the certificate are not for mail hosts",
         SECURE "!_25._tcp.a.example.org TLSA 011\n!_25._tcp.a.example.org TLSA 111\n"
                "!_25._tcp.a.example.org TLSA 200\n!_25._tcp.a.example.org TLSA 302\n",
         "1=a.example.org/2 "},
        {"none that is usable: TLS is a must still",
         SECURE "!_25._tcp.a.example.org TLSA 319\n!_25._tcp.a.example.org TLSA 391\n",
         "1=a.example.org/0 "},
        {"the host is an alias",
         SECURE "a.example.org ALIAS c.example.net\n"
                "!_25._tcp.c.example.net TLSA 311\n"
                "!_25._tcp.a.example.org TLSA 211\n",
         "1=c.example.net/1 "},
        {"an alias for what has none",
         SECURE "a.example.org ALIAS c.example.net\n"
                "!_25._tcp.a.example.org TLSA 211\n",
         "1=a.example.org/1 "},
        {"not validated", SECURE "_25._tcp.a.example.org TLSA 311\n", "1 "},
        {"the way was not validated",
         "!MX 10 a.example.org\na.example.org A 1.1.1.1\n"
         "!_25._tcp.a.example.org TLSA BOGUS\n",
         "1 "},
        {"no answer", SECURE "_25._tcp.a.example.org TLSA SERVFAIL\n",
         "4.4.3 for now no mail host of example.org can be reached: the TLSA records of "
         "a.example.org cannot be had: SERVFAIL"},
        {"no genuine one", SECURE "_25._tcp.a.example.org TLSA BOGUS\n",
         "4.7.5 for now no mail host of example.org can be reached: the TLSA records of "
         "a.example.org fail DNSSEC validation: signature?expired"},
        {"another host is well",
         TWO "_25._tcp.a.example.org TLSA TIMEOUT\n"
             "!_25._tcp.b.example.org TLSA 311\n",
         "2=b.example.org/1 "},
        {"each has its own", TWO "!_25._tcp.a.example.org TLSA 311\n", "1=a.example.org/1 2 "},
    };
    struct route_policy p = usual;
    p.uses_dane = true;
    p.port = 25;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arena a = ARENA_INIT;
        struct route r;
        struct buf got = BUF_INIT;
        run(&r, &a, &p, SLICE("example.org"), 1, rows[i].world);
        for (size_t j = 0; j < r.target_count; j++) {
            const struct route_target *t = &r.targets[j];
            buf_printf(&got, "%u", t->address.bytes[3]);
            if (t->dane)
                buf_printf(&got, "=%.*s/%zu", SLICE_ARG(t->dane->base), t->dane->count);
            buf_byte(&got, ' ');
        }
        if (r.target_count == 0)
            buf_printf(&got, "%u.%u.%u %.*s", r.outcome.status.class, r.outcome.status.subject,
                       r.outcome.status.detail, SLICE_ARG(r.text));
        check_slice(rows[i].name, buf_slice(&got), slice_of(rows[i].want));
        buf_fini(&got);
        arena_fini(&a);
    }
}

static void without_dane_nothing_is_asked(void **state)
{
    (void)state;
    struct arena a = ARENA_INIT;
    struct route r;
    run(&r, &a, &usual, SLICE("example.org"), 1, SECURE "_25._tcp.a.example.org TLSA BOGUS\n");
    assert_int_equal(r.target_count, 1);
    assert_int_equal(r.hosts[0].tlsa_count, 0);
    arena_fini(&a);
}

static void the_level_is_raised_and_never_lowered(void **state)
{
    (void)state;
    const struct route_dane useless = {.count = 0}, useful = {.count = 1};
    static const enum tls_level want[][3] = {
        [TLS_LEVEL_NONE] = {TLS_LEVEL_NONE, TLS_LEVEL_NONE, TLS_LEVEL_NONE},
        [TLS_LEVEL_OPPORTUNISTIC] = {TLS_LEVEL_OPPORTUNISTIC, TLS_LEVEL_ENCRYPT,
                                     TLS_LEVEL_DANE},
        [TLS_LEVEL_ENCRYPT] = {TLS_LEVEL_ENCRYPT, TLS_LEVEL_ENCRYPT, TLS_LEVEL_DANE},
        [TLS_LEVEL_VERIFY] = {TLS_LEVEL_VERIFY, TLS_LEVEL_VERIFY, TLS_LEVEL_DANE},
    };
    for (enum tls_level l = TLS_LEVEL_NONE; l <= TLS_LEVEL_VERIFY; l++) {
        assert_int_equal(tls_level_of(l, NULL), want[l][0]);
        assert_int_equal(tls_level_of(l, &useless), want[l][1]);
        assert_int_equal(tls_level_of(l, &useful), want[l][2]);
    }
}

static void equals_are_shuffled_and_the_order_of_preferences_holds(void **state)
{
    (void)state;
    static const char world[] =
        "MX 20 d.example.org\nMX 10 a.example.org\nMX 10 b.example.org\n"
        "MX 10 c.example.org\na.example.org A 1.1.1.1\n"
        "b.example.org A 1.1.1.2\nc.example.org A 1.1.1.3\n"
        "d.example.org A 1.1.1.4\n";
    unsigned first[4] = {0}, second[4] = {0};
    for (uint64_t random = 0; random < 3000; random++) {
        struct arena a = ARENA_INIT;
        struct route r;
        run(&r, &a, &usual, SLICE("example.org"), random, world);
        assert_int_equal(r.target_count, 4);
        first[r.targets[0].address.bytes[3] - 1]++;
        second[r.targets[1].address.bytes[3] - 1]++;
        assert_int_equal(r.targets[3].address.bytes[3], 4);
        arena_fini(&a);
    }
    for (size_t i = 0; i < 3; i++) {
        assert_in_range(first[i], 900, 1100);
        assert_in_range(second[i], 900, 1100);
    }
    assert_int_equal(first[3] + second[3], 0);
}

static void what_dns_says_is_bounded(void **state)
{
    (void)state;
    struct arena a = ARENA_INIT;
    struct buf world = BUF_INIT;
    for (unsigned i = 0; i < 300; i++)
        buf_printf(&world, "MX %u h%u.example.org\n", 1000 - i, i);
    for (unsigned i = 0; i < 300; i++)
        for (unsigned j = 0; j < 40 && i >= 90 && i < 100; j++)
            buf_printf(&world, "h%u.example.org A 1.1.%u.%u\n", i, i, j);
    buf_byte(&world, '\0');
    struct route r;
    run(&r, &a, &usual, SLICE("example.org"), 1, world.ptr);
    /* of the first 100 records, the ten that are preferred */
    assert_int_equal(r.host_count, ROUTE_HOSTS_MAX);
    check_slice("best", r.hosts[0].name, SLICE("h99.example.org"));
    check_slice("last", r.hosts[9].name, SLICE("h90.example.org"));
    assert_int_equal(r.target_count, ROUTE_HOSTS_MAX * ROUTE_ADDRESSES_MAX);
    buf_fini(&world);
    arena_fini(&a);
}

static void addresses_beyond_the_bound_are_not_looked_at(void **state)
{
    (void)state;
    struct arena a = ARENA_INIT;
    struct buf world = BUF_INIT;
    for (unsigned i = 0; i < ROUTE_ANSWERS_MAX; i++)
        buf_printf(&world, "example.org A 10.0.0.%u\n", i);
    buf_append(&world, SLICE("example.org A 1.1.1.1\n"));
    buf_byte(&world, '\0');
    struct route r;
    run(&r, &a, &usual, SLICE("example.org"), 1, world.ptr);
    assert_int_equal(r.target_count, 0);
    assert_int_equal(r.outcome.next, NEXT_FAIL);
    buf_fini(&world);
    arena_fini(&a);
}

static void a_long_reason_is_cut(void **state)
{
    (void)state;
    char why[5000];
    memset(why, 'x', sizeof(why));
    struct arena a = ARENA_INIT;
    struct route r;
    route_begin(&r, &a, &usual, SLICE("example.org"), 1);
    route_mx(&r, &(struct dns_answer){.result = DNS_BOGUS, .why = {why, sizeof(why)}}, NULL, 0);
    assert_int_equal(r.outcome.next, NEXT_RETRY);
    assert_true(r.text.len < 2 * ROUTE_WHY_MAX);
    arena_fini(&a);
}

static void unused_hosts_are_noted(void **state)
{
    (void)state;
    struct arena a = ARENA_INIT;
    struct route r;
    run(&r, &a, &usual, SLICE("example.org"), 1,
        "MX 10 a.example.org\nMX 20 b.example.org\nMX 30 c.example.org\n"
        "a.example.org A 127.0.0.1\nb.example.org A TIMEOUT\nc.example.org A 1.1.1.1\n");
    check_slice(
        "a", r.hosts[0].note,
        SLICE("a.example.org has a loopback address, 127.0.0.1, where no mail is sent"));
    check_slice("b", r.hosts[1].note,
                SLICE("DNS does not give the address of b.example.org: no answer in time"));
    check_slice("c", r.hosts[2].note, SLICE(""));
    check_slice("targets", r.text, SLICE("c.example.org (30) [1.1.1.1]"));
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_domain_has_mail_hosts_or_none),
        cmocka_unit_test(one_usable_host_is_enough),
        cmocka_unit_test(without_any_the_hope_decides),
        cmocka_unit_test(mail_does_not_come_back_to_us),
        cmocka_unit_test(our_equals_are_left_out_in_every_order),
        cmocka_unit_test(literals_and_what_is_no_domain),
        cmocka_unit_test(special_addresses_are_used_when_it_was_configured),
        cmocka_unit_test(security_goes_all_the_way),
        cmocka_unit_test(dane_is_heeded_where_the_way_is_secure),
        cmocka_unit_test(without_dane_nothing_is_asked),
        cmocka_unit_test(the_level_is_raised_and_never_lowered),
        cmocka_unit_test(equals_are_shuffled_and_the_order_of_preferences_holds),
        cmocka_unit_test(what_dns_says_is_bounded),
        cmocka_unit_test(addresses_beyond_the_bound_are_not_looked_at),
        cmocka_unit_test(a_long_reason_is_cut),
        cmocka_unit_test(unused_hosts_are_noted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
