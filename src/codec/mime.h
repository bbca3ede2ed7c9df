/* mime: writes a mail from its parts (RFC 5322, 2045 to 2049, 2231): what the API takes as
 * JSON.
 *
 * Guarantees: lines end in CRLF and are at most 998 octets (78 where they can be broken);
 * nothing given can end a field or a part early; text beyond ASCII is encoded, so that the mail
 * needs neither 8BITMIME nor, but for its addresses, SMTPUTF8. Date and Message-ID are left to
 * smtpd. The caller has checked that texts are UTF-8 and addresses are addresses. */
#ifndef CODEC_MIME_H
#define CODEC_MIME_H

#include "base/buf.h"

struct mime_mailbox {
    slice name; /* for people; may be empty */
    slice address;
};

struct mime_mailboxes {
    const struct mime_mailbox *list;
    size_t count;
};

struct mime_field {
    slice name;
    slice value;
};

/* An attachment, or what the HTML shows. */
struct mime_part {
    slice name; /* of the file; may be empty */
    slice type; /* "image/png"; empty: application/octet-stream */
    slice id;   /* Content-ID without brackets: shown in the HTML as cid:ID; empty: attached */
    slice base64; /* its contents, mime_is_base64 */
};

struct mime_letter {
    struct mime_mailbox from;
    struct mime_mailboxes reply_to, to, cc;
    slice subject;
    slice text; /* plain; of text and html one may be empty */
    slice html;
    const struct mime_field *fields; /* unstructured ones, besides */
    size_t field_count;
    const struct mime_part *parts;
    size_t part_count;
    slice boundary; /* random letters and digits, at most 40: parts the parts */
};

/* Writes all of it; out->error is to be checked. */
void mime_compose(struct buf *out, const struct mime_letter *l) NONNULL(1, 2);

/* A name of a field that may be given besides: of its characters (RFC 5322 3.6.8), at most 76,
 * and none that mime_compose or a mail server writes itself. */
bool mime_is_free_field(slice name);
/* "type/subtype" of RFC 2045 characters, at most 100; not multipart or message, which may not
 * be encoded as base64. */
bool mime_is_leaf_type(slice type);
/* Base64 (RFC 4648 section 4) with its padding, line ends between groups allowed. */
bool mime_is_base64(slice s);
/* Appends the octets; false when it is not base64 (out may have some of it then). */
bool mime_base64_decode(struct buf *out, slice s) NONNULL(1);

#endif
