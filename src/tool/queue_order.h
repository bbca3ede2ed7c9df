/* queue_order: commands about the queue: given, waited for, told of. */
#ifndef TOOL_QUEUE_ORDER_H
#define TOOL_QUEUE_ORDER_H

#include "tool/command.h"

#include <jansson.h>

/* Waits until it is done, with its progress on standard error when that is a terminal: the last
 * answer, which is the caller's. Takes over the answer. A service that goes away meanwhile is
 * said so, and gives the status. */
int queue_order_wait(struct tool_call *c, json_t **answer) MUST_USE NONNULL(1, 2);
/* What an unlocking did with the queue. */
void queue_order_show_unlock(struct tool_call *c, const json_t *answer, const char *option)
    NONNULL(1, 2, 3);

#endif
