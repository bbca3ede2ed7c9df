#include "tool/sendmail_session.h"

#include "tool/sendmail_exit.h"
#include "tool/sendmail_wire.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* One direction: what was read and not yet written. */
struct flow {
    size_t at;
    size_t len;
    bool has_ended; /* nothing more can be read */
    char bytes[16 * 1024];
};

static bool is_empty(const struct flow *f)
{
    return f->at == f->len;
}

static int error_of(ssize_t n)
{
    return n >= 0 || errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

static int flow_read(struct flow *f, int fd)
{
    ssize_t n = read(fd, f->bytes, sizeof(f->bytes));
    f->at = 0;
    f->len = n > 0 ? (size_t)n : 0;
    f->has_ended = n == 0;
    return error_of(n);
}

static int flow_write(struct flow *f, int fd, bool is_socket)
{
    const char *from = f->bytes + f->at;
    size_t len = f->len - f->at;
    ssize_t n = is_socket ? send(fd, from, len, MSG_NOSIGNAL) : write(fd, from, len);
    f->at += n > 0 ? (size_t)n : 0;
    return error_of(n);
}

/* One round of waiting and copying. 0, or -errno of the connection or of the program's end. */
static int pass_some(int door, struct flow *to_door, struct flow *to_program)
{
    short door_events = (is_empty(to_program) ? POLLIN : 0) | (is_empty(to_door) ? 0 : POLLOUT);
    struct pollfd p[] = {
        {.fd = is_empty(to_door) && !to_door->has_ended ? STDIN_FILENO : -1, .events = POLLIN},
        {.fd = is_empty(to_program) ? -1 : STDOUT_FILENO, .events = POLLOUT},
        {.fd = door_events ? door : -1, .events = door_events},
    };
    if (poll(p, COUNT_OF(p), -1) < 0)
        return errno == EINTR ? 0 : -errno;
    int err = 0;
    if (p[0].revents)
        err = flow_read(to_door, STDIN_FILENO);
    if (err == 0 && to_door->has_ended && p[0].revents)
        shutdown(door, SHUT_WR);
    if (err == 0 && p[1].revents)
        err = flow_write(to_program, STDOUT_FILENO, false);
    if (err == 0 && p[2].revents && !is_empty(to_door) && flow_write(to_door, door, true) != 0)
        to_door->at = to_door->len; /* it has closed: what it said last is still to be read */
    if (err == 0 && p[2].revents & (POLLIN | POLLHUP | POLLERR) && is_empty(to_program))
        err = flow_read(to_program, door);
    return err;
}

static int pass_all(int door)
{
    static struct flow to_door, to_program;
    int err = 0;
    while (err == 0 && !(to_program.has_ended && is_empty(&to_program)))
        err = pass_some(door, &to_door, &to_program);
    return err;
}

int sendmail_session_run(const char *path)
{
    struct sendmail_wire wire;
    sendmail_wire_init(&wire);
    int err = sendmail_wire_connect(&wire, path);
    if (err) {
        printf("421 4.3.2 The mail service cannot be reached; try again later\r\n");
        fflush(stdout);
        fprintf(stderr, "sendmail: the mail service cannot be reached at %s: %s\n", path,
                strerror(-err));
        return EX_TEMPFAIL;
    }
    err = pass_all(wire.fd);
    sendmail_wire_close(&wire);
    if (err == 0 || err == -ECONNRESET)
        return EX_OK;
    fprintf(stderr, "sendmail: the session ended early: %s\n", strerror(-err));
    return EX_IOERR;
}
