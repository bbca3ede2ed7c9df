/* ledger_read: questions to the ledger, on a connection of their own that only reads. */
#ifndef CONTROL_LEDGER_READ_H
#define CONTROL_LEDGER_READ_H

#include "control/ledger.h"

struct ledger_reader;

int ledger_reader_open(struct ledger_reader **out, const char *path) MUST_USE NONNULL(1, 2);
void ledger_reader_close(struct ledger_reader **r);

/* Everything is in the arena. Counts or -errno. account 0: of all. */

/* What an id (13 letters and digits), a Message-ID (with or without <>), or the address of a
 * sender or recipient is found in: newest first, with recipients and attempts. Of a message
 * found by a recipient's address, that recipient alone is given. */
int ledger_find(struct ledger_reader *r, slice query, uint64_t account, unsigned limit,
                struct arena *a, struct ledger_message **out) MUST_USE NONNULL(1, 5, 6);

/* Newest first, without recipients; before: only ids below it, 0: from the newest on. */
struct ledger_line {
    struct ledger_message message;
    uint64_t delivered;
    uint64_t queued;
    uint64_t failed; /* expired, removed and suppressed ones too */
};
int ledger_list(struct ledger_reader *r, uint64_t account, stamp since, uint64_t before,
                unsigned limit, struct arena *a, struct ledger_line **out) MUST_USE
    NONNULL(1, 6, 7);

struct ledger_usage {
    stamp start;
    uint64_t messages;
    uint64_t recipients;
    uint64_t octets;
    uint64_t delivered;
    uint64_t failed;
};
/* Periods of that many seconds (60, 3600, 86400) in which there was use, oldest first. */
int ledger_usage(struct ledger_reader *r, uint64_t account, unsigned seconds, stamp since,
                 unsigned limit, struct arena *a, struct ledger_usage **out) MUST_USE
    NONNULL(1, 6, 7);

struct ledger_error {
    slice address;
    stamp first;
    stamp last;
    uint64_t count;
    uint64_t message;
    enum outcome_kind outcome;
    enum relay_stage stage;
    uint32_t code;
    slice enhanced;
    slice reply;
    slice remote;
};
/* By address, those behind `after`. */
int ledger_errors(struct ledger_reader *r, uint64_t account, slice after, unsigned limit,
                  struct arena *a, struct ledger_error **out) MUST_USE NONNULL(1, 5, 6);

#endif
