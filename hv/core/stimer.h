/* SPDX-License-Identifier: MIT */
/*
 * Synthetic timers (TLFS, "Timers"): four a VP, counting reference time, that
 * expire as an interrupt (direct mode) or as a message. Touched only by the LP
 * that runs the VP. A timer is never early.
 */
#ifndef HV_CORE_STIMER_H
#define HV_CORE_STIMER_H

#include "hv/core/timer.h"
#include "hv/core/types.h"

struct vp;

struct stimer {
    struct timer timer;
    uint32_t index; /* among those of its VP */
    uint64_t config, count;
    reftime_t expiration;
    bool message_waits; /* expired, but its message slot was busy */
};

void stimer_init(struct vp *vp);
void stimer_reset(struct vp *vp);

/* Synthetic MSRs 0x400000b0 to 0x400000b7. False: #GP. */
bool stimer_read_msr(struct vp *vp, uint32_t index, uint64_t *value);
bool stimer_write_msr(struct vp *vp, uint32_t index, uint64_t value);

/* All timers at once. False: not a state that timers can be in; nothing has changed. */
struct hv_stimers_state;
void stimer_get_state(const struct vp *vp, struct hv_stimers_state *state);
bool stimer_set_state(struct vp *vp, const struct hv_stimers_state *state);

/* Tries again to deliver the messages of expired timers. */
void stimer_deliver_waiting(struct vp *vp);

#endif
