/* sandbox: what a role gives up after it has received everything: files that are not its own
 * (Landlock) and system calls that it never needs (seccomp).
 *
 * Landlock: the state directory by role (sandbox_paths), the few files of the system that the
 * libraries read, nothing else; renames only between directories that the role may write. From
 * ABI 4 of the kernel on also: no role binds a TCP port, and smtpd and control connect to none.
 * seccomp, in all roles: no exec, fork, ptrace, mounts, namespaces, kernel modules, changes of
 * user, signals to other processes; no listen, and no bind but for delivery, which asks DNS.
 * smtpd: no connect at all, and no new sockets; control: sockets of the Unix family only;
 * delivery: TCP and UDP sockets of the Internet families and the kernel's routes, no raw and no
 * Unix ones.
 * A denied call fails with EACCES; the process goes on. */
#ifndef NET_SANDBOX_H
#define NET_SANDBOX_H

#include "model/conf.h"
#include "net/role.h"

enum { SANDBOX_LANDLOCK = 1, SANDBOX_SECCOMP = 2 };

/* For the calling thread and all that it starts: before the role starts any. `state` is the
 * open state directory. What the kernel does not offer is left out, and *applied tells what was
 * done. 0, or -errno when something that is there failed: then the role must not go on. */
int sandbox_apply(enum role_kind kind, const struct conf *conf, int state,
                  unsigned *applied) MUST_USE NONNULL(2, 4);

/* The two halves, for tests. 0, 1 (done) or -errno. */
int sandbox_files(enum role_kind kind, const struct conf *conf, int state) MUST_USE NONNULL(2);
int sandbox_calls(enum role_kind kind) MUST_USE;

#endif
