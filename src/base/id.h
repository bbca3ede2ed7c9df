/* id: 64-bit identifiers that are unique over all nodes for ever, and their text.
 *
 *   | 42 bits: milliseconds since 2020-01-01 UTC | 8 bits: node | 2 bits: writer | 12: sequence
 * |
 *
 * Ids of one source grow strictly. A clock that steps back does not repeat one: the source goes
 * on from its high-water mark, which recovery restores (id_source_raise). Text is 13 characters
 * of base 32 (Crockford's alphabet, lower case), in the same order as the numbers. */
#ifndef BASE_ID_H
#define BASE_ID_H

#include "base/attr.h"
#include "base/slice.h"
#include "base/stamp.h"

enum id_writer { ID_SMTPD = 0, ID_DELIVERY = 1, ID_CONTROL = 2 };

enum { ID_TEXT_LEN = 13 };

struct id_source {
    _Atomic uint64_t last; /* the time and sequence parts of the newest id */
    uint8_t node;
    enum id_writer writer;
};

void id_source_init(struct id_source *s, uint8_t node, enum id_writer writer) NONNULL(1);
/* No id up to `seen` will be given again. */
void id_source_raise(struct id_source *s, uint64_t seen) NONNULL(1);
/* A new id, never 0. Thread-safe. */
uint64_t id_next(struct id_source *s, stamp now) NONNULL(1);

/* Whose source gave it: what delivery made itself is a notification. */
enum id_writer id_writer(uint64_t id);
/* The moment in the id, to the millisecond. */
stamp id_stamp(uint64_t id);
/* Writes ID_TEXT_LEN characters and a NUL. */
void id_format(uint64_t id, char text[ID_TEXT_LEN + 1]);
/* Either case; false when it is not the text of an id. */
bool id_parse(slice text, uint64_t *id) NONNULL(2);

#endif
