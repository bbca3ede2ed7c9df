/* route: from what DNS says of a domain to the hosts and addresses that are tried, in order
 * (RFC 5321 section 5.1, RFC 7505), or to what becomes of the mail when there are none.
 *
 * The route says what it wants to know and the owner (net/resolve, or a test) asks DNS:
 *
 *     route_begin(r, arena, policy, domain, random);
 *     ROUTE_WANTS_MX          the MX records of r->domain: route_mx(r, &answer, records, n)
 *     ROUTE_WANTS_ADDRESSES   A and AAAA of each r->hosts[i].name, into its v4 and v6, all at
 *                             once if one likes: route_addresses(r)
 *     ROUTE_WANTS_TLSA        the TLSA records of each name in r->hosts[i].tlsa: route_tlsa(r)
 *     ROUTE_IS_MADE           outcome.next is NEXT_CONTINUE and there are targets; or outcome
 * is what becomes of every recipient there, and `text` says why
 *
 * What it holds to:
 *  - Only DNS itself makes a failure for good: the domain does not exist (5.1.2) or has neither
 *    MX nor address (5.1.2), a null MX (5.1.10), no mail host that has an address (5.4.4), none
 *    but ourselves (5.4.6), none but addresses that are not of the Internet (5.4.6 for loopback
 *    and "this host", 5.4.4). No answer is never "does not exist": 4.4.3. One that fails DNSSEC
 *    validation is no answer either, and is told apart: 4.7.5.
 *  - One usable host is enough: what is wrong with the others is only noted.
 *  - An MX question without an answer never falls back to the domain's own address.
 *  - The hosts of one preference are tried in random order; the addresses of one host as DNS
 *    gave them, IPv6 and IPv4 in turn, IPv6 first; no address twice.
 *  - Where we are ourselves an MX, by name or by address, only better preferences are tried.
 *  - DANE (RFC 7672): where the way to a host was validated, its TLSA records are asked for. If
 *    they exist, TLS is a must there, and what they say is. No answer, or one that fails
 *    validation, makes the host unusable: whoever suppresses the answer gains nothing. A host
 *    that is an alias (validated too) has those of the name that it stands for, or else its
 * own.
 *  - Aliases (CNAME) are followed by the resolver, for the domain and, against RFC 2181 section
 *    10.3 but like everybody, for its mail hosts. */
#ifndef POLICY_ROUTE_H
#define POLICY_ROUTE_H

#include "base/arena.h"
#include "codec/dns.h"
#include "policy/outcome.h"

enum {
    ROUTE_HOSTS_MAX = 10,    /* mail hosts tried */
    ROUTE_ADDRESSES_MAX = 5, /* addresses tried of each */
    ROUTE_RECORDS_MAX = 100, /* MX records looked at */
    ROUTE_ANSWERS_MAX = 32,  /* addresses looked at of each host and family */
    ROUTE_TLSA_MAX = 16,     /* TLSA records looked at of each name */
    ROUTE_TLSA_NAMES = 2,    /* names asked for TLSA of each host */
    ROUTE_WHY_MAX = 200,     /* octets taken of a resolver's own words */
};

enum dns_result {
    DNS_FOUND,
    DNS_NO_DATA, /* the name exists, such records do not */
    DNS_NO_NAME, /* NXDOMAIN */
    DNS_FAILED,  /* SERVFAIL and the like */
    DNS_TIMEOUT,
    DNS_BOGUS, /* failed DNSSEC validation */
};

struct dns_answer {
    enum dns_result result;
    bool is_secure; /* validated by DNSSEC; also that there is no data */
    slice why;      /* FAILED, BOGUS: the resolver's words, or empty */
};

struct dns_mx {
    uint16_t preference;
    slice host; /* "" for the root, "." */
};

struct dns_addresses {
    struct dns_answer answer;
    slice canonical;            /* the name at the end of the aliases; empty: the same */
    const struct address *list; /* those beyond ROUTE_ANSWERS_MAX are not looked at */
    size_t count;
};

struct dns_tlsas {
    struct dns_answer answer;
    const struct dns_tlsa *list; /* those beyond ROUTE_TLSA_MAX are not looked at */
    size_t count;
};

struct route_policy {
    slice hostname;            /* our name */
    const struct address *own; /* our addresses */
    size_t own_count;
    bool allow_special; /* deliver to addresses that are not of the Internet, or are our own */
    bool uses_dane;     /* ask for TLSA records */
    uint16_t port;      /* of the mail hosts, which TLSA records are for */
};

/* A question for TLSA records. */
struct route_tlsa {
    slice base; /* the host they are of */
    slice name; /* _25._tcp.BASE */
    struct dns_tlsas found;
};

struct route_host {
    slice name;
    uint16_t preference; /* 0 for an implicit MX and a literal */
    struct dns_addresses v4, v6;
    slice note; /* why nothing is sent there, or empty */
    struct route_tlsa tlsa[ROUTE_TLSA_NAMES];
    size_t tlsa_count;
};

/* What DANE says of a host: TLS is a must, and with usable records (usage 2 or 3) the
 * certificate must fit one of them; with none any certificate will do (RFC 7672 section 2.2).
 */
struct route_dane {
    slice base; /* the name that the certificate of an authority (usage 2) must be for */
    struct dns_tlsa *list;
    size_t count;
};

struct route_target {
    struct address address;
    slice host; /* its name; an address literal as it is */
    uint16_t preference;
    bool is_secure;                /* the way from the domain to this address was validated */
    const struct route_dane *dane; /* NULL: the host has none */
};

enum route_wants { ROUTE_WANTS_MX, ROUTE_WANTS_ADDRESSES, ROUTE_WANTS_TLSA, ROUTE_IS_MADE };

struct route {
    enum route_wants wants;
    slice domain;     /* as DNS knows it */
    bool is_implicit; /* no MX record: the domain is its own mail host */
    bool is_secure;   /* the MX answer was */
    struct route_host *hosts;
    size_t host_count;
    struct route_target *targets;
    size_t target_count;
    /* stage RESOLVE, scope SITE */
    struct outcome outcome;
    enum relay_fault fault; /* NONE, NO_HOST (for good), DNS (for now) */
    slice text;             /* for people, one sentence; printable */

    struct arena *arena;
    struct route_policy policy;
    uint64_t random;
};

/* domain: as in the recipient's address, an address literal too. random: for the order among
 * equals. Everything is copied into the arena, but for the lists in v4, v6 and tlsa. */
void route_begin(struct route *r, struct arena *a, const struct route_policy *p, slice domain,
                 uint64_t random) NONNULL(1, 2, 3);
/* The answers to what it wants: records (copied) to ROUTE_WANTS_MX; the others are written into
 * the hosts' v4 and v6, and their tlsa, before the call. Each sets `wants` anew. */
void route_mx(struct route *r, const struct dns_answer *answer, const struct dns_mx *records,
              size_t count) NONNULL(1, 2);
void route_addresses(struct route *r) NONNULL(1);
void route_tlsa(struct route *r) NONNULL(1);

#endif
