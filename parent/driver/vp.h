/* SPDX-License-Identifier: GPL-2.0-only */
/* Virtual processors of a child: creation, files, state pages. */
#ifndef PARENT_DRIVER_VP_H
#define PARENT_DRIVER_VP_H

#include "parent/driver/partition.h"

/* MSHV_CREATE_VP, under partition->lock: returns the VP's file or a negative errno. */
int bh_vp_create(struct bh_partition *partition, u32 index);

/* Stops it, takes its pages back from the hypervisor and deletes it there. */
void bh_vp_destroy(struct bh_vp *vp);

/* Frees it; nobody, the interrupt handler included, may know it any more. */
void bh_vp_free(struct bh_vp *vp);

/* Sets or gets one scalar register; 0 or a negative errno. */
int bh_vp_set_register(struct bh_vp *vp, u32 name, u64 value);
int bh_vp_get_register(struct bh_vp *vp, u32 name, u64 *value);

/* MSHV_RUN_VP (run.c), under vp->lock. */
int bh_vp_run(struct bh_vp *vp, struct mshv_run_vp __user *to);

/* The interrupt handler found an intercept message of this VP. */
void bh_vp_kick(struct bh_vp *vp);

/* The VP ended a level-triggered interrupt; vector below 256. From the interrupt handler. */
void bh_vp_interrupt_ended(struct bh_vp *vp, u32 vector);

/* MSHV_GET_VP_STATE and MSHV_SET_VP_STATE (vp_state.c), under vp->lock. */
int bh_vp_state(struct bh_vp *vp, struct mshv_get_set_vp_state __user *user_args, bool set);

#endif
