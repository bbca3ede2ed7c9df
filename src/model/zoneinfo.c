#include "model/zoneinfo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIRECTORY "/usr/share/zoneinfo/"

enum {
    CONTENTS_MAX = 16 * 1024, /* the largest files have 4 KiB */
    VERSION_AT = 4,           /* RFC 8536 section 3.1 */
};

static bool is_name(slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!ascii_is_alnum(s.ptr[i]) && slice_find(SLICE("_+-/"), s.ptr[i]) < 0)
            return false;
    return s.len > 0 && s.len <= ZONEINFO_NAME_MAX && s.ptr[0] != '/';
}

slice zoneinfo_rule(slice contents)
{
    bool is_zone = slice_starts(contents, SLICE("TZif")) && contents.len > VERSION_AT &&
                   contents.ptr[VERSION_AT] >= '2' && slice_ends(contents, SLICE("\n"));
    if (!is_zone)
        return (slice){0};
    contents = slice_to(contents, contents.len - 1);
    ptrdiff_t begin = slice_rfind(contents, '\n');
    return begin < 0 ? (slice){0} : slice_from(contents, (size_t)begin + 1);
}

/* A directory, or something else that is no zone, is none. */
static int read_file(int fd, char *out, size_t *len)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || st.st_size > CONTENTS_MAX)
        return -ENOENT;
    ssize_t n = pread(fd, out, CONTENTS_MAX, 0);
    if (n < 0)
        return -errno;
    *len = (size_t)n;
    return 0;
}

int zoneinfo_read(slice name, struct zone *out)
{
    char path[sizeof(DIRECTORY) + ZONEINFO_NAME_MAX], contents[CONTENTS_MAX];
    size_t len = 0;
    if (slice_eq(name, SLICE("UTC"))) {
        *out = zone_utc;
        return 0;
    }
    if (!is_name(name))
        return -ENOENT;
    snprintf(path, sizeof(path), DIRECTORY "%.*s", SLICE_ARG(name));
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return errno == ENOTDIR || errno == EACCES ? -ENOENT : -errno;
    int err = read_file(fd, contents, &len);
    close(fd);
    if (err < 0)
        return err;
    return zone_parse(zoneinfo_rule(slice_make(contents, len)), out) ? 0 : -ENOENT;
}
