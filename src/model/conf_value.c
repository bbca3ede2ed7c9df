/* One value of the configuration file, read and written. */
#include "model/conf_rows.h"

#include <inttypes.h>

struct scale {
    const char *suffix;
    uint64_t factor;
};

/* Largest first: a value is written in the largest unit that divides it. */
static const struct scale size_scales[] = {
    {"T", 1ull << 40}, {"G", 1ull << 30}, {"M", 1ull << 20}, {"k", 1ull << 10}, {"", 1},
};
static const struct scale span_scales[] = {
    {"d", (uint64_t)SPAN_DAY},    {"h", (uint64_t)SPAN_HOUR}, {"m", (uint64_t)SPAN_MINUTE},
    {"s", (uint64_t)SPAN_SECOND}, {"ms", (uint64_t)SPAN_MS},
};

static void write_scaled(uint64_t n, const struct scale *scales, size_t count, struct buf *out)
{
    if (n == 0) {
        buf_byte(out, '0');
        return;
    }
    size_t i = 0;
    while (i + 1 < count && n % scales[i].factor != 0)
        i++;
    buf_printf(out, "%" PRIu64 "%s", n / scales[i].factor, scales[i].suffix);
}

static bool read_scaled(slice text, const struct scale *scales, size_t count, uint64_t *out)
{
    size_t digits = 0;
    while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9')
        digits++;
    uint64_t n;
    if (!slice_to_u64(slice_to(text, digits), &n))
        return false;
    slice suffix = slice_trim(slice_from(text, digits));
    for (size_t i = 0; i < count; i++) {
        if (!slice_ieq(suffix, slice_of(scales[i].suffix)))
            continue;
        return !__builtin_mul_overflow(n, scales[i].factor, out);
    }
    *out = 0;
    return n == 0 && slice_is_empty(suffix); /* nothing needs no unit */
}

static void write_choices(const char *words, const char *between, struct buf *out)
{
    slice rest = slice_of(words);
    slice word;
    while (slice_split(&rest, '|', &word))
        buf_printf(out, "%.*s%s", SLICE_ARG(word), rest.len ? between : "");
}

static bool read_choice(const char *words, slice text, unsigned *out)
{
    slice rest = slice_of(words);
    slice word;
    for (unsigned i = 0; slice_split(&rest, '|', &word); i++) {
        if (slice_eq(word, text)) {
            *out = i;
            return true;
        }
    }
    return false;
}

void conf_write_range(const struct conf_row *row, struct buf *out)
{
    switch (row->type) {
    case CONF_TEXT:
        break;
    case CONF_NUMBER:
        buf_printf(out, "%" PRIu64 " to %" PRIu64 "%s%s", row->min, row->max,
                   row->words[0] ? " " : "", row->words);
        break;
    case CONF_SIZE:
        write_scaled(row->min, size_scales, COUNT_OF(size_scales), out);
        buf_printf(out, " to ");
        write_scaled(row->max, size_scales, COUNT_OF(size_scales), out);
        buf_printf(out, " octets (k, M and G stand for 1024, 1024k and 1024M)");
        break;
    case CONF_SPAN:
        write_scaled(row->min, span_scales, COUNT_OF(span_scales), out);
        buf_printf(out, " to ");
        write_scaled(row->max, span_scales, COUNT_OF(span_scales), out);
        buf_printf(out, " (units: ms, s, m, h, d)");
        break;
    case CONF_FLAG:
        buf_printf(out, "yes or no");
        break;
    case CONF_CHOICE:
        buf_printf(out, "one of ");
        write_choices(row->words, ", ", out);
        break;
    }
}

void conf_write_value(const struct conf_row *row, const void *value, struct buf *out)
{
    switch (row->type) {
    case CONF_TEXT:
        buf_append(out, *(const slice *)value);
        break;
    case CONF_NUMBER:
        buf_printf(out, "%" PRIu64, *(const uint64_t *)value);
        break;
    case CONF_SIZE:
        write_scaled(*(const uint64_t *)value, size_scales, COUNT_OF(size_scales), out);
        break;
    case CONF_SPAN:
        write_scaled((uint64_t) * (const span *)value, span_scales, COUNT_OF(span_scales), out);
        break;
    case CONF_FLAG:
        buf_printf(out, "%s", *(const bool *)value ? "yes" : "no");
        break;
    case CONF_CHOICE: {
        slice rest = slice_of(row->words);
        slice word = SLICE("");
        for (unsigned i = 0; i <= *(const unsigned *)value; i++)
            slice_split(&rest, '|', &word);
        buf_append(out, word);
        break;
    }
    }
}

static bool read_text(struct arena *a, slice text, slice *out, struct buf *right)
{
    /* What looks like a comment behind a value would silently become part of a path. */
    if (slice_search(text, SLICE(" #")) >= 0 || slice_search(text, SLICE(" ;")) >= 0) {
        buf_printf(right, "a comment stands on a line of its own");
        return false;
    }
    *out = arena_dup(a, text);
    return true;
}

static bool read_flag(slice text, bool *out)
{
    bool is_yes = slice_eq(text, SLICE("yes"));
    if (!is_yes && !slice_eq(text, SLICE("no")))
        return false;
    *out = is_yes;
    return true;
}

static bool read_number(const struct conf_row *row, slice text, uint64_t *out)
{
    uint64_t n = 0;
    bool is_number;
    if (row->type == CONF_NUMBER)
        is_number = slice_to_u64(text, &n);
    else if (row->type == CONF_SIZE)
        is_number = read_scaled(text, size_scales, COUNT_OF(size_scales), &n);
    else
        is_number = read_scaled(text, span_scales, COUNT_OF(span_scales), &n);
    if (!is_number || n < row->min || n > row->max)
        return false;
    *out = n;
    return true;
}

bool conf_read_value(struct arena *a, const struct conf_row *row, slice text, void *value,
                     struct buf *right)
{
    uint64_t n = 0;
    bool ok = false;
    switch (row->type) {
    case CONF_TEXT:
        return read_text(a, text, value, right);
    case CONF_NUMBER:
    case CONF_SIZE:
        ok = read_number(row, text, value);
        break;
    case CONF_SPAN:
        ok = read_number(row, text, &n);
        if (ok)
            *(span *)value = (span)n;
        break;
    case CONF_FLAG:
        ok = read_flag(text, value);
        break;
    case CONF_CHOICE:
        ok = read_choice(row->words, text, value);
        break;
    }
    if (!ok)
        conf_write_range(row, right);
    return ok;
}
