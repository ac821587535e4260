/* SPDX-License-Identifier: MIT */
/* Synthetic timers. A timer runs while its configuration is enabled and its count is not zero. */
#include "hv/core/stimer.h"

#include "hv/abi/msr.h"
#include "hv/abi/vp.h"
#include "hv/arch.h"
#include "hv/core/lib.h"
#include "hv/core/partition.h"
#include "hv/core/vp.h"

#define LOWEST_VECTOR  16u
#define PERIOD_MINIMUM 1000u /* 100 us in units of 100 ns: no guest may storm its own LP */

static uint32_t direct_vector(const struct stimer *stimer)
{
    return stimer->config >> HV_STIMER_VECTOR_SHIFT & HV_STIMER_VECTOR_MASK;
}

static uint32_t sint(const struct stimer *stimer)
{
    return stimer->config >> HV_STIMER_SINT_SHIFT & HV_STIMER_SINT_MASK;
}

static bool send_message(struct vp *vp, const struct stimer *stimer)
{
    const struct hv_timer_message_payload payload = {
        .timer_index = stimer->index,
        .expiration_time = stimer->expiration,
        .delivery_time = partition_time(vp->partition),
    };
    struct hv_message message = {.type = HV_MESSAGE_TIMER_EXPIRED, .payload_size = sizeof payload};
    memcpy(message.payload, &payload, sizeof payload);
    return synic_post_message(vp, sint(stimer), &message) == HV_STATUS_SUCCESS;
}

static void deliver(struct vp *vp, struct stimer *stimer)
{
    vp->stats.timer_expirations++;
    if (stimer->config & HV_STIMER_DIRECT)
        vapic_send_fixed(vp, (uint8_t)direct_vector(stimer));
    else
        stimer->message_waits = !send_message(vp, stimer);
}

static reftime_t period(const struct stimer *stimer)
{
    return stimer->count < PERIOD_MINIMUM ? PERIOD_MINIMUM : stimer->count;
}

/* A time too far away to be written is one that never comes. */
static reftime_t later_by(reftime_t time, reftime_t wait)
{
    return wait > TIMER_NEVER - time ? TIMER_NEVER : time + wait;
}

static void rearm_periodic(struct vp *vp, struct stimer *stimer)
{
    const reftime_t now = partition_time(vp->partition);
    stimer->expiration = later_by(stimer->expiration, period(stimer));
    if (later_by(stimer->expiration, period(stimer)) < now)
        stimer->expiration = now; /* far behind, after a long stop: periods are not made up for */
    vp_arm_timer(vp, &stimer->timer, stimer->expiration);
}

static void expire(struct timer *timer)
{
    struct stimer *stimer = CONTAINER_OF(timer, struct stimer, timer);
    struct vp *vp = CONTAINER_OF(stimer - stimer->index, struct vp, stimer[0]);
    deliver(vp, stimer);
    if (stimer->config & HV_STIMER_PERIODIC)
        rearm_periodic(vp, stimer);
    else
        stimer->config &= ~HV_STIMER_ENABLE;
}

void stimer_init(struct vp *vp)
{
    for (unsigned i = 0; i < HV_STIMER_COUNT; i++) {
        vp->stimer[i].index = i;
        timer_init(&vp->stimer[i].timer, expire);
    }
}

void stimer_reset(struct vp *vp)
{
    for (unsigned i = 0; i < HV_STIMER_COUNT; i++) {
        struct stimer *stimer = &vp->stimer[i];
        timer_cancel(vp->timers, &stimer->timer);
        stimer->config = stimer->count = 0;
        stimer->message_waits = false;
    }
}

static void restart(struct vp *vp, struct stimer *stimer)
{
    timer_cancel(vp->timers, &stimer->timer);
    stimer->message_waits = false;
    if (!(stimer->config & HV_STIMER_ENABLE) || stimer->count == 0)
        return;
    stimer->expiration = stimer->config & HV_STIMER_PERIODIC
                             ? later_by(partition_time(vp->partition), period(stimer))
                             : stimer->count;
    vp_arm_timer(vp, &stimer->timer, stimer->expiration);
}

/* A timer that sends messages can not have SINT 0 (TLFS, "Synthetic Timer Configuration"). */
static bool has_target(const struct stimer *stimer)
{
    return stimer->config & HV_STIMER_DIRECT ? direct_vector(stimer) >= LOWEST_VECTOR
                                             : sint(stimer) != 0;
}

static bool is_valid_config(uint64_t value)
{
    const struct stimer wanted = {.config = value};
    return !(value & ~HV_STIMER_CONFIG_VALID) &&
           (!(value & HV_STIMER_ENABLE) || !(value & HV_STIMER_DIRECT) || has_target(&wanted));
}

static bool write_config(struct vp *vp, struct stimer *stimer, uint64_t value)
{
    if (!is_valid_config(value))
        return false;
    stimer->config = value;
    if (!has_target(stimer))
        stimer->config &= ~HV_STIMER_ENABLE;
    restart(vp, stimer);
    return true;
}

static void write_count(struct vp *vp, struct stimer *stimer, uint64_t value)
{
    stimer->count = value;
    if (value == 0)
        stimer->config &= ~HV_STIMER_ENABLE;
    else if ((stimer->config & HV_STIMER_AUTO_ENABLE) && has_target(stimer))
        stimer->config |= HV_STIMER_ENABLE;
    restart(vp, stimer);
}

bool stimer_read_msr(struct vp *vp, uint32_t index, uint64_t *value)
{
    const struct stimer *stimer = &vp->stimer[(index - HV_MSR_STIMER0_CONFIG) / 2];
    *value = (index - HV_MSR_STIMER0_CONFIG) % 2 == 0 ? stimer->config : stimer->count;
    return true;
}

bool stimer_write_msr(struct vp *vp, uint32_t index, uint64_t value)
{
    struct stimer *stimer = &vp->stimer[(index - HV_MSR_STIMER0_CONFIG) / 2];
    if ((index - HV_MSR_STIMER0_CONFIG) % 2 == 0)
        return write_config(vp, stimer, value);
    write_count(vp, stimer, value);
    return true;
}

void stimer_deliver_waiting(struct vp *vp)
{
    for (unsigned i = 0; i < HV_STIMER_COUNT; i++) {
        struct stimer *stimer = &vp->stimer[i];
        if (stimer->message_waits)
            stimer->message_waits = !send_message(vp, stimer);
    }
}

void stimer_get_state(const struct vp *vp, struct hv_stimers_state *state)
{
    for (unsigned i = 0; i < HV_STIMER_COUNT; i++) {
        const struct stimer *stimer = &vp->stimer[i];
        state->timer[i] = (struct hv_stimer_state){
            .flags = stimer->message_waits,
            .config = stimer->config,
            .count = stimer->count,
            .undelivered_expiry = stimer->message_waits ? stimer->expiration : 0,
        };
    }
}

bool stimer_set_state(struct vp *vp, const struct hv_stimers_state *state)
{
    for (unsigned i = 0; i < HV_STIMER_COUNT; i++)
        if (state->timer[i].flags > 1 || !is_valid_config(state->timer[i].config))
            return false;
    for (unsigned i = 0; i < HV_STIMER_COUNT; i++) {
        struct stimer *stimer = &vp->stimer[i];
        stimer->count = state->timer[i].count;
        write_config(vp, stimer, state->timer[i].config);
        stimer->message_waits = state->timer[i].flags;
        if (stimer->message_waits && !stimer->timer.armed)
            stimer->expiration = state->timer[i].undelivered_expiry;
    }
    stimer_deliver_waiting(vp);
    return true;
}
