#include "policy/route_inside.h"

#include "base/buf.h"
#include "codec/path.h"
#include "policy/special.h"

#include <stdlib.h>

static const struct {
    enum outcome_next next;
    uint16_t subject, detail;
} meanings[] = {
    [TROUBLE_NONE] = {NEXT_CONTINUE, 0, 0},    [TROUBLE_NO_ADDRESS] = {NEXT_FAIL, 4, 4},
    [TROUBLE_SPECIAL] = {NEXT_FAIL, 4, 4},     [TROUBLE_HOME] = {NEXT_FAIL, 4, 6},
    [TROUBLE_SELF] = {NEXT_FAIL, 4, 6},        [TROUBLE_BOGUS] = {NEXT_RETRY, 7, 5},
    [TROUBLE_UNANSWERED] = {NEXT_RETRY, 4, 3}, [TROUBLE_BAD_DOMAIN] = {NEXT_FAIL, 1, 3},
    [TROUBLE_NO_DOMAIN] = {NEXT_FAIL, 1, 2},   [TROUBLE_NO_MAIL_HOST] = {NEXT_FAIL, 1, 2},
    [TROUBLE_NULL_MX] = {NEXT_FAIL, 1, 10},
};

/* Somebody else's words in ours: short, without bytes that a terminal would obey. */
static slice plain(struct arena *a, slice text)
{
    slice copy = arena_dup(a, slice_to(text, ROUTE_WHY_MAX));
    char *c = (char *)(uintptr_t)copy.ptr;
    for (size_t i = 0; i < copy.len; i++)
        if ((unsigned char)c[i] < ' ' || (unsigned char)c[i] >= 0x7f)
            c[i] = '?';
    return copy;
}

static void make(struct route *r, enum trouble trouble, slice text)
{
    static const uint16_t class_of[] = {[NEXT_CONTINUE] = 2, [NEXT_RETRY] = 4, [NEXT_FAIL] = 5};
    enum outcome_next next = meanings[trouble].next;
    r->wants = ROUTE_IS_MADE;
    r->text = text;
    r->fault = next == NEXT_FAIL ? FAULT_NO_HOST : next == NEXT_RETRY ? FAULT_DNS : FAULT_NONE;
    r->outcome = (struct outcome){
        .next = next,
        .scope = SCOPE_SITE,
        .status = {class_of[next], meanings[trouble].subject, meanings[trouble].detail},
    };
}

slice route_answer_why(struct route *r, const struct dns_answer *answer)
{
    if (answer->result == DNS_TIMEOUT)
        return SLICE("no answer in time");
    if (slice_is_empty(answer->why))
        return SLICE("no reason given");
    return plain(r->arena, answer->why);
}

bool route_is_unanswered(const struct dns_answer *answer)
{
    return answer->result == DNS_FAILED || answer->result == DNS_TIMEOUT;
}

/* SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* One usable MX record on its way into the order. */
struct candidate {
    slice name;
    uint64_t random;
    uint16_t preference;
};

static int by_preference(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->preference != y->preference)
        return x->preference < y->preference ? -1 : 1;
    return x->random < y->random ? -1 : x->random > y->random;
}

static void add_host(struct route *r, slice name, uint16_t preference)
{
    for (size_t i = 0; i < r->host_count; i++)
        if (slice_eq(r->hosts[i].name, name))
            return;
    if (r->host_count < ROUTE_HOSTS_MAX)
        r->hosts[r->host_count++] = (struct route_host){.name = name, .preference = preference};
}

static bool is_our_name(const struct route *r, slice name)
{
    return !slice_is_empty(r->policy.hostname) && slice_ieq(name, r->policy.hostname);
}

static void make_loop(struct route *r, slice host)
{
    if (slice_eq(host, r->domain))
        make(r, TROUBLE_SELF,
             arena_printf(r->arena, "mail for %.*s would come back to this server",
                          SLICE_ARG(r->domain)));
    else
        make(r, TROUBLE_SELF,
             arena_printf(r->arena,
                          "mail for %.*s would come back to this server: its mail host "
                          "is %.*s",
                          SLICE_ARG(r->domain), SLICE_ARG(host)));
}

