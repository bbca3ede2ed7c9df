/* command: the commands of `utpost` as a table, from which the parser, the help and the manual
 * page are made; and one call of a command. */
#ifndef TOOL_COMMAND_H
#define TOOL_COMMAND_H

#include "base/arena.h"

#include <stdbool.h>
#include <stddef.h>

#define TOOL_CONFIG "/etc/utpost/utpost.conf"

/* Exit statuses. */
enum tool_status {
    TOOL_OK = 0,
    TOOL_REFUSED = 1,     /* the service, or the command itself, said no */
    TOOL_USAGE = 2,       /* the command line is wrong */
    TOOL_UNREACHABLE = 3, /* the service does not answer */
};

enum { TOOL_VALUES_MAX = 1100, TOOL_WORDS_MAX = 1010 };

struct tool_option {
    const char *name;  /* without "--" */
    const char *value; /* what it takes, in capitals; NULL: nothing */
    const char *help;
    bool is_repeated;
};

struct tool_call;
struct tool_command {
    const char *name;      /* "account add" */
    const char *arguments; /* "LOGIN" */
    int min_arguments;
    int max_arguments;
    const struct tool_option *options; /* ends with a row without a name */
    const char *summary;               /* one line, no full stop */
    const char *details;               /* or NULL */
    const char *examples;              /* lines, each with what follows "utpost " */
    int (*run)(struct tool_call *c);
};

extern const struct tool_command tool_commands[];
extern const size_t tool_command_count;
/* Options that every command takes. */
extern const struct tool_option tool_global_options[];

struct tool_value {
    const struct tool_option *option;
    const char *text; /* "" for options without a value */
};

struct tool_call {
    const struct tool_command *command; /* NULL: none was named */
    const char *words[TOOL_WORDS_MAX];  /* all words of the command line, in order */
    int word_count;
    const char **arguments; /* the words behind the command's name */
    int argument_count;
    struct tool_value values[TOOL_VALUES_MAX];
    int value_count;
    const char *config;
    const char *socket; /* NULL: the configuration's */
    bool is_config_named;
    bool wants_json;
    bool wants_help;
    bool wants_version;
    struct arena arena;
};

/* Reads the command line. TOOL_OK or TOOL_USAGE, which was explained on standard error. */
int tool_parse(struct tool_call *c, int argc, char **argv) MUST_USE NONNULL(1, 3);
/* The option's value, or NULL when it was not given. */
const char *tool_option(const struct tool_call *c, const char *name) NONNULL(1, 2);
/* Says on standard error what is wrong with the command line. */
int tool_usage(const struct tool_call *c, const char *fmt, ...) NONNULL(1, 2) PRINTF_LIKE(2, 3);

/* The command of that name, made of the first words; *used: how many they were. */
const struct tool_command *tool_find(const char *const *words, int count, int *used)
    NONNULL(1, 3);

/* Help: of all, of a group ("account"), of one command. False: there is no such thing. */
bool help_print(const char *const *words, int count) NONNULL(1);
/* A manual page in roff, "utpost.1" or "utpost.conf.5". False: there is no such page. */
bool manual_print(const char *page) NONNULL(1);

int customer_add(struct tool_call *c), customer_list(struct tool_call *c),
    customer_show(struct tool_call *c), customer_set(struct tool_call *c),
    customer_remove(struct tool_call *c), customer_lock(struct tool_call *c),
    customer_unlock(struct tool_call *c);
int account_add(struct tool_call *c), account_list(struct tool_call *c),
    account_show(struct tool_call *c), account_set(struct tool_call *c),
    account_remove(struct tool_call *c), account_lock(struct tool_call *c),
    account_unlock(struct tool_call *c), account_plan(struct tool_call *c);
int credential_add(struct tool_call *c), credential_list(struct tool_call *c),
    credential_revoke(struct tool_call *c);
int preset_list(struct tool_call *c), preset_show(struct tool_call *c),
    preset_apply(struct tool_call *c);
int rule_list(struct tool_call *c), rule_add(struct tool_call *c),
    rule_remove(struct tool_call *c);
int quota_show(struct tool_call *c);
int lock_list(struct tool_call *c), lock_show(struct tool_call *c);
int queue_list(struct tool_call *c), queue_show(struct tool_call *c),
    queue_hold(struct tool_call *c), queue_release(struct tool_call *c),
    queue_retry(struct tool_call *c), queue_remove(struct tool_call *c),
    queue_why(struct tool_call *c);
int token_add(struct tool_call *c), token_list(struct tool_call *c),
    token_revoke(struct tool_call *c);
int trace_show(struct tool_call *c), messages_list(struct tool_call *c),
    usage_show(struct tool_call *c), errors_list(struct tool_call *c),
    erase_address(struct tool_call *c);
int status_show(struct tool_call *c);
int config_show(struct tool_call *c), config_check(struct tool_call *c);
int help_show(struct tool_call *c), version_show(struct tool_call *c);

#endif
