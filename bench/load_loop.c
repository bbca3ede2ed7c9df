/* The event loop of the load generator. */
#include "load.h"

#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

/* At most this many are connected at once while the sessions are opened, so that the server's
 * backlog is not what is measured. */
enum { EVENTS = 256, OPEN_AHEAD = 100, ERRORS_MAX = 1000 };

uint64_t load_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void wait_for_events(struct load *l, int timeout)
{
    struct epoll_event events[EVENTS];
    int n = epoll_wait(l->epoll, events, EVENTS, timeout);
    for (int i = 0; i < n; i++)
        client_event(events[i].data.ptr, events[i].events);
}

static bool is_over(const struct load *l)
{
    return l->errors > ERRORS_MAX ||
           load_now() - l->start > (uint64_t)l->options.limit * 1000000000;
}

static void report_idle(const struct load *l)
{
    printf("{\"idle\": %u, \"errors\": %lu, \"seconds\": %.3f}\n", l->ready, l->errors,
           (double)(load_now() - l->start) / 1e9);
    fflush(stdout);
}

/* Until the standard input ends. */
static void stay_idle(struct load *l)
{
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    char waste[64];
    while (!is_over(l) && l->living > 0) {
        wait_for_events(l, 100);
        if (poll(&in, 1, 0) > 0 && read(STDIN_FILENO, waste, sizeof(waste)) <= 0)
            return;
    }
}

static void run_idle(struct load *l)
{
    unsigned opened = 0;
    while (l->ready < l->options.sessions && !is_over(l)) {
        while (opened < l->options.sessions && l->living - l->ready < OPEN_AHEAD)
            client_open(l, opened++);
        if (l->living == 0)
            break;
        wait_for_events(l, 100);
    }
    report_idle(l);
    stay_idle(l);
}

void load_run(struct load *l)
{
    unsigned opened = 0;
    l->start = load_now();
    if (l->options.idle) {
        run_idle(l);
        return;
    }
    while (!is_over(l)) {
        while (l->living < l->options.sessions && l->begun < l->options.messages && !is_over(l))
            client_open(l, opened++);
        if (l->living == 0)
            break;
        wait_for_events(l, 100);
    }
}
