/* utpost trace, messages, usage, errors, erase: what the ledger knows. */
#include "tool/body.h"
#include "tool/client.h"
#include "tool/show.h"

#include <stdio.h>

/* The path with ?name=value, or &name=value, for an option that was given. */
static const char *add_option(struct tool_call *c, const char *path, const char *option)
{
    const char *value = tool_option(c, option);
    if (!value)
        return path;
    bool is_first = slice_find(slice_of(path), '?') < 0;
    return client_path(
        c, arena_printf(&c->arena, "%s%c%s=", path, is_first ? '?' : '&', option).ptr, value,
        "");
}

static void show_trace(struct tool_call *c, const json_t *answer)
{
    (void)c;
    const char *text = json_string_value(json_object_get(answer, "text"));
    fputs(text ? text : "", stdout);
}

int trace_show(struct tool_call *c)
{
    const char *path = client_path(c, "/v1/trace?q=", c->arguments[0], "");
    path = add_option(c, add_option(c, path, "account"), "limit");
    return body_send(c, "GET", path, NULL, show_trace);
}

/* "2 delivered, 1 waiting" */
static const char *states_of(struct tool_call *c, const json_t *message)
{
    static const struct {
        const char *key;
        const char *name;
    } states[] = {{"delivered", "delivered"}, {"queued", "waiting"}, {"failed", "failed"}};
    const char *text = "";
    for (size_t i = 0; i < COUNT_OF(states); i++) {
        json_int_t n = json_integer_value(json_object_get(message, states[i].key));
        if (n > 0)
            text = arena_printf(&c->arena, "%s%s%lld %s", text, text[0] ? ", " : "",
                                (long long)n, states[i].name)
                       .ptr;
    }
    return text;
}

/* All pages, shown with the table that `row` fills, or as JSON. */
static int list_all(struct tool_call *c, const char *path, const char *key,
                    const char *const *heads, const char *nothing,
                    void (*row)(struct tool_call *c, struct show_table *t, const json_t *item))
{
    struct show_table table;
    json_t *list = NULL;
    json_t *item;
    size_t i;
    int status = client_list(c, path, key, &list);
    if (status != TOOL_OK)
        return status;
    json_t *all = json_pack("{s:o}", key, list);
    show_table_init(&table, &c->arena, heads);
    json_array_foreach(list, i, item) row(c, &table, item);
    if (c->wants_json)
        client_print_json(all);
    else
        show_table_print(&table, nothing);
    json_decref(all);
    return TOOL_OK;
}

static void message_row(struct tool_call *c, struct show_table *t, const json_t *message)
{
    const char *from = show_text(&c->arena, message, "from");
    show_cell(t, show_text(&c->arena, message, "id"));
    show_cell(t, show_text(&c->arena, message, "accepted"));
    show_cell(t, show_text(&c->arena, message, "login"));
    show_cell(t, from[0] ? from : "<>");
    show_cell(t, show_text(&c->arena, message, "size"));
    show_cell(t, show_text(&c->arena, message, "recipient_count"));
    show_cell(t, states_of(c, message));
}

int messages_list(struct tool_call *c)
{
    static const char *const heads[] = {"ID",   "ACCEPTED",   "LOGIN", "FROM",
                                        "SIZE", "RECIPIENTS", "STATE", NULL};
    const char *path = add_option(c, "/v1/messages", "account");
    path = add_option(c, path, "since");
    if (!tool_option(c, "since"))
        path =
            arena_printf(&c->arena, "%s%csince=1d", path, tool_option(c, "account") ? '&' : '?')
                .ptr;
    return list_all(c, path, "messages", heads, "No messages in this time.", message_row);
}

static void show_usage(struct tool_call *c, const json_t *answer)
{
    static const char *const heads[] = {"FROM",      "MESSAGES", "RECIPIENTS", "OCTETS",
                                        "DELIVERED", "FAILED",   NULL};
    static const char *const keys[] = {"start",  "messages",  "recipients",
                                       "octets", "delivered", "failed"};
    struct show_table table;
    json_t *item;
    size_t i;
    show_table_init(&table, &c->arena, heads);
    json_array_foreach(json_object_get(answer, "usage"), i, item)
    {
        for (size_t k = 0; k < COUNT_OF(keys); k++)
            show_cell(&table, show_text(&c->arena, item, keys[k]));
    }
    show_table_print(&table, "Nothing was sent in this time.");
}

int usage_show(struct tool_call *c)
{
    const char *path = client_path(c, "/v1/accounts/", c->arguments[0], "/usage");
    path = add_option(c, add_option(c, path, "by"), "since");
    return body_send(c, "GET", path, NULL, show_usage);
}

static void error_row(struct tool_call *c, struct show_table *t, const json_t *error)
{
    show_cell(t, show_text(&c->arena, error, "address"));
    show_cell(t, show_text(&c->arena, error, "last"));
    show_cell(t, show_text(&c->arena, error, "count"));
    show_cell(t, show_text(&c->arena, error, "means"));
    show_cell(t, show_text(&c->arena, error, "reply"));
}

int errors_list(struct tool_call *c)
{
    static const char *const heads[] = {"ADDRESS",       "LAST",  "COUNT",
                                        "WHAT IT MEANS", "REPLY", NULL};
    return list_all(c, client_path(c, "/v1/accounts/", c->arguments[0], "/errors"), "errors",
                    heads, "No address has failed.", error_row);
}

static void show_erased(struct tool_call *c, const json_t *answer)
{
    (void)c;
    show_number("Recipients", answer, "recipients");
    show_number("Sent by it", answer, "senders");
    show_number("Errors", answer, "errors");
    show_number("Evidence", answer, "evidence");
}

int erase_address(struct tool_call *c)
{
    json_t *body = json_pack("{s:s}", "address", c->arguments[0]);
    if (!body)
        return tool_usage(c, "the address is not UTF-8");
    return body_send(c, "POST", "/v1/erase", body, show_erased);
}
