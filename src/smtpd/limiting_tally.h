/* limiting_tally: what each rule has let pass, refused, locked and made wait, for metrics.
 *
 * Since the start, over all accounts; a bounded number of rules, and one line for all others.
 */
#ifndef SMTPD_LIMITING_TALLY_H
#define SMTPD_LIMITING_TALLY_H

#include "policy/rule.h"

enum { TALLY_RULES = 256 };

enum tally_kind { TALLY_USED, TALLY_REFUSED, TALLY_LOCKED, TALLY_PACED, TALLY_KINDS };

struct tally {
    struct tally_line {
        struct rule rule;
        bool is_taken;
        uint64_t of[TALLY_KINDS];
    } lines[TALLY_RULES];
    uint64_t others[TALLY_KINDS];
    unsigned taken;
};

void tally_add(struct tally *t, const struct rule *rule, enum tally_kind kind, uint64_t amount)
    NONNULL(1, 2);

#endif
