/* utpost status */
#include "tool/body.h"
#include "tool/client.h"
#include "tool/show.h"

#include <stdio.h>
#include <string.h>

/* What is large is large for somebody's sake. */
static const char *disk_use(struct arena *a, const json_t *journal)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double n = json_number_value(json_object_get(journal, "bytes"));
    const char *level = json_string_value(json_object_get(journal, "level"));
    size_t unit = 0;
    while (n >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        n /= 1024;
        unit++;
    }
    slice text = arena_printf(a, "%.*f %s", unit > 0, n, units[unit]);
    if (!level || strcmp(level, "fine") == 0)
        return text.ptr;
    const char *holder = json_string_value(json_object_get(journal, "kept_for"));
    return arena_printf(a, "%s, %s%s%s%s", text.ptr,
                        strcmp(level, "full") == 0 ? "FULL: new mail is refused" : "LARGE",
                        holder ? " (kept for " : "", holder ? holder : "", holder ? ")" : "")
        .ptr;
}

static void show_roles(struct tool_call *c, const json_t *answer)
{
    static const char *const heads[] = {"ROLE",  "STATE",   "STARTS", "JOURNAL",
                                        "SYNCS", "ON DISK", NULL};
    struct arena *a = &c->arena;
    struct show_table table;
    const char *name;
    json_t *role;
    show_table_init(&table, a, heads);
    json_object_foreach(json_object_get(answer, "roles"), name, role)
    {
        const json_t *journal = json_object_get(json_object_get(answer, "journals"), name);
        bool answers = json_is_true(json_object_get(role, "answers"));
        show_cell(&table, name);
        show_cell(&table, answers ? "serving" : "DOES NOT ANSWER");
        show_cell(&table, show_text(a, role, "starts"));
        show_cell(&table, arena_printf(a, "%s records", show_text(a, journal, "records")).ptr);
        show_cell(&table, show_text(a, journal, "syncs"));
        show_cell(&table, disk_use(a, journal));
    }
    show_table_print(&table, "No roles.");
}

static void show(struct tool_call *c, const json_t *answer)
{
    const json_t *mail = json_object_get(answer, "mail");
    const json_t *queue = json_object_get(answer, "queue");
    const json_t *directory = json_object_get(answer, "directory");
    struct arena *a = &c->arena;
    printf("Utpost %s on %s\n\n", show_text(a, answer, "version"),
           show_text(a, answer, "hostname"));
    show_roles(c, answer);
    puts("\nQueue");
    show_number("  recipients", queue, "recipients");
    show_number("  failed", queue, "failed_unreported");
    show_number("  connections", queue, "connections");
    puts("\nSince the roles started");
    show_number("  sessions", mail, "sessions");
    show_number("  open now", mail, "sessions_open");
    show_number("  sign-ins", mail, "sign_ins");
    show_number("  failed ones", mail, "sign_in_failures");
    show_number("  messages", mail, "messages");
    show_number("  recipients", mail, "recipients");
    show_number("  refused", mail, "refused");
    show_number("  delivered", mail, "delivered");
    show_number("  retried", mail, "retried");
    show_number("  failed", mail, "failed");
    const json_t *notices = json_object_get(answer, "notices");
    const char *operator_address = show_text(a, notices, "operator");
    puts("\nNotices by mail");
    show_pair("  operator", operator_address[0] ? operator_address
                                                : "not told: [notices] operator is not set");
    show_number("  waiting", notices, "waiting");
    show_number("  sent", notices, "sent");
    show_number("  no contact", notices, "without_contact");
    show_number("  failed", notices, "failed");
    puts("\nDirectory");
    show_number("  version", directory, "version");
    show_number("  customers", directory, "customers");
    show_number("  accounts", directory, "accounts");
    show_number("  credentials", directory, "credentials");
}

/* 1 when a role does not answer, and says which. */
static int judge(const json_t *answer)
{
    int status = TOOL_OK;
    const char *name;
    json_t *role;
    json_object_foreach(json_object_get(answer, "roles"), name, role)
    {
        if (json_is_true(json_object_get(role, "answers")))
            continue;
        fprintf(stderr, "utpost: %s does not answer; the log says why.\n", name);
        status = TOOL_REFUSED;
    }
    return status;
}

int status_show(struct tool_call *c)
{
    json_t *answer = NULL;
    int status = client_call(c, "GET", "/v1/status", NULL, &answer);
    if (status != TOOL_OK)
        return status;
    if (c->wants_json)
        client_print_json(answer);
    else
        show(c, answer);
    status = judge(answer);
    json_decref(answer);
    return status;
}
