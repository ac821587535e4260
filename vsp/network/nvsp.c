/* SPDX-License-Identifier: MIT */
/*
 * NVSP: the version, the two shared buffers, sub-channels, and what carries RNDIS. The primary
 * channel's messages set the card up; every queue's carry frames and give allocations back.
 */
#include <string.h>

#include "vsp/network/nic_parts.h"
#include "vsp/network/packet.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool is_known(uint32_t version)
{
    static const uint32_t versions[] = {NVSP_VERSION_1, NVSP_VERSION_2, NVSP_VERSION_4,
                                        NVSP_VERSION_5, NVSP_VERSION_6, NVSP_VERSION_61};

    for (size_t i = 0; i < COUNT(versions); i++)
        if (versions[i] == version)
            return true;
    return false;
}

/* A client that may take several versions gets the newest it names. */
static void agree_on_version(struct bh_nic *nic, const struct nvsp_message *message,
                             struct nvsp_message *reply)
{
    uint32_t version = message->init.maximum_version;

    reply->type = NVSP_INIT_COMPLETE;
    reply->init_complete.status = NVSP_FAIL;
    if (nic->state.version != 0)
        return;
    if (!is_known(version)) {
        reply->init_complete.status = version > NVSP_VERSION_61 ? NVSP_TOO_NEW : NVSP_TOO_OLD;
        return;
    }
    nic->state.version = version;
    reply->init_complete.version = version;
    reply->init_complete.max_mdl_chain_length = 34;
    reply->init_complete.status = NVSP_SUCCESS;
}

/* A whole frame of the largest MTU and its header fit an allocation. */
static uint32_t allocation_size(const struct bh_nic *nic)
{
    uint32_t frame =
        (nic->state.mtu != 0 ? nic->state.mtu : nic->options.mtu) + BH_ETHERNET_SIZE + BH_VLAN_SIZE;
    uint32_t size = (frame + BH_PACKET_HEADER_MAX + 7) / 8 * 8;

    return size > BH_RECEIVE_ALLOCATION ? size : BH_RECEIVE_ALLOCATION;
}

static bool open_receive_buffer(struct bh_nic *nic, const struct bh_nic_queue *queue,
                                const struct nvsp_buffer *buffer)
{
    if (buffer->id != NVSP_RECEIVE_BUFFER_ID || nic->receive.size != 0 ||
        !bh_shared_open(&nic->receive, queue->channel, buffer->gpadl, allocation_size(nic)))
        return false;
    if (nic->receive.count > BH_LOANS_MAX)
        nic->receive.count = BH_LOANS_MAX;
    if (nic->receive.count <= 2 * BH_RECEIVE_RESERVE) {
        bh_shared_close(&nic->receive);
        return false;
    }
    bh_loans_open(&nic->loans, nic->receive.count, bh_vmbus_device_space(nic->device),
                  bh_vmbus_round(nic->bus));
    nic->receive_gpadl = buffer->gpadl;
    bh_vmbus_channel_hold(queue->channel);
    return true;
}

static void take_receive_buffer(struct bh_nic *nic, const struct bh_nic_queue *queue,
                                const struct nvsp_message *message, struct nvsp_message *reply)
{
    reply->type = NVSP_SEND_RECEIVE_BUFFER_COMPLETE;
    reply->receive_buffer_complete.status = NVSP_FAIL;
    if (!open_receive_buffer(nic, queue, &message->buffer))
        return;
    reply->receive_buffer_complete = (struct nvsp_receive_buffer_complete){
        .status = NVSP_SUCCESS,
        .section_count = 1,
        .allocation_size = nic->receive.unit,
        .allocation_count = nic->receive.count,
        .end_offset = nic->receive.unit * nic->receive.count,
    };
}

static void take_send_buffer(struct bh_nic *nic, const struct bh_nic_queue *queue,
                             const struct nvsp_message *message, struct nvsp_message *reply)
{
    reply->type = NVSP_SEND_SEND_BUFFER_COMPLETE;
    reply->send_buffer_complete.status = NVSP_FAIL;
    if (nic->send.size != 0 ||
        !bh_shared_open(&nic->send, queue->channel, message->buffer.gpadl, BH_SEND_SECTION))
        return;
    nic->send_gpadl = message->buffer.gpadl;
    bh_vmbus_channel_hold(queue->channel);
    reply->send_buffer_complete = (struct nvsp_send_buffer_complete){NVSP_SUCCESS, BH_SEND_SECTION};
}

