#include "tool/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int tool_usage(const struct tool_call *c, const char *fmt, ...)
{
    va_list args;
    fputs("utpost: ", stderr);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    if (c->command)
        fprintf(stderr, "\n  usage: utpost %s%s%s%s\n  more:  utpost %s --help\n",
                c->command->name, c->command->arguments[0] ? " " : "", c->command->arguments,
                c->command->options[0].name ? " [options]" : "", c->command->name);
    else
        fputs("\n  utpost help: all commands\n", stderr);
    return TOOL_USAGE;
}

const struct tool_command *tool_find(const char *const *words, int count, int *used)
{
    for (size_t i = 0; i < tool_command_count; i++) {
        const char *name = tool_commands[i].name;
        const char *blank = strchr(name, ' ');
        size_t len = blank ? (size_t)(blank - name) : strlen(name);
        if (count < 1 || strlen(words[0]) != len || strncmp(words[0], name, len) != 0)
            continue;
        if (blank && (count < 2 || strcmp(words[1], blank + 1) != 0))
            continue;
        *used = blank ? 2 : 1;
        return &tool_commands[i];
    }
    return NULL;
}

/* The words that are no option; an option's value is not one of them. */
static bool takes_value(const struct tool_option *list, const char *name, size_t len,
                        const struct tool_option **found)
{
    for (; list->name; list++) {
        if (strlen(list->name) != len || strncmp(list->name, name, len) != 0)
            continue;
        *found = list;
        return true;
    }
    return false;
}

/* An option of any command: the command's name may come behind it. */
static const struct tool_option *find_anywhere(const char *name, size_t len)
{
    const struct tool_option *found = NULL;
    if (takes_value(tool_global_options, name, len, &found))
        return found;
    for (size_t i = 0; i < tool_command_count; i++)
        if (takes_value(tool_commands[i].options, name, len, &found))
            return found;
    return NULL;
}

static bool set_global(struct tool_call *c, const struct tool_option *o, const char *value)
{
    if (strcmp(o->name, "config") == 0) {
        c->config = value;
        c->is_config_named = true;
    } else if (strcmp(o->name, "socket") == 0) {
        c->socket = value;
    } else if (strcmp(o->name, "json") == 0) {
        c->wants_json = true;
    } else if (strcmp(o->name, "help") == 0) {
        c->wants_help = true;
    } else if (strcmp(o->name, "version") == 0) {
        c->wants_version = true;
    } else {
        return false;
    }
    return true;
}

static bool is_given(const struct tool_call *c, const struct tool_option *o)
{
    for (int i = 0; i < c->value_count; i++)
        if (strcmp(c->values[i].option->name, o->name) == 0)
            return true;
    return false;
}

/* One option at argv[*at], with its value; *at is moved to its last word. */
static int take_option(struct tool_call *c, int argc, char **argv, int *at)
{
    const char *name = argv[*at] + 2;
    const char *equals = strchr(name, '=');
    size_t len = equals ? (size_t)(equals - name) : strlen(name);
    const struct tool_option *o = find_anywhere(name, len);
    const char *value = "";
    if (!o)
        return tool_usage(c, "there is no option --%.*s", (int)len, name);
    if (!o->value && equals)
        return tool_usage(c, "--%s takes no value", o->name);
    if (o->value && equals)
        value = equals + 1;
    else if (o->value && *at + 1 < argc)
        value = argv[++*at];
    else if (o->value)
        return tool_usage(c, "--%s needs a value: --%s %s", o->name, o->name, o->value);
    if (set_global(c, o, value))
        return TOOL_OK;
    if (!o->is_repeated && is_given(c, o))
        return tool_usage(c, "--%s is given twice", o->name);
    if (c->value_count == TOOL_VALUES_MAX)
        return tool_usage(c, "there are too many options");
    c->values[c->value_count++] = (struct tool_value){o, value};
    return TOOL_OK;
}

static int take_words(struct tool_call *c, int argc, char **argv)
{
    bool only_words = false;
    for (int i = 1; i < argc; i++) {
        bool is_option = !only_words && argv[i][0] == '-' && argv[i][1] != '\0';
        if (is_option && strcmp(argv[i], "--") == 0) {
            only_words = true;
            continue;
        }
        if (is_option && strcmp(argv[i], "-h") == 0) {
            c->wants_help = true;
            continue;
        }
        if (is_option && argv[i][1] != '-')
            return tool_usage(c, "there is no option %s", argv[i]);
        if (is_option) {
            int status = take_option(c, argc, argv, &i);
            if (status != TOOL_OK)
                return status;
            continue;
        }
        if (c->word_count == (int)COUNT_OF(c->words))
            return tool_usage(c, "there are too many words");
        c->words[c->word_count++] = argv[i];
    }
    return TOOL_OK;
}

/* Every option that was given belongs to the command. */
static int check_options(struct tool_call *c)
{
    for (int i = 0; i < c->value_count; i++) {
        const char *name = c->values[i].option->name;
        const struct tool_option *own = NULL;
        if (!takes_value(c->command->options, name, strlen(name), &own))
            return tool_usage(c, "%s does not take --%s", c->command->name, name);
        c->values[i].option = own;
    }
    return TOOL_OK;
}

int tool_parse(struct tool_call *c, int argc, char **argv)
{
    const char *environment = getenv("UTPOST_CONFIG");
    int used = 0;
    c->config = TOOL_CONFIG;
    if (environment && environment[0]) {
        c->config = environment;
        c->is_config_named = true;
    }
    int status = take_words(c, argc, argv);
    if (status != TOOL_OK)
        return status;
    c->command = tool_find(c->words, c->word_count, &used);
    if (c->wants_help || c->wants_version || !c->command)
        return TOOL_OK;
    c->arguments = c->words + used;
    c->argument_count = c->word_count - used;
    if (c->argument_count < c->command->min_arguments)
        return tool_usage(c, "%s needs %s", c->command->name, c->command->arguments);
    if (c->argument_count > c->command->max_arguments)
        return tool_usage(c, "what is \"%s\"?", c->arguments[c->command->max_arguments]);
    return check_options(c);
}

const char *tool_option(const struct tool_call *c, const char *name)
{
    for (int i = 0; i < c->value_count; i++)
        if (strcmp(c->values[i].option->name, name) == 0)
            return c->values[i].text;
    return NULL;
}
