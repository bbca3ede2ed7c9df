#include "main/handover.h"

#include <stdio.h>
#include <unistd.h>

void handover_add(struct handover *h, unsigned roles, const char *name, int fd)
{
    INVARIANT(h->count < HANDOVER_MAX && fd >= 0);
    struct handover_item *item = &h->items[h->count++];
    snprintf(item->name, sizeof(item->name), "%s", name);
    item->roles = roles;
    item->fd = fd;
}

int handover_send(const struct handover *h, enum role_kind role, int channel)
{
    for (size_t i = 0; i < h->count; i++) {
        if (!(h->items[i].roles & FOR(role)))
            continue;
        int err = channel_send(channel, h->items[i].name, h->items[i].fd);
        if (err)
            return err;
    }
    return 0;
}

void handover_fini(struct handover *h)
{
    for (size_t i = 0; i < h->count; i++)
        close(h->items[i].fd);
    h->count = 0;
}
