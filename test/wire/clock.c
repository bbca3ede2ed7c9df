/* clock: a library that the tests preload into a daemon, whose clocks it moves.
 *
 * The file that UTPOST_TEST_CLOCK names is mapped before the daemon shuts itself in. Every
 * clock then reads what the kernel says plus the offset in the file; the clock on the wall and
 * the one since boot stand still while the file says so. Timers follow: who waits for events
 * looks at the clock every few milliseconds. Without the variable everything is as ever. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND INT64_C(1000000000)
enum { LOOK_AGAIN_MS = 10 };

/* The file; harness.py writes it. Nanoseconds. */
struct clock_file {
    _Atomic int64_t ahead;  /* all clocks */
    _Atomic int64_t wall;   /* the clock on the wall besides */
    _Atomic int64_t frozen; /* when the clock on the wall stands still: where; else 0 */
    _Atomic int64_t frozen_boot;
};

static const struct clock_file *the_file;
static int (*real_gettime)(clockid_t, struct timespec *);
static int (*real_epoll)(int, struct epoll_event *, int, int, const sigset_t *);

__attribute__((constructor)) static void clock_open(void)
{
    real_gettime = (__typeof__(real_gettime))dlsym(RTLD_NEXT, "clock_gettime");
    real_epoll = (__typeof__(real_epoll))dlsym(RTLD_NEXT, "epoll_pwait");
    const char *path = getenv("UTPOST_TEST_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *map = mmap(NULL, sizeof(struct clock_file), PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    the_file = map == MAP_FAILED ? NULL : map;
}

static int64_t shifted(clockid_t clock, int64_t t)
{
    bool is_wall = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
    if (is_wall && the_file->frozen)
        return the_file->frozen;
    if (clock == CLOCK_BOOTTIME && the_file->frozen_boot)
        return the_file->frozen_boot;
    return t + the_file->ahead + (is_wall ? the_file->wall : 0);
}

static bool is_moved(clockid_t clock)
{
    return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE ||
           clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_COARSE ||
           clock == CLOCK_BOOTTIME;
}

int clock_gettime(clockid_t clock, struct timespec *out)
{
    if (!real_gettime)
        clock_open();
    if (real_gettime(clock, out) < 0)
        return -1;
    if (!the_file || !is_moved(clock))
        return 0;
    int64_t t = shifted(clock, out->tv_sec * SECOND + out->tv_nsec);
    out->tv_sec = t / SECOND;
    out->tv_nsec = t % SECOND;
    return 0;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
    (void)zone;
    struct timespec t;
    if (clock_gettime(CLOCK_REALTIME, &t) < 0)
        return -1;
    *out = (struct timeval){t.tv_sec, t.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *out)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    if (out)
        *out = t.tv_sec;
    return t.tv_sec;
}

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * SECOND + t.tv_nsec;
}

int epoll_pwait(int fd, struct epoll_event *events, int max, int timeout, const sigset_t *mask)
{
    if (!the_file || (timeout >= 0 && timeout <= LOOK_AGAIN_MS))
        return real_epoll(fd, events, max, timeout, mask);
    int64_t until = now() + timeout * INT64_C(1000000);
    for (;;) {
        int n = real_epoll(fd, events, max, LOOK_AGAIN_MS, mask);
        if (n != 0 || (timeout >= 0 && now() >= until))
            return n;
    }
}

int epoll_wait(int fd, struct epoll_event *events, int max, int timeout)
{
    return epoll_pwait(fd, events, max, timeout, NULL);
}

/* The daemon's conditions go by the monotonic clock; the kernel knows nothing of our offset. */
int pthread_cond_timedwait(pthread_cond_t *restrict c, pthread_mutex_t *restrict m,
                           const struct timespec *restrict until)
{
    int64_t t = until->tv_sec * SECOND + until->tv_nsec - (the_file ? the_file->ahead : 0);
    struct timespec there = {t / SECOND, t % SECOND};
    return pthread_cond_clockwait(c, m, CLOCK_MONOTONIC, &there);
}
