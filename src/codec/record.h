/* record: the bytes of one journal record.
 *
 * A record is a fixed header, its fields (tag, length, value) and an optional body, padded with
 * zeros to a multiple of 8. All numbers are little-endian.
 *
 *   0  u32 magic "UTR1"        4  u8 version   5  u8 flags   6  u16 type
 *   8  u32 length of fields   12  u16 node    14  u16 zero
 *  16  u64 length of body     24  i64 stamp (microseconds since 1970 UTC)
 *  32  u64 customer           40  u64 account 48 u64 credential 56 u64 session
 *  64  u64 XXH3 of the first 64 bytes and the fields
 *  72  u64 XXH3 of the body
 *  80  fields, then the body, then the padding
 *
 * A field is u16 tag, u32 length, value.
 *
 * Both checksums are seeded with a random key of the segment and the record's position, so that
 * the text of a mail can never be taken for a record. Header and fields can be checked without
 * reading the body. A reader that does not know a type goes on if the record is skippable, and
 * refuses the journal otherwise. */
#ifndef CODEC_RECORD_H
#define CODEC_RECORD_H

#include "base/buf.h"
#include "base/slice.h"
#include "base/stamp.h"

#include <sys/uio.h>

enum {
    RECORD_HEADER_LEN = 80,
    RECORD_VERSION = 1,
    RECORD_FIELDS_MAX = 16 * 1024 * 1024,
    RECORD_BODY_MAX = 1024 * 1024 * 1024,
};

enum record_flag { RECORD_SKIPPABLE = 1 };

/* Numbers are for ever. */
enum record_type {
    RECORD_BATCH = 1,     /* a committer's batch begins (journal/writer) */
    RECORD_MESSAGE = 10,  /* an accepted message; body: the mail, or none if in a file */
    RECORD_REFUSALS = 11, /* aggregated refusals */
    RECORD_SIGN_IN = 12,
    RECORD_LOCK = 13,    /* a lock by rule */
    RECORD_NOTICE = 14,  /* a rule that notifies was passed; skippable */
    RECORD_BOUNCES = 16, /* what of accounts' mail has come back, as smtpd read it; skippable */
    RECORD_USE = 15,     /* use without a message of ours: what another server has sent */
    RECORD_OUTCOME = 20, /* what became of recipients of one message in one attempt */
    RECORD_DSN = 21,     /* a notification; fields and body as MESSAGE */
    RECORD_CARRIED = 22, /* a living message copied out of an old segment; as MESSAGE */
    RECORD_DIRECTORY = 30, /* a change of the directory */
    RECORD_COMMAND = 31,   /* an operator's command */
};

