/* SPDX-License-Identifier: MIT */
/* Interrupt state and registers of the virtual local APIC. IPIs are in vapic_ipi.c, the timer in
 * vapic_timer.c. */
#include "hv/core/vapic.h"
#include "hv/core/synic.h"

#include "hv/arch.h"
#include "hv/core/partition.h"
#include "hv/core/vapic_parts.h"
#include "hv/core/vp.h"

#define VERSION_VALUE       0x00060014u /* 7 LVT entries, no EOI-broadcast suppression */
#define SPURIOUS_RESET      0xffu
#define SPURIOUS_ENABLE     0x100u
#define SPURIOUS_WRITABLE   0x1ffu
#define SPURIOUS_FOCUS      0x200u /* of old processors: without effect */
#define ESR_ILLEGAL_SEND    (1u << 5)
#define ESR_ILLEGAL_RECEIVE (1u << 6)
#define LVT_COMMON          (0xffu | VAPIC_LVT_MASKED)
#define LVT_LINT_BITS       ((1u << 13) | (1u << 15) | VAPIC_LVT_MODE_MASK)
#define LVT_STATUS_BITS     ((1u << 12) | (1u << 14)) /* delivery status, remote IRR: read only */
#define ICR_RESERVED        0xfff32000ull
#define LOWEST_VECTOR       16

static const uint32_t lvt_writable[VAPIC_LVT_COUNT] = {
    [VAPIC_LVT_INDEX_CMCI] = LVT_COMMON | VAPIC_LVT_MODE_MASK,
    [VAPIC_LVT_INDEX_TIMER] = LVT_COMMON | VAPIC_TIMER_MODE_MASK,
    [VAPIC_LVT_INDEX_THERMAL] = LVT_COMMON | VAPIC_LVT_MODE_MASK,
    [VAPIC_LVT_INDEX_PERF] = LVT_COMMON | VAPIC_LVT_MODE_MASK,
    [VAPIC_LVT_INDEX_LINT0] = LVT_COMMON | LVT_LINT_BITS,
    [VAPIC_LVT_INDEX_LINT1] = LVT_COMMON | LVT_LINT_BITS,
    [VAPIC_LVT_INDEX_ERROR] = LVT_COMMON,
};

static uint32_t x2apic_ldr(uint32_t id)
{
    return (id >> 4) << 16 | 1u << (id & 15);
}

bool vapic_is_x2apic(const struct vapic *apic)
{
    return apic->base & APIC_BASE_X2APIC;
}

static void reset_registers(struct vapic *apic)
{
    apic->tpr = 0;
    apic->ldr = vapic_is_x2apic(apic) ? x2apic_ldr(apic->id) : 0;
    apic->dfr = 0xffffffff;
    apic->spurious = SPURIOUS_RESET;
    apic->esr = apic->esr_latched = 0;
    apic->icr = 0;
    for (unsigned i = 0; i < VAPIC_LVT_COUNT; i++)
        apic->lvt[i] = VAPIC_LVT_MASKED;
    apic->timer_initial = apic->timer_divide = 0;
    apic->tsc_deadline = 0;
    for (unsigned i = 0; i < 4; i++) {
        __atomic_store_n(&apic->irr[i], 0, __ATOMIC_RELAXED);
        __atomic_store_n(&apic->tmr[i], 0, __ATOMIC_RELAXED);
        apic->isr[i] = 0;
    }
    apic->assist_armed = false;
}

void vapic_init(struct vapic *apic, uint32_t id, uint64_t base)
{
    *apic = (struct vapic){.base = base, .id = id};
    timer_init(&apic->timer, vapic_timer_expire);
    reset_registers(apic);
}

/* ---- interrupt state ---- */

/*
 * A vector is level-triggered from its arrival by level to its end, whatever
 * arrives by edge meanwhile: else the machine would never hear of the end.
 */
static void end_level(struct vp *vp, uint8_t vector)
{
    if (!vectors_have(vp->apic.tmr, vector))
        return;
    __atomic_fetch_and(&vp->apic.tmr[vector / 64], ~vector_bit(vector), __ATOMIC_RELAXED);
    arch_level_eoi(vp, vector);
}

void vapic_reset(struct vp *vp)
{
    timer_cancel(vp->timers, &vp->apic.timer);
    for (int vector = vectors_highest(vp->apic.isr); vector != VAPIC_NONE;
         vector = vectors_highest(vp->apic.isr))
        vapic_eoi(vp);
    /* Level interrupts that were never delivered: their lines must not stay blocked. */
    for (unsigned vector = 0; vector < 256; vector++)
        end_level(vp, (uint8_t)vector);
    reset_registers(&vp->apic);
}

