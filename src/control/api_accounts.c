/* /v1/accounts */
#include "control/api_request.h"
#include "control/names.h"

#include <errno.h>

enum { RECIPIENTS_MAX = 1000000 };
#define SIZE_MAX_OCTETS (1ull << 40)

static json_t *senders_to_json(const struct directory_account *d)
{
    json_t *list = json_array();
    for (size_t i = 0; i < d->sender_count; i++)
        json_array_append_new(list, api_text(d->senders[i]));
    return list;
}

static json_t *patience(struct api_request *r, span length)
{
    return length < 0 ? json_string("never") : api_text(name_of_span(&r->arena, length));
}

static json_t *to_json(struct api_request *r, const struct store_account *a)
{
    const struct directory_account *d = &a->d;
    return json_pack(
        "{s:I, s:o, s:o, s:I, s:s, s:o, s:o, s:s, s:s, s:o, s:I, s:I, s:o, s:o, s:o,"
        " s:I, s:o, s:o, s:I, s:o, s:o, s:o, s:o}",
        "id", (json_int_t)d->id, "login", api_text(d->login), "customer",
        api_text(a->customer_name), "customer_id", (json_int_t)d->customer, "state",
        api_state(r, d->state, d->until), "until", api_stamp(d->until), "reason",
        api_text(d->reason), "customer_state",
        api_state(r, a->customer_state, a->customer_until), "senders", name_of_right(d->right),
        "sender_list", senders_to_json(d), "max_recipients", (json_int_t)d->max_recipients,
        "max_size", (json_int_t)d->max_size, "language", api_text(d->language), "time_zone",
        api_text(d->time_zone), "contact", api_text(d->contact), "credentials",
        (json_int_t)a->credentials, "created", api_stamp(a->created), "preset",
        api_text(d->preset), "rules", (json_int_t)d->rule_count, "profile",
        api_text(d->profile), "plan", api_plan(d), "expire_after", patience(r, d->expire_after),
        "warn_after", patience(r, d->warn_after));
}

static void no_customer(struct api_request *r, slice name)
{
    api_error(r, 404, "no-such-customer", "Add it first: utpost customer add NAME",
              "There is no customer \"%.*s\".", SLICE_ARG(slice_to(name, 255)));
}

void api_accounts_list(struct api_request *r)
{
    struct store *s = r->api->config.store;
    struct store_account *page;
    slice name = api_query(r, "customer");
    uint64_t after, customer = 0;
    unsigned limit;
    int count = 0;
    if (!api_take_page(r, &after, &limit))
        return;
    store_lock(s);
    if (name.len > 0)
        count = store_customer_find(s, name, &customer);
    if (count == 0)
        count = store_account_list(s, customer, after, limit, &r->arena, &page);
    store_unlock(s);
    if (count == -ENOENT) {
        no_customer(r, name);
        return;
    }
    if (count < 0) {
        api_fail(r, count);
        return;
    }
    json_t *list = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(list, to_json(r, &page[i]));
    json_t *next =
        (unsigned)count == limit ? json_integer((json_int_t)page[count - 1].d.id) : json_null();
    api_answer(r, 200, json_pack("{s:o, s:o}", "accounts", list, "next", next));
}

bool api_take_account(struct api_request *r, struct store_account *out)
{
    struct store *s = r->api->config.store;
    uint64_t id = 0;
    int rc = store_account_find(s, r->args[0], &id);
    if (rc == 0)
        rc = store_account_get(s, id, &r->arena, out);
    if (rc == -ENOENT)
        api_error(r, 404, "no-such-account", "Accounts are listed by: utpost account list",
                  "There is no account \"%.*s\".", SLICE_ARG(slice_to(r->args[0], 255)));
    else if (rc < 0)
        api_fail(r, rc);
    return rc == 0;
}

static bool read_customer(struct api_request *r, struct directory_account *d)
{
    slice name = {0};
    if (!api_has(r, "customer"))
        return true;
    if (!api_take_text(r, "customer", name_check_line, &name))
        return false;
    int rc = store_customer_find(r->api->config.store, name, &d->customer);
    if (rc == -ENOENT)
        no_customer(r, name);
    else if (rc < 0)
        api_fail(r, rc);
    return rc == 0;
}