/* Tags, for ever too. Numbers are u64, text is bytes. */
enum record_tag {
    TAG_NONE = 0,
    /* BATCH */
    TAG_SEGMENT = 1, /* position at which the batch's segment begins */
    TAG_SYNCED = 2,  /* every byte of the journal before this position was synced */
    TAG_COUNT = 3,   /* records in the batch */
    /* MESSAGE, CARRIED, DSN; what is behind the first TAG_RECIPIENT_INDEX is not of them */
    TAG_ID = 10,           /* queue id */
    TAG_REVERSE_PATH = 11, /* without angle brackets; empty for <> */
    TAG_RECIPIENT = 12, /* forward-path without angle brackets; one per recipient, in order */
    TAG_RECIPIENT_NOTIFY = 13, /* of the recipient before it: bits of enum dsn_notify */
    TAG_RECIPIENT_ORCPT = 14,  /* of the recipient before it, still xtext-decoded "type;addr" */
    TAG_ENVID = 15,
    TAG_RET = 16,           /* 1 FULL, 2 HDRS */
    TAG_MESSAGE_FLAGS = 17, /* enum message_flag */
    TAG_OCTETS = 18,        /* octets received, dots removed, without our own fields */
    TAG_CLIENT = 19,        /* client address as text, or "uid=N" */
    TAG_HELO = 20,
    TAG_PROTOCOL = 21, /* "ESMTPSA" and so on (RFC 3848) */
    TAG_LISTENER = 22, /* the listener's name */
    TAG_LOGIN = 23,    /* the account's name */
    TAG_FILE = 24,     /* the body's file, relative to the state directory */
    TAG_FILE_LEN = 25,
    TAG_TOKEN = 26,        /* idempotency token */
    TAG_TLS = 27,          /* "TLSv1.3 TLS_AES_256_GCM_SHA384" */
    TAG_MESSAGE_ID = 28,   /* the Message-ID field's value */
    TAG_ORIGIN_STAMP = 29, /* CARRIED, DSN: when the message was accepted */
    TAG_NOT_BEFORE = 30,
    /* OUTCOME; the message is TAG_ID. First the fields of the message, then one group per
     * recipient, which begins with TAG_RECIPIENT_INDEX (delivery/settlement.h). FAILED and
     * EXPIRED also carry what a report needs of the message's own record: TAG_REVERSE_PATH,
     * TAG_ENVID, TAG_RET, TAG_MESSAGE_ID, TAG_ORIGIN_STAMP before the groups, and
     * TAG_RECIPIENT, TAG_RECIPIENT_NOTIFY, TAG_RECIPIENT_ORCPT at the end of the recipient's
     * group. */
    TAG_RECIPIENT_INDEX = 40, /* 0-based, in the order of the message's recipients */
    TAG_OUTCOME = 41,         /* enum outcome_kind (policy/outcome) */
    TAG_REMOTE = 42,          /* host and address of the remote server */
    TAG_REPLY = 43,           /* the remote's reply, or our own text */
    TAG_CODE = 44,            /* SMTP reply code, 0 when there was none */
    TAG_ENHANCED = 45,        /* "5.1.1" */
    TAG_ATTEMPT = 46,         /* how many attempts the recipient has had */
    TAG_NEXT_ATTEMPT = 47,    /* when it is tried again (stamp) */
    TAG_STAGE = 48,           /* enum relay_stage */
    /* DSN, behind the fields of the notification itself (none: nobody is told): which message
     * it is about, then a group per recipient: TAG_RECIPIENT_INDEX and TAG_REPORT. OUTCOME's
     * group of a recipient that is DELIVERED has TAG_REPORT when its sender wants to know; the
     * record then carries what FAILED ones carry. */
    TAG_REPORTS = 49, /* queue id of the message that is reported about */
    TAG_REPORT = 50,  /* enum report (policy/notify) */
    /* DIRECTORY, of an account: microseconds; absent: as the server has it */
    TAG_EXPIRE_AFTER = 51,
    TAG_WARN_AFTER = 52, /* UINT64_MAX: never */
    /* CARRIED: where the first record was, of which it is a copy (of a copy); one of both */
    TAG_FROM_SMTPD = 56,    /* position in smtpd's journal */
    TAG_FROM_DELIVERY = 57, /* position in delivery's own */
    TAG_TRIED_AT = 58,      /* of a recipient: when the last attempt was */
    TAG_WARNED = 59,        /* of a recipient: 1, its sender knows that it is delayed */
    /* DIRECTORY; TAG_BY, too: who made the change */
    TAG_VERSION = 60, /* the directory's version after this change; grows by one */
    TAG_ENTITY = 61,  /* enum directory_entity (model/directory) */
    TAG_REMOVED = 62, /* 1: the entity is gone */
    TAG_KEY = 63,     /* id of the entity (u64) */
    TAG_NAME = 64,
    TAG_PARENT = 65,   /* customer of an account, account of a credential, parent customer */
    TAG_STATE = 66,    /* enum account_state (policy/account) */
    TAG_SENDERS = 67,  /* enum sender_right (policy/account) */
    TAG_SENDER = 68,   /* one permitted domain or address; repeated */
    TAG_KIND = 69,     /* enum credential_kind */
    TAG_SCHEME = 70,   /* verifier scheme: "argon2id", "blake2b" */
    TAG_VERIFIER = 71, /* scheme's blob */
    TAG_CIDR = 72,     /* "192.0.2.0/24" */
    TAG_UID = 73,
    TAG_MAY_ACT_FOR = 74, /* account id; repeated */
    TAG_LANGUAGE = 75,
    TAG_LABEL = 76,
    TAG_REASON = 77, /* of a lock, for people */
    TAG_UNTIL = 78,  /* a stamp */
    TAG_MAX_RECIPIENTS = 79,
    TAG_MAX_SIZE = 80,
    TAG_CONTACT = 81,
    TAG_TIME_ZONE = 82,
    TAG_RULE = 83,   /* one rule as a line of text (policy/rule); repeated */
    TAG_PRESET = 84, /* name of a preset (model/preset) */
    TAG_UNLOCKED =
        86, /* of an account or customer: locks by rule under older versions are lifted */
    /* COMMAND */
    TAG_VERB = 90,
    TAG_ARGUMENT = 91,
    TAG_BY = 92, /* who gave it */
    /* MESSAGE: the program that sends, as `sendmail` says; evidence, never identity */
    TAG_SCRIPT = 131,
    TAG_WORKING_DIRECTORY = 132,
    /* USE, which has TAG_MESSAGES, TAG_RECIPIENTS, TAG_OCTETS, TAG_RECIPIENT where new
     * recipients count, and, of the envelope and the client, the tags of MESSAGE. */
    TAG_FOREIGN_ID = 130, /* the other server's queue id */
    /* MESSAGE: a stamp of the limits' clock; it waits, and under rules that defer it is used
     * from then on (policy/limiter). */
    TAG_RELEASED_AT = 133,
    /* BOUNCES: first TAG_READ_TO and TAG_COUNTED_AT, then a group for each account and
     * credential: TAG_OF_ACCOUNT, TAG_OF_CUSTOMER, TAG_OF_CREDENTIAL, TAG_COUNT. What
     * delivery's journal has before TAG_READ_TO is counted by these records, each once. */
    TAG_READ_TO = 134,
    TAG_OF_CREDENTIAL = 135,
    /* of a command about the queue (model/queue_command), what it is about: */
    TAG_OF_ACCOUNT = 93,
    TAG_OF_CUSTOMER = 94,
    TAG_OF_DOMAIN = 95,
    TAG_OF_BEFORE = 96, /* accepted up to this stamp */
    TAG_OF_ALL = 97,
    /* What limits count. MESSAGE too has TAG_COUNTED_AT when it is not the header's stamp. LOCK
     * has TAG_ID, TAG_VERSION (of the directory that it was made under), TAG_UNTIL, TAG_RULE,
     * TAG_KEY (whose window), TAG_USED, TAG_REASON; its end has TAG_REMOVED besides. Without an
     * account it is of all accounts of the customer. REFUSALS are those of an account and
     * credential in a second: TAG_COUNT, what was attempted in vain (aborted messages too), and
     * TAG_RULE, the last that refused. */
    TAG_COUNTED_AT = 110, /* a stamp of the limits' clock */
    TAG_MESSAGES = 111,
    TAG_RECIPIENTS = 112,
    TAG_BYTES = 113,
    /* NOTICE: once for each passing of a rule that notifies, over restarts too; before the
     * message that passed it. TAG_ID (of the notice), TAG_RULE, TAG_KEY (whose window),
     * TAG_USED, TAG_MAXIMUM, TAG_REASON (a text for people), TAG_COUNTED_AT. */
    TAG_USED = 114,           /* with what passed it */
    TAG_MAXIMUM = 115,        /* with the credit */
    TAG_PLAN = 116,           /* DIRECTORY: of an account, six u64 (model/directory_codec) */
    TAG_NEW_RECIPIENTS = 118, /* MESSAGE: how many were new to the account, if that counts */
    TAG_PROFILE = 117,        /* DIRECTORY: of an account, a preset's name beside its own */
    /* MESSAGE: the Subject field's value, unfolded, its first octets (smtpd/message). */
    TAG_SUBJECT = 120,
};

