/* submission_internal: what the files of the submission machine share. Nobody else's, but for
 * its tests.
 *
 *   submission.c          the machine: states, input, effects, ends
 *   submission_command.c  the table of verbs, and the verbs that carry no mail
 *   submission_auth.c     AUTH and its exchange
 *   submission_mail.c     MAIL and RCPT
 *   submission_data.c     DATA, BDAT, the header, the body, end of data
 *   submission_reply.c    every reply that we give
 */
#ifndef DIALOG_SUBMISSION_INTERNAL_H
#define DIALOG_SUBMISSION_INTERNAL_H

#include "codec/chunk.h"
#include "codec/command.h"
#include "codec/dot.h"
#include "dialog/submission.h"
#include "dialog/submission_reply.h"

enum {
    COMMAND_LINE_MAX = 2048, /* RFC 5321 4.5.3.1.4 and every extension that we offer */
    SASL_LINE_MAX = 12288,   /* RFC 4954 section 4 */
    EFFECTS_MAX = 4,
    CLIENT_TEXT_MAX = 64,
    TLS_TEXT_MAX = 80,
    HELO_MAX = 255,
};

/* The first ones, up to CHUNKS, are those in which a command may stand; the rows of the table
 * of verbs have one column for each. */
enum submission_state {
    STATE_CONNECTED, /* no EHLO yet */
    STATE_GREETED,   /* EHLO, but not signed in */
    STATE_READY,     /* signed in, no transaction */
    STATE_MAIL,      /* a reverse-path, no recipient yet */
    STATE_RCPT,      /* at least one recipient */
    STATE_CHUNKS,    /* between the chunks of a message */
    STATE_COMMANDS,  /* how many those are */

    STATE_SASL = STATE_COMMANDS, /* the client's next line is a response */
    STATE_DATA,
    STATE_CHUNK,
    STATE_CHUNK_REFUSED, /* its octets are dropped, then the reply is given */
    STATE_AWAITS_TLS,
    STATE_AWAITS_VERIFY,
    STATE_AWAITS_TOKEN,
    STATE_AWAITS_RESERVE,
    STATE_AWAITS_OPEN,
    STATE_AWAITS_COMMIT,
    STATE_CLOSED,
    STATE_COUNT
};

/* What ends the connection when the running step is over. */
enum submission_ending { ENDING_NONE, ENDING_SHUTDOWN, ENDING_TIMEOUT };

/* Why the message will be refused at its end. A later, graver reason takes the place of an
 * earlier one, so that the reply is the same however the bytes were split. */
enum refusal_rank {
    RANK_NONE,
    RANK_LOCAL, /* our own fault: 4xx */
    RANK_FIXUP,
    RANK_HEADER_SIZE,
    RANK_SIZE,
    RANK_CONTENT,
};

struct submission {
    const struct submission_config *config;
    enum submission_state state;
    enum submission_state resume; /* CHUNK_REFUSED: the state to go back to */
    enum submission_ending ending;

    bool is_tls;
    bool is_esmtp;          /* EHLO, not HELO */
    bool has_account;       /* signed in, by AUTH or by where it comes from */
    bool has_authenticated; /* by AUTH */
    bool has_told_lock;     /* the next command is answered with 421 */
    uint32_t errors;
    uint32_t auth_failures;
    uint32_t messages;
    enum phrase skip; /* a bad line is dropped to its end, then this is said */

    char *helo;             /* as given; NULL before EHLO */
    struct account account; /* its slices in account_arena */
    struct arena account_arena;
    struct arena scratch; /* until the next command */

    struct effect effects[EFFECTS_MAX];
    unsigned effect_count;
    struct buf out;

    /* AUTH: the exchange that runs */
    enum verify_mechanism mechanism;
    bool has_login_name;
    slice login_name; /* LOGIN, in scratch */
    slice secret;     /* bytes to wipe when it is over, in scratch */

