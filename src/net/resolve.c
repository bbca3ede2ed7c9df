#include "net/resolve.h"

#include "codec/dns.h"
#include "net/loop_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <unbound.h>
#include <unistd.h>

enum { CLASS_IN = 1, TYPE_A = 1, TYPE_MX = 15, TYPE_AAAA = 28, TYPE_TLSA = 52 };
enum { QUESTIONS_MAX = 2 * ROUTE_HOSTS_MAX };
_Static_assert(ROUTE_TLSA_NAMES <= 2, "as many questions as for addresses at most");

struct resolver {
    struct loop *loop;
    struct ub_ctx *ctx;
    struct loop_watch *watch;
    span timeout;
    struct list active; /* of struct resolve */
    struct list waiting;
    unsigned active_count;
    struct loop_deferred start; /* of those that wait, when there is room */
};

struct question {
    struct resolve *owner;
    /* Where the answer goes; neither: it is the MX question. */
    struct dns_addresses *addresses;
    struct dns_tlsas *tlsas;
    int id; /* libunbound's */
    bool is_open;
};

struct resolve {
    struct list node;
    struct resolver *resolver;
    bool is_active;
    bool is_late; /* its time is over: nothing more is asked */
    struct arena arena;
    struct route route;
    struct timer deadline;
    struct loop_deferred made;
    void (*fn)(void *ctx);
    void *ctx;
    enum route_wants asked; /* what the questions are for */
    size_t open;            /* questions */
    size_t question_count;
    struct question questions[QUESTIONS_MAX];
};

static const char *rcode_name(int rcode)
{
    static const char *const names[] = {
        [1] = "FORMERR", [2] = "SERVFAIL", [4] = "NOTIMP", [5] = "REFUSED"};
    bool is_known = rcode > 0 && (size_t)rcode < COUNT_OF(names) && names[rcode];
    return is_known ? names[rcode] : "an error";
}

/* A bogus answer has err 0, and rcode 0 or 2: its flag comes first. */
static struct dns_answer read_answer(struct arena *a, int err, const struct ub_result *result)
{
    struct dns_answer answer = {.result = DNS_FAILED};
    if (err != 0 || !result) {
        answer.why = slice_of(ub_strerror(err));
        return answer;
    }
    answer.is_secure = result->secure;
    if (result->bogus) {
        answer.result = DNS_BOGUS;
        answer.why = arena_dup(a, slice_to(slice_of(result->why_bogus), ROUTE_WHY_MAX));
    } else if (result->rcode == 3) {
        answer.result = DNS_NO_NAME;
    } else if (result->rcode != 0) {
        answer.why = slice_of(rcode_name(result->rcode));
    } else {
        answer.result = result->havedata ? DNS_FOUND : DNS_NO_DATA;
    }
    return answer;
}

static const struct dns_answer malformed = {.result = DNS_FAILED,
                                            .why = SLICE_INIT("a malformed answer")};

static slice datum(const struct ub_result *result, size_t i)
{
    return slice_make(result->data[i], (size_t)result->len[i]);
}

static void take_mx(struct resolve *x, struct dns_answer answer, const struct ub_result *result)
{
    struct dns_mx *records = arena_array(&x->arena, struct dns_mx, ROUTE_RECORDS_MAX);
    size_t n = 0;
    bool has_data = answer.result == DNS_FOUND;
    for (size_t i = 0; has_data && result->data[i] && n < ROUTE_RECORDS_MAX; i++)
        if (dns_mx_read(&x->arena, datum(result, i), &records[n].preference, &records[n].host))
            n++;
    if (has_data && n == 0)
        answer = malformed;
    route_mx(&x->route, &answer, records, n);
}

static slice canonical_name(struct arena *a, const struct ub_result *result)
{
    slice name = slice_of(result && result->canonname ? result->canonname : "");
    if (slice_ends(name, SLICE(".")))
        name = slice_to(name, name.len - 1);
    return host_is_name(name, false) ? arena_lower(a, name) : SLICE("");
}

