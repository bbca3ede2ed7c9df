#include "smtpd/limiting_tally.h"

static bool is_same(const struct rule *a, const struct rule *b)
{
    return a->scope == b->scope && a->unit == b->unit && a->max == b->max &&
           a->window == b->window && a->attempts == b->attempts && a->action == b->action &&
           a->lock_for == b->lock_for;
}

static size_t place_of(const struct rule *r)
{
    uint64_t h = (uint64_t)r->scope * 7 + (uint64_t)r->unit * 31 + (uint64_t)r->action * 131;
    h += r->max * 0x9e3779b97f4a7c15u + (uint64_t)r->window * 0xc2b2ae3d27d4eb4fu;
    return (size_t)(h >> 32) % TALLY_RULES;
}

void tally_add(struct tally *t, const struct rule *rule, enum tally_kind kind, uint64_t amount)
{
    enum { MOST = TALLY_RULES / 4 * 3 }; /* so that a search ends soon */
    size_t at = place_of(rule);
    while (t->lines[at].is_taken && !is_same(&t->lines[at].rule, rule))
        at = (at + 1) % TALLY_RULES;
    struct tally_line *line = &t->lines[at];
    if (!line->is_taken && t->taken >= MOST) {
        t->others[kind] += amount;
        return;
    }
    if (!line->is_taken) {
        line->is_taken = true;
        line->rule = *rule;
        t->taken++;
    }
    line->of[kind] += amount;
}
