/* owner: whose rules a command is about: --account LOGIN or --customer NAME. */
#ifndef TOOL_OWNER_H
#define TOOL_OWNER_H

#include "tool/command.h"

#include <jansson.h>

/* The path of the account or the customer with `after` behind it; NULL, explained, when not
 * exactly one was named. */
const char *owner_path(struct tool_call *c, const char *after) NONNULL(1, 2);
/* "Account anna@x.test" or "Customer demo", of an answer about its rules. */
const char *owner_name(struct tool_call *c, const json_t *answer) NONNULL(1);
/* The table of what applies to it. */
void owner_show_rules(struct tool_call *c, const json_t *answer) NONNULL(1);

#endif
