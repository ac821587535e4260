/* SPDX-License-Identifier: MIT */
/* Calls between LPs, and what the hypervisor's core uses them for. */
#include "hv/x86/call.h"

#include "hv/arch.h"
#include "hv/core/vp.h"
#include "hv/x86/cpu.h"
#include "hv/x86/smp.h"

struct lp_call {
    void (*function)(void *argument);
    void *argument;
    struct lp_call *next;
    bool done;
};

static void push(struct lp *lp, struct lp_call *call)
{
    struct lp_call *first = __atomic_load_n(&lp->calls, __ATOMIC_RELAXED);
    do
        call->next = first;
    while (!__atomic_compare_exchange_n(&lp->calls, &first, call, true, __ATOMIC_SEQ_CST,
                                        __ATOMIC_RELAXED));
}

void lp_take_calls(struct lp *lp)
{
    if (__atomic_load_n(&lp->calls, __ATOMIC_RELAXED) == NULL)
        return;
    struct lp_call *call = __atomic_exchange_n(&lp->calls, NULL, __ATOMIC_SEQ_CST);
    while (call != NULL) {
        struct lp_call *next = call->next; /* the call is gone once it is done */
        call->function(call->argument);
        __atomic_store_n(&call->done, true, __ATOMIC_RELEASE);
        call = next;
    }
}

void lp_call(struct lp *lp, void (*function)(void *argument), void *argument)
{
    struct lp *self = lp_this();
    if (lp == self) {
        function(argument);
        return;
    }
    struct lp_call call = {.function = function, .argument = argument};
    push(lp, &call);
    smp_kick(lp);
    while (!__atomic_load_n(&call.done, __ATOMIC_ACQUIRE)) {
        lp_take_calls(self);
        cpu_pause();
    }
}

void lp_call_all(void (*function)(void *argument), void *argument)
{
    for (uint32_t i = 0; i < lp_count; i++)
        lp_call(lp_table[i], function, argument);
}

/* ---- hv/arch.h ---- */

void arch_call_on_vp(struct vp *vp, void (*function)(void *argument), void *argument)
{
    lp_call(vp->lp, function, argument);
}

static void flush_here(void *argument)
{
    (void)argument;
    struct lp *lp = lp_this();
    lp->flush_guests = true;
    vp_check_overlays(lp->parent_vp);
    for (struct vp *vp = lp->children; vp != NULL; vp = vp->next_on_lp)
        vp_check_overlays(vp);
}

void arch_flush_partition(struct partition *partition)
{
    (void)partition; /* all share the few address-space identifiers */
    lp_call_all(flush_here, NULL);
}

struct vp *arch_parent_vp(const struct vp *vp)
{
    const struct lp *lp = vp->lp;
    return lp->parent_vp;
}
