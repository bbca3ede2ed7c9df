/* utpost account … */
#include "tool/body.h"
#include "tool/client.h"
#include "tool/queue_order.h"
#include "tool/show.h"

#include <stdio.h>
#include <string.h>

static const char *senders(struct tool_call *c, const json_t *answer)
{
    const char *right = show_text(&c->arena, answer, "senders");
    const json_t *list = json_object_get(answer, "sender_list");
    if (json_array_size(list) == 0)
        return right;
    return arena_printf(&c->arena, "%s: %s", right, show_list(&c->arena, list)).ptr;
}

static const char *limit(struct tool_call *c, const json_t *answer, const char *key)
{
    const char *text = show_text(&c->arena, answer, key);
    return strcmp(text, "0") == 0 ? "the server's" : text;
}

static const char *patience(struct tool_call *c, const json_t *answer, const char *key)
{
    return json_is_string(json_object_get(answer, key)) ? show_text(&c->arena, answer, key)
                                                        : "the server's";
}

static void show(struct tool_call *c, const json_t *answer)
{
    struct arena *a = &c->arena;
    const char *customer = show_text(a, answer, "customer_state");
    show_pair("Account", show_text(a, answer, "login"));
    show_pair("Id", show_text(a, answer, "id"));
    show_pair("Customer", show_text(a, answer, "customer"));
    show_pair("State", show_state(a, answer));
    if (strcmp(customer, "active") != 0)
        show_pair("Customer is", customer);
    show_pair("May send as", senders(c, answer));
    show_pair("Recipients", limit(c, answer, "max_recipients"));
    show_pair("Message size", limit(c, answer, "max_size"));
    show_pair("Tried for", patience(c, answer, "expire_after"));
    show_pair("Warned after", patience(c, answer, "warn_after"));
    show_pair("Credentials", show_text(a, answer, "credentials"));
    show_pair("Preset", show_text(a, answer, "preset"));
    show_pair("Profile", show_text(a, answer, "profile"));
    show_pair("Own rules", show_text(a, answer, "rules"));
    show_pair("Language", show_text(a, answer, "language"));
    show_pair("Time zone", show_text(a, answer, "time_zone"));
    show_pair("Contact", show_text(a, answer, "contact"));
    show_pair("Created", show_text(a, answer, "created"));
}

static void show_added(struct tool_call *c, const json_t *answer)
{
    const char *login = show_text(&c->arena, answer, "login");
    printf("Account %s added (id %s); it may send as %s.\n", login,
           show_text(&c->arena, answer, "id"), senders(c, answer));
    printf("  Next: utpost credential add %s --label DEVICE\n", login);
}

static void show_removed(struct tool_call *c, const json_t *answer)
{
    (void)answer;
    printf("Account %s removed, with its credentials.\n", c->arguments[0]);
}

static void show_state_only(struct tool_call *c, const json_t *answer)
{
    printf("Account %s is %s.\n", show_text(&c->arena, answer, "login"),
           show_state(&c->arena, answer));
}

/* --senders RIGHT with --sender …, or RIGHT:item,item in one. */
static int read_senders(struct tool_call *c, json_t *body)
{
    const char *right = tool_option(c, "senders");
    const char *colon = right ? strchr(right, ':') : NULL;
    if (colon && tool_option(c, "sender"))
        return tool_usage(c, "give the senders behind the colon or with --sender, not both");
    body_list(c, body, "sender", "sender_list");
    if (right)
        json_object_set_new(
            body, "senders",
            json_stringn(right, colon ? (size_t)(colon - right) : strlen(right)));
    if (!colon)
        return TOOL_OK;
    slice rest = slice_of(colon + 1);
    slice item;
    json_t *list = json_array();
    while (slice_split(&rest, ',', &item))
        if (slice_trim(item).len > 0)
            json_array_append_new(list,
                                  json_stringn(slice_trim(item).ptr, slice_trim(item).len));
    json_object_set_new(body, "sender_list", list);
    return TOOL_OK;
}