static bool take_senders(struct api_request *r, struct directory_account *d, json_t *list)
{
    slice *senders = arena_array(&r->arena, slice, json_array_size(list));
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item)
    {
        slice text = slice_make(json_string_value(item), json_string_length(item));
        const char *right = name_take_sender(&r->arena, d->right, text, &senders[i]);
        if (right) {
            api_error(r, 400, "bad-sender", arena_printf(&r->arena, "Give %s.", right).ptr,
                      "\"%.*s\" cannot be a permitted sender here.",
                      SLICE_ARG(slice_to(text, 255)));
            return false;
        }
    }
    d->senders = senders;
    d->sender_count = json_array_size(list);
    return true;
}

/* The right and its list go together: what was listed under another right is not kept. */
static bool read_senders(struct api_request *r, struct directory_account *d)
{
    slice text = {0};
    json_t *list = NULL;
    enum sender_right before = d->right;
    if (!api_take_text(r, "senders", NULL, &text) ||
        !api_take_list(r, "sender_list", SENDERS_MAX, &list))
        return false;
    if (api_has(r, "senders") && !name_parse_right(text, &d->right)) {
        api_error(r, 400, "bad-value", "Give \"any\", \"domains\" or \"exact\".",
                  "\"senders\" is not right here.");
        return false;
    }
    if (d->right != before)
        d->sender_count = 0;
    if (list && !take_senders(r, d, list))
        return false;
    if (d->right == SENDERS_ANY && d->sender_count > 0) {
        api_error(r, 400, "bad-value",
                  "Give \"senders\" as \"domains\" or \"exact\", or no list.",
                  "With \"senders\" \"any\", a list of senders means nothing.");
        return false;
    }
    if (d->right != SENDERS_ANY && d->sender_count == 0) {
        api_error(r, 400, "bad-value",
                  d->right == SENDERS_DOMAINS ? "List at least one domain."
                                              : "List at least one address.",
                  "With \"senders\" \"%s\" and nothing listed, nothing could be sent.",
                  name_of_right(d->right));
        return false;
    }
    return true;
}

static const char *check_profile(slice s)
{
    return s.len == 0 || slice_eq(s, SLICE("prudent")) ? NULL : "\"prudent\", or null: none";
}

static bool read_patience(struct api_request *r, struct directory_account *d)
{
    slice expire = {0}, warn = {0};
    if (!api_take_text(r, "expire_after", name_check_expire_after, &expire) ||
        !api_take_text(r, "warn_after", name_check_warn_after, &warn))
        return false;
    if (api_has(r, "expire_after"))
        d->expire_after = name_read_patience(expire);
    if (api_has(r, "warn_after"))
        d->warn_after = name_read_patience(warn);
    return true;
}

static bool read_body(struct api_request *r, struct directory_account *d)
{
    static const char *const keys[] = {
        "login",       "customer",       "language", "time_zone",    "contact",    "senders",
        "sender_list", "max_recipients", "max_size", "expire_after", "warn_after", "profile",
        NULL};
    uint64_t recipients = d->max_recipients;
    if (!api_knows_keys(r, keys) || !api_take_text(r, "login", name_check_login, &d->login) ||
        !api_take_text(r, "language", name_check_language, &d->language) ||
        !api_take_text(r, "time_zone", name_check_time_zone, &d->time_zone) ||
        !api_take_text(r, "contact", name_check_contact, &d->contact) ||
        !api_take_text(r, "profile", check_profile, &d->profile) ||
        !api_take_number(r, "max_recipients", RECIPIENTS_MAX, &recipients) ||
        !api_take_number(r, "max_size", SIZE_MAX_OCTETS, &d->max_size))
        return false;
    d->max_recipients = (uint32_t)recipients;
    return read_patience(r, d) && read_customer(r, d) && read_senders(r, d);
}

/* Who is not told may send as what the login says, if that is an address. */
static bool default_senders(struct api_request *r, struct directory_account *d)
{
    if (api_has(r, "senders"))
        return true;
    if (slice_find(d->login, '@') < 0) {
        api_error(
            r, 400, "bad-value",
            "Give \"senders\": \"any\", or \"domains\" or \"exact\" with \"sender_list\".",
            "\"senders\" is missing, and the login is no address.");
        return false;
    }
    slice *own = arena_array(&r->arena, slice, 1);
    const char *right = name_take_sender(&r->arena, SENDERS_EXACT, d->login, own);
    INVARIANT(!right);
    d->right = SENDERS_EXACT;
    d->senders = own;
    d->sender_count = 1;
    return true;
}

