/* path: mailboxes and paths (RFC 5321 section 4.1.2, RFC 6531 section 3.3). */
#ifndef CODEC_PATH_H
#define CODEC_PATH_H

#include "base/arena.h"

struct path {
    bool is_null;       /* "<>" */
    bool is_postmaster; /* "<Postmaster>" without a domain */
    bool has_utf8;      /* needs SMTPUTF8 */
    slice local;        /* as written, with its quotes */
    slice domain;       /* as written; an address literal with its brackets */
    slice address;      /* local@domain, without source route, as in the input */
};

enum path_result {
    PATH_OK,
    PATH_SYNTAX,   /* not a path */
    PATH_TOO_LONG, /* local part over 64, domain over 255, or path over 256 octets */
    PATH_UTF8,     /* well-formed but for bytes that are not UTF-8 */
};

/* Takes "<...>" off *in and leaves what follows it (parameters, after one or more blanks). A
 * source route ("@a,@b:") is accepted and ignored (RFC 5321 appendix F.2). Nothing is changed
 * on failure. Angle brackets are required. */
enum path_result path_parse(slice *in, struct path *out) NONNULL(1, 2);
/* A bare local@domain, all of it. */
enum path_result mailbox_parse(slice in, struct path *out) NONNULL(2);

/* A domain as DNS knows it, in lower case: A-labels for U-labels where libidn2 can, an address
 * literal in its shortest form. What is no domain comes back as it is, in lower case. */
slice path_domain(struct arena *a, slice domain) NONNULL(1);
/* The form under which addresses are compared: domain in lower case (A-labels for U-labels
 * where libidn2 can), needless quotes removed from the local part, which keeps its case. */
slice path_canonical(struct arena *a, const struct path *p) NONNULL(1, 2);

#endif
