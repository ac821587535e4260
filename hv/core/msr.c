/* SPDX-License-Identifier: MIT */
/* Dispatch of guest MSR accesses (TLFS, "Synthetic MSRs"). */
#include "hv/core/msr.h"

#include "hv/abi/msr.h"
#include "hv/arch.h"
#include "hv/core/crash.h"
#include "hv/core/lib.h"
#include "hv/core/named_value.h"
#include "hv/core/partition.h"
#include "hv/core/registers.h"
#include "hv/core/vp.h"

/* ---- pages of the partition ---- */

static bool write_hypercall_page(struct partition *partition, uint64_t value)
{
    if (partition->hypercall_page_locked)
        return true;
    if (partition->guest_os_id == 0)
        value &= ~HV_PAGE_MSR_ENABLE;
    if (!overlay_place(&partition->hypercall_page, partition, value))
        return false;
    partition->hypercall_page_locked = value & HV_HYPERCALL_MSR_LOCKED;
    void *page = overlay_map(&partition->hypercall_page);
    if (page != NULL) {
        arch_fill_hypercall_page(page);
        arch_window_unmap(page);
    }
    return true;
}

static void write_guest_os_id(struct partition *partition, uint64_t value)
{
    partition->guest_os_id = value;
    if (value == 0 && !partition->hypercall_page_locked)
        overlay_place(&partition->hypercall_page, partition,
                      partition->hypercall_page.msr & ~HV_PAGE_MSR_ENABLE);
}

static bool write_reference_tsc(struct partition *partition, uint64_t value)
{
    if (!overlay_place(&partition->reference_tsc, partition, value))
        return false;
    struct hv_reference_tsc_page *page = overlay_map(&partition->reference_tsc);
    if (page != NULL) {
        memset(page, 0, sizeof *page);
        arch_fill_reference_tsc(page);
        arch_window_unmap(page);
    }
    return true;
}

/* Registers that the VPs share. */
static bool write_partition_register(struct partition *partition, uint32_t index, uint64_t value)
{
    bool done = true;
    spinlock_acquire(&partition->register_lock);
    if (index == HV_MSR_GUEST_OS_ID)
        write_guest_os_id(partition, value);
    else if (index == HV_MSR_HYPERCALL)
        done = write_hypercall_page(partition, value);
    else
        done = write_reference_tsc(partition, value);
    spinlock_release(&partition->register_lock);
    return done;
}

/* What the old page says of the interrupt in service is settled before it goes. */
static bool write_assist_page(struct vp *vp, uint64_t value)
{
    vapic_sync(vp);
    vapic_withdraw_assist(vp);
    if (!overlay_place(&vp->assist, vp->partition, value))
        return false;
    vp_write_assist(vp, 0);
    return true;
}

/* ---- APIC registers under their synthetic numbers ---- */

static bool write_eoi(struct vp *vp, uint64_t value)
{
    if (value >> 32 != 0)
        return false;
    vapic_sync(vp);
    vapic_eoi(vp);
    return true;
}

/* Both halves at once, also in xAPIC mode, where they are two registers. */
static bool write_icr(struct vp *vp, uint64_t value)
{
    if (!(vp->apic.base & APIC_BASE_X2APIC) && !vapic_write(vp, VAPIC_ICR_HIGH, value >> 32))
        return false;
    return vapic_write(vp, VAPIC_ICR, value);
}

/* ---- synthetic MSRs ---- */

/* What is kept; what is computed is asked for by itself. */
static bool read_kept(struct vp *vp, uint32_t index, uint64_t *value)
{
    const struct partition *partition = vp->partition;
    const struct named_value table[] = {
        {HV_MSR_GUEST_OS_ID, partition->guest_os_id},
        {HV_MSR_HYPERCALL, partition->hypercall_page.msr},
        {HV_MSR_VP_INDEX, vp->index},
        {HV_MSR_REFERENCE_TSC, partition->reference_tsc.msr},
        {HV_MSR_TSC_FREQUENCY, arch_tsc_hz()},
        {HV_MSR_APIC_FREQUENCY, VAPIC_TIMER_HZ},
        {HV_MSR_ICR, vp->apic.icr},
        {HV_MSR_VP_ASSIST_PAGE, vp->assist.msr},
        {HV_MSR_TSC_INVARIANT, partition->tsc_invariant_shown},
    };
    return (index != HV_MSR_TSC_INVARIANT || arch_tsc_is_invariant()) &&
           named_value_find(table, ARRAY_COUNT(table), index, value);
}

