/* utpost: the operator's command, a client of the service's API. */
#include "tool/command.h"

#include "model/conf_rows.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The command whose name is nearest to what was written, or NULL when none is near. */
static const char *suggest(const char *const *words, int count)
{
    char written[128];
    const char *nearest = NULL;
    size_t least = 4;
    snprintf(written, sizeof(written), "%s%s%s", words[0], count > 1 ? " " : "",
             count > 1 ? words[1] : "");
    for (size_t i = 0; i < tool_command_count; i++) {
        size_t distance = conf_distance(slice_of(written), slice_of(tool_commands[i].name));
        if (distance < least) {
            least = distance;
            nearest = tool_commands[i].name;
        }
    }
    return nearest;
}

static int explain_unknown(const struct tool_call *c)
{
    if (c->word_count == 0)
        return tool_usage(c, "say what to do, for example: utpost status");
    if (c->word_count == 1 && help_print(c->words, 1))
        return TOOL_USAGE;
    const char *near = suggest(c->words, c->word_count);
    return tool_usage(c, "there is no command \"%s%s%s\"%s%s%s", c->words[0],
                      c->word_count > 1 ? " " : "", c->word_count > 1 ? c->words[1] : "",
                      near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

static int run(struct tool_call *c)
{
    if (c->wants_version && !c->command)
        return version_show(c);
    if (c->wants_help)
        return help_print(c->words, c->word_count) ? TOOL_OK : explain_unknown(c);
    if (!c->command)
        return explain_unknown(c);
    return c->command->run(c);
}

int main(int argc, char **argv)
{
    static struct tool_call call;
    int status = tool_parse(&call, argc, argv);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    if (status == TOOL_OK)
        status = run(&call);
    curl_global_cleanup();
    arena_fini(&call.arena);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fputs("utpost: the answer could not be written.\n", stderr);
        return TOOL_REFUSED;
    }
    return status;
}
