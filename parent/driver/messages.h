/* SPDX-License-Identifier: GPL-2.0-only */
/* What messages about children mean. */
#ifndef PARENT_DRIVER_MESSAGES_H
#define PARENT_DRIVER_MESSAGES_H

#include "hv/abi/synic.h"

/* Acts on a message in SINT0's slot; in the interrupt handler. */
void bh_messages_handle(const struct hv_message *message);

#endif
