/* verified: passwords that were found right lately, without the passwords.
 *
 * An entry is a BLAKE2b of credential, verifier and password under a key of this process; it
 * cannot be turned back, and a credential whose verifier has changed does not match. Bounded
 * (the oldest goes), entries end after a fixed age. Thread-safe. */
#ifndef SMTPD_VERIFIED_H
#define SMTPD_VERIFIED_H

#include "base/env.h"
#include "model/directory.h"

struct verified;

struct verified *verified_new(struct env *env, size_t max, span age) NONNULL(1);
void verified_free(struct verified **v);

bool verified_has(struct verified *v, const struct directory_credential *c, slice secret)
    NONNULL(1, 2);
void verified_add(struct verified *v, const struct directory_credential *c, slice secret)
    NONNULL(1, 2);

#endif
