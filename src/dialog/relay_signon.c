#include "dialog/relay_machine.h"
#include "dialog/relay_write.h"

/* No further with this host. reply: NULL when there was a fault. */
static void give_up(struct relay *r, const struct reply *reply, enum relay_fault fault)
{
    enum relay_stage stage = relay_waits(r);
    r->site = outcome_of(stage, reply, fault);
    if (r->config->tls == RELAY_TLS_OPPORTUNISTIC && outcome_plain_helps(stage, reply, fault))
        r->site.next = NEXT_PLAIN;
    r->site_stage = stage;
    r->site_fault = fault;
    if (reply)
        r->site_reply = *reply;
    relay_close(r, reply && reply->code >= 400 && reply->code != 421);
}

void relay_signon_failed(struct relay *r, enum relay_fault fault)
{
    give_up(r, NULL, fault);
}

void relay_signon_greet(struct relay *r)
{
    r->peer = (struct ehlo){0};
    r->ehlo_lines = 0;
    relay_send(r, AT_EHLO, SLICE("EHLO"), r->config->helo);
}

static void sign_in(struct relay *r)
{
    const struct relay_config *c = r->config;
    bool may = r->is_tls || c->allow_plaintext_auth;
    bool is_offered = r->peer.extensions & EHLO_AUTH;
    r->state = AT_AUTH;
    if (may && is_offered && r->peer.auth & EHLO_AUTH_PLAIN) {
        bool is_whole = relay_write_auth_plain(&r->out, &r->arena, c->login, c->secret);
        r->auth = is_whole ? AUTH_LAST : AUTH_PLAIN_NEXT;
    } else if (may && is_offered && r->peer.auth & EHLO_AUTH_LOGIN) {
        relay_send(r, AT_AUTH, SLICE("AUTH LOGIN"), SLICE(""));
        r->auth = AUTH_LOGIN_NAME_NEXT;
    } else {
        give_up(r, NULL, FAULT_NO_AUTH);
    }
}

/* The reply to EHLO is in: what next? */
static void go_on(struct relay *r)
{
    enum relay_tls tls = r->config->tls;
    if (!r->is_tls && tls != RELAY_TLS_NONE) {
        if (r->peer.extensions & EHLO_STARTTLS) {
            relay_send(r, AT_STARTTLS, SLICE("STARTTLS"), SLICE(""));
            return;
        }
        if (tls != RELAY_TLS_OPPORTUNISTIC) {
            r->state = AT_STARTTLS;
            give_up(r, NULL, FAULT_NO_TLS);
            return;
        }
    }
    if (r->config->login.len)
        sign_in(r);
    else
        relay_stand_by(r);
}

static void on_auth(struct relay *r)
{
    const struct relay_config *c = r->config;
    if (r->reply.code / 100 == 2) {
        arena_reset(&r->arena);
        relay_stand_by(r);
        return;
    }
    if (r->reply.code != 334 || r->auth == AUTH_LAST) {
        give_up(r, NULL, FAULT_GARBAGE);
        return;
    }
    switch (r->auth) {
    case AUTH_PLAIN_NEXT:
        relay_write_plain(&r->out, &r->arena, c->login, c->secret);
        r->auth = AUTH_LAST;
        break;
    case AUTH_LOGIN_NAME_NEXT:
        relay_write_base64(&r->out, &r->arena, c->login);
        r->auth = AUTH_LOGIN_SECRET_NEXT;
        break;
    case AUTH_LOGIN_SECRET_NEXT:
        relay_write_base64(&r->out, &r->arena, c->secret);
        r->auth = AUTH_LAST;
        break;
    case AUTH_LAST:
        break;
    }
}

static void on_starttls(struct relay *r)
{
    /* Bytes behind the reply were sent in plain text and must never be read as if under TLS. */
    if (relay_has_input(r)) {
        give_up(r, NULL, FAULT_GARBAGE);
        return;
    }
    r->state = AT_TLS;
    r->due |= DUE_TLS;
}

void relay_signon_reply(struct relay *r)
{
    struct outcome o = outcome_of(relay_waits(r), &r->reply, FAULT_NONE);
    if (o.next != NEXT_CONTINUE) {
        r->peer = (struct ehlo){0};
        if (r->state == AT_EHLO && r->reply.code / 100 == 5)
            relay_send(r, AT_HELO, SLICE("HELO"), r->config->helo);
        else
            give_up(r, &r->reply, FAULT_NONE);
        return;
    }
    switch (r->state) {
    case AT_GREETING:
        relay_signon_greet(r);
        break;
    case AT_EHLO:
    case AT_HELO:
        go_on(r);
        break;
    case AT_STARTTLS:
        on_starttls(r);
        break;
    case AT_AUTH:
        on_auth(r);
        break;
    default:
        IMPOSSIBLE("a reply before its command");
    }
}
