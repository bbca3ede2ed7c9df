/* body: the bodies of requests, from the options of a call. */
#ifndef TOOL_BODY_H
#define TOOL_BODY_H

#include "tool/command.h"

#include <jansson.h>

/* The option's value under that key; "" becomes null; nothing when the option was not given. */
void body_text(struct tool_call *c, json_t *body, const char *option, const char *key)
    NONNULL(1, 2, 3, 4);
/* All values of a repeated option as an array; nothing when it was not given. */
void body_list(struct tool_call *c, json_t *body, const char *option, const char *key)
    NONNULL(1, 2, 3, 4);
/* A whole number, or with `sizes` a size ("25M"): false, explained, when it is neither. */
bool body_number(struct tool_call *c, json_t *body, const char *option, const char *key,
                 bool sizes) MUST_USE NONNULL(1, 2, 3, 4);
/* language, time zone and contact, which customers and accounts have both. */
void body_people(struct tool_call *c, json_t *body) NONNULL(1, 2);
/* reason and for. */
json_t *body_lock(struct tool_call *c) NONNULL(1);

/* --release, --purge and --revoke-credentials of an unlocking; NULL, explained: both of the
 * first. */
json_t *body_unlock(struct tool_call *c) NONNULL(1);

/* Sends it and shows the answer: as JSON with --json, else with `show`. Takes over the body. */
int body_send(struct tool_call *c, const char *method, const char *path, json_t *body,
              void (*show)(struct tool_call *c, const json_t *answer)) MUST_USE
    NONNULL(1, 2, 3, 5);

#endif
