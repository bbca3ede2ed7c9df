#include "tool/command.h"

#include <stdio.h>
#include <string.h>

enum { WIDTH = 90 };

/* Text in lines of at most WIDTH, indented. */
static void print_wrapped(const char *text, int indent)
{
    int column = 0;
    while (*text) {
        size_t len = strcspn(text, " ");
        if (column > 0 && column + 1 + (int)len > WIDTH) {
            putchar('\n');
            column = 0;
        }
        if (column == 0)
            column = printf("%*s%.*s", indent, "", (int)len, text);
        else
            column += printf(" %.*s", (int)len, text);
        text += len;
        text += *text == ' ';
    }
    putchar('\n');
}

static void print_options(const struct tool_option *o)
{
    for (; o->name; o++) {
        char left[64];
        snprintf(left, sizeof(left), "--%s%s%s", o->name, o->value ? " " : "",
                 o->value ? o->value : "");
        printf("  %-28s %s\n", left, o->help);
    }
}

static void print_examples(const char *lines)
{
    while (*lines) {
        size_t len = strcspn(lines, "\n");
        printf("  utpost %.*s\n", (int)len, lines);
        lines += len + (lines[len] == '\n');
    }
}

static void print_command(const struct tool_command *c)
{
    printf("utpost %s%s%s%s\n\n", c->name, c->arguments[0] ? " " : "", c->arguments,
           c->options[0].name ? " [options]" : "");
    printf("  %c%s.\n", c->summary[0] - 'a' + 'A', c->summary + 1);
    if (c->details)
        print_wrapped(c->details, 2);
    if (c->options[0].name) {
        puts("\nOptions:");
        print_options(c->options);
    }
    puts("\nOptions of every command:");
    print_options(tool_global_options);
    puts("\nExamples:");
    print_examples(c->examples);
}

static void print_line(const struct tool_command *c)
{
    char left[64];
    snprintf(left, sizeof(left), "%s %s", c->name, c->arguments);
    printf("  %-28s %s\n", left, c->summary);
}

static bool is_of_group(const struct tool_command *c, const char *group)
{
    size_t len = strlen(group);
    return strncmp(c->name, group, len) == 0 && (c->name[len] == ' ' || c->name[len] == '\0');
}

static void print_all(void)
{
    puts("utpost: run and look after an outgoing mail service\n\nCommands:");
    for (size_t i = 0; i < tool_command_count; i++) {
        const char *name = tool_commands[i].name;
        size_t len = strcspn(name, " ");
        if (i > 0 && strncmp(tool_commands[i - 1].name, name, len) != 0 && name[len])
            putchar('\n');
        print_line(&tool_commands[i]);
    }
    puts("\nOptions of every command:");
    print_options(tool_global_options);
    puts("\nTo begin:\n"
         "  utpost customer add demo\n"
         "  utpost account add anna@example.org --customer demo\n"
         "  utpost credential add anna@example.org --label phone\n"
         "\nutpost help COMMAND shows a command's options and examples.");
}

bool help_print(const char *const *words, int count)
{
    int used = 0;
    if (count == 0) {
        print_all();
        return true;
    }
    const struct tool_command *c = tool_find(words, count, &used);
    if (c) {
        print_command(c);
        return true;
    }
    bool found = false;
    for (size_t i = 0; i < tool_command_count; i++) {
        if (count > 1 || !is_of_group(&tool_commands[i], words[0]))
            continue;
        if (!found)
            printf("utpost %s COMMAND\n\n", words[0]);
        found = true;
        print_line(&tool_commands[i]);
    }
    if (found)
        printf("\nutpost help %s COMMAND shows a command's options and examples.\n", words[0]);
    return found;
}

int help_show(struct tool_call *c)
{
    const char *page = tool_option(c, "manual");
    if (page)
        return manual_print(page) ? TOOL_OK : tool_usage(c, "there is no page \"%s\"", page);
    if (help_print(c->arguments, c->argument_count))
        return TOOL_OK;
    return tool_usage(c, "there is no command \"%s%s%s\"", c->arguments[0],
                      c->argument_count > 1 ? " " : "",
                      c->argument_count > 1 ? c->arguments[1] : "");
}

int version_show(struct tool_call *c)
{
    if (c->wants_json)
        puts("{\"version\": \"" UTPOST_VERSION "\"}");
    else
        puts("utpost " UTPOST_VERSION);
    return TOOL_OK;
}
