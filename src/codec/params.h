/* params: ESMTP parameters of MAIL and RCPT (RFC 5321 4.1.2, 1870, 6152, 6531, 4954, 3461), and
 * XTOKEN, XSCRIPT, XDIRECTORY, XQUEUE, our own, between our own programs. */
#ifndef CODEC_PARAMS_H
#define CODEC_PARAMS_H

#include "base/arena.h"

enum body_type { BODY_7BIT, BODY_8BITMIME, BODY_BINARYMIME };
enum dsn_notify { NOTIFY_NEVER = 1, NOTIFY_SUCCESS = 2, NOTIFY_FAILURE = 4, NOTIFY_DELAY = 8 };
enum dsn_ret { RET_NONE, RET_FULL, RET_HDRS };

enum {
    PARAMS_TOKEN_MAX = 128,  /* octets of an idempotency token */
    PARAMS_SCRIPT_MAX = 250, /* of a script's name, and of a directory's */
};

struct mail_params {
    bool has_size;
    uint64_t size;
    enum body_type body;
    bool smtputf8;
    slice auth; /* xtext-decoded mailbox, "<>" or empty when absent */
    enum dsn_ret ret;
    slice envid;     /* xtext-decoded */
    slice token;     /* XTOKEN: idempotency token, xtext-decoded; empty when absent */
    slice script;    /* XSCRIPT, likewise: the program that sends, as it says itself */
    slice directory; /* XDIRECTORY: where it runs */
    bool may_wait;   /* XQUEUE: what a limit would refuse for now waits instead */
};

struct rcpt_params {
    unsigned notify; /* enum dsn_notify, 0 when absent */
    slice orcpt;     /* xtext-decoded "type;address" */
};

enum params_result {
    PARAMS_OK,
    PARAMS_UNKNOWN,   /* a keyword that is not known: 555 */
    PARAMS_SYNTAX,    /* 501 */
    PARAMS_DUPLICATE, /* 501 */
    PARAMS_VALUE,     /* a value out of its range: 501 */
};

/* Parses all of `in`; *bad is the offending parameter on failure. Decoded values live in the
 * arena. */
enum params_result mail_params_parse(struct arena *a, slice in, struct mail_params *out,
                                     slice *bad) NONNULL(1, 3, 4);
enum params_result rcpt_params_parse(struct arena *a, slice in, struct rcpt_params *out,
                                     slice *bad) NONNULL(1, 3, 4);

/* xtext (RFC 3461 section 4). Decoding fails on characters that are not xtext. */
bool xtext_decode(struct arena *a, slice in, slice *out) NONNULL(1, 3);
/* Never fails; in the arena. */
slice xtext_encode(struct arena *a, slice in) NONNULL(1);

#endif
