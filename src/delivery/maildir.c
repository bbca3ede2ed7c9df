#include "delivery/maildir.h"

#include "base/arena.h"
#include "base/id.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { PATH_SIZE = 512, WRITE_BYTES = 256 * 1024 };

static int make_one(struct env *env, const char *dir, const char *sub)
{
    char path[PATH_SIZE];
    if ((size_t)snprintf(path, sizeof(path), "%s%s%s", dir, *sub ? "/" : "", sub) >=
        sizeof(path))
        return -ENAMETOOLONG;
    int err = env_mkdir(env, path);
    return err == -EEXIST ? 0 : err;
}

int maildir_make(struct env *env, const char *dir)
{
    static const char *const subs[] = {"", "tmp", "new", "cur"};
    for (size_t i = 0; i < COUNT_OF(subs); i++) {
        int err = make_one(env, dir, subs[i]);
        if (err < 0)
            return err;
    }
    int err = env_sync_dir(env, dir);
    return err < 0 ? err : env_sync_dir(env, ".");
}

/* "1700000000.0c8e5m3q9t1zg-0.utpost" */
static int item_path(const struct maildir_item *item, const char *dir, const char *sub,
                     char out[PATH_SIZE])
{
    char id[ID_TEXT_LEN + 1];
    id_format(item->facts.id, id);
    int n = snprintf(out, PATH_SIZE, "%s/%s/%lld.%s-%u.utpost", dir, sub,
                     (long long)(item->facts.accepted / SPAN_SECOND), id, item->indexes[0]);
    return n < PATH_SIZE ? 0 : -ENAMETOOLONG;
}

struct output {
    struct env *env;
    int fd;
    uint64_t at;
    struct buf text;
    bool ends_in_cr; /* a CR was held back at the end of a piece */
};

static int write_out(struct output *o)
{
    struct iovec iov = {o->text.ptr, o->text.len};
    if (o->text.error)
        return o->text.error;
    int err = o->text.len > 0 ? env_write_all(o->env, o->fd, &iov, 1, o->at) : 0;
    o->at += o->text.len;
    buf_clear(&o->text);
    return err;
}

/* Appends the piece with CRLF as LF; any other CR stays. */
static void put_lines(struct output *o, slice piece)
{
    while (piece.len > 0) {
        if (o->ends_in_cr && piece.ptr[0] != '\n')
            buf_byte(&o->text, '\r');
        o->ends_in_cr = false;
        ptrdiff_t cr = slice_find(piece, '\r');
        if (cr < 0) {
            buf_append(&o->text, piece);
            return;
        }
        buf_append(&o->text, slice_to(piece, (size_t)cr));
        o->ends_in_cr = true;
        piece = slice_from(piece, (size_t)cr + 1);
    }
}

static void put_envelope(struct output *o, const struct letter *l,
                         const struct relay_recipient *recipients, uint32_t count)
{
    buf_printf(&o->text, "Return-Path: <%.*s>\n", SLICE_ARG(l->reverse_path));
    for (uint32_t i = 0; i < count; i++)
        buf_printf(&o->text, "Delivered-To: %.*s\n", SLICE_ARG(recipients[i].address));
}

static int put_body(struct output *o, struct letter *l)
{
    slice piece;
    int more;
    while ((more = letter_piece(l, &piece)) > 0) {
        put_lines(o, piece);
        int err = write_out(o);
        if (err < 0)
            return err;
    }
    if (more < 0)
        return more;
    if (o->ends_in_cr)
        buf_byte(&o->text, '\r');
    return write_out(o);
}

static int open_new(struct env *env, const char *path)
{
    int fd = env_open(env, path, ENV_CREATE);
    if (fd != -EEXIST)
        return fd;
    int err = env_unlink(env, path); /* of a run that was interrupted */
    return err < 0 ? err : env_open(env, path, ENV_CREATE);
}

static int write_file(struct output *o, struct letter *l, const struct maildir_item *item,
                      const char *path)
{
    struct relay_recipient *recipients = calloc(item->count, sizeof(*recipients));
    if (!recipients)
        return -ENOMEM;
    int err = letter_open(l, &item->facts);
    if (err == 0)
        err = letter_recipients(l, item->indexes, item->count, recipients);
    if (err == 0)
        err = o->fd = open_new(o->env, path);
    if (err >= 0) {
        o->at = 0;
        o->ends_in_cr = false;
        buf_clear(&o->text);
        put_envelope(o, l, recipients, item->count);
        err = put_body(o, l);
        if (err == 0)
            err = env_fdatasync(o->env, o->fd);
        int closed = env_close(o->env, o->fd);
        err = err < 0 ? err : closed;
    }
    letter_close(l);
    free(recipients);
    return err;
}

static int write_item(struct output *o, struct letter *l, const char *dir,
                      struct maildir_item *item)
{
    char tmp[PATH_SIZE], final[PATH_SIZE];
    int err = item_path(item, dir, "tmp", tmp);
    if (err == 0)
        err = item_path(item, dir, "new", final);
    if (err < 0)
        return err;
    err = write_file(o, l, item, tmp);
    if (err == 0)
        err = env_rename(o->env, tmp, final);
    if (err < 0) {
        int gone = env_unlink(o->env, tmp); /* -ENOENT when it was never made */
        (void)gone;
    }
    return err;
}

void maildir_write(struct env *env, const struct letter_store *store, const char *dir,
                   struct maildir_item *items, size_t count)
{
    char path[PATH_SIZE];
    struct output o = {.env = env, .fd = -1};
    struct letter l;
    letter_init(&l, env, store);
    snprintf(path, sizeof(path), "%s/new", dir);
    for (size_t i = 0; i < count; i++) {
        items[i].result = write_item(&o, &l, dir, &items[i]);
    }
    int err = env_sync_dir(env, path);
    for (size_t i = 0; i < count; i++)
        if (items[i].result == 0)
            items[i].result = err;
    letter_fini(&l);
    buf_fini(&o.text);
}
