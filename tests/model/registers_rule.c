/* SPDX-License-Identifier: MIT */
#include "tests/model/registers_rule.h"

#include <stddef.h>

#include "hv/core/types.h"
#include "tests/model/svm_machine.h"

#define ALL  UINT64_MAX
#define LOW  0xffffffffull
#define NONE 0ull

#define BIT(n) (1ull << (n))

static bool refuses_activity(const union hv_register_value *value)
{
    return value->u64 == (HV_ACTIVITY_STARTUP_SUSPEND | HV_ACTIVITY_HALT_SUSPEND);
}

/* Paging is of protected mode. */
static bool refuses_cr0(const union hv_register_value *value)
{
    return (value->u64 & (BIT(31) | BIT(0))) == BIT(31);
}

/* x87 is always on, AVX needs SSE, the three parts of AVX-512 go together and need AVX, and those
 * of MPX and of AMX go together (APM 2, 11.5.2; SDM 1, 13.3). */
static bool refuses_xfem(const union hv_register_value *value)
{
    const uint64_t x = value->u64;
    const uint64_t avx512 = BIT(5) | BIT(6) | BIT(7), mpx = BIT(3) | BIT(4);
    const uint64_t amx = BIT(17) | BIT(18);

    if (!(x & BIT(0)) || ((x & BIT(2)) && !(x & BIT(1)))) {
        return true;
    }
    if ((x & avx512) && ((x & avx512) != avx512 || !(x & BIT(2)))) {
        return true;
    }
    return ((x & mpx) && (x & mpx) != mpx) || ((x & amx) && (x & amx) != amx);
}

static bool refuses_pat(const union hv_register_value *value)
{
    for (unsigned i = 0; i < 64; i += 8) {
        const uint64_t type = value->u64 >> i & 0xff;

        if (type > 7 || type == 2 || type == 3) {
            return true;
        }
    }
    return false;
}

static bool refuses_mxcsr(const union hv_register_value *value)
{
    return value->xmm.mxcsr > 0xffff;
}

struct pending {
    bool pending, has_error;
    uint64_t type, vector, error;
};

static struct pending pending_of(uint64_t value)
{
    return (struct pending){value & 1, value >> 4 & 1, value >> 1 & 7, value >> 16 & 0xffff,
                            value >> 32};
}

/* An interrupt has a vector from 16 on, an NMI its own, an exception one below 32. */
static bool refuses_pending(const union hv_register_value *value)
{
    const struct pending event = pending_of(value->u64);

    if (!event.pending) {
        return false;
    }
    if (event.type == HV_INTERRUPTION_EXTERNAL) {
        return event.vector < 16 || event.vector > 255;
    }
    if (event.type == HV_INTERRUPTION_NMI) {
        return event.vector != 2;
    }
    return event.type != HV_INTERRUPTION_EXCEPTION || event.vector > 31 || event.vector == 2;
}

/* An external interrupt has no error code; lengths and what is reserved are not kept. */
static void settle_pending(union hv_register_value *value)
{
    const struct pending event = pending_of(value->u64);
    const bool error = event.has_error && event.type != HV_INTERRUPTION_EXTERNAL;

    if (!event.pending) {
        value->u64 = 0;
        return;
    }
    value->u64 = 1 | event.type << 1 | event.vector << 16;
    value->u64 |= error ? BIT(4) | event.error << 32 : 0;
}

static void settle_rflags(union hv_register_value *value)
{
    value->u64 |= BIT(1);
}

/* Bits 8 to 11 are the upper part of the limit in a descriptor, and no attributes. */
static void settle_segment(union hv_register_value *value)
{
    value->segment.attributes &= 0xf0ff;
}

static void settle_table(union hv_register_value *value)
{
    value->table.reserved[0] = value->table.reserved[1] = value->table.reserved[2] = 0;
}

