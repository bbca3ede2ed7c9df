/* utpost quota: how much of each limit is used. */
#include "base/stamp.h"
#include "tool/body.h"
#include "tool/client.h"
#include "tool/show.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BAR = 20 };

/* Bytes as people say them, everything else as it is. */
static const char *amount(struct arena *a, const json_t *line, const char *key)
{
    static const char *const units[] = {"B", "KB", "MB", "GB", "TB"};
    json_int_t n = json_integer_value(json_object_get(line, key));
    const char *rule = show_text(a, line, "rule");
    size_t unit = 0;
    double scaled = (double)n;
    if (!strstr(rule, " bytes "))
        return arena_printf(a, "%lld", (long long)n).ptr;
    for (; scaled >= 1000 && unit + 1 < COUNT_OF(units); unit++)
        scaled /= 1000;
    return arena_printf(a, "%.*f %s", unit == 0 || scaled >= 100 ? 0 : 1, scaled, units[unit])
        .ptr;
}

/* "[#####...............]"; what is used at all shows, and only what is full is full. */
static const char *bar(struct arena *a, const json_t *line)
{
    json_int_t used = json_integer_value(json_object_get(line, "used"));
    json_int_t max = json_integer_value(json_object_get(line, "max"));
    char text[BAR + 1] = {0};
    double share = max > 0 ? (double)used / (double)max : 1;
    int full = share >= 1 ? BAR : (int)(share * BAR);
    if (full == 0 && used > 0)
        full = 1;
    memset(text, '.', BAR);
    memset(text, '#', (size_t)full);
    return arena_printf(a, "[%s]", text).ptr;
}

/* When one more is accepted, or sent if it may wait. */
static const char *free_at(struct arena *a, const json_t *line)
{
    const char *waits_until = show_text(a, line, "paced_until");
    const char *at = show_text(a, line, "free_at");
    bool is_pace = strstr(show_text(a, line, "rule"), " pace") != NULL;
    if (is_pace && waits_until[0] && !at[0])
        return arena_printf(a, "now, waits until %s", waits_until).ptr;
    if (json_integer_value(json_object_get(line, "left")) > 0 && !(waits_until[0] && at[0]))
        at = "now";
    else if (!at[0])
        at = "not by itself";
    if (is_pace || !waits_until[0])
        return at;
    return arena_printf(a, "%s; mail waits until %s", at, waits_until).ptr;
}

/* The running period of the plan, of the first rule that has one. */
static void show_period(struct arena *a, const json_t *answer)
{
    const json_t *period = NULL;
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(answer, "quota"), i, item)
    {
        if (!period)
            period = json_object_get(item, "period");
    }
    if (!period)
        return;
    const char *begin = show_text(a, period, "begin");
    const char *end = show_text(a, period, "end");
    const char *credit = show_text(a, period, "credit");
    if (!json_is_true(json_object_get(period, "is_open")))
        show_pair("Period", end[0] ? arena_printf(a, "none before %s", end).ptr
                                   : "none: the plan has ended");
    else
        show_pair("Period",
                  arena_printf(a, "%s to %s", begin, end[0] ? end : "the plan's end").ptr);
    if (strcmp(credit, "0") != 0)
        show_pair("Credit", credit);
}

static void show(struct tool_call *c, const json_t *answer)
{
    static const char *const plain[] = {"RULE", "USED", "MAX", "LEFT", "FREE", NULL};
    static const char *const with_bars[] = {"RULE", "USED", "MAX", "", "LEFT", "FREE", NULL};
    bool has_bars = isatty(STDOUT_FILENO);
    struct arena *a = &c->arena;
    struct show_table table;
    size_t i;
    json_t *item;
    if (json_is_true(json_object_get(answer, "locked"))) {
        const char *until = show_text(a, answer, "until");
        const char *reason = show_text(a, answer, "reason");
        show_pair("Locked", arena_printf(a, "%s%s%s%s", until[0] ? "until " : "for good", until,
                                         reason[0] ? ": " : "", reason)
                                .ptr);
    }
    show_period(a, answer);
    show_table_init(&table, a, has_bars ? with_bars : plain);
    json_array_foreach(json_object_get(answer, "quota"), i, item)
    {
        bool is_message = strcmp(show_text(a, item, "scope"), "message") == 0;
        show_cell(&table, show_text(a, item, "rule"));
        show_cell(&table, is_message ? "" : amount(a, item, "used"));
        show_cell(&table, amount(a, item, "max"));
        if (has_bars)
            show_cell(&table, is_message ? "" : bar(a, item));
        show_cell(&table, is_message ? "" : amount(a, item, "left"));
        show_cell(&table, is_message ? "in each message" : free_at(a, item));
    }
    show_table_print(&table, "No rule applies: nothing but the server's own limits.");
}

int quota_show(struct tool_call *c)
{
    return body_send(c, "GET", client_path(c, "/v1/accounts/", c->arguments[0], "/quota"), NULL,
                     show);
}
