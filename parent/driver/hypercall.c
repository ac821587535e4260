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

    for_each_possible_cpu(cpu)
    {
        struct call_pages *pages = per_cpu_ptr(&call_pages, cpu);

        free_page((unsigned long)pages->input);
        free_page((unsigned long)pages->output);
        memset(pages, 0, sizeof(*pages));
    }
}

int bh_hypercall_init(void)
{
    int cpu;

    for_each_possible_cpu(cpu)
    {
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
