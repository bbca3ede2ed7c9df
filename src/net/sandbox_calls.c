/* The system calls that a role gives up. */
#include "net/sandbox.h"

#include <errno.h>
#include <linux/netlink.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#define ROLE(k) (1U << (k))
#define EVERY (ROLE(ROLE_SMTPD) | ROLE(ROLE_DELIVERY) | ROLE(ROLE_CONTROL))

static const struct {
    int call;
    unsigned roles;
} denied[] = {
    /* programs and processes */
    {SCMP_SYS(execve), EVERY},
    {SCMP_SYS(execveat), EVERY},
    {SCMP_SYS(fork), EVERY},
    {SCMP_SYS(vfork), EVERY},
    {SCMP_SYS(ptrace), EVERY},
    {SCMP_SYS(process_vm_readv), EVERY},
    {SCMP_SYS(process_vm_writev), EVERY},
    {SCMP_SYS(process_madvise), EVERY},
    {SCMP_SYS(kcmp), EVERY},
    {SCMP_SYS(kill), EVERY},
    {SCMP_SYS(tkill), EVERY},
    {SCMP_SYS(rt_sigqueueinfo), EVERY},
    {SCMP_SYS(rt_tgsigqueueinfo), EVERY},
    {SCMP_SYS(pidfd_open), EVERY},
    {SCMP_SYS(pidfd_getfd), EVERY},
    {SCMP_SYS(pidfd_send_signal), EVERY},
    {SCMP_SYS(setns), EVERY},
    {SCMP_SYS(unshare), EVERY},
    /* users */
    {SCMP_SYS(setuid), EVERY},
    {SCMP_SYS(setgid), EVERY},
    {SCMP_SYS(setreuid), EVERY},
    {SCMP_SYS(setregid), EVERY},
    {SCMP_SYS(setresuid), EVERY},
    {SCMP_SYS(setresgid), EVERY},
    {SCMP_SYS(setfsuid), EVERY},
    {SCMP_SYS(setfsgid), EVERY},
    {SCMP_SYS(setgroups), EVERY},
    {SCMP_SYS(capset), EVERY},
    /* file systems */
    {SCMP_SYS(mount), EVERY},
    {SCMP_SYS(umount), EVERY},
    {SCMP_SYS(umount2), EVERY},
    {SCMP_SYS(move_mount), EVERY},
    {SCMP_SYS(open_tree), EVERY},
    {SCMP_SYS(fsopen), EVERY},
    {SCMP_SYS(fsconfig), EVERY},
    {SCMP_SYS(fsmount), EVERY},
    {SCMP_SYS(fspick), EVERY},
    {SCMP_SYS(mount_setattr), EVERY},
    {SCMP_SYS(pivot_root), EVERY},
    {SCMP_SYS(chroot), EVERY},
    {SCMP_SYS(mknod), EVERY},
    {SCMP_SYS(mknodat), EVERY},
    {SCMP_SYS(open_by_handle_at), EVERY},
    {SCMP_SYS(quotactl), EVERY},
    {SCMP_SYS(swapon), EVERY},
    {SCMP_SYS(swapoff), EVERY},
    /* the kernel */
    {SCMP_SYS(init_module), EVERY},
    {SCMP_SYS(finit_module), EVERY},
    {SCMP_SYS(delete_module), EVERY},
    {SCMP_SYS(kexec_load), EVERY},
    {SCMP_SYS(kexec_file_load), EVERY},
    {SCMP_SYS(reboot), EVERY},
    {SCMP_SYS(bpf), EVERY},
    {SCMP_SYS(perf_event_open), EVERY},
    {SCMP_SYS(userfaultfd), EVERY},
    {SCMP_SYS(io_uring_setup), EVERY},
    {SCMP_SYS(io_uring_enter), EVERY},
    {SCMP_SYS(io_uring_register), EVERY},
    {SCMP_SYS(keyctl), EVERY},
    {SCMP_SYS(add_key), EVERY},
    {SCMP_SYS(request_key), EVERY},
    {SCMP_SYS(personality), EVERY},
    {SCMP_SYS(acct), EVERY},
    {SCMP_SYS(syslog), EVERY},
    {SCMP_SYS(iopl), EVERY},
    {SCMP_SYS(ioperm), EVERY},
    {SCMP_SYS(settimeofday), EVERY},
    {SCMP_SYS(clock_settime), EVERY},
    {SCMP_SYS(clock_adjtime), EVERY},
    {SCMP_SYS(adjtimex), EVERY},
    {SCMP_SYS(sethostname), EVERY},
    {SCMP_SYS(setdomainname), EVERY},
    /* the network: what listens was opened by the parent */
    /* libunbound binds its datagram sockets to ports of its choice, against forged answers */
    {SCMP_SYS(bind), ROLE(ROLE_SMTPD) | ROLE(ROLE_CONTROL)},
    {SCMP_SYS(listen), EVERY},
    {SCMP_SYS(connect), ROLE(ROLE_SMTPD)},
    {SCMP_SYS(socket), ROLE(ROLE_SMTPD)},
};

