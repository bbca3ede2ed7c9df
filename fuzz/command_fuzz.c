/* command: verb and argument are parts of the line, and mean the same when written again. */
#include "fuzz.h"

#include "codec/command.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slice line = fuzz_slice(data, size);
    struct command c;
    command_parse(line, &c);
    INVARIANT(c.verb >= VERB_UNKNOWN && c.verb < VERB_COUNT);
    fuzz_inside(c.argument, line);
    if (c.argument.len) {
        INVARIANT(!is_blank(c.argument.ptr[0]));
        INVARIANT(!is_blank(c.argument.ptr[c.argument.len - 1]));
    }
    if (c.verb == VERB_UNKNOWN || c.is_malformed)
        return 0;

    const char *prefix = c.verb == VERB_MAIL ? "FROM:" : c.verb == VERB_RCPT ? "TO:" : "";
    struct buf again = BUF_INIT;
    buf_printf(&again, "%s %s", verb_name(c.verb), prefix);
    buf_append(&again, c.argument);
    struct command d;
    command_parse(buf_slice(&again), &d);
    INVARIANT(d.verb == c.verb && !d.is_malformed);
    fuzz_same(d.argument, c.argument);
    buf_fini(&again);
    return 0;
}
