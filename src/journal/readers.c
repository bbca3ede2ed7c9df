#include "journal/readers.h"
#include "journal/dirs.h"
#include "journal/snapshot.h"

const char *const *journal_readers(enum id_writer journal, size_t *count)
{
    static const char *const smtpd[] = {"snapshot/delivery/queue", "snapshot/control/ledger",
                                        "snapshot/smtpd/limits", "snapshot/smtpd/tokens"};
    static const char *const delivery[] = {"snapshot/delivery/queue", "snapshot/control/ledger",
                                           "snapshot/smtpd/limits"};
    static const char *const control[] = {
        "snapshot/smtpd/directory", "snapshot/delivery/directory", "snapshot/control/ledger"};
    static const struct {
        const char *const *paths;
        size_t count;
    } all[] = {
        [ID_SMTPD] = {smtpd, COUNT_OF(smtpd)},
        [ID_DELIVERY] = {delivery, COUNT_OF(delivery)},
        [ID_CONTROL] = {control, COUNT_OF(control)},
    };
    *count = all[journal].count;
    return all[journal].paths;
}

struct readers_floor readers_floor(const struct journal_config *config)
{
    struct readers_floor f = {
        .read = config->reader_count ? UINT64_MAX : 0,
        .needed = config->reader_count ? UINT64_MAX : 0,
        .proven = atomic_load_explicit(&config->watermark->durable, memory_order_acquire),
    };
    for (size_t i = 0; i < config->reader_count; i++) {
        struct snapshot s;
        if (snapshot_read_head(config->env, config->readers[i], &s) < 0) {
            f.holder = f.needed == 0 ? f.holder : i;
            f.read = f.needed = 0;
            continue;
        }
        uint64_t position = s.position[config->self];
        uint64_t needs = s.needs[config->self];
        uint64_t lowest = needs < position ? needs : position;
        f.read = position < f.read ? position : f.read;
        f.holder = lowest < f.needed ? i : f.holder;
        f.needed = lowest < f.needed ? lowest : f.needed;
        f.proven = position > f.proven ? position : f.proven;
    }
    return f;
}

int readers_sync(const struct journal_config *config)
{
    for (size_t i = 0; i < config->reader_count; i++) {
        int err = dirs_sync_parent(config->env, config->readers[i]);
        if (err < 0)
            return err;
    }
    return 0;
}
