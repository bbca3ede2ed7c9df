#include "tool/body.h"

#include "tool/client.h"

#include <string.h>

void body_text(struct tool_call *c, json_t *body, const char *option, const char *key)
{
    const char *text = tool_option(c, option);
    if (text)
        json_object_set_new(body, key, text[0] ? json_string(text) : json_null());
}

void body_list(struct tool_call *c, json_t *body, const char *option, const char *key)
{
    if (!tool_option(c, option))
        return;
    json_t *list = json_array();
    for (int i = 0; i < c->value_count; i++)
        if (strcmp(c->values[i].option->name, option) == 0 && c->values[i].text[0])
            json_array_append_new(list, json_string(c->values[i].text));
    json_object_set_new(body, key, list);
}

/* k, M and G are powers of 1024, as in the configuration; a final B is let pass. */
static bool parse_size(slice s, uint64_t *out)
{
    static const char letters[] = "kKmMgG";
    unsigned shift = 0;
    if (s.len > 1 && s.ptr[s.len - 1] == 'B')
        s.len--;
    const char *letter = s.len > 1 ? memchr(letters, s.ptr[s.len - 1], 6) : NULL;
    if (letter) {
        shift = (unsigned)((letter - letters) / 2 + 1) * 10;
        s.len--;
    }
    uint64_t number;
    if (!slice_to_u64(s, &number) || number > (1ull << 50) >> shift)
        return false;
    *out = number << shift;
    return true;
}

bool body_number(struct tool_call *c, json_t *body, const char *option, const char *key,
                 bool sizes)
{
    const char *text = tool_option(c, option);
    uint64_t number = 0;
    if (!text)
        return true;
    bool is_right = sizes ? parse_size(slice_of(text), &number)
                          : slice_to_u64(slice_of(text), &number) && number < 1ull << 62;
    if (!is_right) {
        tool_usage(c, "--%s takes a %s, not \"%s\"", option,
                   sizes ? "size such as 500k, 25M or 1G" : "whole number", text);
        return false;
    }
    json_object_set_new(body, key, json_integer((json_int_t)number));
    return true;
}

void body_people(struct tool_call *c, json_t *body)
{
    body_text(c, body, "language", "language");
    body_text(c, body, "time-zone", "time_zone");
    body_text(c, body, "contact", "contact");
}

json_t *body_lock(struct tool_call *c)
{
    json_t *body = json_object();
    body_text(c, body, "reason", "reason");
    body_text(c, body, "for", "for");
    return body;
}

json_t *body_unlock(struct tool_call *c)
{
    bool is_release = tool_option(c, "release"), is_purge = tool_option(c, "purge");
    if (is_release && is_purge) {
        tool_usage(c, "give --release or --purge, not both");
        return NULL;
    }
    json_t *body = json_object();
    if (is_release || is_purge)
        json_object_set_new(body, "queue", json_string(is_release ? "release" : "purge"));
    if (tool_option(c, "revoke-credentials"))
        json_object_set_new(body, "revoke_credentials", json_true());
    return body;
}

int body_send(struct tool_call *c, const char *method, const char *path, json_t *body,
              void (*show)(struct tool_call *c, const json_t *answer))
{
    json_t *answer = NULL;
    int status = client_call(c, method, path, body, &answer);
    if (status != TOOL_OK)
        return status;
    if (c->wants_json)
        client_print_json(answer);
    else
        show(c, answer);
    json_decref(answer);
    return TOOL_OK;
}
