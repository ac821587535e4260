/* SPDX-License-Identifier: MIT */
/* The whole state of a virtual APIC as the blob that VP state calls carry. */
#include "hv/abi/vp.h"
#include "hv/core/lib.h"
#include "hv/core/vapic_parts.h"
#include "hv/core/vp.h"

#define STATE_WORDS     (sizeof(struct hv_lapic_state) / sizeof(uint32_t))
#define RESERVED_VECTOR 0xffffu /* 0 to 15, in the first word of a bit register */

/* Runs of words of the blob that hold a run of registers. */
static const struct {
    uint8_t word, count, first;
} runs[] = {
    {0, 2, VAPIC_ID},
    {2, 28, VAPIC_LDR},
    {31, 1, VAPIC_ICR},
    {32, 6, VAPIC_LVT_TIMER},
    {38, 1, VAPIC_LVT_CMCI},
    {40, 2, VAPIC_TIMER_INITIAL},
    {42, 1, VAPIC_TIMER_DIVIDE},
};

/* 0: none. */
static uint32_t register_of(unsigned word)
{
    for (unsigned i = 0; i < ARRAY_COUNT(runs); i++)
        if (word >= runs[i].word && word < runs[i].word + runs[i].count)
            return runs[i].first + word - runs[i].word;
    return 0;
}

void vapic_get_state(struct vp *vp, struct hv_lapic_state *state)
{
    uint32_t *word = (uint32_t *)state;
    for (unsigned i = 0; i < STATE_WORDS; i++) {
        uint64_t value = 0;
        vapic_read(vp, register_of(i), &value);
        word[i] = (uint32_t)value;
    }
    state->icr_high = (uint32_t)(vp->apic.icr >> 32);
    state->error_status = vp->apic.esr_latched;
}

static bool is_restored_by_write(uint32_t reg)
{
    return reg == VAPIC_SPURIOUS || reg == VAPIC_LVT_CMCI || reg == VAPIC_TIMER_DIVIDE ||
           (reg >= VAPIC_LVT_TIMER && reg <= VAPIC_LVT_ERROR);
}

static bool is_valid(const uint32_t *word, const struct hv_lapic_state *state)
{
    for (unsigned i = 0; i < STATE_WORDS; i++)
        if (is_restored_by_write(register_of(i)) && (word[i] & ~vapic_writable(register_of(i))))
            return false;
    return ((state->isr[0] | state->tmr[0] | state->irr[0]) & RESERVED_VECTOR) == 0 &&
           state->current_count <= state->initial_count;
}

bool vapic_set_state(struct vp *vp, const struct hv_lapic_state *state)
{
    const uint32_t *word = (const uint32_t *)state;
    struct vapic *apic = &vp->apic;
    if (!is_valid(word, state))
        return false;
    vapic_withdraw_assist(vp);
    if (!vapic_is_x2apic(apic)) {
        apic->ldr = state->ldr & 0xff000000;
        apic->dfr = state->dfr | 0x0fffffff;
    }
    /* The spurious register comes before the entries, which stay masked while the APIC is off. */
    for (unsigned i = 0; i < STATE_WORDS; i++)
        if (is_restored_by_write(register_of(i)))
            vapic_write(vp, register_of(i), word[i]);
    memcpy(apic->isr, state->isr, sizeof apic->isr);
    memcpy(apic->tmr, state->tmr, sizeof apic->tmr);
    memcpy(apic->irr, state->irr, sizeof apic->irr);
    apic->esr = state->esr;
    apic->esr_latched = state->error_status;
    apic->icr = ((uint64_t)state->icr_high << 32 | state->icr_low) & ~VAPIC_ICR_PENDING;
    vapic_timer_load(vp, state->initial_count, state->current_count);
    vp_notify(vp);
    return true;
}
