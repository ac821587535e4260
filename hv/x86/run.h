/* SPDX-License-Identifier: MIT */
/* The run loop of an LP, and its accounting of time. */
#ifndef HV_X86_RUN_H
#define HV_X86_RUN_H

#include "hv/x86/lp.h"

/* Runs VPs for ever. */
_Noreturn void run_loop(struct lp *lp);

/* The VP, suspended and out of reach of all others, is not run or looked at any more. */
void run_forget(struct lp *lp, struct vp *vp);

/* Time is charged to what ran until now: called at each change between guest and hypervisor. */
void lp_account_guest_entry(struct lp *lp);
void lp_account_guest_exit(struct lp *lp);

#endif
