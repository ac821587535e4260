/* SPDX-License-Identifier: MIT */
#include "vsp/network/nic.h"

#include <linux/if_tun.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "vsp/network/nic_parts.h"
#include "vsp/network/packet.h"
#include "vsp/network/tap.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define SECOND UINT64_C(1000000000)

/* --- what waits for room ------------------------------------------------------------------ */

static bool send_completion(struct bh_nic_queue *queue)
{
    queue->completion_waits = !bh_vmbus_channel_complete(
        queue->channel, queue->completion_transaction, &queue->completion, queue->completion_size);
    return !queue->completion_waits;
}

/* Completes a packet of the guest, now or when there is room. `size` 0: without a message. */
static void complete(struct bh_nic_queue *queue, uint64_t transaction,
                     const struct nvsp_message *message, uint32_t size)
{
    queue->completion_transaction = transaction;
    queue->completion = *message;
    queue->completion_size = size;
    (void)send_completion(queue);
}

bool bh_nic_queue_flush(struct bh_nic *nic, struct bh_nic_queue *queue)
{
    if (queue->completion_waits && !send_completion(queue))
        return false;
    if (queue->answer.first != BH_LOAN_NONE && !bh_nic_send_answer(nic, queue))
        return false;
    if (queue->batch_count != 0 && !bh_nic_send_batch(nic, queue))
        return false;
    return true;
}

static void tell_link(struct bh_nic *nic)
{
    uint8_t message[BH_RNDIS_ANSWER_MAX];

    if (!nic->link_waits || !nic->state.initialized)
        return;
    nic->link_waits = !bh_nic_answer(nic, message, bh_rndis_link(nic->link_up, message));
    (void)bh_nic_queue_flush(nic, &nic->queue[0]);
}

/* --- turns at the send rate --------------------------------------------------------------- */

/* The queue that is to send next of those that wait; NULL: none waits. */
static struct bh_nic_queue *next_in_turn(struct bh_nic *nic)
{
    struct bh_nic_queue *next = NULL;

    for (size_t i = 0; i < COUNT(nic->queue); i++) {
        struct bh_nic_queue *queue = &nic->queue[i];

        if (queue->channel != NULL && queue->waits && (next == NULL || queue->sent < next->sent))
            next = queue;
    }
    return next;
}

/* May the queue read a packet now? If not, it waits for its turn. */
static bool take_turn(struct bh_nic *nic, struct bh_nic_queue *queue)
{
    const struct bh_nic_queue *next;

    if (nic->transmit_bucket.rate == 0)
        return true;
    next = next_in_turn(nic);
    queue->waits = (next != NULL && next->sent < queue->sent) ||
                   bh_bucket_wait(&nic->transmit_bucket, nic->clock()) != 0;
    return !queue->waits;
}

/* After this queue, and when the rate allows: wakes the next. Returns the ns until it does. */
static uint64_t wake_next(struct bh_nic *nic)
{
    const struct bh_nic_queue *next = next_in_turn(nic);
    uint64_t wait = next != NULL ? bh_bucket_wait(&nic->transmit_bucket, nic->clock()) : 0;

    if (next != NULL && wait == 0)
        bh_vmbus_channel_kick(next->channel);
    return wait;
}

/* --- taps and time ------------------------------------------------------------------------ */

static void set_timer(struct bh_nic *nic)
{
    uint64_t transmit = wake_next(nic);
    uint64_t receive = bh_bucket_wait(&nic->receive_bucket, nic->clock());
    uint64_t wait = transmit != 0 && (receive == 0 || transmit < receive) ? transmit : receive;
    const struct itimerspec time = {
        .it_value = {.tv_sec = (time_t)(wait / SECOND), .tv_nsec = (long)(wait % SECOND)}};

    (void)timerfd_settime(nic->timer.fd, 0, &time, NULL); /* 0: off */
}

static bool is_limited(const struct bh_nic *nic)
{
    return nic->transmit_bucket.rate != 0 || nic->receive_bucket.rate != 0;
}

/* The link is up and the guest wants to hear something. */
static bool is_listening(const struct bh_nic *nic)
{
    return nic->link_up && nic->state.filter != 0 && nic->receive.size != 0;
}

static void set_offload(struct bh_nic *nic)
{
    unsigned bits = 0;

    if (nic->state.verify_checksum)
        bits = TUN_F_CSUM | (nic->state.coalesce_ip4 ? (unsigned)TUN_F_TSO4 : 0) |
               (nic->state.coalesce_ip6 ? (unsigned)TUN_F_TSO6 : 0);
    if (bits == nic->offload)
        return;
    nic->offload = bits;
    for (uint32_t i = 0; i < nic->tap_count; i++)
        bh_tap_set_offload(nic->tap[i].watch.fd, bits);
}

