#include "net/query.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

enum { PIECE = 64 * 1024 };

struct asking {
    int fd;
    uint64_t deadline; /* of uv_hrtime */
};

/* Gives the next blocking call what is left of the time: 0 or -ETIMEDOUT. */
static int limit(const struct asking *a, int direction)
{
    uint64_t now = uv_hrtime();
    if (now >= a->deadline)
        return -ETIMEDOUT;
    uint64_t left = (a->deadline - now) / 1000 + 1;
    struct timeval t = {(time_t)(left / 1000000), (suseconds_t)(left % 1000000)};
    return setsockopt(a->fd, SOL_SOCKET, direction, &t, sizeof(t)) == 0 ? 0 : -errno;
}

static int failed(void)
{
    return errno == EAGAIN || errno == EINPROGRESS ? -ETIMEDOUT : -errno;
}

static int ask_connect(struct asking *a, const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(at.sun_path))
        return -ENAMETOOLONG;
    memcpy(at.sun_path, path, strlen(path) + 1);
    int err = limit(a, SO_SNDTIMEO);
    if (err)
        return err;
    return connect(a->fd, (struct sockaddr *)&at, sizeof(at)) == 0 ? 0 : failed();
}

static int ask_send(struct asking *a, slice bytes)
{
    while (bytes.len > 0) {
        int err = limit(a, SO_SNDTIMEO);
        if (err)
            return err;
        ssize_t n = send(a->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR)
            return failed();
        bytes = slice_from(bytes, n < 0 ? 0 : (size_t)n);
    }
    return 0;
}

/* Up to the newline, which is left out. */
static int ask_receive(struct asking *a, struct buf *answer)
{
    for (;;) {
        int err = buf_reserve(answer, PIECE);
        if (err == 0)
            err = limit(a, SO_RCVTIMEO);
        if (err)
            return err;
        ssize_t n = recv(a->fd, answer->ptr + answer->len, PIECE, 0);
        if (n == 0)
            return -ECONNRESET;
        if (n < 0 && errno != EINTR)
            return failed();
        if (n < 0)
            continue;
        answer->len += (size_t)n;
        if (answer->ptr[answer->len - 1] == '\n') {
            answer->len--;
            return 0;
        }
        if (answer->len > QUERY_ANSWER_MAX)
            return -EMSGSIZE;
    }
}

int query_ask(const char *path, slice question, span timeout, struct buf *answer)
{
    struct asking a = {.deadline = uv_hrtime() + (uint64_t)timeout * 1000};
    struct buf got = BUF_INIT;
    a.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (a.fd < 0)
        return -errno;
    int err = ask_connect(&a, path);
    if (err == 0)
        err = ask_send(&a, question);
    if (err == 0)
        err = ask_send(&a, SLICE("\n"));
    if (err == 0)
        err = ask_receive(&a, &got);
    if (err == 0)
        buf_append(answer, buf_slice(&got));
    if (err == 0)
        err = answer->error;
    buf_fini(&got);
    close(a.fd);
    return err;
}