static void take_addresses(struct resolve *x, struct dns_addresses *into,
                           struct dns_answer answer, const struct ub_result *result)
{
    struct address *list = arena_array(&x->arena, struct address, ROUTE_ANSWERS_MAX);
    size_t n = 0;
    bool has_data = answer.result == DNS_FOUND;
    for (size_t i = 0; has_data && result->data[i] && n < ROUTE_ANSWERS_MAX; i++)
        if (dns_address_read(datum(result, i), &list[n]))
            n++;
    if (has_data && n == 0)
        answer = malformed;
    *into = (struct dns_addresses){.answer = answer, .list = list, .count = n};
    if (n > 0)
        into->canonical = canonical_name(&x->arena, result);
}

static void take_tlsas(struct resolve *x, struct dns_tlsas *into, struct dns_answer answer,
                       const struct ub_result *result)
{
    struct dns_tlsa *list = arena_array(&x->arena, struct dns_tlsa, ROUTE_TLSA_MAX);
    size_t n = 0;
    bool has_data = answer.result == DNS_FOUND;
    for (size_t i = 0; has_data && result->data[i] && n < ROUTE_TLSA_MAX; i++)
        if (dns_tlsa_read(arena_dup(&x->arena, datum(result, i)), &list[n]))
            n++;
    if (has_data && n == 0)
        answer = malformed;
    *into = (struct dns_tlsas){.answer = answer, .list = list, .count = n};
}

static void go_on(struct resolve *x);

static void on_answer(void *ctx, int err, struct ub_result *result)
{
    struct question *q = ctx;
    struct resolve *x = q->owner;
    struct dns_answer answer = read_answer(&x->arena, err, result);
    q->is_open = false;
    x->open--;
    if (q->addresses)
        take_addresses(x, q->addresses, answer, result);
    else if (q->tlsas)
        take_tlsas(x, q->tlsas, answer, result);
    else
        take_mx(x, answer, result);
    ub_resolve_free(result);
    if (x->open == 0)
        go_on(x);
}

static const struct dns_answer late = {.result = DNS_TIMEOUT};

/* What a question gets instead of an answer. */
static void answer_without_data(struct question *q, const struct dns_answer *answer)
{
    q->is_open = false;
    if (q->addresses)
        q->addresses->answer = *answer;
    else if (q->tlsas)
        q->tlsas->answer = *answer;
    else
        route_mx(&q->owner->route, answer, NULL, 0);
}

static void ask(struct resolve *x, slice name, int type, struct dns_addresses *addresses,
                struct dns_tlsas *tlsas)
{
    INVARIANT(x->question_count < QUESTIONS_MAX);
    struct question *q = &x->questions[x->question_count++];
    *q = (struct question){.owner = x, .addresses = addresses, .tlsas = tlsas, .is_open = true};
    if (x->is_late) {
        answer_without_data(q, &late);
        return;
    }
    int err = ub_resolve_async(x->resolver->ctx, arena_cstr(&x->arena, name), type, CLASS_IN, q,
                               on_answer, &q->id);
    if (err == 0) {
        x->open++;
        return;
    }
    struct dns_answer failed = {.result = DNS_FAILED, .why = slice_of(ub_strerror(err))};
    answer_without_data(q, &failed);
}

static void ask_all(struct resolve *x)
{
    x->asked = x->route.wants;
    x->question_count = 0;
    if (x->asked == ROUTE_WANTS_MX)
        ask(x, x->route.domain, TYPE_MX, NULL, NULL);
    for (size_t i = 0; i < x->route.host_count && x->asked != ROUTE_WANTS_MX; i++) {
        struct route_host *h = &x->route.hosts[i];
        if (x->asked == ROUTE_WANTS_ADDRESSES) {
            ask(x, h->name, TYPE_A, &h->v4, NULL);
            ask(x, h->name, TYPE_AAAA, &h->v6, NULL);
        }
        for (size_t j = 0; j < h->tlsa_count && x->asked == ROUTE_WANTS_TLSA; j++)
            ask(x, h->tlsa[j].name, TYPE_TLSA, NULL, &h->tlsa[j].found);
    }
}

