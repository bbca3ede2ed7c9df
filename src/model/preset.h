/* preset: the rules of a whole service under one name, built into the programs.
 *
 * The texts are presets/NAME.rules: a first comment that says in one line what the service is,
 * then rules (policy/rule). Names are for ever, since journals carry them; what a name stands
 * for may change with a new version of the programs. */
#ifndef MODEL_PRESET_H
#define MODEL_PRESET_H

#include "base/arena.h"
#include "policy/rule.h"

struct preset {
    const char *name;
    slice text;
};

extern const struct preset presets[];
extern const size_t preset_count;

/* NULL: there is none of that name. */
const struct preset *preset_find(slice name);
/* Its first comment, without the '#'. */
slice preset_summary(const struct preset *p) NONNULL(1);
/* Its rules, in the arena: how many. */
size_t preset_rules(const struct preset *p, struct arena *a, const struct rule **out)
    NONNULL(1, 2, 3);

#endif
