/* /v1/tokens, and what a token may do. */
#include "base/secret.h"
#include "control/api_request.h"
#include "control/names.h"
#include "control/verifier.h"

#include <errno.h>
#include <sodium.h>

enum { HASH = 32 };

/* Tokens have 130 random bits: a hash alone is enough, and can be looked up. */
static slice hash_of(struct arena *a, slice token)
{
    uint8_t *hash = arena_alloc(a, HASH);
    int rc = crypto_generichash(hash, HASH, (const uint8_t *)token.ptr, token.len, NULL, 0);
    INVARIANT(rc == 0);
    return slice_make(hash, HASH);
}

void api_admit_token(struct api_request *r, slice authorization)
{
    struct store_token token = {0};
    slice kind;
    slice_split(&authorization, ' ', &kind);
    if (!slice_ieq(kind, SLICE("Bearer")) || authorization.len == 0)
        return;
    store_lock(r->api->config.store);
    int rc = store_token_find(r->api->config.store,
                              hash_of(&r->arena, slice_trim(authorization)), &r->arena, &token);
    store_unlock(r->api->config.store);
    if (rc < 0)
        return;
    r->access = token.scope == TOKEN_ADMIN  ? API_ADMIN
                : token.scope == TOKEN_READ ? API_READ
                                            : API_ACCOUNT;
    r->only_account = token.account;
    r->token = token.id;
}

static json_t *token_json(const struct store_token *t)
{
    char scope[320] = "admin";
    if (t->scope == TOKEN_READ)
        snprintf(scope, sizeof(scope), "read");
    else if (t->scope == TOKEN_ACCOUNT)
        snprintf(scope, sizeof(scope), "account:%.*s", SLICE_ARG(slice_to(t->login, 300)));
    return json_pack("{s:I, s:s, s:o, s:o}", "id", (json_int_t)t->id, "scope", scope, "label",
                     api_text(t->label), "created", api_stamp(t->created));
}

void api_tokens_list(struct api_request *r)
{
    struct store_token *tokens;
    uint64_t after;
    unsigned limit;
    if (!api_take_page(r, &after, &limit))
        return;
    store_lock(r->api->config.store);
    int count = store_token_list(r->api->config.store, after, limit, &r->arena, &tokens);
    store_unlock(r->api->config.store);
    if (count < 0) {
        api_fail(r, count);
        return;
    }
    json_t *list = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(list, token_json(&tokens[i]));
    bool is_full = count > 0 && (unsigned)count == limit;
    api_answer(
        r, 200,
        json_pack("{s:o, s:o}", "tokens", list, "next",
                  is_full ? json_integer((json_int_t)tokens[count - 1].id) : json_null()));
}

static bool take_scope(struct api_request *r, slice scope, struct store_token *t)
{
    slice login = scope;
    slice kind;
    t->scope = TOKEN_ADMIN;
    if (slice_eq(scope, SLICE("admin")))
        return true;
    t->scope = TOKEN_READ;
    if (slice_eq(scope, SLICE("read")))
        return true;
    t->scope = TOKEN_ACCOUNT;
    slice_split(&login, ':', &kind);
    if (slice_eq(kind, SLICE("account")) && login.len > 0) {
        t->login = login;
        return api_find_account(r, login, &t->account);
    }
    api_error(r, 400, "bad-value", "Give admin, read or account:LOGIN.",
              "\"scope\" is not right here.");
    return false;
}

void api_tokens_add(struct api_request *r)
{
    static const char *const keys[] = {"scope", "label", NULL};
    struct store_token t = {.created = r->now};
    char secret[VERIFIER_SECRET_LEN + 1];
    slice scope = {0};
    if (!api_knows_keys(r, keys) || !api_take_text(r, "scope", NULL, &scope) ||
        !api_take_text(r, "label", name_check_line, &t.label) || !take_scope(r, scope, &t))
        return;
    if (!api_begin(r))
        return;
    verifier_generate(r->api->config.env, secret);
    int rc =
        store_token_add(r->api->config.store, &t, hash_of(&r->arena, slice_of(secret)), r->now);
    if (rc < 0) {
        api_fail(r, rc);
        api_rollback(r);
    } else {
        json_t *answer = token_json(&t);
        json_object_set_new(answer, "token", json_string(secret));
        api_commit(r, 201, answer);
    }
    secret_wipe(secret, sizeof(secret));
}

void api_token_remove(struct api_request *r)
{
    uint64_t id;
    if (!slice_to_u64(r->args[0], &id)) {
        api_error(r, 400, "bad-value", "Tokens are listed by: utpost token list",
                  "A token has a number.");
        return;
    }
    if (!api_begin(r))
        return;
    int rc = store_token_remove(r->api->config.store, id);
    if (rc == 0) {
        api_commit(r, 200, json_object());
        return;
    }
    if (rc == -ENOENT)
        api_error(r, 404, "no-such-token", "Tokens are listed by: utpost token list",
                  "There is no token %llu.", (unsigned long long)id);
    else
        api_fail(r, rc);
    api_rollback(r);
}
