/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What this module takes from the kernel's own Hyper-V support. The kernel's
 * headers and hv/abi define the same names, so only kernel_hyperv.c includes the
 * kernel's, and everything else includes this.
 */
#ifndef PARENT_DRIVER_KERNEL_HYPERV_H
#define PARENT_DRIVER_KERNEL_HYPERV_H

#include <linux/types.h>

/* The kernel has found a hypervisor of this interface and placed a hypercall page. */
bool bh_kernel_has_hypercalls(void);

/*
 * Calls the hypervisor. `input` and `output` are directly mapped kernel memory,
 * 8-byte aligned, within a page; NULL for none. Returns the result word.
 */
u64 bh_kernel_hypercall(u64 control, void *input, void *output);

/* A "fast" call: input in registers, no output. */
u64 bh_kernel_fast_hypercall(u16 code, u64 input1, u64 input2);

/* The handler of vector 0xf3, called with interrupts off; NULL removes it. */
void bh_kernel_set_interrupt_handler(void (*handler)(void));

#endif
