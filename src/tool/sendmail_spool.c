#include "tool/sendmail_spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

void sendmail_spool_init(struct sendmail_spool *s)
{
    *s = (struct sendmail_spool){.fd = -1};
}

void sendmail_spool_fini(struct sendmail_spool *s)
{
    buf_fini(&s->memory);
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

/* A descriptor or -errno. */
static int open_unnamed(void)
{
    const char *const folders[] = {secure_getenv("TMPDIR"), "/var/tmp", "/tmp"};
    int err = ENOENT;
    for (size_t i = 0; i < COUNT_OF(folders); i++) {
        if (!folders[i] || folders[i][0] != '/')
            continue;
        int fd = open(folders[i], O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
        if (fd >= 0)
            return fd;
        err = errno;
    }
    return -err;
}

static int add_to_file(struct sendmail_spool *s, slice bytes)
{
    if (s->fd < 0) {
        int fd = open_unnamed();
        if (fd < 0)
            return fd;
        s->fd = fd;
    }
    while (bytes.len) {
        ssize_t n = write(s->fd, bytes.ptr, bytes.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        bytes = slice_from(bytes, (size_t)n);
        s->size += (uint64_t)n;
    }
    return 0;
}

int sendmail_spool_add(struct sendmail_spool *s, slice bytes)
{
    if (s->fd >= 0 || s->memory.len + bytes.len > SENDMAIL_SPOOL_MEMORY)
        return add_to_file(s, bytes);
    buf_append(&s->memory, bytes);
    if (s->memory.error)
        return s->memory.error;
    s->size += bytes.len;
    return 0;
}

ssize_t sendmail_spool_read(const struct sendmail_spool *s, uint64_t at, void *out, size_t len)
{
    if (at < s->memory.len) {
        slice part = slice_to(slice_from(buf_slice(&s->memory), (size_t)at), len);
        memcpy(out, part.ptr, part.len);
        return (ssize_t)part.len;
    }
    if (s->fd < 0)
        return 0;
    for (;;) {
        ssize_t n = pread(s->fd, out, len, (off_t)(at - s->memory.len));
        if (n >= 0 || errno != EINTR)
            return n >= 0 ? n : -errno;
    }
}