static const struct register_rule rules[] = {
    {HV_REGISTER_EXPLICIT_SUSPEND, 0, REGISTER_SCALAR, 1, NULL, NULL},
    {HV_REGISTER_INTERCEPT_SUSPEND, 0, REGISTER_SCALAR, NONE, NULL, NULL},
    {HV_REGISTER_INTERNAL_ACTIVITY_STATE, 0, REGISTER_SCALAR, 3, refuses_activity, NULL},
    {HV_REGISTER_CRASH_P0, HV_REGISTER_CRASH_CTL - 1, REGISTER_SCALAR, ALL, NULL, NULL},
    {HV_REGISTER_CRASH_CTL, 0, REGISTER_ELSEWHERE, 0, NULL, NULL},
    {HV_REGISTER_PENDING_INTERRUPTION, 0, REGISTER_SCALAR, ALL, refuses_pending, settle_pending},
    {HV_REGISTER_INTERRUPT_STATE, 0, REGISTER_SCALAR, 3, NULL, NULL},
    {HV_REGISTER_RAX, HV_REGISTER_RIP, REGISTER_SCALAR, ALL, NULL, NULL},
    {HV_REGISTER_RFLAGS, 0, REGISTER_SCALAR, 0x3f7fd7, NULL, settle_rflags},
    {HV_REGISTER_XMM0, HV_REGISTER_FP_CONTROL_STATUS, REGISTER_WIDE, 0, NULL, NULL},
    {HV_REGISTER_XMM_CONTROL_STATUS, 0, REGISTER_WIDE, 0, refuses_mxcsr, NULL},
    {HV_REGISTER_CR0, 0, REGISTER_SCALAR, 0xe005003f, refuses_cr0, NULL},
    {HV_REGISTER_CR2, 0, REGISTER_SCALAR, ALL, NULL, NULL},
    {HV_REGISTER_CR3, 0, REGISTER_SCALAR, 0xfffffffffffff, NULL, NULL},
    {HV_REGISTER_CR4, 0, REGISTER_SCALAR, 0xff1fff, NULL, NULL},
    {HV_REGISTER_CR8, 0, REGISTER_SCALAR, 15, NULL, NULL},
    {HV_REGISTER_XFEM, 0, REGISTER_SCALAR, SVM_COMPONENTS, refuses_xfem, NULL},
    {HV_REGISTER_DR0, HV_REGISTER_DR3, REGISTER_SCALAR, ALL, NULL, NULL},
    {HV_REGISTER_DR6, HV_REGISTER_DR7, REGISTER_SCALAR, LOW, NULL, NULL},
    {HV_REGISTER_ES, HV_REGISTER_TR, REGISTER_WIDE, 0, NULL, settle_segment},
    {HV_REGISTER_IDTR, HV_REGISTER_GDTR, REGISTER_WIDE, 0, NULL, settle_table},
    {HV_REGISTER_TSC, 0, REGISTER_ELSEWHERE, 0, NULL, NULL},
    {HV_REGISTER_EFER, 0, REGISTER_SCALAR, 0x4d01, NULL, NULL},
    {HV_REGISTER_KERNEL_GS_BASE, 0, REGISTER_SCALAR, ALL, NULL, NULL},
    {HV_REGISTER_APIC_BASE, 0, REGISTER_ELSEWHERE, 0, NULL, NULL},
    {HV_REGISTER_PAT, 0, REGISTER_SCALAR, ALL, refuses_pat, NULL},
    {HV_REGISTER_SYSENTER_CS, HV_REGISTER_SFMASK, REGISTER_SCALAR, ALL, NULL, NULL},
    {HV_REGISTER_INITIAL_APIC_ID, HV_REGISTER_MTRR_CAP, REGISTER_CONSTANT, NONE, NULL, NULL},
    {HV_REGISTER_MTRR_DEF_TYPE, 0, REGISTER_CONSTANT, ALL, NULL, NULL},
    {HV_REGISTER_TSC_AUX, 0, REGISTER_SCALAR, LOW, NULL, NULL},
    {HV_REGISTER_SPEC_CTRL, 0, REGISTER_SCALAR, 0x87, NULL, NULL},
    {HV_REGISTER_APIC, HV_REGISTER_APIC + 0x3f, REGISTER_ELSEWHERE, 0, NULL, NULL},
    {HV_REGISTER_VP_RUNTIME, HV_REGISTER_TIME_REF_COUNT, REGISTER_ELSEWHERE, 0, NULL, NULL},
    {HV_REGISTER_SYNTHETIC_EOI, HV_REGISTER_VP_ASSIST_PAGE, REGISTER_ELSEWHERE, 0, NULL, NULL},
    {HV_REGISTER_REFERENCE_TSC, 0, REGISTER_ELSEWHERE, 0, NULL, NULL},
    {HV_REGISTER_SINT0, HV_REGISTER_EOM, REGISTER_ELSEWHERE, 0, NULL, NULL},
    {HV_REGISTER_STIMER0_CONFIG, HV_REGISTER_STIMER3_COUNT, REGISTER_ELSEWHERE, 0, NULL, NULL},
};

const struct register_rule *register_rule_find(uint32_t name)
{
    for (unsigned i = 0; i < ARRAY_COUNT(rules); i++) {
        if (name == rules[i].first || (name > rules[i].first && name <= rules[i].last)) {
            return &rules[i];
        }
    }
    return NULL;
}

bool register_rule_takes(const struct register_rule *rule, const union hv_register_value *value)
{
    if (rule->kind == REGISTER_CONSTANT) {
        return rule->may == ALL;
    }
    if (rule->kind == REGISTER_SCALAR && (value->u64 & ~rule->may)) {
        return false;
    }
    return rule->refuses == NULL || !rule->refuses(value);
}

union hv_register_value register_rule_settle(const struct register_rule *rule,
                                             const union hv_register_value *value)
{
    union hv_register_value settled = *value;

    if (rule->settle != NULL) {
        rule->settle(&settled);
    }
    return settled;
}