static void leave(struct resolve *x)
{
    list_remove(&x->node);
    timer_cancel(&x->deadline);
    if (!x->is_active)
        return;
    x->is_active = false;
    x->resolver->active_count--;
    if (!list_is_empty(&x->resolver->waiting))
        loop_defer(x->resolver->loop, &x->resolver->start);
}

/* There is no open question: the next ones, or the end. */
static void go_on(struct resolve *x)
{
    while (x->open == 0 && x->route.wants != ROUTE_IS_MADE) {
        if (x->asked != x->route.wants)
            ask_all(x);
        else if (x->asked == ROUTE_WANTS_ADDRESSES)
            route_addresses(&x->route);
        else
            route_tlsa(&x->route);
    }
    if (x->open > 0)
        return;
    loop_defer(x->resolver->loop, &x->made);
    leave(x);
}

/* Forgets what was not answered; libunbound goes on for its cache. */
static void close_questions(struct resolve *x)
{
    for (size_t i = 0; i < x->question_count; i++)
        if (x->questions[i].is_open) {
            x->questions[i].is_open = false;
            /* An error says that there is nothing to cancel. */
            (void)ub_cancel(x->resolver->ctx, x->questions[i].id);
        }
    x->open = 0;
}

static void on_deadline(void *ctx)
{
    struct resolve *x = ctx;
    x->is_late = true;
    for (size_t i = 0; i < x->question_count; i++) {
        struct question *q = &x->questions[i];
        if (!q->is_open)
            continue;
        /* An error says that there is nothing to cancel. */
        (void)ub_cancel(x->resolver->ctx, q->id);
        answer_without_data(q, &late);
    }
    x->open = 0;
    go_on(x);
}

static void start(struct resolve *x)
{
    struct resolver *r = x->resolver;
    list_push(&r->active, &x->node);
    r->active_count++;
    x->is_active = true;
    timer_set(&x->deadline, r->timeout);
    go_on(x);
}

static void start_waiting(struct loop_deferred *d)
{
    struct resolver *r = CONTAINER_OF(d, struct resolver, start);
    while (r->active_count < RESOLVES_ACTIVE_MAX && !list_is_empty(&r->waiting))
        start(LIST_ITEM(list_pop(&r->waiting), struct resolve, node));
}

static void on_made(struct loop_deferred *d)
{
    struct resolve *x = CONTAINER_OF(d, struct resolve, made);
    x->fn(x->ctx);
}

struct resolve *resolve_new(struct resolver *r, const struct route_policy *p, slice domain,
                            uint64_t random, void (*fn)(void *ctx), void *ctx)
{
    struct resolve *x = xcalloc(1, sizeof(*x));
    x->resolver = r;
    x->fn = fn;
    x->ctx = ctx;
    x->asked = ROUTE_IS_MADE;
    x->made.fn = on_made;
    list_init(&x->node);
    list_init(&x->made.node);
    timer_init(&x->deadline, r->loop, on_deadline, x);
    route_begin(&x->route, &x->arena, p, domain, random);
    if (x->route.wants == ROUTE_IS_MADE)
        loop_defer(r->loop, &x->made);
    else
        list_push(&r->waiting, &x->node);
    if (!list_is_empty(&r->waiting))
        loop_defer(r->loop, &r->start);
    return x;
}

void resolve_free(struct resolve **at)
{
    struct resolve *x = *at;
    if (!x)
        return;
    *at = NULL;
    close_questions(x);
    leave(x);
    list_remove(&x->made.node);
    arena_fini(&x->arena);
    free(x);
}

const struct route *resolve_route(const struct resolve *x)
{
    INVARIANT(x->route.wants == ROUTE_IS_MADE);
    return &x->route;
}

static void on_readable(void *ctx)
{
    struct resolver *r = ctx;
    /* A failure here is one of the pipe; the questions run into their deadlines. */
    (void)ub_process(r->ctx);
}

