/* The clock of the limits goes with CLOCK_BOOTTIME, at a distance that is kept on disk together
 * with the boot that it is true of: a restart after the clock on the wall was set forward must
 * not forget what an hour has seen. Only after a boot is the clock on the wall asked, since
 * nothing else knows how long the machine was off. */
#include "smtpd/limiting_internal.h"

#include "base/log.h"
#include "journal/snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { CLOCK_VERSION = 1 };

struct distance {
    uint64_t boot;
    span ahead; /* of CLOCK_BOOTTIME */
};

stamp limiting_now(const struct limiting *l)
{
    return l->base + env_elapsed(l->config.env) - l->started;
}

span limiting_wall(const struct limiting *l, stamp now)
{
    return env_now(l->config.env) - now;
}

void limiting_heed_wall(struct limiting *l, span ahead)
{
    span known = atomic_load(&l->ahead);
    if (ahead - known <= LIMITING_STEP && known - ahead <= LIMITING_STEP)
        return;
    limiter_move_periods(l->limiter, known - ahead);
    atomic_store(&l->ahead, ahead);
    atomic_fetch_add(&l->version, 1); /* periods are looked at again */
}

/* A period ends when the calendar says so; a window by how long ago something was. */
void limiting_to_wall(const struct limiting *l, struct limit_verdict *v, stamp now)
{
    span ahead = v->rule.window == RULE_PERIOD ? atomic_load(&l->ahead) : limiting_wall(l, now);
    if (v->free_at != STAMP_NEVER)
        v->free_at += ahead;
    if (v->paced_until != 0)
        v->paced_until += ahead;
}

static void path_of(const struct limiting *l, char out[static 200])
{
    int n = snprintf(out, 200, "%s-clock", l->config.snapshot);
    INVARIANT(n > 0 && n < 200);
}

static struct distance load(const struct limiting *l, const char *path)
{
    struct distance d = {0};
    struct arena arena = ARENA_INIT;
    struct snapshot s;
    int err = snapshot_read(l->config.env, path, &arena, &s);
    if (err == 0 && (s.version != CLOCK_VERSION || s.contents.len != sizeof(d)))
        err = -EBADMSG;
    if (err == 0)
        memcpy(&d, s.contents.ptr, sizeof(d));
    else if (err != -ENOENT)
        log_warning("clock-unusable", LOG_C("path", path), LOG_E("error", err),
                    LOG_C("effect", "limits begin at the clock on the wall"));
    arena_fini(&arena);
    return d;
}

static void save(const struct limiting *l, const char *path, const struct distance *d)
{
    struct snapshot s = {
        .version = CLOCK_VERSION,
        .at = l->base,
        .contents = slice_make(d, sizeof(*d)),
    };
    int err = snapshot_write(l->config.env, path, &s);
    if (err < 0)
        log_error("snapshot-failed", LOG_C("path", path), LOG_E("error", err));
}

void limiting_clock_begin(struct limiting *l)
{
    char path[200];
    path_of(l, path);
    span elapsed = env_elapsed(l->config.env);
    uint64_t boot = env_boot(l->config.env);
    struct distance known = load(l, path);
    bool is_same_boot = boot != 0 && known.boot == boot;
    stamp begin = is_same_boot ? elapsed + known.ahead : env_now(l->config.env);
    if (begin > l->base)
        l->base = begin;
    l->started = elapsed;
    limiting_heed_wall(l, limiting_wall(l, limiting_now(l)));
    struct distance now = {.boot = boot, .ahead = l->base - elapsed};
    if (!is_same_boot || now.ahead != known.ahead)
        save(l, path, &now);
}
