/* process: starts this program again as another process, with few rights. */
#ifndef NET_PROCESS_H
#define NET_PROCESS_H

#include "base/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { PROCESS_GROUPS_MAX = 64 };

struct process_user {
    bool is_set; /* false: stay who we are */
    uid_t uid;
    gid_t gid;
    gid_t groups[PROCESS_GROUPS_MAX]; /* supplementary */
    size_t group_count;
};

/* Runs /proc/self/exe with argv as another user, with `channel` as descriptor 3, /dev/null as
 * standard input, no other descriptor but standard output and error, all signals as at first,
 * and no way to gain privileges. It is killed when the calling thread ends. The process id or
 * -errno. */
pid_t process_spawn(const char *const argv[], const struct process_user *user,
                    int channel) MUST_USE NONNULL(1, 2);

#endif