    /* The transaction. */
    struct arena tx_arena;
    struct submission_transaction tx;
    struct submission_recipient *recipients; /* malloc'ed */
    size_t recipient_room;
    uint32_t rcpt_tried;
    struct submission_recipient candidate; /* AWAITS_RESERVE: in scratch */
    bool holds;                            /* an ABORT is owed if it does not commit */

    /* The message. */
    bool is_chunked; /* BDAT */
    bool is_last;    /* the running chunk */
    bool has_header; /* it was mended and given */
    enum refusal_rank rank;
    enum phrase verdict;
    slice verdict_about; /* in tx_arena */
    uint64_t chunk_size;
    uint64_t chunk_left;
    struct buf deferred; /* CHUNK_REFUSED: the reply, ready */
    enum phrase deferred_phrase;
    union {
        struct dot_decoder dot;
        struct content_check content;
    };
    struct buf header; /* what came of it, until it is whole */
    struct buf mended;

    char client[CLIENT_TEXT_MAX];
    char tls_text[TLS_TEXT_MAX];
};

/* The machine. Every change of state goes through submission_enter; in CLOSED nothing is said
 * or entered any more. */
void submission_enter(struct submission *s, enum submission_state state) NONNULL(1);
/* The state between transactions: CONNECTED, GREETED or READY. */
enum submission_state submission_base(const struct submission *s) NONNULL(1);
void submission_push(struct submission *s, const struct effect *e) NONNULL(1, 2);
/* ABORT if one is owed, CLOSE, and no more. */
void submission_close(struct submission *s) NONNULL(1);
/* Ends the transaction, with ABORT if one is owed. The state is the caller's to enter. */
void submission_forget(struct submission *s) NONNULL(1);
/* ABORT if one is owed; effects that were not performed yet are dropped. */
void submission_abort(struct submission *s) NONNULL(1);
slice submission_client(const struct submission *s) NONNULL(1);
slice submission_tls(const struct submission *s) NONNULL(1);
/* The account was changed or signed in: take this copy. */
void submission_take_account(struct submission *s, const struct account *account) NONNULL(1, 2);
/* The tighter of the server's and the account's limit; 0: none. */
uint64_t submission_max_size(const struct submission *s) NONNULL(1);
/* XQUEUE is for programs of ours, and they have TLS, or are local. */
bool submission_lets_wait(const struct submission *s) NONNULL(1);
const char *submission_state_name(enum submission_state state);

/* One command line, and one line of an AUTH exchange. */
void submission_command(struct submission *s, slice line, bool has_more) NONNULL(1);
void submission_sasl_line(struct submission *s, slice line) NONNULL(1);

/* Verbs of the other files. */
void submission_auth(struct submission *s, slice argument) NONNULL(1);
bool submission_may_auth(const struct submission *s, enum verify_mechanism m) NONNULL(1);
void submission_auth_end(struct submission *s) NONNULL(1); /* wipes */
void submission_mail(struct submission *s, const struct command *c) NONNULL(1, 2);
void submission_rcpt(struct submission *s, const struct command *c) NONNULL(1, 2);
void submission_data(struct submission *s) NONNULL(1);
/* BDAT, refused with `refusal` (about a and b) unless that is PHRASE_NONE: its octets are taken
 * in any case. */
void submission_bdat(struct submission *s, slice argument, enum phrase refusal, slice a,
                     slice b) NONNULL(1);
/* The words for a lock: ": reason" or nothing, and until when. */
slice submission_lock_reason(struct arena *a, const struct account *account) NONNULL(1, 2);
slice submission_lock_until(struct arena *a, const struct account *account) NONNULL(1, 2);
/* "You may send as …" */
slice submission_senders_text(struct arena *a, const struct account *account) NONNULL(1, 2);
slice submission_number(struct arena *a, uint64_t n) NONNULL(1);

/* Bytes of the message; return how many were used. */
size_t submission_take_data(struct submission *s, slice in) NONNULL(1);
size_t submission_take_chunk(struct submission *s, slice in) NONNULL(1);
size_t submission_drop_chunk(struct submission *s, slice in) NONNULL(1);
void submission_body_fini(struct submission *s) NONNULL(1);

#endif
