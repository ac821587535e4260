/* SPDX-License-Identifier: MIT */
/* Bringing up the logical processors and signalling between them. */
#ifndef HV_X86_SMP_H
#define HV_X86_SMP_H

#include "hv/x86/boot/acpi.h"
#include "hv/x86/boot/ranges.h"
#include "hv/x86/lp.h"

/* Allocates the structures of `count` LPs and makes the calling one LP 0. */
void smp_init_boot_lp(const struct acpi_info *acpi, uint32_t count);

/*
 * Starts all other LPs, one by one, through a trampoline page below 1 MiB that is
 * ordinary RAM again afterwards. Each runs lp_main and waits there until all have started.
 */
void smp_start_others(const struct ranges *ranges, const struct boot_info *boot);

/* Makes an LP leave its guest, or its idle state, soon. */
void smp_kick(const struct lp *lp);

/* For fault reports: tells all other LPs to halt. */
void smp_stop_others(void);

/* Where the trampoline enters C: does not return. */
_Noreturn void lp_main(struct lp *lp);

#endif