static void watch_taps(struct bh_nic *nic, bool listening)
{
    uint32_t events = listening && bh_nic_can_receive(nic) ? (uint32_t)EPOLLIN : 0;
    struct bh_loop *loop = bh_vmbus_loop(nic->bus);

    for (uint32_t i = 0; i < nic->tap_count; i++) {
        if (nic->tap[i].gone)
            continue;
        if (listening && !nic->listening)
            bh_nic_drain(nic, &nic->tap[i]);
        (void)bh_loop_change(loop, &nic->tap[i].watch, events);
    }
    nic->listening = listening;
}

void bh_nic_look(struct bh_nic *nic)
{
    set_offload(nic);
    tell_link(nic);
    watch_taps(nic, is_listening(nic));
    if (is_limited(nic))
        set_timer(nic);
}

static void on_timer(void *context, uint32_t events)
{
    struct bh_nic *nic = context;
    uint64_t count;

    (void)events;
    if (read(nic->timer.fd, &count, sizeof(count)) < 0)
        return;
    bh_nic_look(nic);
}

/* All queues of a tap go together. */
static void lose_tap(struct bh_nic *nic, struct bh_nic_tap *tap)
{
    bool first = true;

    for (uint32_t i = 0; i < nic->tap_count; i++)
        first = first && (&nic->tap[i] == tap || !nic->tap[i].gone);
    bh_loop_remove(bh_vmbus_loop(nic->bus), &tap->watch);
    if (first)
        bh_vmbus_log(nic->bus, "Network card %s: its tap device is gone; the link is down.",
                     nic->options.name);
    bh_nic_set_link(nic, false);
}

static void on_tap(void *context, uint32_t events)
{
    struct bh_nic_tap *tap = context;
    struct bh_nic *nic = tap->nic;

    if ((events & (EPOLLERR | EPOLLHUP)) != 0)
        tap->gone = true;
    else if (nic->listening)
        bh_nic_receive(nic, tap);
    if (tap->gone)
        lose_tap(nic, tap);
    bh_nic_look(nic);
}

/* --- NVSP --------------------------------------------------------------------------------- */

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

/* What waits to be brought to the guest goes with the buffer it is in. */
static void close_receive_buffer(struct bh_nic *nic, struct bh_vmbus_channel *channel)
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

static void close_send_buffer(struct bh_nic *nic, struct bh_vmbus_channel *channel)
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
        close_receive_buffer(nic, queue->channel);
        return 0;
    case NVSP_SEND_SEND_BUFFER:
        take_send_buffer(nic, queue, message, reply);
        return sizeof(*reply);
    case NVSP_REVOKE_SEND_BUFFER:
        close_send_buffer(nic, queue->channel);
        return 0;
    case NVSP_SUBCHANNEL:
        offer_sub_channels(nic, message, reply);
        return sizeof(*reply);
    default: /* nothing that has an effect here: the NDIS version, a data path to no other card */
        return 0;
    }
}

static bool is_primary(const struct bh_nic *nic, const struct bh_nic_queue *queue)
{
    return queue == &nic->queue[0];
}

static uint32_t serve_message(struct bh_nic *nic, struct bh_nic_queue *queue,
                              const struct bh_vmbus_packet *packet, struct nvsp_message *reply)
{
    struct nvsp_message message = {0};

    memcpy(&message, packet->payload,
           packet->size < sizeof(message) ? packet->size : sizeof(message));
    if (message.type == NVSP_INIT && is_primary(nic, queue)) {
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
    return is_primary(nic, queue) ? serve_control(nic, queue, &message, reply) : 0;
}

static void serve_packet(struct bh_nic *nic, struct bh_nic_queue *queue,
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
        complete(queue, packet->transaction, &reply, size);
}

/* --- the bus ------------------------------------------------------------------------------ */

static void on_ready(void *context, struct bh_vmbus_channel *channel)
{
    struct bh_nic_queue *queue = bh_vmbus_channel_user(channel);
    struct bh_nic *nic = context;
    struct bh_vmbus_packet packet;

    if (!queue->waits && queue->sent < nic->sent)
        queue->sent = nic->sent;
    queue->waits = false;
    while (bh_nic_queue_flush(nic, queue) && take_turn(nic, queue) &&
           bh_vmbus_channel_read(channel, &packet))
        serve_packet(nic, queue, &packet);
    bh_nic_look(nic);
}

static bool on_opened(void *context, struct bh_vmbus_channel *channel, const uint8_t user[120])
{
    uint16_t index = bh_vmbus_channel_index(channel);
    struct bh_nic *nic = context;

    (void)user;
    if (index >= nic->options.queues)
        return false;
    nic->queue[index] = (struct bh_nic_queue){
        .channel = channel, .answer = BH_LOAN_CHAIN_EMPTY, .batch = BH_LOAN_CHAIN_EMPTY};
    bh_vmbus_channel_set_user(channel, &nic->queue[index]);
    return true;
}

/* The state of a card is its primary channel's. */
static void on_closed(void *context, struct bh_vmbus_channel *channel)
{
    struct bh_nic_queue *queue = bh_vmbus_channel_user(channel);
    struct bh_nic *nic = context;

    queue->channel = NULL;
    bh_loans_drop(&nic->loans, &queue->batch);
    queue->batch_count = 0;
    if (is_primary(nic, queue)) {
        close_receive_buffer(nic, channel);
        close_send_buffer(nic, channel);
        nic->state = (struct bh_nic_state){0};
        nic->sub_channels_offered = false;
        nic->link_waits = false;
    }
    bh_nic_look(nic);
}

/* --- going on in another process ---------------------------------------------------------- */

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

static void save(void *context, void *to)
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

static bool on_resumed(void *context, struct bh_vmbus_channel *channel)
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

static const struct bh_vmbus_provider provider = {.opened = on_opened,
                                                  .closed = on_closed,
                                                  .ready = on_ready,
                                                  .save = save,
                                                  .resumed = on_resumed};

/* --- life --------------------------------------------------------------------------------- */

static bool add_taps(struct bh_nic *nic)
{
    for (uint32_t i = 0; i < nic->tap_count; i++) {
        struct bh_nic_tap *tap = &nic->tap[i];

        tap->watch.ready = on_tap;
        tap->watch.context = tap;
        if (!bh_loop_add(bh_vmbus_loop(nic->bus), &tap->watch, 0)) {
            nic->tap[i].gone = true; /* not there to be removed */
            return false;
        }
        bh_tap_set_offload(tap->watch.fd, 0);
    }
    return true;
}

static bool start(struct bh_nic *nic, const struct bh_nic_place *place)
{
    const struct bh_vmbus_identity identity = {VMBUS_CLASS_NETWORK, place->instance};

    nic->timer = (struct bh_watch){on_timer, nic,
                                   timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)};
    if (nic->timer.fd < 0 || !bh_loop_add(bh_vmbus_loop(nic->bus), &nic->timer, EPOLLIN) ||
        !add_taps(nic))
        return false;
    nic->device = bh_vmbus_device_add(nic->bus, &identity, &provider, nic);
    return nic->device != NULL;
}

