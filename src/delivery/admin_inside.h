/* admin_inside: what the files of the answers share. */
#ifndef DELIVERY_ADMIN_INSIDE_H
#define DELIVERY_ADMIN_INSIDE_H

#include "delivery/admin.h"
#include "delivery/gate.h"

#include <jansson.h>

json_t *admin_text(slice s);   /* shown as far as it is text */
json_t *admin_stamp(stamp at); /* null when 0 */
void admin_set(json_t *object, const char *key, json_t *value) NONNULL(1, 2);
void admin_set_number(json_t *object, const char *key, uint64_t value) NONNULL(1, 2);
json_t *admin_failure(const char *why) NONNULL(1);
/* What a site could not do last; null: nothing. */
json_t *admin_site_trouble(const struct site *s);
json_t *admin_site(const struct site *s);

/* What stops an account's mail: null, or {"by": "lock" (by a rule), "operator" (a lock) or
 * "hold", "of": "account" or "customer", "id": whose, "until": when it ends by itself}. */
json_t *admin_stopped(const struct queue *q, uint64_t account, uint64_t customer) NONNULL(1);

/* Answers. */
json_t *admin_command(const struct admin *a, json_t *question) NONNULL(1, 2);
json_t *admin_count(const struct admin *a, json_t *question) NONNULL(1, 2);
json_t *admin_domain(const struct admin *a, json_t *question) NONNULL(1, 2);

#endif
