/* projector: follows the three journals and makes the ledger of them.
 *
 * A step reads a bounded number of records for a bounded time and commits them with the
 * positions behind them, so that after any end it goes on where it was. It never holds up the
 * writers: they do not wait for it, and it rests as long as it worked. Segments that it still
 * has to read are kept by the head file PROJECTOR_HEAD, a snapshot without contents, which is
 * written after the rows were synced. An effect is read after its cause (an outcome after the
 * message that it is of, the end of a lock after the unlock): a round first notes the
 * watermarks, delivery's before smtpd's before control's, then reads each journal up to its
 * mark, in the opposite order. At its end the evidence of new locks is gathered. */
#ifndef CONTROL_PROJECTOR_H
#define CONTROL_PROJECTOR_H

#include "base/env.h"
#include "control/ledger.h"
#include "journal/watermark.h"
#include "net/loop.h"

#define PROJECTOR_HEAD "snapshot/control/ledger"

struct projector;

struct projector_config {
    struct env *env;
    struct ledger *ledger;
    const struct watermark *watermark[LEDGER_JOURNALS]; /* by enum id_writer */
    struct loop *loop; /* NULL: the caller calls projector_step */
    int wake;          /* readable when a journal has grown */
};

/* The positions come from the ledger. 0 or -errno. */
int projector_new(struct projector **out, const struct projector_config *config) MUST_USE
    NONNULL(1, 2);
/* Makes what was read durable, as far as that works. */
void projector_free(struct projector **p);

/* One batch: 1: there is more; 0: everything up to the watermarks is in the ledger; -errno:
 * nothing of the batch is (-ENOTSUP: a record that may not be passed over ends reading). */
int projector_step(struct projector *p) MUST_USE NONNULL(1);
/* Syncs the ledger, then tells the journals' writers what may go. 0 or -errno. */
int projector_save(struct projector *p) MUST_USE NONNULL(1);

struct projector_numbers {
    uint64_t position[LEDGER_JOURNALS];
    uint64_t behind[LEDGER_JOURNALS]; /* octets of the journal that were not read yet */
    bool is_stopped;
};
/* From any thread. */
void projector_numbers(const struct projector *p, struct projector_numbers *out) NONNULL(1, 2);

#endif
