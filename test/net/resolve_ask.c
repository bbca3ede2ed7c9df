/* resolve_ask: says where mail for domains goes, for tests with a real name server.
 *
 * Usage: resolve_ask FORWARD ANCHORS|- SECONDS DOMAIN…   One line per domain, in their order:
 * "DOMAIN STATUS secure|insecure TEXT", then one per target: "  HOST ADDRESS secure|insecure".
 */
#include "net/resolve.h"

#include <stdio.h>
#include <stdlib.h>

struct asked {
    struct loop *loop;
    size_t left;
};

static void on_made(void *ctx)
{
    struct asked *a = ctx;
    if (--a->left == 0)
        loop_stop(a->loop);
}

static const char *word(bool is_secure)
{
    return is_secure ? "secure" : "insecure";
}

static void show(const char *domain, const struct route *r)
{
    const struct enhanced *e = &r->outcome.status;
    printf("%s %u.%u.%u %s %.*s\n", domain, e->class, e->subject, e->detail, word(r->is_secure),
           SLICE_ARG(r->text));
    for (size_t i = 0; i < r->target_count; i++) {
        char text[ADDRESS_TEXT_MAX];
        address_format(&r->targets[i].address, text);
        printf("  %.*s %s %s\n", SLICE_ARG(r->targets[i].host), text,
               word(r->targets[i].is_secure));
    }
}

int main(int argc, char **argv)
{
    static const struct route_policy policy = {.hostname = SLICE_INIT("out.example.com"),
                                               .allow_special = true};
    if (argc < 5) {
        fputs("usage: resolve_ask FORWARD ANCHORS|- SECONDS DOMAIN...\n", stderr);
        return 2;
    }
    size_t count = (size_t)argc - 4;
    struct buf errors = BUF_INIT;
    struct asked asked = {.loop = loop_new(), .left = count};
    struct conf_resolver conf = {
        .forward = slice_of(argv[1]),
        .trust_anchor = argv[2][0] == '-' ? SLICE("") : slice_of(argv[2]),
        .timeout = atoi(argv[3]) * SPAN_SECOND,
    };
    struct resolver *r = resolver_new(asked.loop, &conf, &errors);
    if (!r) {
        fprintf(stderr, "%.*s", SLICE_ARG(buf_slice(&errors)));
        return 1;
    }
    struct resolve **all = xcalloc(count, sizeof(struct resolve *));
    for (size_t i = 0; i < count; i++)
        all[i] = resolve_new(r, &policy, slice_of(argv[4 + i]), 1, on_made, &asked);
    loop_run(asked.loop);
    for (size_t i = 0; i < count; i++) {
        show(argv[4 + i], resolve_route(all[i]));
        resolve_free(&all[i]);
    }
    free(all);
    resolver_free(&r);
    loop_free(&asked.loop);
    return 0;
}