enum message_flag {
    MESSAGE_8BITMIME = 1, /* BODY=8BITMIME was declared */
    MESSAGE_SMTPUTF8 = 2,
};

struct record_header {
    uint8_t version;
    uint8_t flags;
    enum record_type type;
    uint16_t node;
    uint32_t fields_len;
    uint64_t body_len;
    stamp at;
    uint64_t customer;
    uint64_t account;
    uint64_t credential;
    uint64_t session;
    uint64_t head_sum;
    uint64_t body_sum;
};

/* Bytes on disk of a record with these lengths, padding included. */
uint64_t record_size(uint32_t fields_len, uint64_t body_len);
/* Fills in head_sum and writes the header; body_sum must have been set. */
void record_encode_header(struct record_header *h, slice fields, uint64_t seed,
                          char out[RECORD_HEADER_LEN]) NONNULL(1, 4);
/* 0, or -EBADMSG when these bytes are no header that could be followed (magic, version,
 * lengths over their bounds). Checks no checksum. */
int record_decode_header(const char in[RECORD_HEADER_LEN], struct record_header *h) MUST_USE
    NONNULL(1, 2);
/* Header and fields are as they were written under this seed. */
bool record_head_is_whole(const char in[RECORD_HEADER_LEN], slice fields, uint64_t seed)
    NONNULL(1);
/* XXH3 of a body under the seed of its record, for record_header.body_sum. */
uint64_t record_body_sum(const struct iovec *iov, int count, uint64_t seed);

/* Fields. One that does not fit into the buffer sets its error and leaves no part of itself. */
void record_put(struct buf *b, enum record_tag tag, slice value) NONNULL(1);
void record_put_u64(struct buf *b, enum record_tag tag, uint64_t value) NONNULL(1);

struct record_field {
    enum record_tag tag;
    slice value;
    uint64_t number; /* when the value has 8 bytes */
};
/* Takes the next field off *fields: 1, 0 at the end, -EBADMSG when it does not fit. */
int record_next(slice *fields, struct record_field *out) MUST_USE NONNULL(1, 2);
/* The first field of that tag; empty and 0 when there is none. */
slice record_get(slice fields, enum record_tag tag);
uint64_t record_get_u64(slice fields, enum record_tag tag);

#endif
