#include "model/preset.h"

const struct preset *preset_find(slice name)
{
    for (size_t i = 0; i < preset_count; i++) {
        if (slice_eq(name, slice_of(presets[i].name)))
            return &presets[i];
    }
    return NULL;
}

slice preset_summary(const struct preset *p)
{
    slice text = p->text;
    slice line = {0};
    slice_split(&text, '\n', &line);
    return slice_trim(slice_from(line, line.len > 0));
}

struct taken {
    struct rule *rules; /* NULL: they are only counted */
    size_t count;
};

static void take(void *ctx, const struct rule *r)
{
    struct taken *t = ctx;
    if (t->rules)
        t->rules[t->count] = *r;
    t->count++;
}

/* What is built in was read by the tests: a line that is no rule is a bug. */
static void parse(const struct preset *p, struct taken *t)
{
    const char *error;
    slice word;
    size_t bad = rule_parse_file(p->text, take, t, &error, &word);
    INVARIANT(bad == 0);
}

size_t preset_rules(const struct preset *p, struct arena *a, const struct rule **out)
{
    struct taken counted = {0};
    parse(p, &counted);
    struct taken t = {.rules = arena_array(a, struct rule, counted.count)};
    parse(p, &t);
    *out = t.rules;
    return t.count;
}
