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
 *
 * The end of a level-triggered interrupt that no irqfd waits for is returned as a
 * message of its own, with the VP stopped.
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

#define VECTORS 256u

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

void bh_vp_interrupt_ended(struct bh_vp *vp, u32 vector)
{
    set_bit(vector, vp->ended);
    wake_up(&vp->wait);
}

static bool has_ended(const struct bh_vp *vp)
{
    return !bitmap_empty(vp->ended, VECTORS);
}

static int return_ended(struct bh_vp *vp, struct mshv_run_vp __user *to)
{
    struct hv_apic_eoi_message payload = {.vp_index = vp->index,
                                          .vector = find_first_bit(vp->ended, VECTORS)};
    struct hv_message message = {
        .type = HV_MESSAGE_APIC_EOI, .payload_size = sizeof(payload), .sender = vp->partition->id};

    clear_bit(payload.vector, vp->ended);
    memcpy(message.payload, &payload, sizeof(payload));
    return copy_to_user(to, &message, sizeof(message)) ? -EFAULT : 0;
}

int bh_vp_run(struct bh_vp *vp, struct mshv_run_vp __user *to)
{
    int signal;
    int err;

    if (has_ended(vp))
        return return_ended(vp, to);
    err = resume(vp);
    if (err)
        return err;
    signal = wait_event_interruptible(vp->wait, has_message(vp) || has_ended(vp));
    if (signal || !has_message(vp))
        err = stop(vp);
    if (err == -EINTR && !signal && has_ended(vp))
        return return_ended(vp, to);
    if (err)
        return err;
    return copy_to_user(to, message_of(vp), sizeof(*to)) ? -EFAULT : 0;
}