/* What add and set have both. */
static int read_options(struct tool_call *c, json_t *body)
{
    body_text(c, body, "customer", "customer");
    body_text(c, body, "profile", "profile");
    body_text(c, body, "expire-after", "expire_after");
    body_text(c, body, "warn-after", "warn_after");
    body_people(c, body);
    if (!body_number(c, body, "max-recipients", "max_recipients", false) ||
        !body_number(c, body, "max-size", "max_size", true))
        return TOOL_USAGE;
    return read_senders(c, body);
}

int account_add(struct tool_call *c)
{
    json_t *body = json_pack("{s:s}", "login", c->arguments[0]);
    if (!body)
        return tool_usage(c, "the login is not UTF-8 text");
    int status = read_options(c, body);
    if (status == TOOL_OK && !tool_option(c, "customer"))
        status = tool_usage(c, "account add needs --customer NAME");
    if (status != TOOL_OK) {
        json_decref(body);
        return status;
    }
    return body_send(c, "POST", "/v1/accounts", body, show_added);
}

int account_set(struct tool_call *c)
{
    json_t *body = json_object();
    body_text(c, body, "login", "login");
    int status = read_options(c, body);
    if (status == TOOL_OK && json_object_size(body) == 0)
        status = tool_usage(c, "nothing is to be changed");
    if (status != TOOL_OK) {
        json_decref(body);
        return status;
    }
    return body_send(c, "PATCH", client_path(c, "/v1/accounts/", c->arguments[0], ""), body,
                     show);
}

int account_show(struct tool_call *c)
{
    return body_send(c, "GET", client_path(c, "/v1/accounts/", c->arguments[0], ""), NULL,
                     show);
}

int account_remove(struct tool_call *c)
{
    return body_send(c, "DELETE", client_path(c, "/v1/accounts/", c->arguments[0], ""), NULL,
                     show_removed);
}

int account_lock(struct tool_call *c)
{
    return body_send(c, "POST", client_path(c, "/v1/accounts/", c->arguments[0], "/lock"),
                     body_lock(c), show_state_only);
}

static void show_unlocked(struct tool_call *c, const json_t *answer)
{
    show_state_only(c, answer);
    json_int_t revoked = json_integer_value(json_object_get(answer, "revoked"));
    if (revoked > 0)
        printf("  %lld of its passwords and tokens are revoked.\n", (long long)revoked);
    queue_order_show_unlock(c, answer, "account");
}

int account_unlock(struct tool_call *c)
{
    json_t *body = body_unlock(c);
    if (!body)
        return TOOL_USAGE;
    return body_send(c, "POST", client_path(c, "/v1/accounts/", c->arguments[0], "/unlock"),
                     body, show_unlocked);
}

int account_list(struct tool_call *c)
{
    static const char *const heads[] = {"ID",          "LOGIN",       "CUSTOMER", "STATE",
                                        "CREDENTIALS", "MAY SEND AS", NULL};
    static const char *const keys[] = {"id", "login", "customer", "state", "credentials"};
    const char *customer = tool_option(c, "customer");
    const char *path = "/v1/accounts";
    struct show_table table;
    json_t *list = NULL;
    size_t i;
    json_t *item;
    if (customer)
        path = client_path(c, "/v1/accounts?customer=", customer, "");
    int status = client_list(c, path, "accounts", &list);
    if (status != TOOL_OK)
        return status;
    json_t *all = json_pack("{s:o}", "accounts", list);
    if (c->wants_json) {
        client_print_json(all);
        json_decref(all);
        return TOOL_OK;
    }
    show_table_init(&table, &c->arena, heads);
    json_array_foreach(list, i, item)
    {
        for (size_t k = 0; k < COUNT_OF(keys); k++)
            show_cell(&table, show_text(&c->arena, item, keys[k]));
        show_cell(&table, senders(c, item));
    }
    show_table_print(&table, "There are no accounts. Add one:"
                             " utpost account add LOGIN --customer NAME");
    json_decref(all);
    return TOOL_OK;
}
