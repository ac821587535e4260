/* SPDX-License-Identifier: MIT */
/* Why a node of the driver does not open, in a sentence with the remedy. */
#ifndef PARENT_PARTITION_OPEN_H
#define PARENT_PARTITION_OPEN_H

#include "parent/partition/device.h"
#include "parent/partition/error.h"

/* `number` is the errno of the open. Returns false. */
bool bh_open_explain(const struct bh_device_layer *layer, const char *node, int number,
                     struct bh_error *error);

#endif
