// SPDX-License-Identifier: GPL-2.0-only
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/printk.h>
#include <linux/rcupdate.h>

#include "hv/abi/intercept.h"
#include "parent/driver/event_port.h"
#include "parent/driver/irqfd.h"
#include "parent/driver/messages.h"
#include "parent/driver/synic.h"
#include "parent/driver/vp.h"

static void handle_intercept(struct bh_partition *partition, const struct hv_message *message)
{
    const struct hv_opaque_intercept *payload = (const void *)message->payload;
    u32 index = payload->vp_index;
    struct bh_vp *vp = index < BH_VPS_MAX ? READ_ONCE(partition->vp[index]) : NULL;

    if (vp)
        bh_vp_kick(vp);
}

static void handle_end_of_interrupt(struct bh_partition *partition,
                                    const struct hv_message *message)
{
    const struct hv_apic_eoi_message *payload = (const void *)message->payload;

    struct bh_vp *vp =
        payload->vp_index < BH_VPS_MAX ? READ_ONCE(partition->vp[payload->vp_index]) : NULL;

    if (!bh_irqfd_end_of_interrupt(partition, payload->vector) && vp && payload->vector < 256)
        bh_vp_interrupt_ended(vp, payload->vector);
}

static void handle_for_partition(const struct hv_message *message)
{
    struct bh_partition *partition;

    rcu_read_lock();
    partition = bh_partition_find(message->sender);
    if (partition && message->type == HV_MESSAGE_OPAQUE_INTERCEPT)
        handle_intercept(partition, message);
    else if (partition && message->type == HV_MESSAGE_APIC_EOI)
        handle_end_of_interrupt(partition, message);
    else if (partition && message->type == HV_MESSAGE_SINT_DELIVERABLE)
        bh_event_tell_room(partition);
    else
        pr_debug("message 0x%x of partition %llu is for nobody\n", message->type, message->sender);
    rcu_read_unlock();
}

void bh_messages_handle(const struct hv_message *message)
{
    if (message->type == HV_MESSAGE_SINT_INTERCEPT)
        bh_synic_drain_ring();
    else
        handle_for_partition(message);
}
