/* notifier: sends the notices that the ledger has, one after the other, through smtpd's local
 * door. Each goes out once, over restarts and crashes too (control/ledger_notices). A reader
 * without a contact is not told, and the ledger says so. */
#ifndef CONTROL_NOTIFIER_H
#define CONTROL_NOTIFIER_H

#include "control/door.h"
#include "control/ledger_notices.h"
#include "control/store.h"
#include "model/conf.h"

struct notifier;
struct notifier_config {
    struct env *env;
    struct loop *loop;
    struct ledger *ledger;
    struct store *store;
    struct door *door;
    const struct conf *conf; /* read at once */
};
struct notifier *notifier_new(const struct notifier_config *c) NONNULL(1);
/* The configuration has been read again. */
void notifier_set_conf(struct notifier *n, const struct conf *conf) NONNULL(1, 2);
/* The loop has ended, the door is closed. Clears the pointer, takes NULL. */
void notifier_free(struct notifier **n);

/* For people: "sent", "no contact is set". */
const char *notifier_state(enum ledger_notice_state state);
const char *notifier_reader(enum notice_reader reader);

#endif
