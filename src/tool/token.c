/* utpost token … */
#include "tool/body.h"
#include "tool/client.h"
#include "tool/show.h"

#include <stdio.h>

static void show_new(struct tool_call *c, const json_t *answer)
{
    show_pair("Token", show_text(&c->arena, answer, "token"));
    show_pair("Id", show_text(&c->arena, answer, "id"));
    show_pair("Scope", show_text(&c->arena, answer, "scope"));
    puts("\nIt is not shown again. Send it with each request: Authorization: Bearer TOKEN");
}

int token_add(struct tool_call *c)
{
    json_t *body = json_pack("{s:s}", "scope", c->arguments[0]);
    if (!body)
        return tool_usage(c, "the scope is not UTF-8");
    body_text(c, body, "label", "label");
    return body_send(c, "POST", "/v1/tokens", body, show_new);
}

int token_list(struct tool_call *c)
{
    static const char *const heads[] = {"ID", "SCOPE", "LABEL", "CREATED", NULL};
    static const char *const keys[] = {"id", "scope", "label", "created"};
    struct show_table table;
    json_t *list = NULL;
    json_t *item;
    size_t i;
    int status = client_list(c, "/v1/tokens", "tokens", &list);
    if (status != TOOL_OK)
        return status;
    json_t *all = json_pack("{s:o}", "tokens", list);
    show_table_init(&table, &c->arena, heads);
    json_array_foreach(list, i, item)
    {
        for (size_t k = 0; k < COUNT_OF(keys); k++)
            show_cell(&table, show_text(&c->arena, item, keys[k]));
    }
    if (c->wants_json)
        client_print_json(all);
    else
        show_table_print(&table, "No tokens.");
    json_decref(all);
    return TOOL_OK;
}

static void show_nothing(struct tool_call *c, const json_t *answer)
{
    (void)c;
    (void)answer;
    puts("Done.");
}

int token_revoke(struct tool_call *c)
{
    return body_send(c, "DELETE", client_path(c, "/v1/tokens/", c->arguments[0], ""), NULL,
                     show_nothing);
}