/* The best hosts before ourselves. */
static void choose_hosts(struct route *r, struct candidate *all, size_t count)
{
    qsort(all, count, sizeof(*all), by_preference);
    size_t self = 0;
    while (self < count && !is_our_name(r, all[self].name))
        self++;
    size_t end = self;
    if (self < count) /* equals of ours would only send it to us */
        while (end > 0 && all[end - 1].preference == all[self].preference)
            end--;
    for (size_t i = 0; i < end; i++)
        add_host(r, all[i].name, all[i].preference);
    r->wants = ROUTE_WANTS_ADDRESSES;
    if (r->host_count == 0)
        make_loop(r, all[self].name);
}

static void read_records(struct route *r, const struct dns_mx *records, size_t count)
{
    struct candidate *all = arena_array(r->arena, struct candidate, ROUTE_RECORDS_MAX);
    uint64_t random = r->random;
    size_t good = 0;
    bool has_root = false;
    slice bad = SLICE("");
    for (size_t i = 0; i < count && i < ROUTE_RECORDS_MAX; i++) {
        slice host = records[i].host;
        if (slice_is_empty(host))
            has_root = true;
        else if (!host_is_name(host, false))
            bad = host;
        else
            all[good++] = (struct candidate){.name = arena_lower(r->arena, host),
                                             .preference = records[i].preference,
                                             .random = next_random(&random)};
    }
    if (good > 0)
        choose_hosts(r, all, good);
    else if (has_root)
        make(r, TROUBLE_NULL_MX,
             arena_printf(r->arena, "%.*s takes no mail, and says so in DNS (null MX)",
                          SLICE_ARG(r->domain)));
    else
        make(r, TROUBLE_NO_ADDRESS,
             arena_printf(r->arena,
                          "DNS names a mail host of %.*s that is no host name: \"%.*s\"",
                          SLICE_ARG(r->domain), SLICE_ARG(plain(r->arena, bad))));
}

void route_mx(struct route *r, const struct dns_answer *answer, const struct dns_mx *records,
              size_t count)
{
    struct arena *a = r->arena;
    INVARIANT(r->wants == ROUTE_WANTS_MX);
    r->is_secure = answer->is_secure;
    r->hosts = arena_array(a, struct route_host, ROUTE_HOSTS_MAX);
    switch (answer->result) {
    case DNS_FOUND:
        read_records(r, records, count);
        break;
    case DNS_NO_DATA:
        r->is_implicit = true;
        struct candidate itself = {.name = r->domain};
        choose_hosts(r, &itself, 1);
        break;
    case DNS_NO_NAME:
        make(r, TROUBLE_NO_DOMAIN,
             arena_printf(a, "the domain %.*s does not exist", SLICE_ARG(r->domain)));
        break;
    case DNS_BOGUS:
        make(r, TROUBLE_BOGUS,
             arena_printf(a, "DNS answers about %.*s fail DNSSEC validation: %.*s",
                          SLICE_ARG(r->domain), SLICE_ARG(route_answer_why(r, answer))));
        break;
    case DNS_FAILED:
    case DNS_TIMEOUT:
        make(r, TROUBLE_UNANSWERED,
             arena_printf(a, "DNS does not say where mail for %.*s goes: %.*s",
                          SLICE_ARG(r->domain), SLICE_ARG(route_answer_why(r, answer))));
        break;
    }
}

static bool is_our_address(const struct route *r, const struct address *address)
{
    for (size_t i = 0; i < r->policy.own_count; i++)
        if (address_eq(&r->policy.own[i], address))
            return true;
    return false;
}

static bool is_known_target(const struct route *r, const struct address *address)
{
    for (size_t i = 0; i < r->target_count; i++)
        if (address_eq(&r->targets[i].address, address))
            return true;
    return false;
}

static size_t looked_at(const struct dns_addresses *x)
{
    if (x->answer.result != DNS_FOUND)
        return 0;
    return x->count < ROUTE_ANSWERS_MAX ? x->count : ROUTE_ANSWERS_MAX;
}

/* Is one of the host's addresses our own? Then it is us. */
static bool is_us(const struct route *r, const struct route_host *h)
{
    for (size_t i = 0; i < looked_at(&h->v6); i++)
        if (is_our_address(r, &h->v6.list[i]))
            return true;
    for (size_t i = 0; i < looked_at(&h->v4); i++)
        if (is_our_address(r, &h->v4.list[i]))
            return true;
    return false;
}

