/* utpost rule … */
#include "policy/rule.h"

#include "tool/body.h"
#include "tool/client.h"
#include "tool/owner.h"
#include "tool/show.h"

#include <stdio.h>

const char *owner_path(struct tool_call *c, const char *after)
{
    const char *account = tool_option(c, "account");
    const char *customer = tool_option(c, "customer");
    if (!account == !customer) {
        tool_usage(c, "%s needs --account LOGIN or --customer NAME%s", c->command->name,
                   account ? ", not both" : "");
        return NULL;
    }
    return account ? client_path(c, "/v1/accounts/", account, after)
                   : client_path(c, "/v1/customers/", customer, after);
}

const char *owner_name(struct tool_call *c, const json_t *answer)
{
    const char *account = show_text(&c->arena, answer, "account");
    if (account[0])
        return arena_printf(&c->arena, "Account %s", account).ptr;
    return arena_printf(&c->arena, "Customer \"%s\"", show_text(&c->arena, answer, "customer"))
        .ptr;
}

void owner_show_rules(struct tool_call *c, const json_t *answer)
{
    static const char *const heads[] = {"RULE", "FROM", NULL};
    struct show_table table;
    size_t i;
    json_t *item;
    show_table_init(&table, &c->arena, heads);
    json_array_foreach(json_object_get(answer, "applied"), i, item)
    {
        show_cell(&table, show_text(&c->arena, item, "rule"));
        show_cell(&table, show_text(&c->arena, item, "from"));
    }
    show_table_print(&table, "No rule applies. Presets are listed by: utpost preset list");
}

static void show(struct tool_call *c, const json_t *answer)
{
    const char *preset = show_text(&c->arena, answer, "preset");
    printf("%s, preset: %s\n", owner_name(c, answer), preset[0] ? preset : "none");
    owner_show_rules(c, answer);
}

static void show_added(struct tool_call *c, const json_t *answer)
{
    const char *replaced = show_text(&c->arena, answer, "replaced");
    if (replaced[0])
        printf("In place of \"%s\".\n", replaced);
    show(c, answer);
}

/* The rule, of one argument or of several. */
static slice rule_text(struct tool_call *c)
{
    slice line = {0};
    for (int i = 0; i < c->argument_count; i++)
        line =
            arena_printf(&c->arena, "%.*s%s%s", SLICE_ARG(line), i ? " " : "", c->arguments[i]);
    return line;
}

/* What is wrong, and under the rule a line that points at the word. */
static int explain(struct tool_call *c, slice line, const char *error, slice word)
{
    size_t at = word.ptr ? (size_t)(word.ptr - line.ptr) : line.len;
    size_t len = word.len > 0 ? word.len : 1;
    char *marks = arena_alloc(&c->arena, len + 1);
    memset(marks, '^', len);
    /* At the end of the line the mark stands where the next word would. */
    at += word.len == 0 && at > 0 && line.ptr[at - 1] != ' ' && line.ptr[at - 1] != '/';
    fprintf(stderr, "utpost: %s\n  %.*s\n  %*s%s\n", error, SLICE_ARG(line), (int)at, "",
            marks);
    return TOOL_USAGE;
}

static bool read_rule(struct tool_call *c, slice *line)
{
    struct rule r;
    const char *error;
    slice word;
    *line = rule_text(c);
    for (size_t i = 0; i < line->len; i++) {
        if ((unsigned char)line->ptr[i] < 0x20 || (unsigned char)line->ptr[i] > 0x7e) {
            tool_usage(c, "a rule is one line of plain letters and digits");
            return false;
        }
    }
    if (rule_parse(*line, &r, &error, &word))
        return true;
    explain(c, *line, error, word);
    return false;
}

int rule_list(struct tool_call *c)
{
    const char *path = owner_path(c, "/rules");
    return path ? body_send(c, "GET", path, NULL, show) : TOOL_USAGE;
}

int rule_add(struct tool_call *c)
{
    slice line;
    const char *path = owner_path(c, "/rules");
    if (!path || !read_rule(c, &line))
        return TOOL_USAGE;
    return body_send(c, "POST", path, json_pack("{s:s}", "rule", line.ptr), show_added);
}

int rule_remove(struct tool_call *c)
{
    slice line;
    const char *path = owner_path(c, "/rules/");
    if (!path || !read_rule(c, &line))
        return TOOL_USAGE;
    return body_send(c, "DELETE", client_path(c, path, line.ptr, ""), NULL, show);
}
