/* SPDX-License-Identifier: MIT */
/*
 * A card that goes on in another process: what the bus's journal keeps of it, and how it is put
 * together again from that and the guest's rings.
 */
#include "vsp/network/nic_parts.h"

/* What the journal keeps of a card. Frames on their way to the guest are lost: it is a network. */
struct saved {
    struct bh_nic_state state;
    bool link_up;
    bool link_waits;
    bool sub_channels_offered;
    uint16_t part_id;
    uint32_t send_gpadl, send_unit; /* unit 0: there is no such buffer */
    uint32_t receive_gpadl, receive_unit, receive_count;
    struct {
        bool completion_waits;
        uint16_t answer; /* BH_LOAN_NONE: none */
        uint32_t answer_size;
        uint32_t completion_size;
        uint64_t completion_transaction;
        struct nvsp_message completion;
    } queue[BH_NIC_QUEUES_MAX];
};
_Static_assert(sizeof(struct saved) <= BH_VMBUS_STATE_MAX, "the device's state");
_Static_assert(BH_LOANS_MAX * sizeof(struct bh_loan) <= BH_VMBUS_SPACE, "the device's space");

void bh_nic_save(void *context, void *to)
{
    const struct bh_nic *nic = context;
    struct saved *saved = to;

    saved->state = nic->state;
    saved->link_up = nic->link_up;
    saved->link_waits = nic->link_waits;
    saved->sub_channels_offered = nic->sub_channels_offered;
    saved->part_id = nic->part_id;
    saved->send_gpadl = nic->send_gpadl;
    saved->send_unit = nic->send.unit;
    saved->receive_gpadl = nic->receive_gpadl;
    saved->receive_unit = nic->receive.unit;
    saved->receive_count = nic->receive.count;
    for (size_t i = 0; i < nic->options.queues; i++) {
        const struct bh_nic_queue *queue = &nic->queue[i];

        saved->queue[i].completion_waits = queue->completion_waits;
        saved->queue[i].completion_size = queue->completion_size;
        saved->queue[i].completion_transaction = queue->completion_transaction;
        saved->queue[i].completion = queue->completion;
        saved->queue[i].answer = queue->channel != NULL ? queue->answer.first : BH_LOAN_NONE;
        saved->queue[i].answer_size = queue->answer_size;
    }
}

static void resume_queue(struct bh_nic *nic, struct bh_vmbus_channel *channel,
                         const struct saved *saved)
{
    uint16_t index = bh_vmbus_channel_index(channel);
    uint16_t answer = saved->queue[index].answer;

    nic->queue[index] =
        (struct bh_nic_queue){.channel = channel,
                              .completion_waits = saved->queue[index].completion_waits,
                              .completion_transaction = saved->queue[index].completion_transaction,
                              .completion = saved->queue[index].completion,
                              .completion_size = saved->queue[index].completion_size,
                              .answer = {answer, answer},
                              .answer_size = saved->queue[index].answer_size,
                              .batch = BH_LOAN_CHAIN_EMPTY};
    bh_vmbus_channel_set_user(channel, &nic->queue[index]);
}

static bool resume_buffers(struct bh_nic *nic, struct bh_vmbus_channel *channel,
                           const struct saved *saved)
{
    nic->send_gpadl = saved->send_gpadl;
    nic->receive_gpadl = saved->receive_gpadl;
    if (saved->send_unit != 0) {
        if (!bh_shared_open(&nic->send, channel, saved->send_gpadl, saved->send_unit))
            return false;
        bh_vmbus_channel_hold(channel);
    }
    if (saved->receive_unit == 0)
        return true;
    if (!bh_shared_open(&nic->receive, channel, saved->receive_gpadl, saved->receive_unit) ||
        saved->receive_count > nic->receive.count)
        return false;
    nic->receive.count = saved->receive_count;
    bh_loans_resume(&nic->loans, nic->receive.count, bh_vmbus_device_space(nic->device),
                    bh_vmbus_round(nic->bus), saved->queue[0].answer);
    bh_vmbus_channel_hold(channel);
    return true;
}

bool bh_nic_resumed(void *context, struct bh_vmbus_channel *channel)
{
    struct bh_nic *nic = context;
    const struct saved *saved = bh_vmbus_device_saved(nic->device);

    if (saved == NULL || bh_vmbus_channel_index(channel) >= nic->options.queues)
        return false;
    resume_queue(nic, channel, saved);
    if (bh_vmbus_channel_index(channel) != 0)
        return true;
    nic->state = saved->state;
    nic->link_waits = saved->link_waits || saved->link_up != nic->link_up;
    nic->sub_channels_offered = saved->sub_channels_offered;
    nic->part_id = saved->part_id;
    if (!resume_buffers(nic, channel, saved))
        return false;
    bh_nic_look(nic);
    return true;
}