/* Leaves the hosts that are preferred to ourselves; returns which of them we are, or NULL. */
static const struct route_host *cut_at_ourselves(struct route *r)
{
    size_t self = 0;
    while (self < r->host_count && !is_us(r, &r->hosts[self]))
        self++;
    if (r->policy.allow_special || self == r->host_count)
        return NULL;
    const struct route_host *us = &r->hosts[self];
    while (self > 0 && r->hosts[self - 1].preference == us->preference)
        self--;
    r->host_count = self;
    return us;
}

/* Adds the address to the targets of its host, or says what is wrong with it. */
static enum trouble add_target(struct route *r, struct route_host *h,
                               const struct dns_addresses *from, const struct address *address)
{
    enum special special = special_of(address);
    if (special != SPECIAL_NOT && !r->policy.allow_special) {
        char text[ADDRESS_TEXT_MAX];
        address_format(address, text);
        h->note = arena_printf(r->arena, "%.*s has %s address, %s, where no mail is sent",
                               SLICE_ARG(h->name), special_name(special), text);
        return special == SPECIAL_LOOPBACK || special == SPECIAL_UNSPECIFIED ? TROUBLE_HOME
                                                                             : TROUBLE_SPECIAL;
    }
    if (!is_known_target(r, address))
        r->targets[r->target_count++] = (struct route_target){
            .address = *address,
            .host = h->name,
            .preference = h->preference,
            .is_secure = r->is_secure && from->answer.is_secure,
        };
    return TROUBLE_NONE;
}

/* A host without any address: for good, or is there just no answer? */
static enum trouble explain_host(struct route *r, struct route_host *h)
{
    const struct dns_answer *answers[] = {&h->v4.answer, &h->v6.answer};
    for (size_t i = 0; i < COUNT_OF(answers); i++)
        if (route_is_unanswered(answers[i])) {
            h->note =
                arena_printf(r->arena, "DNS does not give the address of %.*s: %.*s",
                             SLICE_ARG(h->name), SLICE_ARG(route_answer_why(r, answers[i])));
            return TROUBLE_UNANSWERED;
        }
    for (size_t i = 0; i < COUNT_OF(answers); i++)
        if (answers[i]->result == DNS_BOGUS) {
            h->note =
                arena_printf(r->arena, "the address of %.*s fails DNSSEC validation: %.*s",
                             SLICE_ARG(h->name), SLICE_ARG(route_answer_why(r, answers[i])));
            return TROUBLE_BOGUS;
        }
    return TROUBLE_NO_ADDRESS;
}

static void note_no_address(struct route *r, struct route_host *h)
{
    struct address literal;
    bool is_missing = h->v4.answer.result == DNS_NO_NAME;
    h->note = arena_printf(r->arena, "%.*s %s", SLICE_ARG(h->name),
                           address_parse(h->name, &literal)
                               ? "is an address, where DNS must have a host name"
                           : is_missing ? "does not exist"
                                        : "has no address");
}

/* The host's targets, up to ROUTE_ADDRESSES_MAX, the families in turn; or what is wrong with
 * it, noted. */
static enum trouble add_targets(struct route *r, struct route_host *h)
{
    struct dns_addresses *families[] = {&h->v6, &h->v4};
    size_t at[] = {0, 0};
    size_t before = r->target_count;
    enum trouble worst = TROUBLE_NONE;
    bool is_known = false;
    for (size_t turn = 0; r->target_count - before < ROUTE_ADDRESSES_MAX; turn ^= 1) {
        if (at[turn] == looked_at(families[turn]))
            turn ^= 1;
        if (at[turn] == looked_at(families[turn]))
            break;
        const struct address *address = &families[turn]->list[at[turn]++];
        is_known = is_known || is_known_target(r, address);
        enum trouble found = add_target(r, h, families[turn], address);
        worst = found > worst ? found : worst;
    }
    if (r->target_count > before || is_known)
        return TROUBLE_NONE;
    enum trouble why = explain_host(r, h);
    if (why != TROUBLE_NO_ADDRESS || worst == TROUBLE_NONE)
        worst = why;
    if (worst == TROUBLE_NO_ADDRESS)
        note_no_address(r, h);
    return worst;
}

