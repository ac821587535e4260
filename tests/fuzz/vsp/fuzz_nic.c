/* SPDX-License-Identifier: MIT */
/*
 * A hostile guest with a network card: it writes packets of any content to its
 * rings and frames come from the tap. The input is a row of steps, each a byte
 * for what is done, a byte for the length, and so many bytes.
 */
#include <stdlib.h>
#include <string.h>

#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/vsp/guest.h"
#include "vsp/network/nic.h"
#include "vsp/protocol/nvsp.h"

#define RING_PAGES 4u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct bench {
    struct guest *guest;
    struct bh_nic *nic;
    int tap;
    uint32_t relid[2];
    struct guest_ring ring[2];
};

static uint64_t now(void)
{
    static uint64_t time;

    return time += 1000000;
}

static void open_channel(struct bench *bench, unsigned n)
{
    if (bench->relid[n] == 0 ||
        guest_open(bench->guest, bench->relid[n], 16 + 16 * n, RING_PAGES) != 0)
        return;
    bench->ring[n] = guest_ring_of(bench->guest, bench->relid[n], 16 + 16 * n, RING_PAGES);
}

/* Messages of the bus are taken at once; an offer of a sub-channel is opened. */
static void serve(struct bench *bench)
{
    guest_run(bench->guest);
    while (bench->guest->count > 0) {
        struct guest_message message =
            guest_take(bench->guest, bench->guest->message[0].header.type);

        if (message.header.type == VMBUS_OFFER_CHANNEL && message.offer.sub_channel_index == 1) {
            bench->relid[1] = message.offer.relid;
            open_channel(bench, 1);
        }
    }
}

static void begin(struct bench *bench)
{
    const struct bh_nic_options options = {
        .name = "nic0", .mac = {2, 0, 0, 0, 0, 1}, .mtu = 1500, .queues = 2};
    struct bh_nic_place place = {.tap_count = 1, .clock = now};
    int pair[2];

    memset(bench, 0, sizeof(*bench));
    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair) != 0)
        abort();
    bench->tap = pair[1];
    bench->guest = guest_begin();
    place.bus = bench->guest->bus;
    place.taps = pair;
    bench->nic = bh_nic_create(&options, &place);
    guest_connect(bench->guest);
    bench->relid[0] = guest_take(bench->guest, VMBUS_OFFER_CHANNEL).offer.relid;
    (void)guest_take(bench->guest, VMBUS_ALL_OFFERS_DELIVERED);
    open_channel(bench, 0);
    (void)guest_gpadl(bench->guest, bench->relid[0], 1, 200, 128);
    (void)guest_gpadl(bench->guest, bench->relid[0], 2, 400, 30);
}

static void end(struct bench *bench)
{
    bh_nic_destroy(bench->nic);
    (void)close(bench->tap);
    guest_end(bench->guest);
}

/* `bytes` become the payload of a packet that names the first pages of memory, too. */
static void send_direct(struct guest_ring *ring, const uint8_t *bytes, size_t size)
{
    struct {
        struct vmbus_descriptor descriptor;
        uint32_t head[2];
        uint32_t range[2];
        uint64_t pfn[2];
        struct nvsp_message message;
    } packet = {.descriptor = {VMBUS_PACKET_GPA_DIRECT, 6, sizeof(packet) / 8,
                               VMBUS_PACKET_WANTS_COMPLETION, 7},
                .head = {0, 1},
                .range = {(uint32_t)size, 4096 - 40},
                .pfn = {600, 601},
                .message = {.type = NVSP_SEND_RNDIS_PACKET,
                            .rndis = {size != 0 ? bytes[0] & 1 : 0, NVSP_NO_SECTION, 0}}};
    uint8_t *memory = ring->guest->memory + (size_t)601 * 4096 - 40;

    if (size == 0)
        return;
    memcpy(memory, bytes + 1, size - 1);
    packet.range[0]--;
    (void)guest_ring_write(ring, &packet, sizeof(packet));
}

static void step(struct bench *bench, uint8_t what, const uint8_t *bytes, size_t size)
{
    struct guest_ring *ring = &bench->ring[what >> 7];
    uint64_t sink[8192];

    if (ring->guest == NULL)
        return;
    switch (what & 7) {
    case 0:
    case 1:
        (void)guest_send(ring, what, bytes, (uint32_t)size);
        break;
    case 2:
    case 3:
        send_direct(ring, bytes, size);
        break;
    case 4: /* any packet at all */
        if (size >= 16)
            (void)guest_ring_write(ring, bytes, (uint32_t)(size / 8 * 8));
        break;
    case 5:
        if (size > 0)
            (void)send(bench->tap, bytes, size, MSG_DONTWAIT);
        break;
    case 6:
        while (guest_ring_read(ring, sink, sizeof(sink)) != 0)
            ;
        break;
    default:
        bh_nic_set_link(bench->nic, (what & 8) != 0);
        bh_nic_set_rates(bench->nic, (what & 16) != 0 ? 1000 : 0, (what & 32) != 0 ? 1000 : 0);
        if ((what & 64) != 0)
            guest_close(bench->guest, bench->relid[0]);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bench bench;
    uint8_t buffer[16];

    begin(&bench);
    for (int i = 0; i < 40 && size >= 2; i++) {
        size_t length = data[1] < size - 2 ? data[1] : size - 2;

        step(&bench, data[0], data + 2, length);
        serve(&bench);
        while (recv(bench.tap, buffer, sizeof(buffer), MSG_DONTWAIT) > 0)
            ;
        data += 2 + length;
        size -= 2 + length;
    }
    end(&bench);
    return 0;
}
