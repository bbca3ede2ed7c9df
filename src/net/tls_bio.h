/* tls_bio: the kind of BIO through which a tls_session takes and gives its ciphertext; one per
 * context. */
#ifndef NET_TLS_BIO_H
#define NET_TLS_BIO_H

#include "net/tls.h"

#include <openssl/bio.h>

BIO_METHOD *tls_bio_method(void); /* NULL: out of memory */
const BIO_METHOD *tls_bio(const struct tls_context *t) NONNULL(1);

#endif