static bool is_software_enabled(const struct vapic *apic)
{
    return apic->spurious & SPURIOUS_ENABLE;
}

/*
 * While software has it off, the APIC takes no interrupt. One by level stays requested until it
 * is on: its line has told once and waits for the end.
 */
void vapic_raise(struct vapic *apic, uint8_t vector, bool level)
{
    const uint64_t bit = vector_bit(vector);
    if (!level && !is_software_enabled(apic))
        return;
    if (level)
        __atomic_fetch_or(&apic->tmr[vector / 64], bit, __ATOMIC_RELAXED);
    __atomic_fetch_or(&apic->irr[vector / 64], bit, __ATOMIC_RELEASE);
}

static uint32_t processor_priority(const struct vapic *apic)
{
    const int in_service = vectors_highest(apic->isr);
    const uint32_t isr_class = in_service == VAPIC_NONE ? 0 : (uint32_t)in_service & 0xf0;
    return (apic->tpr & 0xf0) >= isr_class ? apic->tpr : isr_class;
}

int vapic_next(const struct vapic *apic)
{
    const int vector = vectors_highest(apic->irr);
    if (vector == VAPIC_NONE || ((uint32_t)vector & 0xf0) <= (processor_priority(apic) & 0xf0) ||
        !is_software_enabled(apic))
        return VAPIC_NONE;
    return vector;
}

static bool any_requested(const struct vapic *apic)
{
    return (apic->irr[0] | apic->irr[1] | apic->irr[2] | apic->irr[3]) != 0;
}

/*
 * Only a lone edge interrupt may go without EOI: with another one waiting the
 * hypervisor has to hear of the EOI in order to deliver it.
 */
static void arm_assist(struct vp *vp, uint8_t vector)
{
    if (!vp->assist.usable || vectors_have(vp->apic.tmr, vector) || any_requested(&vp->apic))
        return;
    vp->apic.assist_armed = vp_write_assist(vp, HV_APIC_ASSIST_NO_EOI);
}

void vapic_withdraw_assist(struct vp *vp)
{
    if (!vp->apic.assist_armed)
        return;
    vp_write_assist(vp, 0);
    vp->apic.assist_armed = false;
}

void vapic_accept(struct vp *vp, uint8_t vector)
{
    struct vapic *apic = &vp->apic;
    const uint64_t bit = vector_bit(vector);
    vapic_withdraw_assist(vp);
    __atomic_fetch_and(&apic->irr[vector / 64], ~bit, __ATOMIC_ACQUIRE);
    vp->stats.interrupts_injected++;
    if (synic_is_auto_eoi(vp, vector)) {
        end_level(vp, vector);
        return;
    }
    apic->isr[vector / 64] |= bit;
    arm_assist(vp, vector);
}

static void end_highest(struct vp *vp)
{
    const int vector = vectors_highest(vp->apic.isr);
    if (vector == VAPIC_NONE)
        return;
    vectors_remove(vp->apic.isr, (uint8_t)vector);
    end_level(vp, (uint8_t)vector);
}

void vapic_sync(struct vp *vp)
{
    struct vapic *apic = &vp->apic;
    if (!apic->assist_armed)
        return;
    if (!(vp_read_assist(vp) & HV_APIC_ASSIST_NO_EOI)) {
        apic->assist_armed = false;
        vp->stats.eois_avoided++;
        end_highest(vp);
    } else if (any_requested(apic)) {
        vapic_withdraw_assist(vp);
    }
}

void vapic_eoi(struct vp *vp)
{
    vapic_withdraw_assist(vp);
    end_highest(vp);
}

bool vapic_takes_nmi(const struct vapic *apic)
{
    static const uint8_t sources[] = {VAPIC_LVT_INDEX_THERMAL, VAPIC_LVT_INDEX_PERF,
                                      VAPIC_LVT_INDEX_LINT0, VAPIC_LVT_INDEX_LINT1};
    for (unsigned i = 0; i < ARRAY_COUNT(sources); i++) {
        const uint32_t lvt = apic->lvt[sources[i]];
        if (!(lvt & VAPIC_LVT_MASKED) && (lvt & VAPIC_LVT_MODE_MASK) == VAPIC_LVT_MODE_NMI)
            return true;
    }
    return false;
}

/* ---- registers ---- */

