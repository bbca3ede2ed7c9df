#include "delivery/delivery.h"

static void on_drain(void *ctx)
{
    struct role *role = ctx;
    loop_stop(role->loop);
}

int delivery_run(struct role *role)
{
    role->ctx = role;
    role->on_drain = on_drain;
    role_ready(role);
    loop_run(role->loop);
    return 0;
}
