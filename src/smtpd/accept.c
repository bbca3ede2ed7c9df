#include "smtpd/accept.h"

#include "base/log.h"
#include "net/listen.h"
#include "smtpd/local.h"
#include "smtpd/session.h"
#include "smtpd/worker.h"

#include <stdlib.h>
#include <unistd.h>

struct ear {
    struct worker *worker;
    size_t door; /* its index: the same in all settings */
    struct listener *listener;
};

struct accept {
    size_t count;
    struct ear ears[];
};

static void on_connection(void *ctx, int fd, const struct listen_peer *peer)
{
    struct ear *ear = ctx;
    struct worker *w = ear->worker;
    enum limits_entry entry = limits_enter(w->service->limits, &peer->address);
    if (entry == LIMITS_FLOOD) {
        close(fd);
        atomic_fetch_add(&w->service->stats->refused, 1);
        return;
    }
    struct session_origin origin = {
        .settings = w->settings,
        .door = &w->settings->doors[ear->door],
        .peer = peer,
        .entry = entry,
    };
    session_begin(w, fd, &origin);
}

struct accept *accept_new(struct worker *w)
{
    const struct settings *s = w->settings;
    struct accept *a = xcalloc(1, sizeof(*a) + s->door_count * sizeof(a->ears[0]));
    for (size_t i = 0; i < s->door_count; i++) {
        if (s->doors[i].fd < 0)
            continue;
        struct ear *ear = &a->ears[a->count++];
        ear->worker = w;
        ear->door = i;
        ear->listener = listener_new(w->loop, s->doors[i].fd, on_connection, ear);
    }
    return a;
}

void accept_free(struct accept **a)
{
    struct accept *was = *a;
    *a = NULL;
    if (!was)
        return;
    for (size_t i = 0; i < was->count; i++)
        listener_free(&was->ears[i].listener);
    free(was);
}
