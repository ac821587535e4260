/* SPDX-License-Identifier: MIT */
#include "vsp/network/nic.h"

#include <linux/if_tun.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "vsp/network/nic_parts.h"
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

void bh_nic_complete(struct bh_nic_queue *queue, uint64_t transaction,
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
        struct bh_nic_tap *tap = &nic->tap[i];

        if (tap->gone)
            continue;
        if (listening && !nic->listening)
            bh_nic_drain(nic, tap);
        if (tap->events != events && bh_loop_change(loop, &tap->watch, events))
            tap->events = events;
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
        bh_nic_serve_packet(nic, queue, &packet);
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

static void on_closed(void *context, struct bh_vmbus_channel *channel)
{
    struct bh_nic_queue *queue = bh_vmbus_channel_user(channel);
    struct bh_nic *nic = context;

    queue->channel = NULL;
    bh_loans_drop(&nic->loans, &queue->batch);
    queue->batch_count = 0;
    if (bh_nic_is_primary(nic, queue)) {
        bh_nic_close_receive_buffer(nic, channel);
        bh_nic_close_send_buffer(nic, channel);
        nic->state = (struct bh_nic_state){0};
        nic->sub_channels_offered = false;
        nic->link_waits = false;
    }
    bh_nic_look(nic);
}

static const struct bh_vmbus_provider provider = {.opened = on_opened,
                                                  .closed = on_closed,
                                                  .ready = on_ready,
                                                  .save = bh_nic_save,
                                                  .resumed = bh_nic_resumed};

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
