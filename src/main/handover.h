/* handover: what the parent gives to its roles: descriptors by name, each for some roles. */
#ifndef MAIN_HANDOVER_H
#define MAIN_HANDOVER_H

#include "net/channel.h"
#include "net/role.h"

enum { HANDOVER_MAX = 96 };

#define FOR(role) (1U << (role))
#define FOR_ALL ((1U << ROLE_COUNT) - 1)

struct handover {
    struct handover_item {
        char name[CHANNEL_NAME_MAX];
        unsigned roles;
        int fd;
    } items[HANDOVER_MAX];
    size_t count;
};

/* Takes the descriptor over. */
void handover_add(struct handover *h, unsigned roles, const char *name, int fd) NONNULL(1, 3);
/* Sends what is for the role. 0 or -errno. */
int handover_send(const struct handover *h, enum role_kind role, int channel) MUST_USE
    NONNULL(1);
/* Closes all. */
void handover_fini(struct handover *h) NONNULL(1);

#endif
