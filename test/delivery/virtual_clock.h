/* virtual_clock: lets the thread that includes it skip time: all its clocks move together, so
 * that hours of deadlines and retries pass in a test at once. Other threads keep the real time.
 *
 * It takes the place of the C library's clock_gettime in the whole program, libuv's calls
 * included; a test program includes it once. */
#ifndef TEST_DELIVERY_VIRTUAL_CLOCK_H
#define TEST_DELIVERY_VIRTUAL_CLOCK_H

#include "base/stamp.h"

#include <stdbool.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static _Thread_local span clock_skipped;

int clock_gettime(clockid_t which, struct timespec *out)
{
    long failed = syscall(SYS_clock_gettime, which, out);
    bool is_time = which != CLOCK_PROCESS_CPUTIME_ID && which != CLOCK_THREAD_CPUTIME_ID;
    if (failed || !is_time)
        return (int)failed;
    out->tv_sec += clock_skipped / SPAN_SECOND;
    out->tv_nsec += clock_skipped % SPAN_SECOND * 1000;
    if (out->tv_nsec >= 1000000000) {
        out->tv_nsec -= 1000000000;
        out->tv_sec++;
    }
    return 0;
}

static inline void clock_skip(span by)
{
    clock_skipped += by;
}

#endif
