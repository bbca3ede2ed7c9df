/* verifier: secrets that people sign in with, and what is kept to check them.
 *
 * A generated secret has 130 random bits: a keyed hash of it is enough, and is checked at once
 * (scheme "blake2b": 16 bytes of salt, 32 bytes of BLAKE2b of the secret under the salt as
 * key). A password that a person chose gets argon2id (scheme "argon2id": libsodium's string; 19
 * MiB, two passes: some 30 ms). sodium_init() must have been called. */
#ifndef CONTROL_VERIFIER_H
#define CONTROL_VERIFIER_H

#include "base/arena.h"
#include "base/env.h"

enum { VERIFIER_SECRET_LEN = 26 };

/* A secret in characters that cannot be mistaken for each other, with a NUL. */
void verifier_generate(struct env *env, char secret[VERIFIER_SECRET_LEN + 1]) NONNULL(1, 2);
/* Verifiers, in the arena. */
slice verifier_of_secret(struct env *env, struct arena *a, slice secret) NONNULL(1, 2);
/* 0, or -ENOMEM. Slow. */
int verifier_of_password(struct arena *a, slice password, slice *out) MUST_USE NONNULL(1, 3);

#endif
