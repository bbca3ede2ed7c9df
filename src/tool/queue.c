/* utpost queue … */
#include "tool/body.h"
#include "tool/client.h"
#include "tool/show.h"

#include <stdio.h>
#include <string.h>

static const char *state_of(const json_t *recipient)
{
    const char *state = json_string_value(json_object_get(recipient, "state"));
    return state ? state : "";
}

/* "2 queued, 1 failed"; a list that is not whole says so. */
static const char *count_states(struct tool_call *c, const json_t *message)
{
    static const char *const states[] = {"sending", "queued", "held",
                                         "frozen",  "failed", "expired"};
    const json_t *recipients = json_object_get(message, "recipients");
    size_t all = (size_t)json_integer_value(json_object_get(message, "recipient_count"));
    const char *text = "";
    size_t i;
    json_t *item;
    for (size_t s = 0; s < COUNT_OF(states); s++) {
        unsigned count = 0;
        json_array_foreach(recipients, i, item) count += strcmp(state_of(item), states[s]) == 0;
        if (count > 0)
            text = arena_printf(&c->arena, "%s%s%u %s", text, text[0] ? ", " : "", count,
                                states[s])
                       .ptr;
    }
    if (all > json_array_size(recipients))
        text = arena_printf(&c->arena, "%s of %zu", text, all).ptr;
    return text;
}

/* What went wrong with a recipient the last time: "450 4.2.0 text". */
static const char *trouble_of(struct tool_call *c, const json_t *recipient)
{
    const json_t *trouble = json_object_get(recipient, "trouble");
    const char *text = show_text(&c->arena, trouble, "text");
    const char *code = show_text(&c->arena, trouble, "code");
    if (!json_is_object(trouble))
        return "";
    return code[0] && strcmp(code, "0") != 0 && strncmp(text, code, strlen(code)) != 0
               ? arena_printf(&c->arena, "%s %s", code, text).ptr
               : text;
}

static const char *first_trouble(struct tool_call *c, const json_t *message)
{
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(message, "recipients"), i, item)
    {
        const char *text = trouble_of(c, item);
        if (text[0])
            return text;
    }
    return "";
}

/* "account is locked by a rule" */
static const char *stopped_by(struct tool_call *c, const json_t *message)
{
    const json_t *stopped = json_object_get(message, "stopped");
    const char *by = show_text(&c->arena, stopped, "by");
    const char *of = show_text(&c->arena, stopped, "of");
    const char *until = show_text(&c->arena, stopped, "until");
    if (!json_is_object(stopped))
        return "";
    if (strcmp(by, "hold") == 0)
        return arena_printf(&c->arena, "all mail of its %s is held", of).ptr;
    return arena_printf(&c->arena, "its %s is locked by %s%s%s", of,
                        strcmp(by, "lock") == 0 ? "a rule" : "an operator",
                        until[0] ? " until " : "", until)
        .ptr;
}

/* When it goes on: "released at …" for what a pace keeps back. */
static const char *next_of(struct tool_call *c, const json_t *recipient)
{
    const char *next = show_text(&c->arena, recipient, "next");
    const char *not_before = show_text(&c->arena, recipient, "not_before");
    return not_before[0] ? arena_printf(&c->arena, "released at %s", not_before).ptr : next;
}

static const char *first_release(struct tool_call *c, const json_t *message)
{
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(message, "recipients"), i, item)
    {
        if (show_text(&c->arena, item, "not_before")[0])
            return next_of(c, item);
    }
    return "";
}

/* What keeps the message: a stop, a pace, or what went wrong. */
static const char *why_of(struct tool_call *c, const json_t *message)
{
    const char *why = stopped_by(c, message);
    if (!why[0])
        why = first_release(c, message);
    return why[0] ? why : first_trouble(c, message);
}

static const char *sender_of(struct tool_call *c, const json_t *message)
{
    const char *from = show_text(&c->arena, message, "from");
    return from[0] ? from : "<>";
}

static const char *list_path(struct tool_call *c)
{
    static const struct {
        const char *option;
        const char *key;
    } filters[] = {
        {"account", "account"},       {"customer", "customer"}, {"domain", "domain"},
        {"older-than", "older_than"}, {"state", "state"},
    };
    const char *path = "/v1/queue";
    char joint = '?';
    for (size_t i = 0; i < COUNT_OF(filters); i++) {
        const char *value = tool_option(c, filters[i].option);
        if (!value)
            continue;
        const char *before =
            arena_printf(&c->arena, "%s%c%s=", path, joint, filters[i].key).ptr;
        path = client_path(c, before, value, "");
        joint = '&';
    }
    return path;
}

int queue_list(struct tool_call *c)
{
    static const char *const heads[] = {"ID",   "ACCEPTED",   "LOGIN",   "FROM",
                                        "SIZE", "RECIPIENTS", "TROUBLE", NULL};
    struct arena *a = &c->arena;
    struct show_table table;
    json_t *list = NULL;
    size_t i;
    json_t *item;
    int status = client_list(c, list_path(c), "messages", &list);
    if (status != TOOL_OK)
        return status;
    json_t *all = json_pack("{s:o}", "messages", list);
    if (c->wants_json) {
        client_print_json(all);
        json_decref(all);
        return TOOL_OK;
    }
    show_table_init(&table, a, heads);
    json_array_foreach(list, i, item)
    {
        show_cell(&table, show_text(a, item, "id"));
        show_cell(&table, show_text(a, item, "accepted"));
        show_cell(&table, show_text(a, item, "login"));
        show_cell(&table, sender_of(c, item));
        show_cell(&table, show_text(a, item, "size"));
        show_cell(&table, count_states(c, item));
        show_cell(&table, why_of(c, item));
    }
    show_table_print(&table, "The queue is empty.");
    json_decref(all);
    return TOOL_OK;
}

static void show_message(struct tool_call *c, const json_t *answer)
{
    static const char *const heads[] = {"RECIPIENT", "STATE",   "ATTEMPTS",
                                        "NEXT",      "TROUBLE", NULL};
    struct arena *a = &c->arena;
    struct show_table table;
    size_t i;
    json_t *item;
    show_pair("Message", show_text(a, answer, "id"));
    show_pair("Accepted", show_text(a, answer, "accepted"));
    show_pair("Login", show_text(a, answer, "login"));
    show_pair("From", sender_of(c, answer));
    show_pair("Message-ID", show_text(a, answer, "message_id"));
    show_pair("Size", show_text(a, answer, "size"));
    show_pair("Frozen", stopped_by(c, answer));
    putchar('\n');
    show_table_init(&table, a, heads);
    json_array_foreach(json_object_get(answer, "recipients"), i, item)
    {
        show_cell(&table, show_text(a, item, "address"));
        show_cell(&table, state_of(item));
        show_cell(&table, show_text(a, item, "attempts"));
        show_cell(&table, next_of(c, item));
        show_cell(&table, trouble_of(c, item));
    }
    show_table_print(&table, "No recipients.");
}

int queue_show(struct tool_call *c)
{
    return body_send(c, "GET", client_path(c, "/v1/queue/", c->arguments[0], ""), NULL,
                     show_message);
}

static void show_why(struct tool_call *c, const json_t *answer)
{
    const char *text = json_string_value(json_object_get(answer, "text"));
    (void)c;
    fputs(text ? text : "", stdout);
}

int queue_why(struct tool_call *c)
{
    return body_send(c, "GET", client_path(c, "/v1/why?q=", c->arguments[0], ""), NULL,
                     show_why);
}
