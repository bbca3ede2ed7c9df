/* journal_watch: how much of the disk a role's journal takes, who keeps it from being deleted,
 * and the alarm when it is much.
 *
 * Every second the writer's role puts its journal's numbers on the stats page and compares them
 * with `[journal] alarm-size` and `max-size`. A journal grows when a reader is down, or when
 * mail cannot be delivered. Each change of the level is one line in the log; smtpd refuses new
 * mail while any journal is full (smtpd/limits). */
#ifndef NET_JOURNAL_WATCH_H
#define NET_JOURNAL_WATCH_H

#include "journal/writer.h"
#include "net/role.h"

enum journal_level {
    JOURNAL_FINE,
    JOURNAL_LARGE, /* beyond alarm-size */
    JOURNAL_FULL,  /* beyond max-size: new mail is refused */
};
/* "fine", "large", "full". */
const char *journal_level_name(enum journal_level l);
enum journal_level journal_level(const struct conf_journal *c, uint64_t bytes) NONNULL(1);

struct journal_watch {
    enum journal_level level;
};
/* Call it once per second with the numbers of the role's own journal. */
void journal_watch_look(struct journal_watch *w, const struct role *role,
                        const struct journal_numbers *n) NONNULL(1, 2, 3);

/* Whose snapshot the journal is kept for (journal_numbers.holder): a role; ROLE_COUNT:
 * nobody's. */
enum role_kind journal_holder(enum role_kind journal, int holder);

#endif
