/* letter: a message as it is read again from its record, to be sent.
 *
 * The queue knows only where the record is: in smtpd's journal, or in delivery's own (what was
 * carried forward, and notifications). One read brings the header, the fields and a body
 * of up to LETTER_PIECE bytes; what is longer, and a body that is a file of its own, comes in
 * pieces of that size. The checksums of the record, and of a body that came with it, are
 * verified again: it may have lain on the disk for days. A letter keeps its memory from one
 * message to the next. */
#ifndef DELIVERY_LETTER_H
#define DELIVERY_LETTER_H

#include "delivery/queue.h"
#include "dialog/relay.h"
#include "journal/reader.h"

enum { LETTER_PIECE = 256 * 1024 };

/* The journals that letters are read from. */
struct letter_store {
    struct journal_store *accepted; /* smtpd's */
    struct journal_store *own;      /* delivery's */
};

/* 0 or -errno. */
int letter_store_open(struct letter_store **out, struct env *env) MUST_USE NONNULL(1, 2);
/* See journal_store_follow. */
void letter_store_follow(struct letter_store *s, const struct watermark *accepted,
                         const struct watermark *own) NONNULL(1, 2, 3);
void letter_store_close(struct letter_store **s);
/* The one that the message's record is in. */
struct journal_store *letter_journal(const struct letter_store *s, const struct parcel_facts *f)
    NONNULL(1, 2);

struct letter {
    struct env *env;
    const struct letter_store *store;
    struct journal_store *journal; /* the one that is read */
    struct buf bytes;              /* header, fields, first piece */
    struct buf more;               /* later pieces */
    struct record_header header;
    slice fields;
    slice first; /* piece of the body that is in bytes */
    /* of the message: */
    uint64_t id;
    slice reverse_path;
    unsigned flags; /* enum message_flag */
    stamp accepted; /* when the message was, or the notification was made */
    uint64_t size;  /* octets of the body */
    /* where the next piece is: */
    uint64_t position; /* of the body, in the journal or in the file */
    uint64_t given;
    int fd; /* of the body's file, or -1 */
};

void letter_init(struct letter *l, struct env *env, const struct letter_store *store)
    NONNULL(1, 2, 3);
void letter_fini(struct letter *l) NONNULL(1);

/* Reads the record. 0 or -errno: -EBADMSG when it is not the one that the queue means. */
int letter_open(struct letter *l, const struct parcel_facts *f) MUST_USE NONNULL(1, 2);
/* Only the envelope, for people: no body may be asked for. */
int letter_open_envelope(struct letter *l, const struct parcel_facts *f) MUST_USE NONNULL(1, 2);
void letter_close(struct letter *l) NONNULL(1);

/* The recipients with these rising indexes, in order; slices point into the letter. 0, or
 * -EBADMSG when one is not there. */
int letter_recipients(const struct letter *l, const uint32_t *indexes, uint32_t count,
                      struct relay_recipient *out) MUST_USE NONNULL(1, 2, 4);
/* The message as the relay dialog wants it, for these recipients. */
void letter_message(const struct letter *l, const struct relay_recipient *recipients,
                    uint32_t count, struct relay_message *out) NONNULL(1, 2, 4);

/* The next piece of the body: 1, 0 at the end, or -errno. Borrowed until the next call. */
int letter_piece(struct letter *l, slice *out) MUST_USE NONNULL(1, 2);

/* What a report of a failure needs of the message, and of one recipient, as record fields. */
void letter_reporting(const struct letter *l, struct buf *out) NONNULL(1, 2);
void letter_facts(const struct relay_recipient *r, struct buf *out) NONNULL(1, 2);

#endif
