/* SPDX-License-Identifier: MIT */
#include <grp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "parent/tools/unpack/unpack.h"

#define NOBODY     65534
#define MEMORY_MAX ((rlim_t)2 << 30) /* address space: the image, the output, dictionaries */

static bool set_limit(__rlimit_resource_t resource, rlim_t value)
{
    const struct rlimit limit = {value, value};

    return setrlimit(resource, &limit) == 0;
}

static bool filter_calls(void)
{
    static const int calls[] = {SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap),
                                SCMP_SYS(madvise), SCMP_SYS(exit_group)};
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    int err = filter != NULL ? 0 : -1;

    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]) && err == 0; i++)
        err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
    if (err == 0)
        err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
                               SCMP_A2_32(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    if (err == 0)
        err = seccomp_load(filter);
    seccomp_release(filter);
    return err == 0;
}

/* Files stay open, but no system call is left that could use them. */
static bool confine(unsigned seconds)
{
    if (!set_limit(RLIMIT_CPU, seconds) || !set_limit(RLIMIT_AS, MEMORY_MAX) ||
        !set_limit(RLIMIT_CORE, 0))
        return false;
    if (geteuid() == 0 && (setgroups(0, NULL) != 0 || setresgid(NOBODY, NOBODY, NOBODY) != 0 ||
                           setresuid(NOBODY, NOBODY, NOBODY) != 0))
        return false;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && filter_calls();
}

bool bh_unpack_confined(const struct bh_payload *payload, uint8_t *output, unsigned seconds)
{
    pid_t child = fork();
    int status;

    if (child == 0)
        _exit(confine(seconds) && bh_payload_unpack(payload, output) ? 0 : 1);
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
           WEXITSTATUS(status) == 0;
}
