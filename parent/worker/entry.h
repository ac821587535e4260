/* SPDX-License-Identifier: MIT */
/* Gives the first VP the registers with which its kernel begins. */
#ifndef PARENT_WORKER_ENTRY_H
#define PARENT_WORKER_ENTRY_H

#include "parent/partition/partition.h"
#include "parent/worker/boot.h"

bool bh_entry_set(struct bh_vp *vp, const struct bh_boot_state *boot, struct bh_error *error);

#endif
