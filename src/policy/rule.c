#include "policy/rule.h"

#include <inttypes.h>

struct word {
    const char *text;
    int value;
};

static const struct word scopes[] = {
    {"message", RULE_MESSAGE},
    {"credential", RULE_CREDENTIAL},
    {"account", RULE_ACCOUNT},
    {"customer", RULE_CUSTOMER},
    {"sender-domain", RULE_SENDER_DOMAIN},
    {"host", RULE_HOST},
};

static const struct word units[] = {
    {"messages", RULE_MESSAGES},     {"recipients", RULE_RECIPIENTS},
    {"bytes", RULE_BYTES},           {"new-recipients", RULE_NEW_RECIPIENTS},
    {"refusals", RULE_REFUSALS},     {"bounces", RULE_BOUNCES},
    {"complaints", RULE_COMPLAINTS},
};

static const struct word actions[] = {
    {"defer", RULE_DEFER},     {"reject", RULE_REJECT}, {"pace", RULE_PACE},
    {"suspend", RULE_SUSPEND}, {"notify", RULE_NOTIFY}, {"lock", RULE_LOCK},
};

struct size {
    const char *suffix;
    uint64_t factor;
};

/* Largest first, so that formatting finds the shortest text. Decimal, as plans are sold. */
static const struct size sizes[] = {
    {"GB", 1000000000}, {"MB", 1000000}, {"KB", 1000}, {"B", 1}};
static const struct size spans[] = {
    {"d", SPAN_DAY}, {"h", SPAN_HOUR}, {"m", SPAN_MINUTE}, {"s", SPAN_SECOND}};

static const struct word *find_word(const struct word *words, size_t count, slice text)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_eq(text, slice_of(words[i].text)))
            return &words[i];
    }
    return NULL;
}

static const char *word_of(const struct word *words, size_t count, int value)
{
    for (size_t i = 0; i < count; i++) {
        if (words[i].value == value)
            return words[i].text;
    }
    return "?";
}

/* "500MB": digits and one of the suffixes. */
static bool scaled_parse(slice text, const struct size *units_of, size_t count, uint64_t *out)
{
    for (size_t i = 0; i < count; i++) {
        slice suffix = slice_of(units_of[i].suffix);
        uint64_t number;
        if (!slice_ends(text, suffix) || text.len == suffix.len)
            continue;
        if (slice_to_u64(slice_to(text, text.len - suffix.len), &number))
            return !__builtin_mul_overflow(number, units_of[i].factor, out);
    }
    return false;
}

static void scaled_format(uint64_t value, const struct size *units_of, size_t count,
                          struct buf *out)
{
    for (size_t i = 0; i < count; i++) {
        if (value % units_of[i].factor == 0 && (value > 0 || units_of[i].factor == 1)) {
            buf_printf(out, "%" PRIu64 "%s", value / units_of[i].factor, units_of[i].suffix);
            return;
        }
    }
}

struct parse {
    slice rest;
    const char *error;
    slice word;
};

static bool fail(struct parse *p, slice word, const char *error)
{
    p->word = word;
    p->error = error;
    return false;
}

/* The next word, or the empty slice at the end of the line. */
static slice next_word(struct parse *p)
{
    p->rest = slice_trim(p->rest);
    size_t len = 0;
    while (len < p->rest.len && p->rest.ptr[len] != ' ' && p->rest.ptr[len] != '\t')
        len++;
    slice word = slice_to(p->rest, len);
    p->rest = slice_from(p->rest, len);
    return word;
}

static bool parse_span(slice text, span *out)
{
    uint64_t n;
    if (!scaled_parse(text, spans, COUNT_OF(spans), &n) || n > (uint64_t)(31 * SPAN_DAY) ||
        n == 0)
        return false;
    *out = (span)n;
    return true;
}

static bool parse_scope_and_unit(struct parse *p, struct rule *r)
{
    slice word = next_word(p);
    const struct word *found = find_word(scopes, COUNT_OF(scopes), word);
    if (!found)
        return fail(p, word,
                    "the scope must be message, credential, account, customer, "
                    "sender-domain or host");
    r->scope = (enum rule_scope)found->value;
    word = next_word(p);
    found = find_word(units, COUNT_OF(units), word);
    if (!found)
        return fail(p, word,
                    "the unit must be messages, recipients, bytes, new-recipients, "
                    "refusals, bounces or complaints");
    r->unit = (enum rule_unit)found->value;
    return true;
}