/* Address families that a role may open sockets of; the others are denied one by one, since a
 * rule cannot say "none of these". */
static bool may_open(enum role_kind kind, int family)
{
    if (kind == ROLE_CONTROL)
        return family == AF_UNIX;
    /* AF_NETLINK: getaddrinfo asks which kinds of addresses the machine has. */
    return kind == ROLE_DELIVERY &&
           (family == AF_INET || family == AF_INET6 || family == AF_NETLINK);
}

/* Of the families that delivery may open: no packets of its own make, and of netlink only the
 * routes. Another rule for the same call never weakens one that denies. */
static int deny_kinds(scmp_filter_ctx filter)
{
    static const int internet[] = {AF_INET, AF_INET6};
    const scmp_datum_t kind = 0xf; /* SOCK_NONBLOCK and SOCK_CLOEXEC are above */
    int err = 0;
    for (size_t i = 0; i < COUNT_OF(internet) && err == 0; i++)
        err = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(socket), 2,
                               SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)internet[i]),
                               SCMP_A1(SCMP_CMP_MASKED_EQ, kind, SOCK_RAW));
    if (err == 0)
        err = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(socket), 2,
                               SCMP_A0(SCMP_CMP_EQ, AF_NETLINK),
                               SCMP_A2(SCMP_CMP_NE, NETLINK_ROUTE));
    return err;
}

static int deny_families(scmp_filter_ctx filter, enum role_kind kind)
{
    if (kind == ROLE_SMTPD)
        return 0; /* all of them are denied */
    int err = 0;
    for (int family = 0; family < AF_MAX && err == 0; family++)
        if (!may_open(kind, family))
            err = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(socket), 1,
                                   SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)family));
    if (err == 0)
        err = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(socket), 1,
                               SCMP_A0(SCMP_CMP_GE, (scmp_datum_t)AF_MAX));
    return err;
}

/* Threads yes, processes no. clone3 has its flags in memory, where no filter sees them: the C
 * library falls back to clone. */
static int deny_processes(scmp_filter_ctx filter)
{
    int err = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    if (err == 0)
        err = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(clone), 1,
                               SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
    return err;
}

int sandbox_calls(enum role_kind kind)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (!filter)
        return -ENOMEM;
    int err = 0;
    for (size_t i = 0; i < COUNT_OF(denied) && err == 0; i++) {
        if (denied[i].roles & ROLE(kind))
            err = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), denied[i].call, 0);
        if (err == -EDOM)
            err = 0; /* this architecture has no such call */
    }
    if (err == 0)
        err = deny_families(filter, kind);
    if (err == 0 && kind == ROLE_DELIVERY)
        err = deny_kinds(filter);
    if (err == 0)
        err = deny_processes(filter);
    /* A tree of comparisons instead of a list: a denied call is looked for in every call. */
    if (err == 0)
        err = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (err == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        err = -errno;
    if (err == 0)
        err = seccomp_load(filter);
    seccomp_release(filter);
    if (err == -EINVAL || err == -ENOSYS || err == -EOPNOTSUPP)
        return 0; /* a kernel without seccomp filters */
    return err < 0 ? err : 1;
}