static int lvt_index(uint32_t reg)
{
    if (reg == VAPIC_LVT_CMCI)
        return VAPIC_LVT_INDEX_CMCI;
    if (reg >= VAPIC_LVT_TIMER && reg <= VAPIC_LVT_ERROR)
        return (int)(reg - VAPIC_LVT_TIMER) + VAPIC_LVT_INDEX_TIMER;
    return -1;
}

/* ISR, TMR and IRR lie one behind the other, eight registers each. */
static uint32_t bit_register(const struct vapic *apic, uint32_t index)
{
    const uint64_t *bits = index < 8 ? apic->isr : index < 16 ? apic->tmr : apic->irr;
    index %= 8;
    return (uint32_t)(bits[index / 2] >> (index % 2 * 32));
}

/* The registers that read as they are kept; NULL: another one. */
static const uint32_t *kept_register(const struct vapic *apic, uint32_t reg)
{
    static const uint16_t offset[] = {
        [VAPIC_TPR] = offsetof(struct vapic, tpr),
        [VAPIC_LDR] = offsetof(struct vapic, ldr),
        [VAPIC_SPURIOUS] = offsetof(struct vapic, spurious),
        [VAPIC_ESR] = offsetof(struct vapic, esr),
        [VAPIC_TIMER_INITIAL] = offsetof(struct vapic, timer_initial),
        [VAPIC_TIMER_DIVIDE] = offsetof(struct vapic, timer_divide),
    };
    if (lvt_index(reg) >= 0)
        return &apic->lvt[lvt_index(reg)];
    return reg < ARRAY_COUNT(offset) && offset[reg] != 0
               ? (const uint32_t *)(const void *)((const char *)apic + offset[reg])
               : NULL;
}

bool vapic_read(struct vp *vp, uint32_t reg, uint64_t *value)
{
    const struct vapic *apic = &vp->apic;
    const bool x2apic = vapic_is_x2apic(apic);
    const uint32_t *kept = kept_register(apic, reg);
    vapic_sync(vp);
    *value = 0;
    if (kept != NULL)
        *value = *kept;
    else if (reg >= VAPIC_ISR && reg < VAPIC_IRR + 8)
        *value = bit_register(apic, reg - VAPIC_ISR);
    else if (reg == VAPIC_ID)
        *value = x2apic ? apic->id : apic->id << 24;
    else if (reg == VAPIC_VERSION)
        *value = VERSION_VALUE;
    else if (reg == VAPIC_PPR)
        *value = processor_priority(apic);
    else if (reg == VAPIC_ICR)
        *value = x2apic ? apic->icr : (uint32_t)apic->icr;
    else if (reg == VAPIC_TIMER_CURRENT)
        *value = vapic_timer_current(vp);
    else if (x2apic) /* which has no others */
        return false;
    else if (reg == VAPIC_DFR)
        *value = apic->dfr;
    else if (reg == VAPIC_ICR_HIGH)
        *value = apic->icr >> 32;
    return true;
}

static void record_error(struct vp *vp, uint32_t error)
{
    struct vapic *apic = &vp->apic;
    apic->esr_latched |= error;
    const uint32_t lvt = apic->lvt[VAPIC_LVT_INDEX_ERROR];
    if (!(lvt & VAPIC_LVT_MASKED) && (lvt & 0xff) >= LOWEST_VECTOR)
        vapic_raise(apic, (uint8_t)lvt, false);
}

void vapic_send_fixed(struct vp *target, uint8_t vector)
{
    vapic_raise(&target->apic, vector, false);
    vp_notify(target);
}

static void write_lvt(struct vp *vp, int index, uint32_t value)
{
    struct vapic *apic = &vp->apic;
    value &= lvt_writable[index];
    if (!is_software_enabled(apic))
        value |= VAPIC_LVT_MASKED;
    const uint32_t old = apic->lvt[index];
    apic->lvt[index] = value;
    if (index == VAPIC_LVT_INDEX_TIMER)
        vapic_timer_mode_changed(vp, old);
    arch_lvt_changed(vp, (enum vapic_lvt)index, value);
}

static void write_spurious(struct vp *vp, uint32_t value)
{
    vp->apic.spurious = value & SPURIOUS_WRITABLE;
    if (value & SPURIOUS_ENABLE)
        return;
    for (int i = 0; i < VAPIC_LVT_COUNT; i++)
        write_lvt(vp, i, vp->apic.lvt[i] | VAPIC_LVT_MASKED);
}

static void write_icr(struct vp *vp, uint64_t icr)
{
    vp->apic.icr = icr & ~VAPIC_ICR_PENDING;
    if (!vapic_ipi_send(vp, icr))
        record_error(vp, ESR_ILLEGAL_SEND);
}

