#include "codec/command.h"

static const char *const names[VERB_COUNT] = {
#define COMMAND_VERB_NAME(name) [VERB_##name] = #name,
    COMMAND_VERBS(COMMAND_VERB_NAME)
#undef COMMAND_VERB_NAME
};

/* The words between verb and path (RFC 5321 4.1.1.2, 4.1.1.3). */
static const struct {
    slice word;
} prefixes[VERB_COUNT] = {
    [VERB_MAIL] = {SLICE_INIT("FROM:")},
    [VERB_RCPT] = {SLICE_INIT("TO:")},
};

const char *verb_name(enum verb v)
{
    return v > VERB_UNKNOWN && v < VERB_COUNT ? names[v] : "unknown";
}

static size_t word_len(slice line)
{
    size_t n = 0;
    while (n < line.len && line.ptr[n] != ' ' && line.ptr[n] != '\t')
        n++;
    return n;
}

static enum verb verb_of(slice word)
{
    for (int v = VERB_UNKNOWN + 1; v < VERB_COUNT; v++)
        if (slice_ieq(word, slice_of(names[v])))
            return (enum verb)v;
    return VERB_UNKNOWN;
}

void command_parse(slice line, struct command *out)
{
    size_t n = word_len(line);
    *out = (struct command){
        .verb = verb_of(slice_to(line, n)),
        .argument = slice_trim(slice_from(line, n)),
    };
    slice prefix = prefixes[out->verb].word;
    if (slice_istarts(out->argument, prefix))
        out->argument = slice_trim(slice_from(out->argument, prefix.len));
    else
        out->is_malformed = true;
}
