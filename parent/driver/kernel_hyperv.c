// SPDX-License-Identifier: GPL-2.0-only
/* The boundary to the kernel's own Hyper-V support; see kernel_hyperv.h. */
#include <asm/mshyperv.h>

#include "parent/driver/kernel_hyperv.h"

bool bh_kernel_has_hypercalls(void)
{
    return hv_is_hyperv_initialized() && hv_hypercall_pg;
}

u64 bh_kernel_hypercall(u64 control, void *input, void *output)
{
    return hv_do_hypercall(control, input, output);
}

u64 bh_kernel_fast_hypercall(u16 code, u64 input1, u64 input2)
{
    return hv_do_fast_hypercall16(code, input1, input2);
}

void bh_kernel_set_interrupt_handler(void (*handler)(void))
{
    if (handler)
        hv_setup_vmbus_handler(handler);
    else
        hv_remove_vmbus_handler();
}
