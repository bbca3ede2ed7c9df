/* /v1/customers */
#include "control/api_request.h"
#include "control/names.h"

#include <errno.h>

static json_t *to_json(const struct api_request *r, const struct store_customer *c)
{
    return json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:o, s:I, s:o, s:o, s:I}", "id",
                     (json_int_t)c->d.id, "name", api_text(c->d.name), "parent",
                     api_text(c->parent_name), "language", api_text(c->d.language), "time_zone",
                     api_text(c->d.time_zone), "contact", api_text(c->d.contact), "state",
                     api_state(r, c->d.state, c->d.until), "until", api_stamp(c->d.until),
                     "reason", api_text(c->d.reason), "accounts", (json_int_t)c->accounts,
                     "created", api_stamp(c->created), "preset", api_text(c->d.preset), "rules",
                     (json_int_t)c->d.rule_count);
}

void api_customers_list(struct api_request *r)
{
    struct store *s = r->api->config.store;
    struct store_customer *page;
    uint64_t after;
    unsigned limit;
    if (!api_take_page(r, &after, &limit))
        return;
    store_lock(s);
    int count = store_customer_list(s, after, limit, &r->arena, &page);
    store_unlock(s);
    if (count < 0) {
        api_fail(r, count);
        return;
    }
    json_t *list = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(list, to_json(r, &page[i]));
    json_t *next =
        (unsigned)count == limit ? json_integer((json_int_t)page[count - 1].d.id) : json_null();
    api_answer(r, 200, json_pack("{s:o, s:o}", "customers", list, "next", next));
}

static void not_found(struct api_request *r, slice name)
{
    api_error(r, 404, "no-such-customer", "Customers are listed by: utpost customer list",
              "There is no customer \"%.*s\".", SLICE_ARG(slice_to(name, 255)));
}

bool api_take_customer(struct api_request *r, struct store_customer *out)
{
    struct store *s = r->api->config.store;
    uint64_t id = 0;
    int rc = store_customer_find(s, r->args[0], &id);
    if (rc == 0)
        rc = store_customer_get(s, id, &r->arena, out);
    if (rc == -ENOENT)
        not_found(r, r->args[0]);
    else if (rc < 0)
        api_fail(r, rc);
    return rc == 0;
}

/* Changes what the body names. */
static bool read_body(struct api_request *r, struct directory_customer *c)
{
    static const char *const keys[] = {"name",      "parent",  "language",
                                       "time_zone", "contact", NULL};
    slice parent = {0};
    if (!api_knows_keys(r, keys) || !api_take_text(r, "name", name_check_customer, &c->name) ||
        !api_take_text(r, "language", name_check_language, &c->language) ||
        !api_take_text(r, "time_zone", name_check_time_zone, &c->time_zone) ||
        !api_take_text(r, "contact", name_check_contact, &c->contact) ||
        !api_take_text(r, "parent", NULL, &parent))
        return false;
    if (!api_has(r, "parent"))
        return true;
    c->parent = 0;
    if (parent.len == 0)
        return true;
    int rc = store_customer_find(r->api->config.store, parent, &c->parent);
    if (rc == -ENOENT)
        not_found(r, parent);
    else if (rc < 0)
        api_fail(r, rc);
    return rc == 0;
}

/* Puts it into the store, commits, answers with what is there then. */
static void put(struct api_request *r, struct directory_customer *c, unsigned status)
{
    struct store *s = r->api->config.store;
    struct store_customer stored;
    int rc = store_customer_put(s, c, r->now);
    if (rc == 0)
        rc = store_customer_get(s, c->id, &r->arena, &stored);
    if (rc == 0) {
        api_commit(r, status, to_json(r, &stored));
        return;
    }
    if (rc == -EEXIST)
        api_error(r, 409, "name-taken", "Choose another name.",
                  "There is a customer \"%.*s\" already.", SLICE_ARG(c->name));
    else if (rc == -ELOOP)
        api_error(r, 409, "parent-loop", "Choose another parent.",
                  "A customer cannot be its own reseller.");
    else
        api_fail(r, rc);
    api_rollback(r);
}

void api_customers_add(struct api_request *r)
{
    struct directory_customer c = {0};
    if (!api_begin(r))
        return;
    bool is_right = read_body(r, &c);
    if (is_right && c.name.len == 0) {
        api_error(r, 400, "bad-value", "Give the customer a name.", "\"name\" is missing.");
        is_right = false;
    }
    if (is_right)
        put(r, &c, 201);
    else
        api_rollback(r);
}

void api_customer_show(struct api_request *r)
{
    struct store_customer c;
    store_lock(r->api->config.store);
    bool found = api_take_customer(r, &c);
    store_unlock(r->api->config.store);
    if (found)
        api_answer(r, 200, to_json(r, &c));
}

void api_customer_change(struct api_request *r)
{
    struct store_customer c;
    if (!api_begin(r))
        return;
    if (api_take_customer(r, &c) && read_body(r, &c.d))
        put(r, &c.d, 200);
    else
        api_rollback(r);
}

void api_customer_lock(struct api_request *r)
{
    struct store_customer c;
    if (!api_begin(r))
        return;
    if (api_take_customer(r, &c) && api_take_lock(r, &c.d.state, &c.d.until, &c.d.reason))
        put(r, &c.d, 200);
    else
        api_rollback(r);
}

/* The lock, and what is to become of the queue: one transaction. */
static int unlock(struct api_request *r, struct store_customer *c, struct queue_command *order)
{
    struct store *s = r->api->config.store;
    int rc = store_customer_unlock(s, &c->d);
    if (rc == 0)
        rc = store_customer_put(s, &c->d, r->now);
    order->customer = c->d.id;
    order->version = c->d.unlocked;
    if (rc == 0 && order->verb)
        rc = api_order_put(r, order);
    return rc == 0 ? store_customer_get(s, c->d.id, &r->arena, c) : rc;
}

void api_customer_unlock(struct api_request *r)
{
    struct store_customer c;
    struct queue_command order = {0};
    if (!api_take_unlock(r, &order.verb, NULL) || !api_begin(r))
        return;
    if (!api_take_customer(r, &c)) {
        api_rollback(r);
        return;
    }
    int rc = unlock(r, &c, &order);
    if (rc < 0) {
        api_fail(r, rc);
        api_rollback(r);
        return;
    }
    api_commit(r, 200, to_json(r, &c));
    if (r->status == 200)
        api_add_queue(r, r->answer, &order);
}

void api_customer_remove(struct api_request *r)
{
    struct store *s = r->api->config.store;
    struct store_customer c;
    if (!api_begin(r))
        return;
    if (!api_take_customer(r, &c)) {
        api_rollback(r);
        return;
    }
    int rc = store_customer_remove(s, c.d.id);
    if (rc == 0) {
        api_commit(r, 200, json_pack("{s:I}", "removed", (json_int_t)c.d.id));
        return;
    }
    if (rc == -EBUSY)
        api_error(r, 409, "customer-in-use", "Remove or move its accounts and customers first.",
                  "\"%.*s\" still has accounts, or customers of its own.", SLICE_ARG(c.d.name));
    else
        api_fail(r, rc);
    api_rollback(r);
}
