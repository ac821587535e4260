/* SPDX-License-Identifier: MIT */
/* Switching the registers that VPs of one LP share. */
#include "hv/x86/extended.h"

#include "hv/abi/vp.h"
#include "hv/arch.h"
#include "hv/core/vp.h"
#include "hv/x86/cpu.h"
#include "hv/x86/lp.h"

#define ECX1_XSAVE   (1u << 26)
#define EDX81_RDTSCP (1u << 27)
#define XCR0_RESET   1u
#define FCW_RESET    0x37fu
#define MXCSR_RESET  0x1f80u
#define AREA_MXCSR   24 /* offsets in the XSAVE area */
#define AREA_MINIMUM 576u

struct extended {
    uint64_t xcr0;
    uint64_t dr[4];
    uint64_t tsc_aux;
    _Alignas(64) uint8_t area[];
};

static uint64_t all_components, area_size;
static bool has_tsc_aux;

bool extended_init(void)
{
    if (!(cpu_cpuid(1, 0).ecx & ECX1_XSAVE))
        return false;
    const struct cpuid_regs r = cpu_cpuid(0xd, 0);
    all_components = (uint64_t)r.edx << 32 | r.eax;
    area_size = r.ecx < AREA_MINIMUM ? AREA_MINIMUM : r.ecx;
    has_tsc_aux = cpu_cpuid(0x80000001, 0).edx & EDX81_RDTSCP;
    return true;
}

bool extended_is_supported(void)
{
    return all_components != 0;
}

void extended_init_lp(void)
{
    if (extended_is_supported())
        cpu_write_cr4(cpu_read_cr4() | CR4_OSXSAVE);
}

uint64_t extended_size(void)
{
    return sizeof(struct extended) + area_size;
}

void extended_reset(void *state)
{
    struct extended *extended = state;
    extended->xcr0 = XCR0_RESET;
    *(uint16_t *)(void *)extended->area = FCW_RESET;
    *(uint32_t *)(void *)(extended->area + AREA_MXCSR) = MXCSR_RESET;
}

/* ---- the switch ---- */

static uint64_t read_xcr0(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static void write_xcr0(uint64_t value)
{
    __asm__ volatile("xsetbv" : : "c"(0), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

static void save(struct extended *extended)
{
    extended->xcr0 = read_xcr0();
    write_xcr0(all_components);
    __asm__ volatile("xsave64 (%0)"
                     :
                     : "r"(extended->area), "a"((uint32_t)all_components),
                       "d"((uint32_t)(all_components >> 32))
                     : "memory");
    __asm__ volatile("mov %%dr0, %0" : "=r"(extended->dr[0]));
    __asm__ volatile("mov %%dr1, %0" : "=r"(extended->dr[1]));
    __asm__ volatile("mov %%dr2, %0" : "=r"(extended->dr[2]));
    __asm__ volatile("mov %%dr3, %0" : "=r"(extended->dr[3]));
    if (has_tsc_aux)
        extended->tsc_aux = cpu_read_msr(MSR_TSC_AUX);
}

static void load(const struct extended *extended)
{
    write_xcr0(all_components);
    __asm__ volatile("xrstor64 (%0)"
                     :
                     : "r"(extended->area), "a"((uint32_t)all_components),
                       "d"((uint32_t)(all_components >> 32))
                     : "memory");
    write_xcr0(extended->xcr0);
    __asm__ volatile("mov %0, %%dr0" : : "r"(extended->dr[0]));
    __asm__ volatile("mov %0, %%dr1" : : "r"(extended->dr[1]));
    __asm__ volatile("mov %0, %%dr2" : : "r"(extended->dr[2]));
    __asm__ volatile("mov %0, %%dr3" : : "r"(extended->dr[3]));
    if (has_tsc_aux)
        cpu_write_msr(MSR_TSC_AUX, extended->tsc_aux);
}

void extended_switch(struct lp *lp, struct vp *vp)
{
    if (lp->extended_owner == vp || vp->extended == NULL)
        return;
    if (lp->extended_owner != NULL)
        save(lp->extended_owner->extended);
    load(vp->extended);
    lp->extended_owner = vp;
}

uint8_t *arch_vp_xsave(struct vp *vp)
{
    struct extended *extended = vp->extended;
    struct lp *lp = vp->lp;
    if (extended == NULL)
        return NULL;
    if (lp->extended_owner == vp) {
        save(extended);
        lp->extended_owner = NULL;
    }
    return extended->area;
}

uint64_t arch_xsave_components(void)
{
    return all_components;
}

uint64_t arch_xsave_size(void)
{
    return area_size;
}

uint64_t *extended_register(struct vp *vp, uint32_t name)
{
    struct extended *extended = vp->extended;
    const bool known = (name >= HV_REGISTER_DR0 && name <= HV_REGISTER_DR3) ||
                       name == HV_REGISTER_TSC_AUX || name == HV_REGISTER_XFEM;
    if (!known || arch_vp_xsave(vp) == NULL)
        return NULL;
    if (name >= HV_REGISTER_DR0 && name <= HV_REGISTER_DR3)
        return &extended->dr[name - HV_REGISTER_DR0];
    if (name == HV_REGISTER_TSC_AUX)
        return &extended->tsc_aux;
    return &extended->xcr0;
}
