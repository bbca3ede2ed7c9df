/* segment: the files of a journal.
 *
 * A segment's name is the position at which it begins, 16 hexadecimal digits and ".seg". Its
 * base is also the valid end of the segment before it: whatever that one has behind this
 * position was cut. The first page is its header, and is never written again:
 *
 *   0  u32 magic "UTS1"   4  u8 version   5  zeros
 *   8  u64 base          16  u64 key of the checksums in it
 *  24  u64 highest queue id so far       32  i64 last stamp so far
 *  40  zeros             56  u64 XXH3 of the first 56 bytes
 *
 * The 64 bytes stand twice, at 0 and at 2048, so that one bad sector does not take the key, and
 * with it the whole segment. Records follow from offset 4096. Header and directory entry are
 * synced before segment_create returns. */
#ifndef JOURNAL_SEGMENT_H
#define JOURNAL_SEGMENT_H

#include "base/env.h"

enum {
    SEGMENT_HEADER_LEN = 4096,
    SEGMENT_NAME_SIZE = 24, /* 16 digits, ".seg", NUL */
    SEGMENT_PATH_SIZE = 256,
};

struct segment_header {
    uint64_t base;
    uint64_t key;
    uint64_t highest_id;
    stamp last_stamp;
};

/* 0 or -ENAMETOOLONG. */
int segment_path(const char *dir, uint64_t base, char out[SEGMENT_PATH_SIZE]) MUST_USE
    NONNULL(1, 3);
/* False: the name is no segment's; *base is untouched then. */
bool segment_parse_name(const char *name, uint64_t *base) NONNULL(1, 2);

/* The seed of the checksums of the record at this position. */
uint64_t segment_seed(uint64_t key, uint64_t position);

/* Makes the file and syncs it and its directory; a leftover of an earlier try with that name
 * (which was never used) is replaced. The open file or -errno; on failure the name is free
 * again, if the disk lets us. */
int segment_create(struct env *env, const char *dir, const struct segment_header *h) MUST_USE
    NONNULL(1, 2, 3);
/* 0, -EBADMSG when neither copy is whole or it is of another segment, or another -errno. */
int segment_read_header(struct env *env, int fd, uint64_t base,
                        struct segment_header *out) MUST_USE NONNULL(1, 4);

/* The bases of all segments in the directory, ascending. */
struct segment_list {
    uint64_t *bases;
    size_t count;
    size_t cap;
};
/* Fills the list anew. 0 or -errno; the list stays the caller's to free. */
int segment_list_read(struct segment_list *l, struct env *env, const char *dir) MUST_USE
    NONNULL(1, 2, 3);
void segment_list_fini(struct segment_list *l) NONNULL(1);
/* Index of the segment that the position is in (the last with base <= position), or -1. */
ptrdiff_t segment_list_find(const struct segment_list *l, uint64_t position) NONNULL(1);

#endif
