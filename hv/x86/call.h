/* SPDX-License-Identifier: MIT */
/*
 * Calls from one LP to another: the state of a VP is touched by its own LP
 * only, so who wants something of it sends a function there.
 *
 * An LP takes calls in its run loop, and while it waits for its own: two LPs
 * that call each other both go on. So a function that is called must not count on
 * anything that a hypercall in progress on that LP holds, must not wait, and
 * nobody calls while holding a spinlock.
 */
#ifndef HV_X86_CALL_H
#define HV_X86_CALL_H

struct lp;

/* Runs function(argument) on the LP and returns after it. */
void lp_call(struct lp *lp, void (*function)(void *argument), void *argument);
/* The same on every LP, one after the other. */
void lp_call_all(void (*function)(void *argument), void *argument);

/* Runs what others have sent to this LP. */
void lp_take_calls(struct lp *lp);

#endif
