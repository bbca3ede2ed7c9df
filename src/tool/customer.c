/* utpost customer … */
#include "tool/body.h"
#include "tool/client.h"
#include "tool/queue_order.h"
#include "tool/show.h"

#include <stdio.h>

static void show(struct tool_call *c, const json_t *answer)
{
    struct arena *a = &c->arena;
    show_pair("Customer", show_text(a, answer, "name"));
    show_pair("Id", show_text(a, answer, "id"));
    show_pair("State", show_state(a, answer));
    show_pair("Reseller", show_text(a, answer, "parent"));
    show_pair("Accounts", show_text(a, answer, "accounts"));
    show_pair("Preset", show_text(a, answer, "preset"));
    show_pair("Own rules", show_text(a, answer, "rules"));
    show_pair("Language", show_text(a, answer, "language"));
    show_pair("Time zone", show_text(a, answer, "time_zone"));
    show_pair("Contact", show_text(a, answer, "contact"));
    show_pair("Created", show_text(a, answer, "created"));
}

static void show_added(struct tool_call *c, const json_t *answer)
{
    const char *name = show_text(&c->arena, answer, "name");
    printf("Customer \"%s\" added (id %s).\n", name, show_text(&c->arena, answer, "id"));
    printf("  Next: utpost account add LOGIN --customer \"%s\"\n", name);
}

static void show_removed(struct tool_call *c, const json_t *answer)
{
    (void)answer;
    printf("Customer \"%s\" removed.\n", c->arguments[0]);
}

static void show_state_only(struct tool_call *c, const json_t *answer)
{
    printf("Customer \"%s\" is %s.\n", show_text(&c->arena, answer, "name"),
           show_state(&c->arena, answer));
}

int customer_add(struct tool_call *c)
{
    json_t *body = json_pack("{s:s}", "name", c->arguments[0]);
    if (!body)
        return tool_usage(c, "the name is not UTF-8 text");
    body_text(c, body, "parent", "parent");
    body_people(c, body);
    return body_send(c, "POST", "/v1/customers", body, show_added);
}

int customer_set(struct tool_call *c)
{
    json_t *body = json_object();
    body_text(c, body, "name", "name");
    body_text(c, body, "parent", "parent");
    body_people(c, body);
    if (json_object_size(body) == 0) {
        json_decref(body);
        return tool_usage(c, "nothing is to be changed");
    }
    return body_send(c, "PATCH", client_path(c, "/v1/customers/", c->arguments[0], ""), body,
                     show);
}

int customer_show(struct tool_call *c)
{
    return body_send(c, "GET", client_path(c, "/v1/customers/", c->arguments[0], ""), NULL,
                     show);
}

int customer_remove(struct tool_call *c)
{
    return body_send(c, "DELETE", client_path(c, "/v1/customers/", c->arguments[0], ""), NULL,
                     show_removed);
}

int customer_lock(struct tool_call *c)
{
    return body_send(c, "POST", client_path(c, "/v1/customers/", c->arguments[0], "/lock"),
                     body_lock(c), show_state_only);
}

static void show_unlocked(struct tool_call *c, const json_t *answer)
{
    show_state_only(c, answer);
    queue_order_show_unlock(c, answer, "customer");
}

int customer_unlock(struct tool_call *c)
{
    json_t *body = body_unlock(c);
    if (!body)
        return TOOL_USAGE;
    return body_send(c, "POST", client_path(c, "/v1/customers/", c->arguments[0], "/unlock"),
                     body, show_unlocked);
}

int customer_list(struct tool_call *c)
{
    static const char *const heads[] = {"ID",       "NAME",     "RESELLER", "STATE",
                                        "ACCOUNTS", "LANGUAGE", "CONTACT",  NULL};
    static const char *const keys[] = {"id",       "name",     "parent", "state",
                                       "accounts", "language", "contact"};
    struct show_table table;
    json_t *list = NULL;
    size_t i;
    json_t *item;
    int status = client_list(c, "/v1/customers", "customers", &list);
    if (status != TOOL_OK)
        return status;
    json_t *all = json_pack("{s:o}", "customers", list);
    if (c->wants_json) {
        client_print_json(all);
        json_decref(all);
        return TOOL_OK;
    }
    show_table_init(&table, &c->arena, heads);
    json_array_foreach(list, i, item) for (size_t k = 0; k < COUNT_OF(keys); k++)
        show_cell(&table, show_text(&c->arena, item, keys[k]));
    show_table_print(&table, "There are no customers. Add one: utpost customer add NAME");
    json_decref(all);
    return TOOL_OK;
}
