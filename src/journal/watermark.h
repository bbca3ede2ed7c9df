/* watermark: how far a journal is durable, in memory shared between its writer and its readers.
 *
 * A position is a byte offset in the journal as one endless file: segment files begin at the
 * position in their name, and a segment's valid bytes end where the next one begins. The
 * writer alone stores; readers never read past it. 0 means: the writer has not recovered yet.
 */
#ifndef JOURNAL_WATERMARK_H
#define JOURNAL_WATERMARK_H

#include <stdatomic.h>
#include <stdint.h>

struct watermark {
    _Atomic uint64_t durable;
};

#endif