static bool parse_amount(struct parse *p, struct rule *r)
{
    slice word = next_word(p);
    slice window = word;
    slice max;
    if (!slice_split(&window, '/', &max))
        return fail(p, word, "the maximum is missing, for example 1000/24h");
    bool understood = r->unit == RULE_BYTES ? scaled_parse(max, sizes, COUNT_OF(sizes), &r->max)
                                            : slice_to_u64(max, &r->max);
    if (!understood)
        return fail(p, max,
                    r->unit == RULE_BYTES
                        ? "the maximum must be a size such as 500MB (B, KB, MB, GB)"
                        : "the maximum must be a whole number");
    bool has_window = max.len < word.len;
    if (!has_window) {
        if (r->scope != RULE_MESSAGE)
            return fail(p, word, "the window is missing, for example 1000/24h");
        return true;
    }
    if (r->scope == RULE_MESSAGE)
        return fail(p, window, "a rule of one message has no window");
    if (slice_eq(window, SLICE("month"))) {
        r->window = RULE_PERIOD;
        return true;
    }
    if (!parse_span(window, &r->window))
        return fail(p, window, "the window must be between 1s and 31d (s, m, h, d), or month");
    return true;
}

static bool parse_action(struct parse *p, struct rule *r)
{
    slice word = next_word(p);
    if (slice_eq(word, SLICE("attempts"))) {
        r->attempts = true;
        word = next_word(p);
    }
    const struct word *found = find_word(actions, COUNT_OF(actions), word);
    if (!found)
        return fail(p, word, "the action must be defer, reject, pace, suspend, notify or lock");
    r->action = (enum rule_action)found->value;
    word = next_word(p);
    if (r->action == RULE_LOCK && word.len > 0) {
        if (!parse_span(word, &r->lock_for))
            return fail(p, word, "the duration of a lock must be between 1s and 31d");
        word = next_word(p);
    }
    if (word.len > 0)
        return fail(p, word, "nothing may follow the action");
    if (r->action == RULE_PACE && r->window <= 0)
        return fail(p, word, "pace needs a window, for example 600/1h");
    return true;
}

bool rule_parse(slice line, struct rule *out, const char **error, slice *word)
{
    struct parse p = {.rest = line};
    struct rule r = {0};
    if (!parse_scope_and_unit(&p, &r) || !parse_amount(&p, &r) || !parse_action(&p, &r)) {
        *error = p.error;
        *word = p.word;
        return false;
    }
    *out = r;
    return true;
}

bool rule_has_effect(const struct rule *r, const char **error)
{
    bool is_of_name = r->scope == RULE_SENDER_DOMAIN || r->scope == RULE_HOST;
    *error = NULL;
    if (r->unit == RULE_COMPLAINTS)
        *error = "complaints are not counted yet: no reports of them are read";
    else if (rule_is_of_results(r) && r->scope == RULE_MESSAGE)
        *error = "refusals and bounces are counted in a window, not of one message";
    else if (rule_is_of_results(r) && is_of_name)
        *error = "refusals and bounces are counted for credentials, accounts and customers";
    else if (rule_is_of_results(r) && r->action == RULE_PACE)
        *error = "refusals and bounces can defer, reject, suspend, notify or lock, not pace";
    return !*error;
}

void rule_format(const struct rule *r, struct buf *out)
{
    buf_printf(out, "%s %s ", word_of(scopes, COUNT_OF(scopes), (int)r->scope),
               word_of(units, COUNT_OF(units), (int)r->unit));
    if (r->unit == RULE_BYTES)
        scaled_format(r->max, sizes, COUNT_OF(sizes), out);
    else
        buf_printf(out, "%" PRIu64, r->max);
    if (r->window == RULE_PERIOD) {
        buf_append(out, SLICE("/month"));
    } else if (r->window > 0) {
        buf_byte(out, '/');
        scaled_format((uint64_t)r->window, spans, COUNT_OF(spans), out);
    }
    buf_printf(out, "%s %s", r->attempts ? " attempts" : "",
               word_of(actions, COUNT_OF(actions), (int)r->action));
    if (r->lock_for > 0) {
        buf_byte(out, ' ');
        scaled_format((uint64_t)r->lock_for, spans, COUNT_OF(spans), out);
    }
}

bool rule_replaces(const struct rule *a, const struct rule *b)
{
    return a->scope == b->scope && a->unit == b->unit && a->window == b->window;
}

size_t rule_parse_file(slice text, void (*add)(void *ctx, const struct rule *r), void *ctx,
                       const char **error, slice *word)
{
    slice line;
    for (size_t number = 1; slice_split(&text, '\n', &line); number++) {
        if (slice_ends(line, SLICE("\r")))
            line.len--;
        line = slice_trim(line);
        if (line.len == 0 || line.ptr[0] == '#')
            continue;
        struct rule r;
        if (!rule_parse(line, &r, error, word))
            return number;
        add(ctx, &r);
    }
    return 0;
}
