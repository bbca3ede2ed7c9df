/* ehlo: what a server says it can do (RFC 5321 section 4.1.1.1). */
#ifndef CODEC_EHLO_H
#define CODEC_EHLO_H

#include "base/slice.h"

enum ehlo_extension {
    EHLO_PIPELINING = 1 << 0,
    EHLO_SIZE = 1 << 1,
    EHLO_8BITMIME = 1 << 2,
    EHLO_SMTPUTF8 = 1 << 3,
    EHLO_STARTTLS = 1 << 4,
    EHLO_ENHANCEDSTATUSCODES = 1 << 5,
    EHLO_CHUNKING = 1 << 6,
    EHLO_DSN = 1 << 7,
    EHLO_AUTH = 1 << 8,
    EHLO_LIMITS = 1 << 9,   /* RFC 9422 */
    EHLO_XSCRIPT = 1 << 10, /* ours: MAIL takes XSCRIPT and XDIRECTORY */
    EHLO_XQUEUE = 1 << 11,  /* ours: MAIL takes XQUEUE */
};

enum ehlo_auth { EHLO_AUTH_PLAIN = 1, EHLO_AUTH_LOGIN = 2, EHLO_AUTH_EXTERNAL = 4 };

struct ehlo {
    unsigned extensions; /* enum ehlo_extension */
    unsigned auth;       /* enum ehlo_auth */
    uint64_t size;       /* 0: no limit stated */
    uint32_t rcpt_max;   /* LIMITS RCPTMAX, 0: not stated */
    uint32_t mail_max;   /* LIMITS MAILMAX, 0: not stated */
};

/* Notes what one line of the EHLO reply (without its code) says; unknown ones are ignored. The
 * first line, which greets, is not one to give. */
void ehlo_line(struct ehlo *e, slice text) NONNULL(1);

#endif