/* The name servers that are asked; 0 or libunbound's error. */
static int set_forward(struct ub_ctx *ctx, slice forward)
{
    struct conf_name_server server;
    if (slice_eq(forward, SLICE("none")))
        return 0;
    /* A name server on this machine is usual, and chosen by its operator. */
    int err = ub_ctx_set_option(ctx, "do-not-query-localhost:", "no");
    if (err != 0)
        return err;
    if (slice_is_empty(forward)) {
        err = ub_ctx_resolvconf(ctx, "/etc/resolv.conf");
        /* As resolv.conf(5) says of a missing file. */
        return err == UB_READFILE ? ub_ctx_set_fwd(ctx, "127.0.0.1") : err;
    }
    struct arena a = ARENA_INIT;
    while (err == 0 && conf_next_name_server(&forward, &server))
        err = ub_ctx_set_fwd(ctx, arena_cstr(&a, server.text));
    arena_fini(&a);
    return err;
}

static int set_options(struct ub_ctx *ctx)
{
    static const struct {
        const char *name, *value;
    } options[] = {
        /* the library's defaults are for a program that asks now and then */
        {"outgoing-range:", "64"},
        {"num-queries-per-thread:", "1024"},
        {"outgoing-num-tcp:", "8"},
        {"msg-cache-size:", "4m"},
        {"rrset-cache-size:", "8m"},
        /* a name server that was away is asked again soon after it is back */
        {"infra-keep-probing:", "yes"},
        {"infra-host-ttl:", "60"},
        {"trust-anchor-signaling:", "no"},
    };
    for (size_t i = 0; i < COUNT_OF(options); i++) {
        int err = ub_ctx_set_option(ctx, options[i].name, options[i].value);
        if (err != 0)
            return err;
    }
    (void)ub_ctx_debugout(ctx, NULL); /* it would write lines of its own to standard error */
    return ub_ctx_async(ctx, true);   /* a thread, not a process */
}

static struct ub_ctx *make_context(const struct conf_resolver *c, struct buf *errors)
{
    struct arena a = ARENA_INIT;
    struct ub_ctx *ctx = ub_ctx_create();
    const char *anchor = arena_cstr(&a, c->trust_anchor);
    const char *what = "the resolver cannot be started";
    int err = UB_NOMEM;
    if (ctx)
        err = set_options(ctx);
    if (err == 0) {
        what = "[resolver] forward cannot be used";
        err = set_forward(ctx, c->forward);
    }
    if (err == 0 && anchor[0]) {
        what = "[resolver] trust-anchor cannot be used";
        err = access(anchor, R_OK) == 0 ? ub_ctx_add_ta_file(ctx, anchor) : UB_READFILE;
    }
    /* Any change of local data has it read its files now, where an error can be told. */
    if (err == 0)
        err = ub_ctx_data_remove(ctx, "unused.invalid");
    if (err != 0) {
        buf_printf(errors, "%s: %s\n", what, ub_strerror(err));
        if (ctx)
            ub_ctx_delete(ctx);
        ctx = NULL;
    }
    arena_fini(&a);
    return ctx;
}

struct resolver *resolver_new(struct loop *l, const struct conf_resolver *c, struct buf *errors)
{
    struct ub_ctx *ctx = make_context(c, errors);
    if (!ctx)
        return NULL;
    struct resolver *r = xcalloc(1, sizeof(*r));
    r->loop = l;
    r->ctx = ctx;
    r->timeout = c->timeout;
    list_init(&r->active);
    list_init(&r->waiting);
    list_init(&r->start.node);
    r->start.fn = start_waiting;
    r->watch = loop_watch(l, ub_fd(ctx), on_readable, r);
    return r;
}

void resolver_free(struct resolver **at)
{
    struct resolver *r = *at;
    if (!r)
        return;
    *at = NULL;
    INVARIANT(list_is_empty(&r->active) && list_is_empty(&r->waiting));
    list_remove(&r->start.node);
    loop_unwatch(&r->watch);
    ub_ctx_delete(r->ctx);
    free(r);
}
