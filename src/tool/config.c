/* utpost config …: reads the file as the server does. */
#include "model/conf.h"
#include "tool/body.h"
#include "tool/client.h"

#include <stdio.h>
#include <unistd.h>

static void print_problems(const struct tool_call *c, const char *file, slice problems)
{
    json_t *list = json_array();
    slice line;
    while (slice_split(&problems, '\n', &line)) {
        if (line.len == 0)
            continue;
        fprintf(stderr, "%.*s\n", SLICE_ARG(line));
        json_t *text = json_stringn(line.ptr, line.len);
        json_array_append_new(list, text ? text : json_string("not UTF-8"));
    }
    json_t *all = json_pack("{s:b, s:s, s:o}", "ok", 0, "file", file, "errors", list);
    if (c->wants_json && all)
        client_print_json(all);
    json_decref(all);
}

/* NULL, explained, when there are errors. Without a file to read, the defaults are shown. */
static struct conf *read_conf(struct tool_call *c, bool or_defaults)
{
    struct buf errors = BUF_INIT;
    struct conf *conf;
    if (or_defaults && !c->is_config_named && access(c->config, F_OK) < 0) {
        fprintf(stderr, "utpost: there is no %s; these are the defaults.\n", c->config);
        conf = conf_parse(SLICE("defaults"), (slice){0}, &errors);
    } else {
        conf = conf_read(c->config, &errors);
    }
    if (!conf)
        print_problems(c, c->config, buf_slice(&errors));
    buf_fini(&errors);
    return conf;
}

static void show_running(struct tool_call *c, const json_t *answer)
{
    (void)c;
    client_print_json(answer);
}

int config_show(struct tool_call *c)
{
    struct buf text = BUF_INIT;
    if (c->wants_json)
        return body_send(c, "GET", "/v1/config", NULL, show_running);
    struct conf *conf = read_conf(c, true);
    if (!conf)
        return TOOL_REFUSED;
    conf_write(conf, tool_option(c, "documented") != NULL, &text);
    fwrite(text.ptr, 1, text.len, stdout);
    buf_fini(&text);
    conf_free(&conf);
    return TOOL_OK;
}

int config_check(struct tool_call *c)
{
    if (c->argument_count > 0)
        c->config = c->arguments[0];
    struct conf *conf = read_conf(c, false);
    if (!conf)
        return TOOL_REFUSED;
    conf_free(&conf);
    if (c->wants_json)
        puts("{\"ok\": true}");
    else
        printf("%s: no errors.\n", c->config);
    return TOOL_OK;
}
