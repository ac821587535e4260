// SPDX-License-Identifier: GPL-2.0-only
/* Per-CPU hypercall pages; see hypercall.h. */
#include <linux/gfp.h>
#include <linux/irqflags.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/string.h>

#include "parent/driver/hypercall.h"
#include "parent/driver/kernel_hyperv.h"

struct call_pages {
    void *input;
    void *output;
};

static DEFINE_PER_CPU(struct call_pages, call_pages);

static int allocate_pages(struct call_pages *pages)
{
    pages->input = (void *)get_zeroed_page(GFP_KERNEL);
    pages->output = (void *)get_zeroed_page(GFP_KERNEL);
    return pages->input && pages->output ? 0 : -ENOMEM;
}

void bh_hypercall_exit(void)
{
    int cpu;

    for_each_possible_cpu(cpu) {
        struct call_pages *pages = per_cpu_ptr(&call_pages, cpu);

        free_page((unsigned long)pages->input);
        free_page((unsigned long)pages->output);
        memset(pages, 0, sizeof(*pages));
    }
}

int bh_hypercall_init(void)
{
    int cpu;

    for_each_possible_cpu(cpu) {
        int err = allocate_pages(per_cpu_ptr(&call_pages, cpu));

        if (err) {
            bh_hypercall_exit();
            return err;
        }
    }
    return 0;
}

u64 bh_hypercall(u64 control, const void *in, size_t in_size, void *out, size_t out_size)
{
    struct call_pages *pages;
    unsigned long flags;
    u64 result;

    local_irq_save(flags);
    pages = this_cpu_ptr(&call_pages);
    memcpy(pages->input, in, in_size);
    result = bh_kernel_hypercall(control, in_size ? pages->input : NULL,
                                 out_size ? pages->output : NULL);
    if (bh_hypercall_status(result) == HV_STATUS_SUCCESS)
        memcpy(out, pages->output, out_size);
    local_irq_restore(flags);
    return result;
}

u16 bh_hypercall_fast(u16 code, u64 input1, u64 input2)
{
    return bh_hypercall_status(bh_kernel_fast_hypercall(code, input1, input2));
}

/* One piece of a repeated call, from repetition `start` on; returns the result word. */
static u64 call_piece(const struct bh_rep_call *call, u16 start)
{
    u64 control = call->code | (u64)call->count << HV_CONTROL_REP_COUNT_SHIFT |
                  (u64)start << HV_CONTROL_REP_START_SHIFT;
    struct call_pages *pages;
    unsigned long flags;
    u64 result;
    u16 done;

    local_irq_save(flags);
    pages = this_cpu_ptr(&call_pages);
    memcpy(pages->input, call->in, call->in_size);
    result = bh_kernel_hypercall(control, pages->input, call->out ? pages->output : NULL);
    done = (u16)(result >> HV_RESULT_REPS_SHIFT & HV_CONTROL_REP_MASK);
    if (call->out && done > start && done <= call->count)
        memcpy(call->out + start * call->out_element, pages->output + start * call->out_element,
               (done - start) * call->out_element);
    local_irq_restore(flags);
    return result;
}

u16 bh_hypercall_rep(const struct bh_rep_call *call, u16 *done)
{
    u64 result;
    u16 now;

    *done = 0;
    for (;;) {
        result = call_piece(call, *done);
        now = (u16)(result >> HV_RESULT_REPS_SHIFT & HV_CONTROL_REP_MASK);
        if (now > call->count)
            return HV_STATUS_INVALID_HYPERCALL_INPUT; /* never from a sound hypervisor */
        if (bh_hypercall_status(result) != HV_STATUS_SUCCESS || now == call->count) {
            *done = now;
            return bh_hypercall_status(result);
        }
        if (now <= *done)
            return HV_STATUS_INVALID_HYPERCALL_INPUT; /* no progress: would never end */
        *done = now;
    }
}

int bh_status_to_errno(u16 status)
{
    switch (status) {
    case HV_STATUS_SUCCESS:
        return 0;
    case HV_STATUS_INSUFFICIENT_MEMORY:
        return -ENOMEM;
    case HV_STATUS_INVALID_HYPERCALL_CODE:
    case HV_STATUS_INVALID_HYPERCALL_INPUT:
    case HV_STATUS_INVALID_PARAMETER:
    case HV_STATUS_INVALID_PARTITION_ID:
    case HV_STATUS_INVALID_VP_INDEX:
    case HV_STATUS_INVALID_PORT_ID:
    case HV_STATUS_INVALID_CONNECTION_ID:
    case 0x41: /* INVALID_LP_INDEX */
    case 0x50: /* INVALID_REGISTER_VALUE */
        return -EINVAL;
    case 0xffff: /* no hypercall page */
        return -EOPNOTSUPP;
    default:
        return -EIO;
    }
}
