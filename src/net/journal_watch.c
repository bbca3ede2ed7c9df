#include "net/journal_watch.h"

#include "base/log.h"
#include "journal/readers.h"

const char *journal_level_name(enum journal_level l)
{
    static const char *const names[] = {
        [JOURNAL_FINE] = "fine", [JOURNAL_LARGE] = "large", [JOURNAL_FULL] = "full"};
    INVARIANT((size_t)l < COUNT_OF(names));
    return names[l];
}

enum journal_level journal_level(const struct conf_journal *c, uint64_t bytes)
{
    if (c->max_bytes != 0 && bytes >= c->max_bytes)
        return JOURNAL_FULL;
    return c->alarm_bytes != 0 && bytes >= c->alarm_bytes ? JOURNAL_LARGE : JOURNAL_FINE;
}

/* Snapshots are called snapshot/ROLE/NAME. */
enum role_kind journal_holder(enum role_kind journal, int holder)
{
    size_t count;
    const char *const *paths = journal_readers((enum id_writer)journal, &count);
    if (holder < 0 || (size_t)holder >= count)
        return ROLE_COUNT;
    slice rest = slice_of(paths[holder]);
    slice part = {0};
    for (int i = 0; i < 2; i++)
        if (!slice_split(&rest, '/', &part))
            return ROLE_COUNT;
    for (int k = 0; k < ROLE_COUNT; k++)
        if (slice_eq(part, slice_of(role_name((enum role_kind)k))))
            return (enum role_kind)k;
    return ROLE_COUNT;
}

static void put(_Atomic uint64_t *where, uint64_t value)
{
    atomic_store_explicit(where, value, memory_order_relaxed);
}

static void tell(const struct role *role, enum journal_level before, enum journal_level now,
                 const struct journal_numbers *n)
{
    enum role_kind holder = journal_holder(role->kind, n->holder);
    const struct log_field fields[] = {
        LOG_C("journal", role_name(role->kind)),
        LOG_I("bytes", n->disk_bytes),
        LOG_C("kept-for", holder == ROLE_COUNT ? "nobody" : role_name(holder)),
        LOG_C("effect", now == JOURNAL_FULL ? "new mail is refused with 452 4.3.1"
                                            : "at max-size new mail will be refused"),
    };
    if (now == JOURNAL_FINE || (now == JOURNAL_LARGE && before == JOURNAL_FULL))
        log_write(LOG_INFO,
                  now == JOURNAL_FINE ? "journal-fine-again" : "journal-not-full-any-more",
                  fields, COUNT_OF(fields) - 1);
    else
        log_write(now == JOURNAL_FULL ? LOG_ERROR : LOG_WARNING,
                  now == JOURNAL_FULL ? "journal-full" : "journal-large", fields,
                  COUNT_OF(fields));
}

void journal_watch_look(struct journal_watch *w, const struct role *role,
                        const struct journal_numbers *n)
{
    struct stats_page *s = &role->pages->stats;
    enum role_kind k = role->kind;
    put(&s->journal_records[k], n->records);
    put(&s->journal_syncs[k], n->syncs);
    put(&s->journal_failures[k], n->failures);
    put(&s->journal_bytes[k], n->disk_bytes);
    put(&s->journal_kept_for[k], 1 + (uint64_t)journal_holder(k, n->holder));
    enum journal_level now = journal_level(&role->conf->journal, n->disk_bytes);
    put(&s->journal_level[k], now);
    if (now != w->level)
        tell(role, w->level, now, n);
    w->level = now;
}
