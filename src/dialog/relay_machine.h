/* relay_machine: what the parts of relay share. For relay*.c alone.
 *
 * relay.c runs the machine (calls, replies, effects), relay_signon.c decides from the greeting
 * to READY, relay_transaction.c from MAIL to the reply to the content. */
#ifndef DIALOG_RELAY_MACHINE_H
#define DIALOG_RELAY_MACHINE_H

#include "dialog/relay.h"

enum relay_state {
    AT_START,
    AT_GREETING,
    AT_EHLO,
    AT_HELO,
    AT_STARTTLS,
    AT_TLS, /* the owner shakes hands */
    AT_AUTH,
    AT_READY,    /* the owner has the word */
    AT_ENVELOPE, /* replies to MAIL, RCPT, DATA: see step */
    AT_CONTENT,  /* the owner streams */
    AT_END,
    AT_VOID_END, /* the reply to an empty message, which means nothing */
    AT_RESET,
    AT_QUIT,
    AT_CLOSED,
};

enum relay_step { STEP_MAIL, STEP_RCPT, STEP_DATA };
enum relay_auth { AUTH_LAST, AUTH_PLAIN_NEXT, AUTH_LOGIN_NAME_NEXT, AUTH_LOGIN_SECRET_NEXT };

/* Effects that wait to be given, after the sweep, in this order. */
enum relay_due {
    DUE_TLS = 1 << 0,
    DUE_BODY = 1 << 1,
    DUE_DONE = 1 << 2,
    DUE_READY = 1 << 3,
    DUE_CLOSE = 1 << 4,
};

enum relay_mark { MARK_OPEN, MARK_ACCEPTED, MARK_GIVEN };

struct relay {
    const struct relay_config *config;
    enum relay_state state;
    unsigned due;
    enum relay_fault fault; /* told by the owner, not yet acted on */
    bool is_tls;
    enum relay_auth auth;

    struct buf out;
    struct buf in; /* what relay_input gave, from in_at on not yet read */
    size_t in_at;
    size_t reply_octets; /* of the reply that is being read */
    uint64_t replies;
    unsigned ehlo_lines;
    struct reply_parser parser;
    struct reply reply; /* the last one; its text is the parser's */
    struct ehlo peer;
    struct arena arena;

    /* the transaction */
    const struct relay_message *message;
    enum relay_step step;
    size_t rcpt;     /* STEP_RCPT: whose reply is awaited */
    size_t limit;    /* recipients that take part: the others had their verdict */
    size_t accepted; /* of them, by the host */
    bool is_piped;   /* all commands are sent; else one by one */
    bool is_open;    /* MAIL was accepted and nothing has ended the transaction */
    bool is_lost;    /* every recipient had its verdict before DATA */
    bool is_cut;     /* a part of the content did not fit into out */
    bool is_chunked; /* the content goes by BDAT */
    uint64_t left;   /* octets of the chunk that are still to come */
    bool at_line_start;
    uint32_t transactions; /* MAIL commands on this connection */
    uint8_t *marks;        /* enum relay_mark for each recipient */
    size_t marks_cap;

    /* the sweep: one verdict for all in a range that have none */
    struct relay_effect verdict;
    size_t sweep_at, sweep_end;
    char note[80]; /* text of a verdict of our own */

    /* how signing on ended */
    struct outcome site;
    enum relay_stage site_stage;
    enum relay_fault site_fault;
    struct reply site_reply;
};

/* A command to which nothing else may be outstanding, and the state in which its reply comes.
 */
void relay_send(struct relay *r, enum relay_state next, slice verb, slice argument) NONNULL(1);
/* The end: DONE too when a message is under way. The owner's last write may hold QUIT. */
void relay_close(struct relay *r, bool with_quit) NONNULL(1);
/* READY, or QUIT when the host takes no more messages on this connection. */
void relay_stand_by(struct relay *r) NONNULL(1);
/* Bytes of the host that no reply was made of yet. */
bool relay_has_input(const struct relay *r) NONNULL(1);
void relay_drop_input(struct relay *r) NONNULL(1);

void relay_signon_reply(struct relay *r) NONNULL(1);
void relay_signon_greet(struct relay *r) NONNULL(1); /* sends EHLO */
void relay_signon_failed(struct relay *r, enum relay_fault fault) NONNULL(1);

void relay_transaction_begin(struct relay *r) NONNULL(1);
void relay_transaction_reply(struct relay *r) NONNULL(1);
void relay_transaction_failed(struct relay *r, enum relay_fault fault) NONNULL(1);

#endif
