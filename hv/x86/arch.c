/* SPDX-License-Identifier: MIT */
/* What hv/core asks of the processor (hv/arch.h), where no other file of hv/x86 answers. */
#include "hv/arch.h"

#include "hv/abi/bulkhead.h"
#include "hv/abi/synic.h"
#include "hv/core/cpuid.h"
#include "hv/core/hypercall.h"
#include "hv/core/intercept.h"
#include "hv/core/lib.h"
#include "hv/core/partition.h"
#include "hv/core/text.h"
#include "hv/core/vp.h"
#include "hv/x86/child_msr.h"
#include "hv/x86/cpu.h"
#include "hv/x86/extended.h"
#include "hv/x86/interrupts.h"
#include "hv/x86/memory.h"
#include "hv/x86/release.h"
#include "hv/x86/time.h"
#include "hv/x86/vendor.h"

#define RET_INSTRUCTION  0xc3
#define INT3_INSTRUCTION 0xcc
#define EFER_WRITABLE    (EFER_SCE | EFER_LME | EFER_NXE | EFER_FFXSR)

/* ---- clock ---- */

uint64_t arch_tsc_hz(void)
{
    return time_base.tsc_hz;
}

bool arch_tsc_is_invariant(void)
{
    return time_base.invariant && time_base.synchronized;
}

bool arch_tsc_is_synchronized(void)
{
    return time_base.synchronized;
}

void arch_fill_reference_tsc(struct hv_reference_tsc_page *page)
{
    page->scale = time_base.scale;
    page->offset = time_base.offset;
    __atomic_store_n(&page->sequence, time_base.synchronized ? 1 : 0, __ATOMIC_RELEASE);
}

void arch_set_time_lag(struct vp *vp, reftime_t lag)
{
    const uint64_t ticks =
        lag / REFTIME_HZ * time_base.tsc_hz + lag % REFTIME_HZ * time_base.tsc_hz / REFTIME_HZ;
    vendor->set(vp, VENDOR_TSC_OFFSET, -ticks);
}

/* ---- virtual processors ---- */

void arch_vp_init(struct vp *vp)
{
    vendor->reset(vp);
}

void arch_vp_startup(struct vp *vp, uint8_t vector)
{
    vendor->startup(vp, vector);
}

bool arch_vp_interrupts_enabled(const struct vp *vp)
{
    return vendor->get(vp, VENDOR_RFLAGS) & RFLAGS_IF;
}

uint64_t arch_vp_cr4(const struct vp *vp)
{
    return vendor->get(vp, VENDOR_CR4);
}

void arch_level_eoi(struct vp *vp, uint8_t vector)
{
    if (partition_is_parent(vp->partition))
        interrupts_level_eoi(vp->lp, vector);
    else
        intercept_tell_eoi(vp, vector);
}

void arch_lvt_changed(struct vp *vp, enum vapic_lvt index, uint32_t value)
{
    if (partition_is_parent(vp->partition))
        interrupts_set_lvt(index, value);
}

uint64_t arch_apic_base(void)
{
    return cpu_read_msr(MSR_APIC_BASE) & 0xffffff000ull;
}

/* ---- instructions ---- */

/* Leaf 0xd depends on XCR0. */
void arch_cpuid(struct vp *vp, uint32_t leaf, uint32_t subleaf, struct cpuid_result *result)
{
    extended_switch(vp->lp, vp);
    const struct cpuid_regs r = cpu_cpuid(leaf, subleaf);
    *result = (struct cpuid_result){r.eax, r.ebx, r.ecx, r.edx};
}

bool arch_read_msr(struct vp *vp, uint32_t index, uint64_t *value)
{
    switch (index) {
    case MSR_TSC:
        *value = cpu_read_tsc() + vendor->get(vp, VENDOR_TSC_OFFSET);
        return true;
    case MSR_PAT:
        *value = vendor->get(vp, VENDOR_PAT);
        return true;
    case MSR_EFER:
        *value = vendor->get(vp, VENDOR_EFER);
        return true;
    case MSR_TSC_ADJUST:
    case MSR_VM_CR:
    case MSR_VM_HSAVE_PA:
        return false;
    default:
        return partition_is_parent(vp->partition) ? cpu_read_msr_safe(index, value)
                                                  : child_read_msr(vp, index, value);
    }
}

