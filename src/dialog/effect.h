/* effect: what the submission dialog asks its owner to do. */
#ifndef DIALOG_EFFECT_H
#define DIALOG_EFFECT_H

#include "codec/sasl.h"

enum effect_kind {
    EFFECT_NONE,
    /* Write what is in out, then start the TLS handshake (any bytes behind the command were
     * refused already). Answer: submission_tls_started. */
    EFFECT_START_TLS,
    /* Check these credentials. Answer: submission_verified. */
    EFFECT_VERIFY,
    /* A message with an idempotency token begins: was one taken with it before? Answer:
     * submission_token. */
    EFFECT_TOKEN,
    /* Reserve one recipient (and with the first one the message) in every limit; suppression.
     * Answer: submission_reserved. */
    EFFECT_RESERVE,
    /* Get ready for a body: room, an id, a time. Answer: submission_opened. */
    EFFECT_OPEN,
    /* The next bytes of the message as it will be delivered: our trace field, the mended
     * header, the body; final, in order. No answer (but see submission_body_failed). */
    EFFECT_BODY,
    /* All bytes were given: make it durable. Answer: submission_committed. */
    EFFECT_COMMIT,
    /* Forget the message and release what was reserved (after RSET, a refusal, the peer's end);
     * a RESERVE or OPEN that is still being answered too, and nothing may be reserved yet.
     * Never after COMMIT, whose answer settles everything, even when the peer has gone
     * meanwhile. No answer. */
    EFFECT_ABORT,
    /* Write what is in out, then close. The last effect. */
    EFFECT_CLOSE,
};

/* CONTROL is our own and not told to anybody: "AUTH UTPOST-CONTROL" at the local door, with a
 * message like that of PLAIN. authzid is the id of the account to send for (empty: the system
 * itself), authcid is who asked control (an address, or "uid=0"), and the secret is the one
 * that the parent has given to smtpd and control. */
enum verify_mechanism { VERIFY_PLAIN, VERIFY_LOGIN, VERIFY_EXTERNAL, VERIFY_CONTROL };

struct effect {
    enum effect_kind kind;
    union {
        struct {
            enum verify_mechanism mechanism;
            struct sasl_identity identity; /* EXTERNAL: authzid only */
        } verify;
        struct {
            slice address; /* canonical */
            bool is_first;
        } reserve;
        slice token;
        slice body;
        struct {
            uint64_t declared; /* SIZE of MAIL, 0 when not given */
        } open;
    };
};

#endif
