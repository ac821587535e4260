/* SPDX-License-Identifier: MIT */
/* Before host_machine.c: what it does in the place of hv/x86 gives way to hv/x86. */
#ifndef TESTS_MODEL_SVM_WEAK_H
#define TESTS_MODEL_SVM_WEAK_H

#pragma weak arch_fill_hypercall_page
#pragma weak arch_fill_info
#pragma weak arch_fill_lp_stats
#pragma weak arch_fill_reference_tsc
#pragma weak arch_fill_register_page
#pragma weak arch_get_register
#pragma weak arch_intercept_hypercall
#pragma weak arch_level_eoi
#pragma weak arch_lvt_changed
#pragma weak arch_read_msr
#pragma weak arch_set_register
#pragma weak arch_set_time_lag
#pragma weak arch_take_intercepts
#pragma weak arch_tsc_hz
#pragma weak arch_tsc_is_invariant
#pragma weak arch_tsc_is_synchronized
#pragma weak arch_vp_cr4
#pragma weak arch_vp_create
#pragma weak arch_vp_init
#pragma weak arch_vp_interrupts_enabled
#pragma weak arch_vp_startup
#pragma weak arch_vp_xsave
#pragma weak arch_write_msr
#pragma weak arch_xsave_components
#pragma weak arch_xsave_size

#endif
