/* SPDX-License-Identifier: MIT */
/* Interprocessor interrupts: who is meant by an ICR value, and what happens to them. */
#include "hv/core/partition.h"
#include "hv/core/vapic_parts.h"
#include "hv/core/vp.h"

#define ICR_MODE(icr)      ((icr) >> 8 & 7)
#define ICR_LOGICAL        (1ull << 11)
#define ICR_ASSERT         (1ull << 14)
#define ICR_LEVEL          (1ull << 15)
#define ICR_DEVICE         (1ull << 20) /* not from a guest: ICR_LEVEL means what it says */
#define ICR_SHORTHAND(icr) ((icr) >> 18 & 3)

enum delivery_mode {
    MODE_FIXED = 0,
    MODE_LOWEST = 1,
    MODE_NMI = 4,
    MODE_INIT = 5,
    MODE_STARTUP = 6,
};

enum shorthand { TO_DESTINATION = 0, TO_SELF = 1, TO_ALL = 2, TO_OTHERS = 3 };

static bool matches_logical(const struct vapic *apic, uint32_t destination)
{
    if (vapic_is_x2apic(apic))
        return apic->ldr >> 16 == destination >> 16 && (apic->ldr & destination & 0xffff) != 0;
    const uint32_t logical = apic->ldr >> 24;
    if (apic->dfr >> 28 == 0xf)
        return (logical & destination) != 0;
    return logical >> 4 == destination >> 4 && (logical & destination & 0xf) != 0;
}

static bool matches(const struct vapic *apic, uint32_t destination, bool logical, bool broadcast)
{
    if (broadcast)
        return true;
    return logical ? matches_logical(apic, destination) : apic->id == destination;
}

static void send_fixed(struct vp *target, uint64_t icr)
{
    vapic_raise(&target->apic, (uint8_t)icr, (icr & ICR_DEVICE) && (icr & ICR_LEVEL));
    vp_notify(target);
}

static void deliver(struct vp *target, uint64_t icr)
{
    switch (ICR_MODE(icr)) {
    case MODE_FIXED:
    case MODE_LOWEST:
        send_fixed(target, icr);
        break;
    case MODE_NMI:
        vp_request(target, VP_REQUEST_NMI);
        break;
    case MODE_INIT:
        /* The "de-assert" form only synchronizes arbitration ids of old processors. */
        if ((icr & (ICR_LEVEL | ICR_ASSERT)) != ICR_LEVEL)
            vp_request(target, VP_REQUEST_INIT);
        break;
    case MODE_STARTUP:
        vp_request_startup(target, (uint8_t)icr);
        break;
    default:
        break;
    }
}

static void deliver_to_matching(struct partition *partition, uint64_t icr, uint32_t destination,
                                bool broadcast, const struct vp *except)
{
    const bool logical = icr & ICR_LOGICAL;
    const bool lowest = ICR_MODE(icr) == MODE_LOWEST;
    for (uint32_t i = 0; i < partition->vp_count; i++) {
        struct vp *target = partition_vp(partition, i);
        if (target == NULL || target == except ||
            !matches(&target->apic, destination, logical, broadcast))
            continue;
        deliver(target, icr);
        if (lowest && except == NULL)
            return;
    }
}

/* A physical destination is nearly always the VP of that index. */
static bool deliver_direct(struct vp *sender, uint64_t icr, uint32_t destination)
{
    struct vp *target = partition_vp(sender->partition, destination);
    if ((icr & ICR_LOGICAL) || target == NULL || target->apic.id != destination)
        return false;
    deliver(target, icr);
    return true;
}

static void send_to_destination(struct vp *sender, uint64_t icr)
{
    const bool x2apic = vapic_is_x2apic(&sender->apic);
    const uint32_t destination = (uint32_t)(x2apic ? icr >> 32 : icr >> 56);
    const bool broadcast = destination == (x2apic ? 0xffffffff : 0xff);
    if (broadcast || !deliver_direct(sender, icr, destination))
        deliver_to_matching(sender->partition, icr, destination, broadcast, NULL);
}

bool vapic_inject(struct partition *partition, uint64_t icr, uint32_t destination)
{
    const uint64_t mode = ICR_MODE(icr);
    if (mode > MODE_LOWEST && mode != MODE_NMI)
        return false;
    if (mode <= MODE_LOWEST && (icr & 0xff) < 16)
        return false;
    deliver_to_matching(partition, icr | ICR_DEVICE, destination, false, NULL);
    return true;
}

bool vapic_ipi_send(struct vp *vp, uint64_t icr)
{
    icr &= ~ICR_DEVICE;
    const uint64_t mode = ICR_MODE(icr);
    if ((mode == MODE_FIXED || mode == MODE_LOWEST) && (icr & 0xff) < 16)
        return false;
    const uint64_t shorthand = ICR_SHORTHAND(icr);
    if (mode != MODE_FIXED && (shorthand == TO_SELF || shorthand == TO_ALL))
        return true; /* not a valid combination: nothing is sent (AMD64 APM 2, table 16-3) */
    if (shorthand == TO_SELF || shorthand == TO_ALL)
        deliver(vp, icr);
    if (shorthand == TO_ALL || shorthand == TO_OTHERS)
        deliver_to_matching(vp->partition, icr, 0, true, vp);
    if (shorthand == TO_DESTINATION)
        send_to_destination(vp, icr);
    return true;
}
