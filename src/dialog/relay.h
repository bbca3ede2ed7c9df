/* relay: the client's side of an SMTP conversation, as a pure machine.
 *
 * One machine serves one connection and any number of messages over it. The owner
 * (delivery/session, or a test) connects, feeds what the server sends, writes what is in `out`,
 * streams the body when asked, and receives one verdict per recipient. The machine reads no
 * clock: the owner runs the deadline that relay_waits names.
 *
 *     relay_connected(r);
 *     loop: relay_input(r, bytes) / relay_message(r, &m) / …
 *           while (relay_effect(r, &e)) perform(&e);
 *           write out(r);
 *
 * Two functions carry it (as in a good client: enter a state: send; on a reply: decide). With
 * PIPELINING, MAIL, all RCPT and DATA go out in one write; replies are matched in order; if no
 * recipient was accepted, DATA's 354 is answered with an empty message and its verdict ignored
 * (RFC 2920 3.1). Guarantees: a recipient is DELIVERED only after a 2xx reply to end of data;
 * each recipient gets exactly one verdict per message; nothing is transmitted after a reply
 * that refuses it; what a server may send before it is cut off is bounded.
 *
 * Calls only take note; relay_effect does the work, and `out` is complete when it has said
 * false. Choices:
 *  - A host that offers CHUNKING (RFC 3030) gets content of chunk_min octets and more as one
 *    chunk, "BDAT size LAST", behind the replies to RCPT: no dots are looked for, no 354 is
 *    awaited, and nothing is sent when nobody was accepted. Smaller content goes by DATA,
 *    which every host has tried well.
 *  - Nothing is converted: it would break signatures. A message with octets over 127 fails at a
 *    host that does not offer 8BITMIME (FAULT_CAPABILITY, 5.6.3; RFC 6152 section 3), and one
 *    that needs SMTPUTF8 at a host without it (5.6.7; RFC 6531 section 3.2).
 *  - A message over the host's SIZE fails before anything is sent (FAULT_CAPABILITY, 5.3.4).
 *  - Recipients beyond the host's LIMITS RCPTMAX get their verdict first: stage RCPT,
 *    FAULT_CAPABILITY, NEXT_RETRY, 4.5.3. They may go into the next transaction at once.
 *    After LIMITS MAILMAX messages the machine signs off by itself.
 *  - A kept connection that its server closes (or answers with 421) before MAIL was answered
 *    was merely stale: NEXT_ADDRESS with SCOPE_MESSAGE, which asks for a new connection now,
 *    to the same address if there is no other. NEXT_ADDRESS with SCOPE_SITE is all others.
 *  - A reply that arrives while the content is being sent refuses it, whatever it says: its
 *    2xx is never taken for the answer to end of data.
 *  - AUTH in plain text only when allowed; the secret is wiped from our memory, but not from
 *    `out`, which is the owner's to write and clear. */
#ifndef DIALOG_RELAY_H
#define DIALOG_RELAY_H

#include "base/buf.h"
#include "codec/ehlo.h"
#include "codec/params.h"
#include "codec/reply.h"
#include "policy/outcome.h"

enum relay_tls {
    RELAY_TLS_NONE,          /* never */
    RELAY_TLS_OPPORTUNISTIC, /* when offered; any certificate; in plain text if it fails */
    RELAY_TLS_ENCRYPT,       /* required; any certificate */
    RELAY_TLS_VERIFY,        /* required; certificate checked by the owner */
    RELAY_TLS_IMPLICIT,      /* from the first byte: RELAY_START_TLS is the first effect after
                              * relay_connected; certificate checked by the owner */
};

struct relay_config {
    slice helo; /* our name */
    enum relay_tls tls;
    slice login; /* empty: no AUTH */
    slice secret;
    bool allow_plaintext_auth;
    uint64_t chunk_min; /* octets of content from which on it goes by BDAT; 0: never */
};

struct relay_recipient {
    slice address; /* without brackets */
    struct rcpt_params params;
    uint32_t index; /* the owner's */
};

