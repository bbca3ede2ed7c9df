/* env_model: a disk in memory that knows what a crash could leave of it.
 *
 * Reads see every write at once, as through a page cache. What was written, created, renamed
 * or removed is only certain to survive once it was synced: file contents by fdatasync of the
 * file, names by sync_dir of their directory. env_model_crash makes the disk that a power cut
 * at a given moment could leave, one variant after the other: any of the unsynced changes
 * missing or alone, torn at 512 bytes or at 4 KiB, without the new file size, in any random
 * mixture. env_model_kill is the end of the process alone: the page cache stays.
 *
 * A sync that fails leaves its file's writes readable and takes them for clean, like Linux:
 * no later sync makes them certain. Directories cannot be renamed. Time moves a millisecond
 * per look at the clock; randomness is a fixed sequence. Thread-safe; ends the process when
 * memory is out: it is made for tests. */
#ifndef BASE_ENV_MODEL_H
#define BASE_ENV_MODEL_H

#include "base/env.h"

struct env_model;

struct env_model *env_model_new(void);
void env_model_free(struct env_model **m);
struct env *env_model_env(struct env_model *m) NONNULL(1);

/* How many changes and syncs there have been; moments are numbered by it. */
size_t env_model_moment(struct env_model *m) NONNULL(1);

/* ---- crashes ---- */

/* How many variants are enumerated for a power cut at this moment; every greater number is a
 * random one with itself as the seed. 1 when nothing was unsynced. */
size_t env_model_variants(struct env_model *m, size_t moment) NONNULL(1);
/* The disk after a power cut at this moment, in this variant. */
struct env_model *env_model_crash(struct env_model *m, size_t moment, size_t variant)
    NONNULL(1);
/* The disk and the page cache after a kill at this moment; of the write that was next, the
 * first `part` bytes have been made (0 for none). */
struct env_model *env_model_kill(struct env_model *m, size_t moment, size_t part) NONNULL(1);
/* A number that is equal for disks with the same names and contents. */
uint64_t env_model_hash(struct env_model *m) NONNULL(1);

/* ---- faults ---- */

enum env_model_call {
    MODEL_OPEN = 1,
    MODEL_READ = 2,
    MODEL_WRITE = 4,
    MODEL_SYNC = 8,
    MODEL_SIZE = 16,
    MODEL_RENAME = 32,
    MODEL_UNLINK = 64,
    MODEL_MKDIR = 128,
    MODEL_SYNC_DIR = 256,
    MODEL_LIST = 512,
    MODEL_CREATE = 1024, /* open with ENV_CREATE */
    MODEL_ANY = 2047,
};

enum env_model_how {
    MODEL_REFUSES,      /* nothing is done; a failed sync takes the file's writes for clean */
    MODEL_WRITES_HALF,  /* half is written, then the error (writes only) */
    MODEL_WRITES_SHORT, /* half is written and counted, no error (writes only) */
};

struct env_model_fault {
    unsigned calls; /* bits of env_model_call that count and fail; 0: none does */
    unsigned nth;   /* which of them fails first, from 1 */
    bool is_sticky; /* and every one after it */
    int error;      /* EIO, ENOSPC, ... */
    enum env_model_how how;
};

/* From now on; counting begins anew. */
void env_model_fail(struct env_model *m, const struct env_model_fault *f) NONNULL(1, 2);
/* How many calls were counted since, and how many failed. */
unsigned env_model_counted(struct env_model *m) NONNULL(1);
unsigned env_model_failed(struct env_model *m) NONNULL(1);

#endif
