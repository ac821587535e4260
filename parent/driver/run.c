// SPDX-License-Identifier: GPL-2.0-only
/*
 * Running a VP. The hypervisor schedules it; this thread only lets it go and
 * sleeps until the VP has an intercept or the thread has a signal.
 *
 * The hypervisor sets INTERCEPT_SUSPEND before it posts a message, and only this
 * function clears it. So after a signal, with EXPLICIT_SUSPEND set, the value of
 * INTERCEPT_SUSPEND tells for certain whether a message is there or coming.
 */
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "hv/abi/vp.h"
#include "parent/driver/hypercall.h"
#include "parent/driver/vp.h"

struct resume_input {
    struct hv_input_vp_registers head;
    struct hv_register_assoc element[2];
};

static int resume(struct bh_vp *vp)
{
    struct resume_input input = {
        .head = {.partition_id = vp->partition->id, .vp_index = vp->index},
        .element = {{.name = HV_REGISTER_INTERCEPT_SUSPEND},
                    {.name = HV_REGISTER_EXPLICIT_SUSPEND}},
    };
    struct bh_rep_call call = {
        .code = HVCALL_SET_VP_REGISTERS, .count = 2, .in = &input, .in_size = sizeof(input)};
    u16 done;

    return bh_status_to_errno(bh_hypercall_rep(&call, &done));
}

void bh_vp_kick(struct bh_vp *vp)
{
    WRITE_ONCE(vp->kicked, true);
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
    return wait_event_killable(vp->wait, READ_ONCE(vp->kicked)) ? -EINTR : 0;
}

int bh_vp_run(struct bh_vp *vp, struct mshv_run_vp __user *to)
{
    int err;

    WRITE_ONCE(vp->kicked, false);
    err = resume(vp);
    if (err)
        return err;
    if (wait_event_interruptible(vp->wait, READ_ONCE(vp->kicked)))
        err = stop(vp);
    if (err)
        return err;
    return copy_to_user(to, page_address(vp->message_page), sizeof(*to)) ? -EFAULT : 0;
}
