/* utpost queue hold, release, retry, remove. */
#include "tool/queue_order.h"

#include "tool/body.h"
#include "tool/client.h"
#include "tool/show.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_MS = 200 };

static bool has_state(const json_t *answer, const char *state)
{
    const char *is = json_string_value(json_object_get(answer, "state"));
    return is && strcmp(is, state) == 0;
}

static long long number_of(const json_t *answer, const char *key)
{
    return (long long)json_integer_value(json_object_get(answer, key));
}

static void show_progress(const json_t *answer)
{
    if (!isatty(STDERR_FILENO))
        return;
    fprintf(stderr, "\r%lld %%, %lld recipients so far ", number_of(answer, "percent"),
            number_of(answer, "recipients"));
    fflush(stderr);
}

int queue_order_wait(struct tool_call *c, json_t **answer)
{
    const struct timespec pause = {.tv_nsec = WAIT_MS * 1000000L};
    const char *command = show_text(&c->arena, *answer, "command");
    bool has_shown = false;
    while (has_state(*answer, "waiting") || has_state(*answer, "running") ||
           has_state(*answer, "unknown")) {
        json_t *next = NULL;
        show_progress(*answer);
        has_shown = true;
        nanosleep(&pause, NULL);
        int status =
            client_call(c, "GET", client_path(c, "/v1/commands/", command, ""), NULL, &next);
        if (status != TOOL_OK) {
            fprintf(stderr, "utpost: the command is kept and is carried out all the same\n");
            json_decref(*answer);
            return status;
        }
        json_decref(*answer);
        *answer = next;
    }
    if (has_shown && isatty(STDERR_FILENO))
        fprintf(stderr, "\r%40s\r", "");
    return TOOL_OK;
}

static const struct order {
    const char *verb;
    const char *done; /* "2 recipients of 1 message …" */
    const char *of_none;
} orders[] = {
    {"hold", "held until: utpost queue release", "Nothing that is queued now fits."},
    {"release", "released", "Nothing of that was held."},
    {"retry", "tried now", "Nothing of that waits for another attempt."},
    {"remove", "removed", "Nothing that is queued fits."},
};

static void show_rest(const json_t *answer, const char *verb)
{
    long long busy = number_of(answer, "busy"), paced = number_of(answer, "paced");
    long long stopped = number_of(answer, "stopped");
    if (busy > 0)
        printf("  %lld were being sent at that moment, and were left alone.\n", busy);
    if (paced > 0)
        printf("  %lld are kept back by a rule until they are released: see queue list.\n",
               paced);
    if (stopped > 0 && strcmp(verb, "hold") != 0 && strcmp(verb, "remove") != 0)
        printf("  %lld of them stay where they are: their account is locked or held. See:"
               " utpost queue why ID\n",
               stopped);
}

static void show_done(const json_t *answer, const struct order *o, bool is_standing)
{
    long long messages = number_of(answer, "messages");
    long long recipients = number_of(answer, "recipients");
    if (recipients == 0)
        printf("%s%s\n", o->of_none, is_standing ? " What comes is held." : "");
    else
        printf("%lld %s of %lld %s %s%s.\n", recipients,
               recipients == 1 ? "recipient" : "recipients", messages,
               messages == 1 ? "message" : "messages", o->done,
               is_standing ? ", with what comes" : "");
    show_rest(answer, o->verb);
}

static bool take_what(struct tool_call *c, json_t *body)
{
    json_t *ids = json_array();
    for (int i = 0; i < c->argument_count; i++)
        json_array_append_new(ids, json_string(c->arguments[i]));
    if (json_array_size(ids) > 0)
        json_object_set(body, "ids", ids);
    json_decref(ids);
    body_text(c, body, "account", "account");
    body_text(c, body, "customer", "customer");
    body_text(c, body, "domain", "domain");
    body_text(c, body, "older-than", "older_than");
    if (tool_option(c, "all"))
        json_object_set_new(body, "all", json_true());
    return json_object_size(body) > 0;
}

static int give(struct tool_call *c, const struct order *o)
{
    json_t *body = json_object();
    json_t *answer = NULL;
    if (!take_what(c, body)) {
        json_decref(body);
        return tool_usage(c, "say which mail: by ID, --account, --customer, --domain,"
                             " --older-than, or --all");
    }
    const char *path = arena_printf(&c->arena, "/v1/queue/%s", o->verb).ptr;
    int status = client_call(c, "POST", path, body, &answer);
    bool is_standing = json_is_true(json_object_get(answer, "standing"));
    if (status == TOOL_OK)
        status = queue_order_wait(c, &answer);
    if (status != TOOL_OK)
        return status;
    bool is_nothing = number_of(answer, "recipients") == 0 && !is_standing;
    if (c->wants_json)
        client_print_json(answer);
    else
        show_done(answer, o, is_standing);
    json_decref(answer);
    return is_nothing ? TOOL_REFUSED : TOOL_OK;
}

int queue_hold(struct tool_call *c)
{
    return give(c, &orders[0]);
}

int queue_release(struct tool_call *c)
{
    return give(c, &orders[1]);
}

int queue_retry(struct tool_call *c)
{
    return give(c, &orders[2]);
}

int queue_remove(struct tool_call *c)
{
    return give(c, &orders[3]);
}

/* ---- unlocking ---- */

void queue_order_show_unlock(struct tool_call *c, const json_t *answer, const char *option)
{
    json_t *queue = json_incref(json_object_get(answer, "queue"));
    if (json_object_get(queue, "command") && queue_order_wait(c, &queue) != TOOL_OK)
        return;
    const char *is = show_text(&c->arena, json_object_get(answer, "queue"), "is");
    const char *name = c->arguments[0];
    long long messages = number_of(queue, "messages");
    long long recipients = number_of(queue, "recipients");
    if (strcmp(is, "frozen") != 0)
        printf("  Its queue is %s: %lld recipients of %lld messages.\n", is, recipients,
               messages);
    else if (messages > 0)
        printf("  Its queue stays frozen: %lld recipients of %lld messages. To send them:\n"
               "    utpost queue release --%s %s\n  To remove them:\n"
               "    utpost queue remove --%s %s\n",
               recipients, messages, option, name, option, name);
    else if (json_object_get(queue, "messages"))
        printf("  Nothing of it is queued.\n");
    json_decref(queue);
}
