#include "codec/chunk.h"

bool chunk_parse(slice argument, uint64_t *size, bool *is_last)
{
    slice rest = slice_trim(argument);
    size_t n = 0;
    while (n < rest.len && rest.ptr[n] != ' ' && rest.ptr[n] != '\t')
        n++;
    slice digits = slice_to(rest, n);
    slice word = slice_trim(slice_from(rest, n));
    uint64_t value;
    if (digits.len > CHUNK_DIGITS_MAX || !slice_to_u64(digits, &value) || value > INT64_MAX)
        return false;
    if (word.len && !slice_ieq(word, SLICE("LAST")))
        return false;
    *size = value;
    *is_last = word.len > 0;
    return true;
}

void content_check_init(struct content_check *c, size_t line_max)
{
    *c = (struct content_check){.line_max = line_max};
}

void content_check_feed(struct content_check *c, slice in)
{
    struct dot_decoder d = {
        .fault = c->fault,
        .line_len = c->line_len,
        .line_max = c->line_max,
    };
    dot_check_content(&d, &c->after_cr, in);
    c->fault = d.fault;
    c->line_len = d.line_len;
}

void content_check_end(struct content_check *c)
{
    if (c->after_cr && c->fault == DOT_FINE)
        c->fault = DOT_BARE_CR;
}