static bool read_synthetic(struct vp *vp, uint32_t index, uint64_t *value)
{
    if (index == HV_MSR_TPR)
        return vapic_read(vp, VAPIC_TPR, value);
    if (index == HV_MSR_TIME_REF_COUNT)
        *value = partition_time(vp->partition);
    else if (index == HV_MSR_VP_RUNTIME)
        *value = arch_ticks_to_reftime(vp->stats.time_guest + vp->stats.time_hypervisor);
    else
        return read_kept(vp, index, value);
    return true;
}

static bool write_tsc_invariant(struct partition *partition, uint64_t value)
{
    if (!arch_tsc_is_invariant() || value > 1)
        return false;
    partition->tsc_invariant_shown = partition->tsc_invariant_shown || value == 1;
    return true;
}

static bool write_synthetic(struct vp *vp, uint32_t index, uint64_t value)
{
    switch (index) {
    case HV_MSR_GUEST_OS_ID:
    case HV_MSR_HYPERCALL:
    case HV_MSR_REFERENCE_TSC:
        return write_partition_register(vp->partition, index, value);
    case HV_MSR_EOI:
        return write_eoi(vp, value);
    case HV_MSR_ICR:
        return write_icr(vp, value);
    case HV_MSR_TPR:
        return vapic_write(vp, VAPIC_TPR, value);
    case HV_MSR_VP_ASSIST_PAGE:
        return write_assist_page(vp, value);
    case HV_MSR_TSC_INVARIANT:
        return write_tsc_invariant(vp->partition, value);
    default:
        return false;
    }
}

static bool in_range(uint32_t index, uint32_t first, uint32_t last)
{
    return index >= first && index <= last;
}

static bool read_hypervisor_range(struct vp *vp, uint32_t index, uint64_t *value)
{
    if (in_range(index, HV_MSR_SCONTROL, HV_MSR_SINT15))
        return synic_read_msr(vp, index, value);
    if (in_range(index, HV_MSR_STIMER0_CONFIG, HV_MSR_STIMER3_COUNT))
        return stimer_read_msr(vp, index, value);
    if (in_range(index, HV_MSR_CRASH_P0, HV_MSR_CRASH_CTL))
        return crash_read_msr(vp->partition, index, value);
    return read_synthetic(vp, index, value);
}

static bool write_hypervisor_range(struct vp *vp, uint32_t index, uint64_t value)
{
    if (in_range(index, HV_MSR_SCONTROL, HV_MSR_SINT15))
        return synic_write_msr(vp, index, value);
    if (in_range(index, HV_MSR_STIMER0_CONFIG, HV_MSR_STIMER3_COUNT))
        return stimer_write_msr(vp, index, value);
    if (in_range(index, HV_MSR_CRASH_P0, HV_MSR_CRASH_CTL))
        return crash_write_msr(vp->partition, index, value);
    return write_synthetic(vp, index, value);
}

bool msr_read(struct vp *vp, uint32_t index, uint64_t *value)
{
    if (in_range(index, HV_MSR_FIRST, HV_MSR_LAST))
        return read_hypervisor_range(vp, index, value);
    if (in_range(index, MSR_X2APIC_FIRST, MSR_X2APIC_LAST))
        return (vp->apic.base & APIC_BASE_X2APIC) &&
               vapic_read(vp, index - MSR_X2APIC_FIRST, value);
    switch (index) {
    case MSR_APIC_BASE:
        *value = vp->apic.base;
        return true;
    case MSR_TSC_DEADLINE:
        *value = vp->apic.tsc_deadline;
        return arch_tsc_is_synchronized(); /* or CPUID hides the register */
    default:
        return arch_read_msr(vp, index, value);
    }
}

bool msr_write(struct vp *vp, uint32_t index, uint64_t value)
{
    if (in_range(index, HV_MSR_FIRST, HV_MSR_LAST))
        return write_hypervisor_range(vp, index, value);
    if (in_range(index, MSR_X2APIC_FIRST, MSR_X2APIC_LAST))
        return (vp->apic.base & APIC_BASE_X2APIC) &&
               vapic_write(vp, index - MSR_X2APIC_FIRST, value);
    switch (index) {
    case MSR_APIC_BASE:
        return vapic_write_base(vp, value);
    case MSR_TSC_DEADLINE:
        if (!arch_tsc_is_synchronized())
            return false;
        vapic_write_deadline(vp, value);
        return true;
    default:
        return arch_write_msr(vp, index, value);
    }
}
