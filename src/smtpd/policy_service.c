#include "smtpd/policy_internal.h"

#include "base/log.h"
#include "net/address.h"
#include "net/listen.h"
#include "smtpd/local.h"

#include <stdlib.h>
#include <unistd.h>

enum { IN_MAX = 2 * POLICYD_REQUEST_MAX };

static void connection_end(struct policy_connection *c, bool flush)
{
    struct policy_transaction *t = c->current;
    c->current = NULL;
    if (t)
        policy_transaction_lose(t);
    if (c->committing)
        c->committing->connection = NULL;
    list_remove(&c->node);
    stream_close(&c->stream, flush);
    buf_fini(&c->in);
    free(c);
}

static void answer(struct policy_connection *c, const struct reply *refusal)
{
    struct buf out = BUF_INIT;
    if (refusal) {
        policyd_write_reply(&out, refusal->code, refusal->enhanced, refusal->text);
        atomic_fetch_add(&c->owner->service->stats->refused, 1);
        log_info("refused", LOG_C("door", "policy-service"),
                 LOG_S("client", slice_of(c->client)), LOG_I("code", refusal->code),
                 LOG_S("reply", refusal->text));
    } else {
        policyd_write_dunno(&out);
    }
    stream_write(c->stream, buf_slice(&out));
    buf_fini(&out);
}

static void ask(struct policy_connection *c, const struct policyd_request *q)
{
    bool is_same = c->current && slice_eq(q->instance, slice_of(c->current->instance));
    if (!is_same)
        policy_transaction_drop(&c->current); /* the message before was aborted */
    struct wording refusal;
    enum policy_verdict verdict = POLICY_DUNNO;
    if (q->state == POLICYD_RCPT || q->state == POLICYD_END_OF_MESSAGE)
        verdict = policy_ask(c, q, &refusal);
    if (verdict != POLICY_LATER)
        answer(c, verdict == POLICY_REFUSE ? &refusal.reply : NULL);
}

/* False: the connection is gone. */
static bool take_questions(struct policy_connection *c)
{
    while (!c->committing && c->in.len > 0) {
        struct policyd_request q;
        size_t used;
        enum policyd_result result = policyd_parse(buf_slice(&c->in), &c->seen, &q, &used);
        if (result == POLICYD_MORE)
            return true;
        if (result == POLICYD_BAD) {
            log_warning("policy-question-bad", LOG_S("client", slice_of(c->client)),
                        LOG_C("then", "the connection is closed"));
            connection_end(c, true);
            return false;
        }
        ask(c, &q);
        buf_consume(&c->in, used);
    }
    return true;
}

void policy_answered(struct policy_connection *c, int err)
{
    static const struct reply fault = {
        451,
        {4, 3, 0},
        SLICE_INIT("The use could not be written down: a fault of this server; send it later")};
    answer(c, err ? &fault : NULL);
    take_questions(c);
}

static size_t on_data(void *ctx, slice bytes)
{
    struct policy_connection *c = ctx;
    buf_append(&c->in, bytes);
    if (c->in.error)
        connection_end(c, false); /* more than one that asks and waits has to say */
    else
        take_questions(c);
    return bytes.len;
}

static void on_end(void *ctx, int err)
{
    struct policy_connection *c = ctx;
    log_debug("policy-connection-ends", LOG_S("client", slice_of(c->client)),
              LOG_E("error", err));
    connection_end(c, false);
}

static void on_drain(void *ctx)
{
    (void)ctx; /* its answers are few and short, and it waits for each */
}

static const struct stream_events events = {
    .on_data = on_data, .on_drain = on_drain, .on_end = on_end};

static bool may_ask(const struct policy_service *p, const struct address *client)
{
    slice rest = p->role->conf->policy_service.clients;
    slice word;
    struct cidr network;
    if (client->family == 0)
        return true; /* the Unix socket */
    while (conf_next_word(&rest, &word))
        if (cidr_parse(word, &network) && cidr_has(&network, client))
            return true;
    return false;
}

static void on_connection(void *ctx, int fd, const struct listen_peer *peer)
{
    struct policy_service *p = ctx;
    char client[ADDRESS_TEXT_MAX];
    local_client_text(peer, client);
    if (!may_ask(p, &peer->address)) {
        log_warning("policy-client-refused", LOG_S("client", slice_of(client)),
                    LOG_C("hint", "clients in [policy-service] names those who may ask"));
        close(fd);
        return;
    }
    struct policy_connection *c = xcalloc(1, sizeof(*c));
    c->owner = p;
    c->in = BUF_BOUNDED(IN_MAX);
    memcpy(c->client, client, sizeof(client));
    list_push(&p->connections, &c->node);
    c->stream = stream_accept(p->role->loop, fd, &events, c);
    if (c->stream)
        stream_resume(c->stream);
    else
        connection_end(c, false);
}

struct policy_service *policy_service_new(struct role *role, struct service *service)
{
    int fd = role_fd(role, "policy-service");
    if (fd < 0)
        return NULL;
    struct policy_service *p = xcalloc(1, sizeof(*p));
    p->role = role;
    p->service = service;
    list_init(&p->connections);
    list_init(&p->lost);
    list_init(&p->committing);
    p->after.fn = policy_transactions_settled;
    p->listener = listener_new(role->loop, fd, on_connection, p);
    return p;
}

void policy_service_drain(struct policy_service *p)
{
    if (!p)
        return;
    listener_free(&p->listener);
    LIST_EACH (&p->connections, node) {
        struct policy_connection *c = LIST_ITEM(node, struct policy_connection, node);
        if (!c->committing)
            connection_end(c, true);
    }
    policy_transactions_count(p);
}

void policy_service_free(struct policy_service **at)
{
    struct policy_service *p = *at;
    *at = NULL;
    if (!p)
        return;
    listener_free(&p->listener);
    LIST_EACH (&p->connections, node)
        connection_end(LIST_ITEM(node, struct policy_connection, node), false);
    policy_transactions_fini(p);
    free(p);
}
