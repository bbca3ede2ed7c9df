/* command: an SMTP command line, as verb and argument (RFC 5321 section 4.1.1). */
#ifndef CODEC_COMMAND_H
#define CODEC_COMMAND_H

#include "base/slice.h"

// clang-format off
/* One row, as many uses as there are. */
#define COMMAND_VERBS(X)                                                                       \
    X(UNKNOWN) X(EHLO) X(HELO) X(MAIL) X(RCPT) X(DATA) X(BDAT) X(RSET) X(NOOP) X(QUIT)         \
    X(VRFY) X(EXPN) X(HELP) X(AUTH) X(STARTTLS)

enum verb {
#define COMMAND_VERB_ENUM(name) VERB_##name,
    COMMAND_VERBS(COMMAND_VERB_ENUM)
#undef COMMAND_VERB_ENUM
    VERB_COUNT
};
// clang-format on

struct command {
    enum verb verb;
    /* What follows the verb, without surrounding blanks. For MAIL and RCPT: what follows
     * "FROM:" and "TO:" (either case; blanks after the colon are accepted and dropped). */
    slice argument;
    /* MAIL or RCPT without its FROM: or TO:. */
    bool is_malformed;
};

/* line: without its CRLF; the argument points into it. Never fails: what is no command is
 * VERB_UNKNOWN. Verbs may be in either case (RFC 5321 section 2.4). */
void command_parse(slice line, struct command *out) NONNULL(2);
/* "EHLO"; "unknown" for VERB_UNKNOWN. */
const char *verb_name(enum verb v);

#endif
