/* SPDX-License-Identifier: MIT */
#include "parent/worker/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "parent/partition/requests.h"

/* Where the empty root is put together; any folder that is there on each Linux. */
#define ROOT_PLACE "/proc"

static bool fail(struct bh_error *error, const char *what)
{
    return bh_error_set(error, errno, "The worker cannot be locked in: %s: %s.", what,
                        strerror(errno));
}

/* --- namespaces --------------------------------------------------------------------------- */

/* An empty file system becomes the root; the old one is no longer reachable. */
static bool leave_files(struct bh_error *error)
{
    const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;

    if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) != 0)
        return fail(error, "namespaces");
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", ROOT_PLACE, "tmpfs", flags, "size=4k,mode=0555") != 0 ||
        mount(NULL, ROOT_PLACE, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | flags, NULL) != 0)
        return fail(error, "an empty root");
    /* In an initial RAM disk the root can not be pivoted; moving over it serves as well there. */
    if (chdir(ROOT_PLACE) != 0)
        return fail(error, "an empty root");
    if (syscall(SYS_pivot_root, ".", ".") == 0) {
        if (umount2(".", MNT_DETACH) != 0)
            return fail(error, "leaving the old root");
    } else if (mount(".", "/", NULL, MS_MOVE, NULL) != 0 || chroot(".") != 0) {
        return fail(error, "entering the empty root");
    }
    return chdir("/") == 0 || fail(error, "entering the empty root");
}

static bool change_user(const struct bh_sandbox_options *options, struct bh_error *error)
{
    gid_t group = (gid_t)options->group;
    uid_t user = (uid_t)options->user;

    if (options->user == 0)
        return true;
    if (setgroups(0, NULL) != 0 || setresgid(group, group, group) != 0 ||
        setresuid(user, user, user) != 0)
        return fail(error, "changing the user");
    return true;
}

/* A user other than root has lost them by now; root would keep them. */
static bool drop_capabilities(struct bh_error *error)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct none[2] = {{0}, {0}};

    return syscall(SYS_capset, &header, none) == 0 || fail(error, "capabilities");
}

/* --- system calls ------------------------------------------------------------------------- */

static const int plain_calls[] = {
    SCMP_SYS(read),           SCMP_SYS(write),         SCMP_SYS(close),
    SCMP_SYS(recvmsg),        SCMP_SYS(recvfrom),      SCMP_SYS(sendmsg),
    SCMP_SYS(sendto),         SCMP_SYS(accept4),       SCMP_SYS(socketpair),
    SCMP_SYS(poll),           SCMP_SYS(ppoll),         SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),    SCMP_SYS(epoll_ctl),     SCMP_SYS(timerfd_settime),
    SCMP_SYS(munmap),         SCMP_SYS(madvise),       SCMP_SYS(brk),
    SCMP_SYS(mremap),         SCMP_SYS(sched_yield),   SCMP_SYS(futex),
    SCMP_SYS(clone),          SCMP_SYS(clone3),        SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),           SCMP_SYS(rt_sigaction), /* the first pthread_create */
    SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn),  SCMP_SYS(tgkill),
    SCMP_SYS(getpid),         SCMP_SYS(gettid),        SCMP_SYS(getrusage),
    SCMP_SYS(getrandom),      SCMP_SYS(clock_gettime), SCMP_SYS(restart_syscall),
    SCMP_SYS(unlink),         SCMP_SYS(exit),          SCMP_SYS(exit_group),
};

/*
 * For devices: an eventfd for each channel that the guest opens, frames of taps, timers, the
 * io_uring that was restricted before (vsp/storage/uring.c), and what a disk that is added later is
 * asked for.
 */
static const int device_calls[] = {
    SCMP_SYS(eventfd2),   SCMP_SYS(io_uring_enter), SCMP_SYS(fstat),
    SCMP_SYS(newfstatat), SCMP_SYS(pread64),        SCMP_SYS(readv),
    SCMP_SYS(writev),     SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime),
};

/* Commands of fcntl; the last two are libnbd's for a socket that it is given. */
static const unsigned file_flags[] = {F_GETFL, F_SETFL, F_GETFD, F_SETFD};

static int add_rules(scmp_filter_ctx filter)
{
    int err = 0;

    for (size_t i = 0; i < sizeof(plain_calls) / sizeof(plain_calls[0]) && err == 0; i++)
        err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, plain_calls[i], 0);
    for (size_t i = 0; i < sizeof(device_calls) / sizeof(device_calls[0]) && err == 0; i++)
        err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, device_calls[i], 0);
    for (size_t i = 0; i < bh_request_count && err == 0; i++)
        err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
                               SCMP_A1_32(SCMP_CMP_EQ, bh_requests[i], 0));
    for (size_t i = 0; i < 2 && err == 0; i++)
        err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
                               SCMP_A1_32(SCMP_CMP_EQ, i == 0 ? BLKGETSIZE64 : TUNSETOFFLOAD, 0));
    for (size_t i = 0; i < sizeof(file_flags) / sizeof(file_flags[0]) && err == 0; i++)
        err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
                               SCMP_A1_32(SCMP_CMP_EQ, file_flags[i], 0));
    /* Memory is never made executable. */
    if (err == 0)
        err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
                               SCMP_A2_32(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    if (err == 0)
        err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                               SCMP_A2_32(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    return err;
}

static bool filter_calls(struct bh_error *error)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    int err = filter != NULL ? add_rules(filter) : -ENOMEM;

    if (err == 0) /* each intercept is an ioctl: it is looked at first */
        err = seccomp_syscall_priority(filter, SCMP_SYS(ioctl), UINT8_MAX);
    if (err == 0)
        err = seccomp_load(filter);
    seccomp_release(filter);
    errno = -err;
    return err == 0 || fail(error, "system calls");
}

bool bh_sandbox_enter(const struct bh_sandbox_options *options, struct bh_error *error)
{
    if (prctl(PR_SET_DUMPABLE, 0) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return fail(error, "privileges");
    if (!leave_files(error) || !change_user(options, error) || !drop_capabilities(error))
        return false;
    /* A change of the user would have undone it. */
    if (options->end_with_parent && prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        return fail(error, "the tie to its keeper");
    return filter_calls(error);
}