/* Each byte of PAT must name a memory type: 0, 1, 4, 5, 6 or 7. */
static bool is_valid_pat(uint64_t value)
{
    for (unsigned i = 0; i < 8; i++, value >>= 8)
        if ((value & 0xff) > 7 || (value & 0xff) == 2 || (value & 0xff) == 3)
            return false;
    return true;
}

static bool write_efer(struct vp *vp, uint64_t value)
{
    const uint64_t old = vendor->get(vp, VENDOR_EFER);
    if (value & ~(EFER_WRITABLE | EFER_LMA))
        return false;
    if (((value ^ old) & EFER_LME) && (vendor->get(vp, VENDOR_CR0) & CR0_PG))
        return false;
    vendor->set(vp, VENDOR_EFER, (value & EFER_WRITABLE) | (old & EFER_LMA));
    return true;
}

bool arch_write_msr(struct vp *vp, uint32_t index, uint64_t value)
{
    switch (index) {
    /* Ignored: the machine's clock and its map of what is RAM stay as they are, and microcode is
     * loaded before the hypervisor starts. */
    case MSR_TSC:
    case MSR_PATCH_LOADER:
    case MSR_SYSCFG:
    case MSR_IORR_FIRST ... MSR_TOP_MEM:
    case MSR_TOP_MEM2:
    case MSR_MMIO_CONFIG:
    case MSR_SMM_FIRST ... MSR_SMM_LAST:
        return true;
    case MSR_PAT:
        if (!is_valid_pat(value))
            return false;
        vendor->set(vp, VENDOR_PAT, value);
        return true;
    case MSR_EFER:
        return write_efer(vp, value);
    case MSR_TSC_ADJUST:
    case MSR_VM_CR:
    case MSR_VM_HSAVE_PA:
        return false;
    default:
        return partition_is_parent(vp->partition) ? cpu_write_msr_safe(index, value)
                                                  : child_write_msr(vp, index, value);
    }
}

/* ---- registers by name ---- */

bool arch_get_register(struct vp *vp, uint32_t name, union hv_register_value *value)
{
    const uint64_t *extended = extended_register(vp, name);
    if (extended == NULL)
        return vendor->get_register(vp, name, value);
    value->u64 = *extended;
    return true;
}

bool arch_set_register(struct vp *vp, uint32_t name, const union hv_register_value *value)
{
    uint64_t *extended = extended_register(vp, name);
    if (extended == NULL)
        return vendor->set_register(vp, name, value);
    if (!extended_is_valid(name, value->u64))
        return false;
    *extended = value->u64;
    return true;
}

void arch_fill_register_page(const struct vp *vp, struct hv_register_page *page)
{
    vendor->fill_register_page(vp, page);
}

void arch_take_intercepts(void *vp)
{
    vendor->take_intercepts(vp);
}

/* ---- hypercalls ---- */

void arch_fill_hypercall_page(void *page)
{
    uint8_t *code = page;
    memset(code, INT3_INSTRUCTION, PAGE_SIZE);
    memcpy(code, vendor->hypercall_code, sizeof vendor->hypercall_code);
    code[sizeof vendor->hypercall_code] = RET_INSTRUCTION;
}

struct hypercall_buffers *arch_hypercall_buffers(void)
{
    return lp_this()->hypercall_buffers;
}

void arch_fill_info(struct bh_info *info)
{
    info->vendor = vendor->id;
    info->lp_count = lp_count;
    info->image_base = memory_image.base;
    info->image_size = memory_image.size;
    info->memory_base = memory_pool.base;
    info->memory_size = memory_pool.size;
    text_copy(info->release, sizeof info->release, BULKHEAD_RELEASE);
    text_copy(info->build, sizeof info->build, BULKHEAD_BUILD);
    text_copy(info->command_line, sizeof info->command_line, release_command_line);
}

bool arch_fill_lp_stats(uint32_t index, struct bh_lp_stats *stats)
{
    if (index >= lp_count)
        return false;
    *stats = lp_table[index]->stats;
    stats->apic_id = lp_table[index]->apic_id;
    stats->time_idle = arch_ticks_to_reftime(stats->time_idle);
    stats->time_hypervisor = arch_ticks_to_reftime(stats->time_hypervisor);
    stats->time_scheduler = arch_ticks_to_reftime(stats->time_scheduler);
    stats->time_guest = arch_ticks_to_reftime(stats->time_guest);
    return true;
}
