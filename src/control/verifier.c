#include "control/verifier.h"

#include "base/secret.h"

#include <errno.h>
#include <sodium.h>

enum { SALT = 16, HASH = 32 };
/* OWASP's parameters for argon2id: 19 MiB, two passes. */
enum { PASSES = 2, MEMORY = 19 * 1024 * 1024 };

void verifier_generate(struct env *env, char secret[VERIFIER_SECRET_LEN + 1])
{
    static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";
    uint8_t random[VERIFIER_SECRET_LEN];
    env_random(env, random, sizeof(random));
    for (size_t i = 0; i < VERIFIER_SECRET_LEN; i++)
        secret[i] = alphabet[random[i] & 31];
    secret[VERIFIER_SECRET_LEN] = '\0';
    secret_wipe(random, sizeof(random));
}

slice verifier_of_secret(struct env *env, struct arena *a, slice secret)
{
    uint8_t *blob = arena_alloc(a, SALT + HASH);
    env_random(env, blob, SALT);
    int rc = crypto_generichash(blob + SALT, HASH, (const uint8_t *)secret.ptr, secret.len,
                                blob, SALT);
    INVARIANT(rc == 0);
    return slice_make(blob, SALT + HASH);
}

int verifier_of_password(struct arena *a, slice password, slice *out)
{
    char *text = arena_alloc(a, crypto_pwhash_STRBYTES);
    if (crypto_pwhash_str(text, password.ptr, password.len, PASSES, MEMORY) != 0)
        return -ENOMEM;
    *out = slice_of(text);
    return 0;
}
