/* utpost credential … */
#include "base/secret.h"
#include "tool/body.h"
#include "tool/client.h"
#include "tool/show.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>

enum { PASSWORD_ROOM = 2048 };

/* What signs in: "192.0.2.0/24", "user 33", "generated secret". */
static const char *describe(struct tool_call *c, const json_t *item)
{
    struct arena *a = &c->arena;
    const char *kind = show_text(a, item, "kind");
    if (strcmp(kind, "address") == 0)
        return arena_printf(a, "address %s", show_text(a, item, "cidr")).ptr;
    if (strcmp(kind, "uid") == 0)
        return arena_printf(a, "user %s", show_text(a, item, "uid")).ptr;
    return strcmp(show_text(a, item, "scheme"), "argon2id") == 0 ? "password" : "secret";
}

static void show_added(struct tool_call *c, const json_t *answer)
{
    struct arena *a = &c->arena;
    const char *secret = show_text(a, answer, "secret");
    const char *others = show_list(a, json_object_get(answer, "may_act_for"));
    printf("Credential %s added: %s signs in to %s.\n", show_text(a, answer, "id"),
           describe(c, answer), show_text(a, answer, "account"));
    if (others[0])
        printf("  It may also act for %s.\n", others);
    if (secret[0])
        printf(
            "\n  login   %s\n  secret  %s\n\nThe secret is shown this once; it cannot be shown"
            " again.\n",
            show_text(a, answer, "account"), secret);
}

/* The first line of standard input. */
static int read_password(struct tool_call *c, json_t *body)
{
    char line[PASSWORD_ROOM];
    if (!fgets(line, sizeof(line), stdin))
        return tool_usage(c, "standard input has no password");
    line[strcspn(line, "\r\n")] = '\0';
    json_t *text = json_string(line);
    secret_wipe(line, sizeof(line));
    if (!text)
        return tool_usage(c, "the password is not UTF-8 text");
    json_object_set_new(body, "password", text);
    return TOOL_OK;
}

static int read_user(struct tool_call *c, json_t *body, const char *user)
{
    uint64_t uid = 0;
    if (!slice_to_u64(slice_of(user), &uid)) {
        const struct passwd *entry = getpwnam(user);
        if (!entry)
            return tool_usage(c, "this machine knows no user \"%s\"", user);
        uid = entry->pw_uid;
    }
    if (uid >= UINT32_MAX)
        return tool_usage(c, "there is no user %s", user);
    json_object_set_new(body, "kind", json_string("uid"));
    json_object_set_new(body, "uid", json_integer((json_int_t)uid));
    return TOOL_OK;
}

static int read_kind(struct tool_call *c, json_t *body)
{
    const char *address = tool_option(c, "address");
    const char *user = tool_option(c, "uid");
    bool has_password = tool_option(c, "password-stdin") != NULL;
    if ((address != NULL) + (user != NULL) + has_password > 1)
        return tool_usage(c, "--password-stdin, --address and --uid exclude each other");
    if (has_password)
        return read_password(c, body);
    if (user)
        return read_user(c, body, user);
    if (address) {
        json_object_set_new(body, "kind", json_string("address"));
        json_object_set_new(body, "cidr", json_string(address));
    }
    return TOOL_OK;
}

int credential_add(struct tool_call *c)
{
    json_t *body = json_object();
    body_text(c, body, "label", "label");
    body_list(c, body, "may-act-for", "may_act_for");
    int status = read_kind(c, body);
    if (status != TOOL_OK) {
        json_decref(body);
        return status;
    }
    return body_send(c, "POST",
                     client_path(c, "/v1/accounts/", c->arguments[0], "/credentials"), body,
                     show_added);
}

static void show_revoked(struct tool_call *c, const json_t *answer)
{
    (void)answer;
    printf("Credential %s revoked: it no longer signs in.\n", c->arguments[0]);
}

int credential_revoke(struct tool_call *c)
{
    return body_send(c, "DELETE", client_path(c, "/v1/credentials/", c->arguments[0], ""), NULL,
                     show_revoked);
}

int credential_list(struct tool_call *c)
{
    static const char *const heads[] = {"ID",      "SIGNS IN",    "LABEL",
                                        "CREATED", "MAY ACT FOR", NULL};
    struct arena *a = &c->arena;
    struct show_table table;
    json_t *list = NULL;
    size_t i;
    json_t *item;
    int status =
        client_list(c, client_path(c, "/v1/accounts/", c->arguments[0], "/credentials"),
                    "credentials", &list);
    if (status != TOOL_OK)
        return status;
    json_t *all = json_pack("{s:o}", "credentials", list);
    if (c->wants_json) {
        client_print_json(all);
        json_decref(all);
        return TOOL_OK;
    }
    show_table_init(&table, a, heads);
    json_array_foreach(list, i, item)
    {
        show_cell(&table, show_text(a, item, "id"));
        show_cell(&table, describe(c, item));
        show_cell(&table, show_text(a, item, "label"));
        show_cell(&table, show_text(a, item, "created"));
        show_cell(&table, show_list(a, json_object_get(item, "may_act_for")));
    }
    show_table_print(&table,
                     "The account has no credentials: nothing can sign in to it. Add one:"
                     " utpost credential add LOGIN");
    json_decref(all);
    return TOOL_OK;
}
