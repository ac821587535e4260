/* SPDX-License-Identifier: MIT */
/* Switching the registers that VPs of one LP share. */
#include "hv/x86/extended.h"

#include "hv/abi/vp.h"
#include "hv/arch.h"
#include "hv/core/cpuid_bits.h"
#include "hv/core/vp.h"
#include "hv/x86/cpu.h"
#include "hv/x86/lp.h"

#define SPEC_BITS    0x87ull /* IBRS, STIBP, SSBD, PSFD */
#define XCR0_RESET   1u
#define FCW_RESET    0x37fu
#define MXCSR_RESET  0x1f80u
#define AREA_MXCSR   24 /* offsets in the XSAVE area */
#define AREA_MINIMUM 576u

struct extended {
    uint64_t xcr0;
    uint64_t dr[4];
    uint64_t tsc_aux, spec_ctrl;
    _Alignas(64) uint8_t area[];
};

static uint64_t all_components, area_size;
static bool has_tsc_aux, has_spec_ctrl, has_ibpb;

bool extended_init(void)
{
    if (!(cpu_cpuid(1, 0).ecx & ECX1_XSAVE))
        return false;
    const struct cpuid_regs r = cpu_cpuid(0xd, 0);
    all_components = (uint64_t)r.edx << 32 | r.eax;
    area_size = r.ecx < AREA_MINIMUM ? AREA_MINIMUM : r.ecx;
    has_tsc_aux = cpu_cpuid(0x80000001, 0).edx & EDX81_RDTSCP;
    const uint32_t intel = cpu_cpuid(7, 0).edx;
    const uint32_t amd = cpu_cpuid(0x80000008, 0).ebx;
    has_spec_ctrl = (intel & EDX7_CTRL) || (amd & EBX88_CTRL);
    has_ibpb = (intel & EDX7_IBPB) || (amd & EBX88_IBPB);
    return true;
}

bool extended_has_msr(uint32_t index)
{
    return index == MSR_SPEC_CTRL ? has_spec_ctrl : has_ibpb;
}

void extended_init_lp(void)
{
    if (area_size != 0)
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
    if (has_spec_ctrl)
        extended->spec_ctrl = cpu_read_msr(MSR_SPEC_CTRL);
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
    if (has_spec_ctrl)
        cpu_write_msr_safe(MSR_SPEC_CTRL, extended->spec_ctrl); /* a bit may not be there */
}

void extended_switch(struct lp *lp, struct vp *vp)
{
    if (lp->extended_owner == vp || vp->extended == NULL)
        return;
    if (has_ibpb && (lp->extended_owner == NULL || lp->extended_owner->partition != vp->partition))
        cpu_write_msr(MSR_PRED_CMD, 1);
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

/* AMD64 APM 2, 11.5.2: AVX needs SSE, AVX-512 is three parts and needs AVX, MPX and AMX are two. */
static bool is_valid_xcr0(uint64_t value)
{
    const uint64_t avx512 = value >> 5 & 7;
    const uint64_t mpx = value >> 3 & 3;
    const uint64_t amx = value >> 17 & 3;
    return (value & 1) && !(value & ~all_components) && (value & 6) != 4 &&
           (avx512 == 0 || (avx512 == 7 && (value & 4))) && (mpx == 0 || mpx == 3) &&
           (amx == 0 || amx == 3);
}

bool extended_is_valid(uint32_t name, uint64_t value)
{
    if (name == HV_REGISTER_XFEM)
        return is_valid_xcr0(value);
    if (name == HV_REGISTER_SPEC_CTRL)
        return !(value & ~SPEC_BITS);
    return name != HV_REGISTER_TSC_AUX || value <= UINT32_MAX;
}

uint64_t *extended_register(struct vp *vp, uint32_t name)
{
    struct extended *extended = vp->extended;
    const bool is_ours = (name >= HV_REGISTER_DR0 && name <= HV_REGISTER_DR3) ||
                         name == HV_REGISTER_TSC_AUX || name == HV_REGISTER_XFEM ||
                         (name == HV_REGISTER_SPEC_CTRL && has_spec_ctrl);
    if (!is_ours || arch_vp_xsave(vp) == NULL)
        return NULL;
    if (name <= HV_REGISTER_DR3 && name >= HV_REGISTER_DR0)
        return &extended->dr[name - HV_REGISTER_DR0];
    if (name == HV_REGISTER_TSC_AUX)
        return &extended->tsc_aux;
    return name == HV_REGISTER_XFEM ? &extended->xcr0 : &extended->spec_ctrl;
}
