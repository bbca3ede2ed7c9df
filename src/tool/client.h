/* client: asks the service, over HTTP on its Unix socket. */
#ifndef TOOL_CLIENT_H
#define TOOL_CLIENT_H

#include "tool/command.h"

#include <jansson.h>

/* One request; takes over the body (may be NULL). TOOL_OK with an object in *answer, which is
 * the caller's; TOOL_REFUSED or TOOL_UNREACHABLE, which were explained on standard error (and,
 * with --json, on standard output). */
int client_call(struct tool_call *c, const char *method, const char *path, json_t *body,
                json_t **answer) MUST_USE NONNULL(1, 2, 3, 5);
/* All pages of a list: the array of that key, which is the caller's. The path has a '?' when it
 * has parameters already. */
int client_list(struct tool_call *c, const char *path, const char *key, json_t **list) MUST_USE
    NONNULL(1, 2, 3, 4);
/* A path with one part escaped: "%s" stands for it. In the arena. */
const char *client_path(struct tool_call *c, const char *before, const char *part,
                        const char *after) NONNULL(1, 2, 3, 4);
/* The JSON of an answer, for --json. */
void client_print_json(const json_t *answer) NONNULL(1);

#endif