static void write_self_ipi(struct vp *vp, uint64_t value)
{
    if ((value & 0xff) < LOWEST_VECTOR)
        record_error(vp, ESR_ILLEGAL_SEND);
    else
        vapic_send_fixed(vp, (uint8_t)value);
}

/* Registers that only xAPIC mode has; it ignores writes of others. */
static void write_xapic_only(struct vapic *apic, uint32_t reg, uint64_t value)
{
    if (reg == VAPIC_LDR)
        apic->ldr = (uint32_t)value & 0xff000000;
    if (reg == VAPIC_DFR)
        apic->dfr = (uint32_t)value | 0x0fffffff;
    if (reg == VAPIC_ICR_HIGH)
        apic->icr = (apic->icr & 0xffffffff) | value << 32;
}

uint64_t vapic_writable(uint32_t reg)
{
    if (lvt_index(reg) >= 0)
        return lvt_writable[lvt_index(reg)] | LVT_STATUS_BITS;
    switch (reg) {
    case VAPIC_EOI:
    case VAPIC_ESR:
        return 0;
    case VAPIC_TPR:
    case VAPIC_SELF_IPI:
        return 0xff;
    case VAPIC_SPURIOUS:
        return SPURIOUS_WRITABLE | SPURIOUS_FOCUS;
    case VAPIC_ICR:
        return ~ICR_RESERVED;
    case VAPIC_TIMER_DIVIDE:
        return VAPIC_TIMER_DIVIDE_WRITABLE;
    default:
        return 0xffffffff;
    }
}

bool vapic_write(struct vp *vp, uint32_t reg, uint64_t value)
{
    struct vapic *apic = &vp->apic;
    const bool x2apic = vapic_is_x2apic(apic);
    vapic_sync(vp);
    if (x2apic && (value & ~vapic_writable(reg)))
        return false;
    if (lvt_index(reg) >= 0) {
        write_lvt(vp, lvt_index(reg), (uint32_t)value);
    } else if (reg == VAPIC_TPR) {
        apic->tpr = value & 0xff;
    } else if (reg == VAPIC_EOI) {
        vapic_eoi(vp);
    } else if (reg == VAPIC_SPURIOUS) {
        write_spurious(vp, (uint32_t)value);
    } else if (reg == VAPIC_ESR) {
        apic->esr = apic->esr_latched;
        apic->esr_latched = 0;
    } else if (reg == VAPIC_ICR) {
        write_icr(vp, x2apic ? value : (apic->icr & 0xffffffff00000000) | (uint32_t)value);
    } else if (reg == VAPIC_TIMER_INITIAL) {
        vapic_timer_load(vp, (uint32_t)value, (uint32_t)value);
    } else if (reg == VAPIC_TIMER_DIVIDE) {
        vapic_timer_set_divide(vp, (uint32_t)value);
    } else if (x2apic && reg == VAPIC_SELF_IPI) {
        write_self_ipi(vp, value);
    } else if (x2apic) {
        return false;
    } else {
        write_xapic_only(apic, reg, value);
    }
    return true;
}

/* All state stays but what the modes have in different forms. */
static void enter_x2apic(struct vapic *apic)
{
    apic->ldr = x2apic_ldr(apic->id);
    apic->icr &= 0xffffffff;
}

bool vapic_write_base(struct vp *vp, uint64_t value)
{
    struct vapic *apic = &vp->apic;
    const uint64_t mode = APIC_BASE_X2APIC | APIC_BASE_ENABLE;
    const uint64_t now = apic->base & mode;
    const uint64_t wanted = value & mode;
    if ((value ^ apic->base) & ~mode)
        return false;
    if ((wanted & APIC_BASE_ENABLE && !vp->partition->has_apic) ||
        (wanted & APIC_BASE_X2APIC && !vp->partition->has_x2apic))
        return false;
    /* x2APIC can be entered from xAPIC only and left for "off" only. */
    if (wanted == APIC_BASE_X2APIC || (now == mode && wanted == APIC_BASE_ENABLE) ||
        (now == 0 && wanted == mode))
        return false;
    /* The parent's accesses must be MSRs: nobody decodes its memory accesses. */
    if (vp->partition->id == PARTITION_PARENT && wanted != mode)
        return false;
    apic->base = (apic->base & ~mode) | wanted;
    if (now == APIC_BASE_ENABLE && wanted == mode)
        enter_x2apic(apic);
    else if (wanted != now)
        vapic_reset(vp);
    return true;
}
