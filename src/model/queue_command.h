/* queue_command: an operator's command about the queue, as the fields of a RECORD_COMMAND.
 *
 * Written by control, obeyed by delivery. A command is about what was accepted up to its
 * record's stamp, so that reading it again does to later mail nothing that was not meant: only
 * a HOLD of a whole account, customer or domain also holds what comes, until its RELEASE. */
#ifndef MODEL_QUEUE_COMMAND_H
#define MODEL_QUEUE_COMMAND_H

#include "base/buf.h"
#include "codec/record.h"

enum queue_verb {
    QUEUE_HOLD = 1,    /* do not send it */
    QUEUE_RELEASE = 2, /* send what was held */
    QUEUE_RETRY = 3,   /* try now what waits for its next attempt */
    QUEUE_REMOVE = 4,  /* take it out of the queue for good */
    QUEUE_THAW = 5,    /* send what a lock has frozen; locks before `version` freeze no more */
    QUEUE_PURGE = 6,   /* remove what a lock has frozen, and the same */
};
/* "hold"; NULL: no such verb. */
const char *queue_verb_name(enum queue_verb v);

enum { QUEUE_COMMAND_IDS_MAX = 1000, QUEUE_COMMAND_BY_MAX = 255 };

struct queue_command {
    enum queue_verb verb;
    uint64_t token; /* by which its progress is asked for; random */
    slice by;       /* who gave it */
    /* What it is about: all that is given must fit; something must be. */
    const uint64_t *ids; /* queue ids, one of them */
    size_t id_count;
    uint64_t account;  /* 0: any */
    uint64_t customer; /* with all who are its customers; 0: any */
    slice domain;      /* of the recipient, as path_domain gives it; empty: any */
    stamp before;      /* accepted up to then; 0: up to the record's stamp */
    bool is_all;       /* all there is */
    uint64_t version;  /* THAW, PURGE: of the directory, by the unlocking */
};

void queue_command_put(struct buf *fields, const struct queue_command *c) NONNULL(1, 2);
/* Slices are borrowed; the ids are copied to `ids`. 0; -ENOENT: a command about something else;
 * -EBADMSG: one that makes no sense. */
int queue_command_read(slice fields, uint64_t ids[QUEUE_COMMAND_IDS_MAX],
                       struct queue_command *out) MUST_USE NONNULL(2, 3);
/* Is it about all of one account, customer or domain, and nothing narrower? */
bool queue_command_is_standing(const struct queue_command *c) NONNULL(1);

#endif
