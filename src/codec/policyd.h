/* policyd: the policy delegation protocol of Postfix (SMTPD_POLICY_README), server side.
 *
 * Postfix asks one question at a time: lines of "name=value", ended by an empty line, and waits
 * for "action=…" and an empty line. The reader works on the bytes as they lie in the caller's
 * buffer: it copies nothing, allocates nothing and remembers only how far it has looked. It
 * refuses what Postfix never sends (a line without a name, NUL, a number that is none, another
 * kind of request) and what is too large; after a refusal the connection is out of step and has
 * to be closed. Attributes that are not known here are passed over, as the protocol demands. */
#ifndef CODEC_POLICYD_H
#define CODEC_POLICYD_H

#include "base/buf.h"
#include "codec/host.h"
#include "codec/reply.h"

enum {
    POLICYD_REQUEST_MAX = 64 * 1024, /* octets with the empty line */
    POLICYD_ATTRIBUTES_MAX = 100,
    POLICYD_TEXT_MAX = 480, /* octets of an answer's text: Postfix makes one reply line of it */
};

/* Where in the SMTP session Postfix asks. */
enum policyd_state {
    POLICYD_OTHER, /* one that is not known here */
    POLICYD_CONNECT,
    POLICYD_EHLO, /* and HELO */
    POLICYD_MAIL,
    POLICYD_RCPT,
    POLICYD_DATA,
    POLICYD_END_OF_MESSAGE,
    POLICYD_VRFY,
    POLICYD_ETRN,
};

/* All slices point into the input. What Postfix did not send or does not know is empty or 0. */
struct policyd_request {
    enum policyd_state state;
    slice protocol_name;   /* "SMTP" or "ESMTP" */
    slice client_address;  /* as text; "unknown" is possible */
    struct address client; /* the same; family 0: not known */
    slice client_name;     /* verified, or "unknown" */
    slice helo_name;
    slice sender;             /* empty: the null reverse-path */
    slice recipient;          /* with DATA and END-OF-MESSAGE only when there is one alone */
    uint64_t recipient_count; /* with DATA and END-OF-MESSAGE only */
    uint64_t size; /* octets: the declared ones (0: not declared), at END-OF-MESSAGE the real */
    slice instance; /* the same for all questions about one message */
    slice queue_id; /* empty before the first accepted recipient */
    slice sasl_method;
    slice sasl_username;
    slice sasl_sender;         /* of the AUTH parameter of MAIL */
    slice encryption_protocol; /* empty: no TLS */
    slice policy_context;
};

enum policyd_result { POLICYD_MORE, POLICYD_REQUEST, POLICYD_BAD };

/* Reads the request at the start of `in`. *seen: octets of `in` that an earlier call has
 * searched, 0 at first and after each request; kept up by this function. POLICYD_REQUEST: *used
 * octets of `in` are the request, *out is filled. POLICYD_MORE: call again with more behind.
 * POLICYD_BAD: also when it grows beyond POLICYD_REQUEST_MAX. Of an attribute that comes twice
 * the first counts. */
enum policyd_result policyd_parse(slice in, size_t *seen, struct policyd_request *out,
                                  size_t *used) NONNULL(2, 3, 4);

/* No objection: Postfix goes on with its next restriction. */
void policyd_write_dunno(struct buf *out) NONNULL(1);
/* Refuses with a reply of ours ("action=450 4.7.1 text"); code is 4xx or 5xx, the enhanced code
 * of its class. The text becomes one line of printable ASCII of at most POLICYD_TEXT_MAX
 * octets. */
void policyd_write_reply(struct buf *out, unsigned code, struct enhanced e, slice text)
    NONNULL(1);
/* Refuses for now, unless a later restriction refuses for good (access(5)). */
void policyd_write_defer_if_permit(struct buf *out, struct enhanced e, slice text) NONNULL(1);

#endif