struct bh_nic *bh_nic_create(const struct bh_nic_options *options, const struct bh_nic_place *place)
{
    struct bh_nic *nic = calloc(1, sizeof(*nic));

    if (nic == NULL) {
        for (uint32_t i = 0; i < place->tap_count; i++)
            (void)close(place->taps[i]);
        return NULL;
    }
    nic->options = *options;
    nic->bus = place->bus;
    nic->clock = place->clock;
    nic->link_up = true;
    nic->tap_count = place->tap_count;
    for (uint32_t i = 0; i < place->tap_count; i++)
        nic->tap[i] = (struct bh_nic_tap){.nic = nic, .watch = {.fd = place->taps[i]}};
    bh_nic_set_rates(nic, options->transmit_rate, options->receive_rate);
    if (start(nic, place))
        return nic;
    bh_nic_destroy(nic);
    return NULL;
}

void bh_nic_destroy(struct bh_nic *nic)
{
    struct bh_loop *loop;

    if (nic == NULL)
        return;
    loop = bh_vmbus_loop(nic->bus);
    if (nic->device != NULL)
        bh_vmbus_device_remove(nic->device);
    for (uint32_t i = 0; i < nic->tap_count; i++) {
        if (nic->tap[i].watch.ready != NULL && !nic->tap[i].gone)
            bh_loop_remove(loop, &nic->tap[i].watch);
        (void)close(nic->tap[i].watch.fd);
    }
    if (nic->timer.fd > 0) {
        bh_loop_remove(loop, &nic->timer);
        (void)close(nic->timer.fd);
    }
    free(nic);
}

void bh_nic_set_link(struct bh_nic *nic, bool up)
{
    bool there = false;

    for (uint32_t i = 0; i < nic->tap_count; i++)
        there = there || !nic->tap[i].gone;
    up = up && there;
    if (up == nic->link_up)
        return;
    nic->link_up = up;
    nic->link_waits = nic->queue[0].channel != NULL;
    bh_nic_look(nic);
    if (nic->queue[0].channel != NULL)
        bh_vmbus_channel_flush(nic->queue[0].channel);
}

bool bh_nic_link(const struct bh_nic *nic)
{
    return nic->link_up;
}

void bh_nic_set_rates(struct bh_nic *nic, uint64_t transmit, uint64_t receive)
{
    uint64_t now = nic->clock();

    nic->options.transmit_rate = transmit;
    nic->options.receive_rate = receive;
    bh_bucket_init(&nic->transmit_bucket, transmit, 0, now);
    bh_bucket_init(&nic->receive_bucket, receive, 0, now);
    for (size_t i = 0; i < COUNT(nic->queue); i++)
        if (nic->queue[i].channel != NULL)
            bh_vmbus_channel_kick(nic->queue[i].channel);
}

const struct bh_nic_options *bh_nic_get_options(const struct bh_nic *nic)
{
    return &nic->options;
}

uint32_t bh_nic_get_tap_queues(const struct bh_nic *nic)
{
    return nic->tap_count;
}

const struct bh_nic_stats *bh_nic_get_stats(const struct bh_nic *nic)
{
    return &nic->stats;
}
