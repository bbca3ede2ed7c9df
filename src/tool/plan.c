/* utpost account plan: the periods of an account, and its credit. */
#include "tool/body.h"
#include "tool/client.h"
#include "tool/show.h"

#include <stdio.h>
#include <string.h>

static void show(struct tool_call *c, const json_t *answer)
{
    struct arena *a = &c->arena;
    const json_t *plan = json_object_get(answer, "plan");
    const json_t *period = json_object_get(answer, "period");
    const char *end = show_text(a, period, "end");
    show_pair("Account", show_text(a, answer, "account"));
    if (json_is_object(plan)) {
        const char *start = show_text(a, plan, "start");
        const char *until = show_text(a, plan, "credit_until");
        const char *credit = show_text(a, plan, "credit");
        show_pair("Start", start[0] ? start : "each first of the month");
        show_pair("End", show_text(a, plan, "end"));
        show_pair("Periods", json_is_true(json_object_get(plan, "once")) ? "one" : "months");
        show_pair("Reset", show_text(a, plan, "reset"));
        if (strcmp(credit, "0") != 0)
            show_pair("Credit",
                      arena_printf(a, "%s%s%s", credit, until[0] ? " until " : "", until).ptr);
    } else {
        show_pair("Plan", "calendar months");
    }
    if (json_is_true(json_object_get(period, "is_open")))
        show_pair("Period", arena_printf(a, "%s to %s", show_text(a, period, "begin"),
                                         end[0] ? end : "the plan's end")
                                .ptr);
    else
        show_pair("Period", end[0] ? arena_printf(a, "none before %s", end).ptr
                                   : "none: the plan has ended");
}

/* A value, or null for "none". */
static void moment(struct tool_call *c, json_t *body, const char *option, const char *key)
{
    const char *text = tool_option(c, option);
    if (text)
        json_object_set_new(
            body, key, strcmp(text, "none") == 0 || !text[0] ? json_null() : json_string(text));
}

int account_plan(struct tool_call *c)
{
    const char *path = client_path(c, "/v1/accounts/", c->arguments[0], "/plan");
    json_t *body = json_object();
    if (tool_option(c, "once") && tool_option(c, "monthly")) {
        json_decref(body);
        return tool_usage(c, "give --once or --monthly, not both");
    }
    moment(c, body, "start", "start");
    moment(c, body, "end", "end");
    moment(c, body, "credit", "credit");
    moment(c, body, "credit-until", "credit_until");
    if (tool_option(c, "once") || tool_option(c, "monthly"))
        json_object_set_new(body, "once", json_boolean(tool_option(c, "once") != NULL));
    if (tool_option(c, "reset"))
        json_object_set_new(body, "reset", json_true());
    if (json_object_size(body) > 0)
        return body_send(c, "POST", path, body, show);
    json_decref(body);
    return body_send(c, "GET", path, NULL, show);
}