static void put(struct api_request *r, struct directory_account *d, unsigned status)
{
    struct store *s = r->api->config.store;
    struct store_account stored;
    int rc = store_account_put(s, d, r->now);
    if (rc == 0)
        rc = store_account_get(s, d->id, &r->arena, &stored);
    if (rc == 0) {
        api_commit(r, status, to_json(r, &stored));
        return;
    }
    if (rc == -EEXIST)
        api_error(r, 409, "login-taken", "Choose another login.",
                  "There is an account \"%.*s\" already.", SLICE_ARG(d->login));
    else
        api_fail(r, rc);
    api_rollback(r);
}

void api_accounts_add(struct api_request *r)
{
    struct directory_account d = {0};
    if (!api_begin(r))
        return;
    bool is_right = read_body(r, &d);
    if (is_right && d.login.len == 0) {
        api_error(r, 400, "bad-value", "Give the account a login.", "\"login\" is missing.");
        is_right = false;
    } else if (is_right && d.customer == 0) {
        api_error(r, 400, "bad-value", "Give the name of the customer that the account is of.",
                  "\"customer\" is missing.");
        is_right = false;
    }
    if (is_right && default_senders(r, &d))
        put(r, &d, 201);
    else
        api_rollback(r);
}

void api_account_show(struct api_request *r)
{
    struct store_account a;
    store_lock(r->api->config.store);
    bool found = api_take_account(r, &a);
    store_unlock(r->api->config.store);
    if (found)
        api_answer(r, 200, to_json(r, &a));
}

void api_account_change(struct api_request *r)
{
    struct store_account a;
    if (!api_begin(r))
        return;
    if (api_take_account(r, &a) && read_body(r, &a.d))
        put(r, &a.d, 200);
    else
        api_rollback(r);
}

void api_account_lock(struct api_request *r)
{
    struct store_account a;
    if (!api_begin(r))
        return;
    if (api_take_account(r, &a) && api_take_lock(r, &a.d.state, &a.d.until, &a.d.reason))
        put(r, &a.d, 200);
    else
        api_rollback(r);
}

/* Passwords and tokens, which others may have; how many. */
static int revoke_secrets(struct api_request *r, uint64_t account, json_int_t *revoked)
{
    struct store *s = r->api->config.store;
    struct store_credential *list;
    uint64_t after = 0;
    int count, rc = 0;
    do {
        count = store_credential_list(s, account, after, API_PAGE, &r->arena, &list);
        for (int i = 0; i < count && rc == 0; i++) {
            after = list[i].d.id;
            if (list[i].d.kind != CREDENTIAL_SECRET)
                continue;
            rc = store_credential_remove(s, after);
            ++*revoked;
        }
    } while (count == API_PAGE && rc == 0);
    return count < 0 ? count : rc;
}

/* The lock, the credentials and what is to become of the queue: one transaction. */
static int unlock(struct api_request *r, struct store_account *a, bool revokes,
                  struct queue_command *order, json_int_t *revoked)
{
    struct store *s = r->api->config.store;
    int rc = store_account_unlock(s, &a->d);
    if (rc == 0)
        rc = store_account_put(s, &a->d, r->now);
    if (rc == 0 && revokes)
        rc = revoke_secrets(r, a->d.id, revoked);
    order->account = a->d.id;
    order->version = a->d.unlocked;
    if (rc == 0 && order->verb)
        rc = api_order_put(r, order);
    return rc == 0 ? store_account_get(s, a->d.id, &r->arena, a) : rc;
}

void api_account_unlock(struct api_request *r)
{
    struct store_account a;
    struct queue_command order = {0};
    json_int_t revoked = 0;
    bool revokes = false;
    if (!api_take_unlock(r, &order.verb, &revokes) || !api_begin(r))
        return;
    if (!api_take_account(r, &a)) {
        api_rollback(r);
        return;
    }
    int rc = unlock(r, &a, revokes, &order, &revoked);
    if (rc < 0) {
        api_fail(r, rc);
        api_rollback(r);
        return;
    }
    api_commit(r, 200, to_json(r, &a));
    if (r->status != 200)
        return;
    json_object_set_new(r->answer, "revoked", json_integer(revoked));
    api_add_queue(r, r->answer, &order);
}

void api_account_remove(struct api_request *r)
{
    struct store_account a;
    if (!api_begin(r))
        return;
    if (!api_take_account(r, &a)) {
        api_rollback(r);
        return;
    }
    int rc = store_account_remove(r->api->config.store, a.d.id);
    if (rc == 0) {
        api_commit(r, 200, json_pack("{s:I}", "removed", (json_int_t)a.d.id));
        return;
    }
    api_fail(r, rc);
    api_rollback(r);
}
