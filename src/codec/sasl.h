/* sasl: the messages of PLAIN (RFC 4616), LOGIN and EXTERNAL (RFC 4422), and base64 (RFC 4648).
 */
#ifndef CODEC_SASL_H
#define CODEC_SASL_H

#include "base/arena.h"

struct sasl_identity {
    slice authzid; /* who to act for; empty: oneself */
    slice authcid; /* who signs in */
    slice secret;
};

/* Strict base64 of one SASL response ("=" is the empty one): false on stray characters, wrong
 * padding, or over `max` decoded octets. */
bool base64_decode(struct arena *a, slice in, size_t max, slice *out) NONNULL(1, 4);
/* With padding, in the arena. */
slice base64_encode(struct arena *a, slice in) NONNULL(1);

/* authzid NUL authcid NUL passwd, decoded. False unless well-formed UTF-8, with non-empty
 * authcid and secret, each part at most 255 (secret 1,024) octets. */
bool sasl_plain_parse(slice message, struct sasl_identity *out) NONNULL(2);

#endif
