/* utpost lock: who is locked, why, and what was sent before. */
#include "tool/body.h"
#include "tool/client.h"
#include "tool/show.h"

#include <stdio.h>

static const char *list_path(struct tool_call *c)
{
    const char *account = tool_option(c, "account");
    const char *customer = tool_option(c, "customer");
    const char *path = tool_option(c, "all") ? "/v1/locks?state=all" : "/v1/locks?state=open";
    if (account)
        path = client_path(c, arena_printf(&c->arena, "%s&account=", path).ptr, account, "");
    if (customer)
        path = client_path(c, arena_printf(&c->arena, "%s&customer=", path).ptr, customer, "");
    return path;
}

/* "for good", "until …", "ended …" */
static const char *state_of(struct tool_call *c, const json_t *lock)
{
    const json_t *ended = json_object_get(lock, "ended");
    const char *until = show_text(&c->arena, lock, "until");
    if (json_is_object(ended))
        return arena_printf(&c->arena, "ended %s", show_text(&c->arena, ended, "at")).ptr;
    if (!until[0])
        return "holds, for good";
    return arena_printf(&c->arena, "holds until %s", until).ptr;
}

static const char *why_of(struct tool_call *c, const json_t *lock)
{
    const char *rule = show_text(&c->arena, lock, "rule");
    return rule[0] ? rule : show_text(&c->arena, lock, "reason");
}

int lock_list(struct tool_call *c)
{
    static const char *const heads[] = {"ID",    "OF", "NAME", "SINCE",
                                        "STATE", "BY", "WHY",  NULL};
    struct arena *a = &c->arena;
    struct show_table table;
    json_t *list = NULL;
    json_t *item;
    size_t i;
    int status = client_list(c, list_path(c), "locks", &list);
    if (status != TOOL_OK)
        return status;
    json_t *all = json_pack("{s:o}", "locks", list);
    if (c->wants_json) {
        client_print_json(all);
        json_decref(all);
        return TOOL_OK;
    }
    show_table_init(&table, a, heads);
    json_array_foreach(list, i, item)
    {
        const char *by = show_text(a, item, "by");
        show_cell(&table, show_text(a, item, "id"));
        show_cell(&table, show_text(a, item, "scope"));
        show_cell(&table, show_text(a, item, "name"));
        show_cell(&table, show_text(a, item, "since"));
        show_cell(&table, state_of(c, item));
        show_cell(&table, by[0] ? by : show_text(a, item, "kind"));
        show_cell(&table, why_of(c, item));
    }
    show_table_print(&table, tool_option(c, "all") ? "Nobody has been locked."
                                                   : "Nobody is locked. Ended locks: --all");
    json_decref(all);
    return TOOL_OK;
}

static void show_lock(struct tool_call *c, const json_t *answer)
{
    (void)c;
    const char *text = json_string_value(json_object_get(answer, "text"));
    fputs(text ? text : "", stdout);
}

int lock_show(struct tool_call *c)
{
    return body_send(c, "GET", client_path(c, "/v1/locks/", c->arguments[0], ""), NULL,
                     show_lock);
}