/* "mx1.example.org (10) [2001:db8::1] [192.0.2.1]; mx2.example.org (20) [192.0.2.2]" */
static slice describe_targets(struct route *r)
{
    struct buf text = BUF_INIT;
    slice host = SLICE("");
    for (size_t i = 0; i < r->target_count; i++) {
        const struct route_target *t = &r->targets[i];
        char address[ADDRESS_TEXT_MAX];
        address_format(&t->address, address);
        if (!slice_eq(host, t->host)) {
            buf_printf(&text, "%s%.*s", i ? "; " : "", SLICE_ARG(t->host));
            if (!r->is_implicit && host_is_name(t->host, false))
                buf_printf(&text, " (%u)", t->preference);
        }
        if (host_is_name(t->host, false))
            buf_printf(&text, " [%s]", address);
        host = t->host;
    }
    slice out = arena_dup(r->arena, buf_slice(&text));
    buf_fini(&text);
    return out;
}

void route_make(struct route *r)
{
    make(r, TROUBLE_NONE, describe_targets(r));
}

void route_make_trouble(struct route *r, enum trouble trouble, const struct route_host *h)
{
    struct arena *a = r->arena;
    if (r->is_implicit && trouble == TROUBLE_NO_ADDRESS)
        make(r, TROUBLE_NO_MAIL_HOST,
             arena_printf(a,
                          "the domain %.*s has no mail host: DNS has neither an MX record nor "
                          "an address for it",
                          SLICE_ARG(r->domain)));
    else if (r->is_implicit || slice_eq(h->name, r->domain))
        make(r, trouble, h->note);
    else
        make(r, trouble,
             arena_printf(a, "%s of %.*s can be reached: %.*s",
                          trouble == TROUBLE_UNANSWERED || trouble == TROUBLE_BOGUS
                              ? "for now no mail host"
                              : "no mail host",
                          SLICE_ARG(r->domain), SLICE_ARG(h->note)));
}

void route_addresses(struct route *r)
{
    INVARIANT(r->wants == ROUTE_WANTS_ADDRESSES);
    const struct route_host *us = cut_at_ourselves(r);
    r->targets =
        arena_array(r->arena, struct route_target, ROUTE_HOSTS_MAX * ROUTE_ADDRESSES_MAX);
    enum trouble worst = TROUBLE_NONE;
    const struct route_host *culprit = NULL;
    for (size_t i = 0; i < r->host_count; i++) {
        enum trouble found = add_targets(r, &r->hosts[i]);
        if (found > worst) {
            worst = found;
            culprit = &r->hosts[i];
        }
    }
    if (r->target_count > 0 && route_ask_tlsa(r))
        r->wants = ROUTE_WANTS_TLSA;
    else if (r->target_count > 0)
        route_make(r);
    else if (us && worst < TROUBLE_SELF)
        make_loop(r, us->name);
    else
        route_make_trouble(r, worst, culprit);
}

static void route_literal(struct route *r, const struct address *address)
{
    struct dns_addresses itself = {
        .answer = {.result = DNS_FOUND}, .list = address, .count = 1};
    struct dns_addresses none = {.answer = {.result = DNS_NO_DATA}};
    r->hosts = arena_new(r->arena, struct route_host);
    r->hosts[0] = (struct route_host){
        .name = r->domain,
        .v4 = address->family == 4 ? itself : none,
        .v6 = address->family == 6 ? itself : none,
    };
    r->host_count = 1;
    r->wants = ROUTE_WANTS_ADDRESSES;
    route_addresses(r);
    r->hosts[0].v4.list = r->hosts[0].v6.list = NULL; /* the caller's */
    r->hosts[0].v4.count = r->hosts[0].v6.count = 0;
}

void route_begin(struct route *r, struct arena *a, const struct route_policy *p, slice domain,
                 uint64_t random)
{
    *r = (struct route){.arena = a, .random = random, .policy = *p};
    r->policy.hostname = arena_dup(a, p->hostname);
    struct address *own = arena_array(a, struct address, p->own_count);
    for (size_t i = 0; i < p->own_count; i++)
        own[i] = p->own[i];
    r->policy.own = own;
    r->domain = path_domain(a, domain);
    struct address address;
    if (host_is_name(r->domain, false)) {
        r->wants = ROUTE_WANTS_MX;
    } else if (address_literal_parse(r->domain, &address)) {
        route_literal(r, &address);
    } else {
        r->domain = plain(a, r->domain);
        make(r, TROUBLE_BAD_DOMAIN,
             arena_printf(a, "\"%.*s\" is not a domain", SLICE_ARG(r->domain)));
    }
}
