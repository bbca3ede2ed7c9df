/* /v1/accounts/LOGIN/credentials, /v1/credentials/ID */
#include "base/secret.h"
#include "control/api_request.h"
#include "control/names.h"
#include "control/verifier.h"

#include <errno.h>
#include <pwd.h>

enum { OTHERS_MAX = 1000 };

static const char *const kinds[] = {
    [CREDENTIAL_SECRET] = "secret", [CREDENTIAL_ADDRESS] = "address", [CREDENTIAL_UID] = "uid"};

static json_t *others_to_json(const struct store_credential *c)
{
    json_t *list = json_array();
    for (size_t i = 0; i < c->d.may_act_for_count; i++)
        json_array_append_new(list, api_text(c->may_act_names[i]));
    return list;
}

static json_t *to_json(const struct store_credential *c)
{
    char cidr[ADDRESS_TEXT_MAX] = "";
    json_t *uid = c->d.kind == CREDENTIAL_UID ? json_integer(c->d.uid) : json_null();
    if (c->d.kind == CREDENTIAL_ADDRESS)
        cidr_format(&c->d.cidr, cidr);
    return json_pack("{s:I, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "id", (json_int_t)c->d.id,
                     "account", api_text(c->login), "kind", kinds[c->d.kind], "label",
                     api_text(c->d.label), "scheme", api_text(c->d.scheme), "cidr",
                     api_text(slice_of(cidr)), "uid", uid, "may_act_for", others_to_json(c),
                     "created", api_stamp(c->created));
}

static void no_account(struct api_request *r, slice login)
{
    api_error(r, 404, "no-such-account", "Accounts are listed by: utpost account list",
              "There is no account \"%.*s\".", SLICE_ARG(slice_to(login, 255)));
}

void api_credentials_list(struct api_request *r)
{
    struct store *s = r->api->config.store;
    struct store_credential *page;
    uint64_t after, account = 0;
    unsigned limit;
    if (!api_take_page(r, &after, &limit))
        return;
    store_lock(s);
    int count = store_account_find(s, r->args[0], &account);
    if (count == 0)
        count = store_credential_list(s, account, after, limit, &r->arena, &page);
    store_unlock(s);
    if (count == -ENOENT) {
        no_account(r, r->args[0]);
        return;
    }
    if (count < 0) {
        api_fail(r, count);
        return;
    }
    json_t *list = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(list, to_json(&page[i]));
    json_t *next =
        (unsigned)count == limit ? json_integer((json_int_t)page[count - 1].d.id) : json_null();
    api_answer(r, 200, json_pack("{s:o, s:o}", "credentials", list, "next", next));
}

/* A password of the caller's choice, or a generated secret, which is answered once. */
static bool read_secret(struct api_request *r, struct directory_credential *c,
                        char secret[VERIFIER_SECRET_LEN + 1])
{
    slice password = {0};
    if (!api_has(r, "password")) {
        verifier_generate(r->api->config.env, secret);
        c->scheme = SLICE("blake2b");
        c->verifier = verifier_of_secret(r->api->config.env, &r->arena, slice_of(secret));
        return true;
    }
    if (!api_take_text(r, "password", name_check_password, &password))
        return false;
    int rc = verifier_of_password(&r->arena, password, &c->verifier);
    c->scheme = SLICE("argon2id");
    secret_wipe((char *)(uintptr_t)password.ptr, password.len);
    if (rc < 0)
        api_fail(r, rc);
    return rc == 0;
}

static bool read_cidr(struct api_request *r, struct directory_credential *c)
{
    slice text = {0};
    if (!api_take_text(r, "cidr", NULL, &text))
        return false;
    if (cidr_parse(text, &c->cidr))
        return true;
    api_error(r, 400, "bad-value",
              "Give an address (192.0.2.1) or a network whose host bits are zero"
              " (192.0.2.0/24, 2001:db8::/32).",
              "\"cidr\" is not right here.");
    return false;
}

static bool read_uid(struct api_request *r, struct directory_credential *c)
{
    slice user = {0};
    uint64_t uid = 0;
    if (!api_take_number(r, "uid", UINT32_MAX - 1, &uid) ||
        !api_take_text(r, "user", name_check_line, &user))
        return false;
    if (user.len > 0) {
        char room[4096];
        struct passwd entry, *found = NULL;
        int rc = getpwnam_r(arena_cstr(&r->arena, user), &entry, room, sizeof(room), &found);
        if (!found) {
            api_error(r, 400, "no-such-user", "Give the number of the user as \"uid\".",
                      "This machine knows no user \"%.*s\"%s.", SLICE_ARG(slice_to(user, 64)),
                      rc ? " (the list of users cannot be read)" : "");
            return false;
        }
        uid = entry.pw_uid;
    } else if (!api_has(r, "uid")) {
        api_error(r, 400, "bad-value", "Give the number of a local user as \"uid\".",
                  "\"uid\" is missing.");
        return false;
    }
    c->uid = (uint32_t)uid;
    return true;
}

