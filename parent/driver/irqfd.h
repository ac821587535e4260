/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Interrupts by eventfd: a write to the eventfd asserts the interrupt that its
 * GSI is routed to. With a resample eventfd, the end of a level-triggered
 * interrupt is signalled there.
 */
#ifndef PARENT_DRIVER_IRQFD_H
#define PARENT_DRIVER_IRQFD_H

#include "parent/driver/partition.h"

int bh_irqfd_init(void);
void bh_irqfd_exit(void);

/* MSHV_IRQFD, under partition->lock. */
int bh_irqfd_set(struct bh_partition *partition, const struct mshv_user_irqfd *args);
void bh_irqfd_release(struct bh_partition *partition);

/*
 * A level-triggered interrupt of this vector ended in the child. False: no irqfd waits for it.
 * From the interrupt handler.
 */
bool bh_irqfd_end_of_interrupt(struct bh_partition *partition, u32 vector);

#endif
