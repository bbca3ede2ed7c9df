#include "main/users.h"

#include <pwd.h>
#include <unistd.h>

static bool find_one(slice name, enum role_kind kind, struct process_user *out, struct buf *why)
{
    struct arena a = ARENA_INIT;
    const struct passwd *found = getpwnam(arena_cstr(&a, name));
    arena_fini(&a);
    if (!found) {
        buf_printf(why,
                   "%s-user: there is no user `%.*s`; make it with `useradd --system %.*s`",
                   role_name(kind), SLICE_ARG(name), SLICE_ARG(name));
        return false;
    }
    if (found->pw_uid == geteuid())
        return true; /* that is who we are */
    if (geteuid() != 0) {
        buf_printf(why,
                   "%s-user: only root can start a role as `%.*s`; start utpostd as root, or "
                   "leave the role users out",
                   role_name(kind), SLICE_ARG(name));
        return false;
    }
    *out = (struct process_user){.is_set = true, .uid = found->pw_uid, .gid = found->pw_gid};
    return true;
}

bool users_find(const struct conf *conf, struct process_user users[ROLE_COUNT], struct buf *why)
{
    const slice names[ROLE_COUNT] = {
        [ROLE_SMTPD] = conf->server.smtpd_user,
        [ROLE_DELIVERY] = conf->server.delivery_user,
        [ROLE_CONTROL] = conf->server.control_user,
    };
    for (enum role_kind k = 0; k < ROLE_COUNT; k++) {
        users[k] = (struct process_user){.gid = getegid(), .uid = geteuid()};
        if (names[k].len && !find_one(names[k], k, &users[k], why))
            return false;
    }
    for (enum role_kind k = 0; k < ROLE_COUNT; k++)
        for (enum role_kind other = 0; other < ROLE_COUNT; other++)
            if (users[k].is_set && users[other].is_set)
                users[k].groups[users[k].group_count++] = users[other].gid;
    return true;
}