void bh_nic_close_receive_buffer(struct bh_nic *nic, struct bh_vmbus_channel *channel)
{
    if (nic->receive.size == 0)
        return;
    for (size_t i = 0; i < COUNT(nic->queue); i++) {
        nic->queue[i].answer = BH_LOAN_CHAIN_EMPTY;
        nic->queue[i].batch = BH_LOAN_CHAIN_EMPTY;
        nic->queue[i].batch_count = 0;
    }
    bh_loans_close(&nic->loans);
    bh_shared_close(&nic->receive);
    bh_vmbus_channel_release(channel);
}

void bh_nic_close_send_buffer(struct bh_nic *nic, struct bh_vmbus_channel *channel)
{
    if (nic->send.size == 0)
        return;
    bh_shared_close(&nic->send);
    bh_vmbus_channel_release(channel);
}

/* A client waits for as many as it is told; so none are promised that are not offered. */
static void offer_sub_channels(struct bh_nic *nic, const struct nvsp_message *message,
                               struct nvsp_message *reply)
{
    uint32_t count = message->subchannel.count;

    reply->type = NVSP_SUBCHANNEL;
    reply->subchannel_complete.status = NVSP_FAIL;
    if (message->subchannel.operation != NVSP_SUBCHANNEL_ALLOC || count == 0 ||
        nic->sub_channels_offered || nic->state.version < NVSP_VERSION_5)
        return;
    if (count > nic->options.queues - 1)
        count = nic->options.queues - 1;
    if (count == 0 || !bh_vmbus_device_offer_sub_channels(nic->device, count))
        return;
    nic->sub_channels_offered = true;
    reply->subchannel_complete = (struct nvsp_subchannel_complete){NVSP_SUCCESS, count};
}

static void note_config(struct bh_nic *nic, const struct nvsp_ndis_config *config)
{
    uint32_t mtu = config->mtu > BH_ETHERNET_SIZE ? config->mtu - BH_ETHERNET_SIZE : 0;

    if (mtu > nic->options.mtu)
        mtu = nic->options.mtu;
    nic->state.mtu = mtu < BH_NIC_MTU_MIN ? BH_NIC_MTU_MIN : mtu;
}

/* Messages of the primary channel that come after the version. Returns the reply's size. */
static uint32_t serve_control(struct bh_nic *nic, struct bh_nic_queue *queue,
                              const struct nvsp_message *message, struct nvsp_message *reply)
{
    switch (message->type) {
    case NVSP_SEND_NDIS_CONFIG:
        note_config(nic, &message->ndis_config);
        return 0;
    case NVSP_SEND_RECEIVE_BUFFER:
        take_receive_buffer(nic, queue, message, reply);
        return sizeof(*reply);
    case NVSP_REVOKE_RECEIVE_BUFFER:
        bh_nic_close_receive_buffer(nic, queue->channel);
        return 0;
    case NVSP_SEND_SEND_BUFFER:
        take_send_buffer(nic, queue, message, reply);
        return sizeof(*reply);
    case NVSP_REVOKE_SEND_BUFFER:
        bh_nic_close_send_buffer(nic, queue->channel);
        return 0;
    case NVSP_SUBCHANNEL:
        offer_sub_channels(nic, message, reply);
        return sizeof(*reply);
    default: /* nothing that has an effect here: the NDIS version, a data path to no other card */
        return 0;
    }
}

static uint32_t serve_message(struct bh_nic *nic, struct bh_nic_queue *queue,
                              const struct bh_vmbus_packet *packet, struct nvsp_message *reply)
{
    struct nvsp_message message = {0};

    memcpy(&message, packet->payload,
           packet->size < sizeof(message) ? packet->size : sizeof(message));
    if (message.type == NVSP_INIT && bh_nic_is_primary(nic, queue)) {
        agree_on_version(nic, &message, reply);
        return sizeof(*reply);
    }
    if (nic->state.version == 0)
        return 0;
    if (message.type == NVSP_SEND_RNDIS_PACKET) {
        reply->type = NVSP_SEND_RNDIS_PACKET_COMPLETE;
        reply->status = bh_nic_transmit(nic, queue, packet, &message);
        return sizeof(*reply);
    }
    return bh_nic_is_primary(nic, queue) ? serve_control(nic, queue, &message, reply) : 0;
}

void bh_nic_serve_packet(struct bh_nic *nic, struct bh_nic_queue *queue,
                         const struct bh_vmbus_packet *packet)
{
    struct nvsp_message reply = {0};
    uint32_t size;

    if (packet->type == VMBUS_PACKET_COMPLETION) {
        (void)bh_loans_return(&nic->loans, packet->transaction - 1);
        return;
    }
    size = serve_message(nic, queue, packet, &reply);
    if (packet->wants_completion)
        bh_nic_complete(queue, packet->transaction, &reply, size);
}