static bool read_body(struct api_request *r, struct directory_credential *c,
                      char secret[VERIFIER_SECRET_LEN + 1])
{
    static const char *const keys[] = {"kind", "label", "password",    "cidr",
                                       "uid",  "user",  "may_act_for", NULL};
    /* Which keys belong to a kind. */
    static const struct {
        const char *key;
        enum credential_kind kind;
    } own[] = {{"password", CREDENTIAL_SECRET},
               {"cidr", CREDENTIAL_ADDRESS},
               {"uid", CREDENTIAL_UID},
               {"user", CREDENTIAL_UID}};
    slice kind = SLICE("secret");
    if (!api_knows_keys(r, keys) || !api_take_text(r, "kind", NULL, &kind) ||
        !api_take_text(r, "label", name_check_line, &c->label))
        return false;
    for (size_t k = CREDENTIAL_SECRET; k < COUNT_OF(kinds); k++)
        if (slice_eq(kind, slice_of(kinds[k])))
            c->kind = (enum credential_kind)k;
    if (c->kind == 0) {
        api_error(r, 400, "bad-value", "Give \"secret\", \"address\" or \"uid\".",
                  "\"kind\" is not right here.");
        return false;
    }
    for (size_t i = 0; i < COUNT_OF(own); i++) {
        if (own[i].kind != c->kind && api_has(r, own[i].key)) {
            api_error(r, 400, "bad-value", "Leave it out, or give its \"kind\".",
                      "\"%s\" means nothing with \"kind\" \"%s\".", own[i].key, kinds[c->kind]);
            return false;
        }
    }
    if (c->kind == CREDENTIAL_ADDRESS)
        return read_cidr(r, c);
    if (c->kind == CREDENTIAL_UID)
        return read_uid(r, c);
    return read_secret(r, c, secret);
}

/* Logins to ids; with the mutex held. */
static bool read_others(struct api_request *r, struct directory_credential *c)
{
    json_t *list = NULL;
    size_t i;
    json_t *item;
    if (!api_take_list(r, "may_act_for", OTHERS_MAX, &list))
        return false;
    if (!list)
        return true;
    uint64_t *ids = arena_array(&r->arena, uint64_t, json_array_size(list));
    json_array_foreach(list, i, item)
    {
        slice login = slice_make(json_string_value(item), json_string_length(item));
        int rc = store_account_find(r->api->config.store, login, &ids[i]);
        if (rc == -ENOENT)
            no_account(r, login);
        else if (rc < 0)
            api_fail(r, rc);
        if (rc < 0)
            return false;
    }
    c->may_act_for = ids;
    c->may_act_for_count = json_array_size(list);
    return true;
}

static void held_by_other(struct api_request *r, const struct directory_credential *c,
                          uint64_t holder)
{
    struct store_account other;
    slice login = SLICE("another account");
    if (store_account_get(r->api->config.store, holder, &r->arena, &other) == 0)
        login = other.d.login;
    if (c->kind == CREDENTIAL_ADDRESS)
        api_error(r, 409, "address-taken",
                  "Revoke that credential first, or give a narrower network.",
                  "This network signs in %.*s already.", SLICE_ARG(login));
    else
        api_error(r, 409, "user-taken",
                  "Let one account have the user, with \"may_act_for\" the others.",
                  "This user signs in %.*s, an account of another customer, already.",
                  SLICE_ARG(login));
}

/* Stores what was read; the answer, or NULL with an error answered. */
static json_t *put(struct api_request *r, struct directory_credential *c)
{
    struct store *s = r->api->config.store;
    struct store_credential stored;
    uint64_t holder = 0;
    int rc = store_credential_add(s, c, r->now, &holder);
    if (rc == 0)
        rc = store_credential_get(s, c->id, &r->arena, &stored);
    if (rc == 0)
        return to_json(&stored);
    if (rc == -EEXIST)
        held_by_other(r, c, holder);
    else
        api_fail(r, rc);
    return NULL;
}

static json_t *add(struct api_request *r, struct directory_credential *c)
{
    int rc = store_account_find(r->api->config.store, r->args[0], &c->account);
    if (rc == -ENOENT)
        no_account(r, r->args[0]);
    else if (rc < 0)
        api_fail(r, rc);
    return rc == 0 && read_others(r, c) ? put(r, c) : NULL;
}

/* The password is hashed before the transaction: it takes long. */
void api_credentials_add(struct api_request *r)
{
    struct directory_credential c = {0};
    char secret[VERIFIER_SECRET_LEN + 1] = "";
    if (!read_body(r, &c, secret) || !api_begin(r))
        return;
    json_t *answer = add(r, &c);
    if (answer && secret[0])
        json_object_set_new(answer, "secret", json_string(secret));
    secret_wipe(secret, sizeof(secret));
    if (answer)
        api_commit(r, 201, answer);
    else
        api_rollback(r);
}

void api_credential_remove(struct api_request *r)
{
    uint64_t id = 0;
    bool is_number = slice_to_u64(r->args[0], &id);
    if (!api_begin(r))
        return;
    int rc = is_number ? store_credential_remove(r->api->config.store, id) : -ENOENT;
    if (rc == 0) {
        api_commit(r, 200, json_pack("{s:I}", "removed", (json_int_t)id));
        return;
    }
    if (rc == -ENOENT)
        api_error(r, 404, "no-such-credential",
                  "The credentials of an account are listed by: utpost credential list LOGIN",
                  "There is no credential \"%.*s\".", SLICE_ARG(slice_to(r->args[0], 64)));
    else
        api_fail(r, rc);
    api_rollback(r);
}
