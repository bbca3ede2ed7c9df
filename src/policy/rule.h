/* rule: one limit, as one line of text.
 *
 *     SCOPE UNIT MAX[/WINDOW] [attempts] ACTION
 *
 *     message  recipients 100              defer
 *     account  recipients 1000/24h attempts defer
 *     account  messages   500/30m          lock
 *     account  refusals   2000/7d          lock 24h
 *     account  bytes      500MB/month      suspend
 *
 * SCOPE: message, credential, account, customer, sender-domain, host. UNIT: messages,
 * recipients, bytes (with B, KB, MB, GB: decimal), new-recipients, refusals, bounces,
 * complaints. WINDOW: 1s to 31d (s, m, h, d), sliding; `month` is a plan's period; without one
 * the rule is of scope message. `attempts`: refused ones count too. ACTION: defer, reject,
 * pace, suspend, notify, lock [duration]. */
#ifndef POLICY_RULE_H
#define POLICY_RULE_H

#include "base/buf.h"
#include "base/stamp.h"

enum rule_scope {
    RULE_MESSAGE,
    RULE_CREDENTIAL,
    RULE_ACCOUNT,
    RULE_CUSTOMER,
    RULE_SENDER_DOMAIN,
    RULE_HOST,
    RULE_SCOPE_COUNT
};

enum rule_unit {
    RULE_MESSAGES,
    RULE_RECIPIENTS,
    RULE_BYTES,
    RULE_NEW_RECIPIENTS,
    RULE_REFUSALS,
    RULE_BOUNCES,
    RULE_COMPLAINTS,
    RULE_UNIT_COUNT
};

enum rule_action { RULE_DEFER, RULE_REJECT, RULE_PACE, RULE_SUSPEND, RULE_NOTIFY, RULE_LOCK };

enum { RULE_TEXT_MAX = 96 };

struct rule {
    enum rule_scope scope;
    enum rule_unit unit;
    uint64_t max;
    span window; /* 0: of one message; RULE_PERIOD: a plan's period */
    bool attempts;
    enum rule_action action;
    span lock_for; /* LOCK: 0 for good */
};

#define RULE_PERIOD ((span)-1)

/* Units of what became of mail: nobody asks for them, rules look at how many there are. */
static inline bool rule_is_of_results(const struct rule *r)
{
    return r->unit >= RULE_REFUSALS;
}

/* Parses one line (blanks between words as one likes; no comment). False with *error in words
 * ("the window must be between 1s and 31d") and *word, the part of the line that it is about.
 */
bool rule_parse(slice line, struct rule *out, const char **error, slice *word) NONNULL(2, 3, 4);
/* A rule that was parsed may be one that nothing is ever counted under, or that cannot do what
 * it says: then false, with the reason in words. It is kept where it is, but not to be added.
 */
bool rule_has_effect(const struct rule *r, const char **error) MUST_USE NONNULL(1, 2);
/* The canonical line; rule_parse of it gives the same rule. */
void rule_format(const struct rule *r, struct buf *out) NONNULL(1, 2);
/* Same scope, unit and window: an account's rule replaces the preset's. */
bool rule_replaces(const struct rule *a, const struct rule *b) NONNULL(1, 2);

/* A file of rules: one per line, empty lines and lines that begin with '#' are skipped. Calls
 * `add` for each; on the first bad line returns its number (from 1) with *error and *word, 0
 * when all is well. */
size_t rule_parse_file(slice text, void (*add)(void *ctx, const struct rule *r), void *ctx,
                       const char **error, slice *word) NONNULL(2, 4, 5);

#endif