struct relay_message {
    slice reverse_path;
    uint64_t size;   /* octets that will be streamed, before dots are doubled */
    bool needs_8bit; /* it has octets over 127 */
    bool needs_utf8; /* SMTPUTF8 */
    slice envid;
    enum dsn_ret ret;
    const struct relay_recipient *recipients;
    size_t recipient_count;
};

enum relay_effect_kind {
    RELAY_START_TLS, /* write out, then handshake; answer: relay_tls_started */
    RELAY_READY,     /* signed on: give a message (relay_message), or relay_quit */
    RELAY_BODY,      /* stream the body: relay_body(bytes) as the connection takes them, then
                      * relay_body_end. */
    RELAY_VERDICT,   /* recipient `index`: what became of it */
    RELAY_DONE,      /* the message is finished: every recipient had its verdict. READY follows
                      * when the connection can take another one, CLOSE when it cannot. */
    RELAY_CLOSE,     /* write out, then close; the last effect */
};

struct relay_effect {
    enum relay_effect_kind kind;
    /* VERDICT: */
    uint32_t recipient;     /* position in recipients */
    struct outcome outcome; /* NEXT_CONTINUE: delivered */
    enum relay_stage stage;
    enum relay_fault fault;
    struct reply reply; /* borrowed until the next call; code 0 with a fault */
    /* CLOSE: also what ended the connection before any message, for the site */
};

struct relay;

/* config is the owner's and outlives the machine; copied slices are not made. */
struct relay *relay_new(const struct relay_config *config) NONNULL(1);
void relay_free(struct relay **r);

void relay_connected(struct relay *r) NONNULL(1);
bool relay_effect(struct relay *r, struct relay_effect *out) NONNULL(1, 2);
struct buf *relay_out(struct relay *r) NONNULL(1);
void relay_input(struct relay *r, slice bytes) NONNULL(1);
void relay_tls_started(struct relay *r, int err) NONNULL(1);
/* Begins a transaction after READY; the message outlives it. */
void relay_message(struct relay *r, const struct relay_message *m) NONNULL(1, 2);
/* Body bytes (CRLF lines, dots not doubled) after RELAY_BODY: encoded into out, or as they are
 * as a chunk. */
void relay_body(struct relay *r, slice bytes) NONNULL(1);
/* err: 0, or why our own body could not be read (the connection is dropped before the final
 * dot, so that nothing is delivered by halves). */
void relay_body_end(struct relay *r, int err) NONNULL(1);
/* QUIT, after READY. */
void relay_quit(struct relay *r) NONNULL(1);
/* The connection failed (FAULT_TIMEOUT, CLOSED, REFUSED, TLS …), or could not be made (before
 * relay_connected: STAGE_CONNECT): verdicts for every recipient that has none, then CLOSE. What
 * relay_input was given before still counts. Nothing more after CLOSE. */
void relay_failed(struct relay *r, enum relay_fault fault) NONNULL(1);

/* Which deadline runs (RFC 5321 section 4.5.3.2). STAGE_LOCAL: none of the peer's, the owner's
 * own for an idle connection. After relay_quit: STAGE_CONNECT. */
enum relay_stage relay_waits(const struct relay *r) NONNULL(1);
/* Replies read to their end so far: the progress for which a deadline begins anew. */
uint64_t relay_replies(const struct relay *r) NONNULL(1);
const struct ehlo *relay_peer(const struct relay *r) NONNULL(1);
/* When the connection ended before the first READY: why, for the site; *reply (code 0 when
 * there was a fault, see relay_site_fault) is valid as long as the machine. NEXT_PLAIN:
 * connect again with RELAY_TLS_NONE. After a READY: NEXT_CONTINUE. */
struct outcome relay_site_outcome(const struct relay *r, enum relay_stage *stage,
                                  struct reply *reply) NONNULL(1, 2, 3);
enum relay_fault relay_site_fault(const struct relay *r) NONNULL(1);

#endif
