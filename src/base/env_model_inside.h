/* env_model_inside: what env_model's two halves share: the image of a disk, and the log of
 * what was done to it. */
#ifndef BASE_ENV_MODEL_INSIDE_H
#define BASE_ENV_MODEL_INSIDE_H

#include "base/env_model.h"

#include <pthread.h>

struct model_inode {
    bool is_dir;
    char *data;
    size_t size;
    size_t cap;
};

struct model_entry {
    char *path;
    size_t inode;
};

struct model_image {
    struct model_inode *inodes;
    size_t inode_count;
    struct model_entry *entries;
    size_t entry_count;
};

enum model_kind {
    MODEL_DID_CREATE, /* a file or a directory */
    MODEL_DID_UNLINK,
    MODEL_DID_RENAME,
    MODEL_DID_WRITE,
    MODEL_DID_SYNC,
    MODEL_DID_SYNC_DIR,
};

struct model_op {
    enum model_kind kind;
    size_t inode;
    bool is_dir;    /* CREATE */
    bool is_failed; /* SYNC */
    char *path;
    char *to; /* RENAME */
    uint64_t offset;
    size_t len;
    char *data;
};

struct model_log {
    struct model_op *ops;
    size_t count;
    size_t cap;
};

struct env_model {
    struct env env;
    pthread_mutex_t mutex;
    struct model_image durable; /* when the log began */
    struct model_log log;
    struct model_image view; /* what readers see: all of the log */
    size_t *fds;             /* inode + 1, 0 when closed */
    size_t fd_count;
    stamp now;
    uint64_t seed;
    struct env_model_fault fault;
    unsigned counted;
    unsigned failed;
};

struct model_image model_image_copy(const struct model_image *from);
void model_image_fini(struct model_image *image);
/* The entry's index or -1. */
ptrdiff_t model_image_find(const struct model_image *image, slice path);
/* Makes the name stand for the inode, or removes it. */
void model_image_link(struct model_image *image, const char *path, size_t inode);
void model_image_unlink(struct model_image *image, const char *path);
/* The inode with this number, made when it is new. */
struct model_inode *model_image_inode(struct model_image *image, size_t inode);
void model_image_write(struct model_inode *n, uint64_t offset, const char *data, size_t len);
/* Does all of the operation. */
void model_image_apply(struct model_image *image, const struct model_op *op);

/* The directory that the name is in; "." for the root. */
slice model_parent(const char *path);
/* An empty model over this image, which it takes. */
struct env_model *model_over(struct model_image image);
/* A deep copy at the end of the log; the data and paths are copied. */
void model_log_add(struct model_log *log, const struct model_op *op);

#endif
