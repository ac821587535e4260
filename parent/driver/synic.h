/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The parent's own synthetic interrupt controller on each CPU: a message page,
 * an event-flags page and an event-ring page of the module's, with SINT0 for
 * messages about children and SINT5 for ports, both on the kernel's
 * hypervisor vector.
 */
#ifndef PARENT_DRIVER_SYNIC_H
#define PARENT_DRIVER_SYNIC_H

#include <linux/types.h>

#include "hv/abi/synic.h"

#define BH_SINT_MESSAGE 0u
#define BH_SINT_PORTS   5u

/* `handle` is called in the interrupt handler for each message of SINT0. */
int bh_synic_init(void (*handle)(const struct hv_message *message));
void bh_synic_exit(void);

/* Takes all entries out of this CPU's ring of SINT5. With interrupts off. */
void bh_synic_drain_ring(void);

/* The same on all CPUs; whatever was in the rings has been acted on when it returns. May sleep. */
void bh_synic_drain_all(void);

#endif
