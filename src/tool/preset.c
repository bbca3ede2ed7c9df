/* utpost preset … */
#include "tool/body.h"
#include "tool/client.h"
#include "tool/owner.h"
#include "tool/show.h"

#include <stdio.h>
#include <string.h>

static void show_all(struct tool_call *c, const json_t *answer)
{
    static const char *const heads[] = {"NAME", "FOR", NULL};
    struct show_table table;
    size_t i;
    json_t *item;
    show_table_init(&table, &c->arena, heads);
    json_array_foreach(json_object_get(answer, "presets"), i, item)
    {
        show_cell(&table, show_text(&c->arena, item, "name"));
        show_cell(&table, show_text(&c->arena, item, "summary"));
    }
    show_table_print(&table, "There are no presets.");
}

/* Its text as it was written, with the comments. */
static void show_one(struct tool_call *c, const json_t *answer)
{
    fputs(show_text(&c->arena, answer, "text"), stdout);
}

static void show_applied(struct tool_call *c, const json_t *answer)
{
    const char *preset = show_text(&c->arena, answer, "preset");
    if (preset[0])
        printf("%s has the preset %s.\n", owner_name(c, answer), preset);
    else
        printf("%s has no preset of its own.\n", owner_name(c, answer));
    owner_show_rules(c, answer);
}

int preset_list(struct tool_call *c)
{
    return body_send(c, "GET", "/v1/presets", NULL, show_all);
}

int preset_show(struct tool_call *c)
{
    return body_send(c, "GET", client_path(c, "/v1/presets/", c->arguments[0], ""), NULL,
                     show_one);
}

int preset_apply(struct tool_call *c)
{
    const char *path = owner_path(c, "/preset");
    const char *name = c->arguments[0];
    if (!path)
        return TOOL_USAGE;
    json_t *body = json_object();
    json_object_set_new(body, "preset",
                        strcmp(name, "none") == 0 ? json_null() : json_string(name));
    return body_send(c, "POST", path, body, show_applied);
}
