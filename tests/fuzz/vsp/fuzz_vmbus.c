/* SPDX-License-Identifier: MIT */
/*
 * A hostile guest on the bus: messages, ring memory and doorbells in any order.
 * The input is a list of steps; see `step`.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/vsp/guest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RING_PAGES 4u

struct provider_state {
    struct bh_vmbus_device *device;
    struct bh_vmbus_channel *held[16];
    unsigned held_count;
};

static bool on_opened(void *context, struct bh_vmbus_channel *channel, const uint8_t user[120])
{
    (void)context;
    if (!bh_vmbus_channel_is_open(channel))
        abort();
    return user[0] != 0xff;
}

static void on_closed(void *context, struct bh_vmbus_channel *channel)
{
    (void)context;
    if (bh_vmbus_channel_is_open(channel))
        abort();
}

/* Touches all memory that the guest names. */
static void touch(const struct iovec *pieces, int count)
{
    for (int i = 0; i < count; i++) {
        volatile uint8_t *at = pieces[i].iov_base;

        at[0] = at[pieces[i].iov_len - 1];
    }
}

static void on_ready(void *context, struct bh_vmbus_channel *channel)
{
    struct provider_state *state = context;
    struct bh_vmbus_packet packet;
    struct iovec pieces[16];

    while (bh_vmbus_channel_read(channel, &packet)) {
        uint8_t first = packet.size > 0 ? packet.payload[0] : 0;

        touch(pieces, bh_vmbus_packet_memory(channel, &packet, pieces, 16));
        touch(pieces,
              bh_vmbus_gpadl_memory(channel, first, first * 3u, packet.size + 1u, pieces, 16));
        if (first == 1 && state->held_count < 16) {
            bh_vmbus_channel_hold(channel);
            state->held[state->held_count++] = channel;
        }
        if (first == 2)
            (void)bh_vmbus_device_offer_sub_channels(state->device, 2);
        (void)bh_vmbus_channel_complete(channel, packet.transaction, packet.payload, packet.size);
    }
}

static const struct bh_vmbus_provider provider = {on_opened, on_closed, on_ready};

static void release_all(struct provider_state *state)
{
    while (state->held_count > 0)
        bh_vmbus_channel_release(state->held[--state->held_count]);
}

static void open_properly(struct guest *guest, uint32_t relid)
{
    const struct vmbus_open open = {.header = {.type = VMBUS_OPEN_CHANNEL},
                                    .relid = relid,
                                    .open_id = relid,
                                    .ring_gpadl = relid + 100,
                                    .downstream_page = RING_PAGES};
    uint8_t buffer[28 + 8 * 2 * RING_PAGES];
    struct vmbus_gpadl_header header = {.header = {.type = VMBUS_GPADL_HEADER},
                                        .relid = relid,
                                        .gpadl = relid + 100,
                                        .range_count = 1,
                                        .byte_count = 2 * RING_PAGES * VMBUS_PAGE_SIZE};

    memcpy(buffer, &header, sizeof(header));
    for (uint64_t i = 0; i < 2 * RING_PAGES; i++) {
        uint64_t pfn = relid * 2 * RING_PAGES + i;

        memcpy(buffer + sizeof(header) + i * sizeof(pfn), &pfn, sizeof(pfn));
    }
    guest_post(guest, buffer, sizeof(buffer));
    guest_post(guest, &open, sizeof(open));
}

static void doorbell(const struct guest *guest, uint32_t relid)
{
    uint64_t one = 1;

    if (guest->doorbell[0x2000 + relid] >= 0)
        (void)!write(guest->doorbell[0x2000 + relid], &one, sizeof(one));
}

/* Takes a packet for a ring: its descriptor's sizes are the fuzzer's. */
static void write_packet(struct guest *guest, uint32_t relid, const uint8_t *data, uint32_t size)
{
    struct guest_ring ring = guest_ring_of(guest, relid, relid * 2 * RING_PAGES, RING_PAGES);
    struct vmbus_ring_control *control = (void *)ring.out;

    if (control->write_index < ring.size && control->read_index < ring.size)
        (void)guest_ring_write(&ring, data, size / 8 * 8);
}

/* One step of the guest: its kind, a small number, and bytes. */
static void step(struct guest *guest, struct provider_state *state, uint8_t kind, uint8_t number,
                 const uint8_t *data, uint32_t size)
{
    switch (kind % 8) {
    case 0:
        if (bh_vmbus_has_room(guest->bus))
            guest_post(guest, data, size);
        break;
    case 1:
        open_properly(guest, number % 4u);
        break;
    case 2:
        write_packet(guest, number % 4u, data, size);
        break;
    case 3: /* any memory: rings, control pages */
        memcpy(guest->memory + number % 64u * 2048u, data, size);
        break;
    case 4:
        doorbell(guest, number % 4u);
        guest_run(guest);
        break;
    case 5:
        guest->count = 0;
        bh_vmbus_retry(guest->bus);
        break;
    case 6:
        release_all(state);
        break;
    default:
        bh_vmbus_device_remove(state->device);
        state->device = bh_vmbus_device_add(
            guest->bus, &(struct bh_vmbus_identity){VMBUS_CLASS_SCSI, bh_vmbus_instance("vm", "d")},
            &provider, state);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct bh_vmbus_identity identity = {VMBUS_CLASS_SCSI, bh_vmbus_instance("vm", "d")};
    const struct vmbus_initiate_contact contact = {.header = {.type = VMBUS_INITIATE_CONTACT},
                                                   .version = VMBUS_VERSION_5_3};
    const struct vmbus_header offers = {.type = VMBUS_REQUEST_OFFERS};
    struct guest *guest = guest_begin();
    struct provider_state state = {0};

    state.device = bh_vmbus_device_add(guest->bus, &identity, &provider, &state);
    guest_post(guest, &contact, sizeof(contact));
    guest_post(guest, &offers, sizeof(offers));
    for (size_t at = 0; size - at >= 3 && state.device != NULL;) {
        uint32_t length = data[at + 2] < size - at - 3 ? data[at + 2] : (uint32_t)(size - at - 3);

        step(guest, &state, data[at], data[at + 1], data + at + 3, length);
        at += 3 + length;
    }
    release_all(&state);
    guest_run(guest);
    release_all(&state);
    guest_end(guest);
    return 0;
}
