// SPDX-License-Identifier: GPL-2.0-only
/*
 * Running a VP. The hypervisor schedules it; this thread only lets it go and
 * waits until the VP has an intercept or the thread has a signal.
 *
 * While nobody else wants this CPU, the thread waits inside the hypercall: then
 * the VP runs at once, and its next intercept returns here without an interrupt and
 * without the kernel's way into idleness and back. The first interrupt ends that,
 * at the latest the next tick; from then on the thread sleeps.
 *
 * The hypervisor sets INTERCEPT_SUSPEND before it writes a message, whose type comes
 * last, and only this function clears it. So after a signal, with EXPLICIT_SUSPEND
 * set, the value of INTERCEPT_SUSPEND tells for certain whether a message is there or
 * coming.
 */
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/stat.h>
#include <linux/uaccess.h>

#include "hv/abi/bulkhead.h"
#include "hv/abi/intercept.h"
#include "hv/abi/vp.h"
#include "parent/driver/hypercall.h"
#include "parent/driver/vp.h"

static struct hv_message *message_of(const struct bh_vp *vp)
{
    return page_address(vp->message_page);
}

static bool has_message(const struct bh_vp *vp)
{
    return smp_load_acquire(&message_of(vp)->type) != HV_MESSAGE_NONE;
}

static int resume(struct bh_vp *vp)
{
    u64 flags = single_task_running() ? BH_RUN_WAIT : 0;

    WRITE_ONCE(message_of(vp)->type, HV_MESSAGE_NONE);
    return bh_status_to_errno(
        bh_hypercall_fast(BH_CALL_RUN_VP, vp->partition->id, vp->index | flags << 32));
}

void bh_vp_kick(struct bh_vp *vp)
{
    wake_up(&vp->wait);
}

/* After a signal: 0 when a message came after all, -EINTR when the VP just stopped. */
static int stop(struct bh_vp *vp)
{
    u64 intercepted;
    int err = bh_vp_set_register(vp, HV_REGISTER_EXPLICIT_SUSPEND, 1);

    if (!err)
        err = bh_vp_get_register(vp, HV_REGISTER_INTERCEPT_SUSPEND, &intercepted);
    if (err)
        return err;
    if (!intercepted)
        return -EINTR;
    return wait_event_killable(vp->wait, has_message(vp)) ? -EINTR : 0;
}

int bh_vp_run(struct bh_vp *vp, struct mshv_run_vp __user *to)
{
    int err = resume(vp);

    if (!err && wait_event_interruptible(vp->wait, has_message(vp)))
        err = stop(vp);
    if (err)
        return err;
    return copy_to_user(to, message_of(vp), sizeof(*to)) ? -EFAULT : 0;
}
