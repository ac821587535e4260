/* SPDX-License-Identifier: MIT */
#include "tests/unit/vsp/nic_bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "vsp/protocol/ndis.h"
#include "vsp/protocol/rndis.h"

const uint8_t bench_own[6] = {0x52, 0x54, 0, 0, 0, 1};
const uint8_t bench_other[6] = {0x52, 0x54, 0, 0, 0, 2};

struct nic_bench bench;

static uint64_t now(void)
{
    return bench.now;
}

/* --- the guest's driver, as simple as can be ---------------------------------------------- */

struct nvsp_message bench_take_completion(uint64_t transaction)
{
    struct {
        struct vmbus_descriptor descriptor;
        struct nvsp_message message;
    } packet;

    assert_int_equal(guest_ring_read(&bench.ring[0], &packet, sizeof(packet)), sizeof(packet));
    assert_int_equal(packet.descriptor.type, VMBUS_PACKET_COMPLETION);
    assert_int_equal(packet.descriptor.transaction, transaction);
    return packet.message;
}

struct nvsp_message bench_ask(const struct nvsp_message *message)
{
    assert_true(guest_send(&bench.ring[0], 42, message, sizeof(*message)));
    guest_run(bench.guest);
    return bench_take_completion(42);
}

void bench_tell(const struct nvsp_message *message)
{
    uint64_t packet[16];

    assert_true(guest_send(&bench.ring[0], 44, message, sizeof(*message)));
    guest_run(bench.guest);
    assert_int_equal(guest_ring_read(&bench.ring[0], packet, sizeof(packet)), 16);
}

uint32_t bench_take_pages(unsigned channel, struct nic_received *received)
{
    memset(received, 0, sizeof(*received));
    if (guest_ring_read(&bench.ring[channel], received, sizeof(*received)) == 0)
        return 0;
    assert_int_equal(received->descriptor.type, VMBUS_PACKET_TRANSFER_PAGES);
    assert_int_equal(received->transfer.page_set, NVSP_RECEIVE_BUFFER_ID);
    return received->transfer.range_count;
}

void bench_give_back(unsigned channel, uint64_t transaction)
{
    struct {
        struct vmbus_descriptor descriptor;
        uint32_t message[2];
    } packet = {{VMBUS_PACKET_COMPLETION, 2, 3, 0, transaction},
                {NVSP_SEND_RNDIS_PACKET_COMPLETE, NVSP_SUCCESS}};

    assert_true(guest_ring_write(&bench.ring[channel], &packet, sizeof(packet)));
    guest_run(bench.guest);
}

uint8_t *bench_page_at(size_t page)
{
    return bench.guest->memory + page * 4096;
}

const uint8_t *bench_received_at(const struct vmbus_transfer_range *range)
{
    assert_true(range->byte_count <= bench.allocation);
    assert_true(range->byte_offset + range->byte_count <= RECEIVE_PAGES * 4096);
    return bench_page_at(RECEIVE_AT) + range->byte_offset;
}

bool bench_send_direct(unsigned channel, uint32_t type, uint32_t page, uint32_t offset,
                       uint32_t size)
{
    uint64_t packet[64] = {0};
    uint32_t pages = (offset + size + 4095) / 4096;
    uint32_t at = 24 + 8 + 8 * pages;
    struct vmbus_descriptor descriptor = {VMBUS_PACKET_GPA_DIRECT, (uint16_t)(at / 8),
                                          (uint16_t)((at + sizeof(struct nvsp_message)) / 8),
                                          VMBUS_PACKET_WANTS_COMPLETION, 43};
    const uint32_t head[] = {0, 1, size, offset};
    struct nvsp_message message = {.type = NVSP_SEND_RNDIS_PACKET,
                                   .rndis = {type, NVSP_NO_SECTION, 0}};

    memcpy(packet, &descriptor, sizeof(descriptor));
    memcpy((uint8_t *)packet + 16, head, sizeof(head));
    for (uint32_t i = 0; i < pages; i++)
        packet[4 + i] = page + i;
    memcpy((uint8_t *)packet + at, &message, sizeof(message));
    return guest_ring_write(&bench.ring[channel], packet, descriptor.length8 * 8u);
}

uint8_t *bench_scratch(void)
{
    return bench_page_at(SCRATCH_AT);
}

uint32_t bench_send_scratch(uint32_t type, uint32_t size)
{
    assert_true(bench_send_direct(0, type, SCRATCH_AT, 0, size));
    guest_run(bench.guest);
    return bench_take_completion(43).status;
}

uint32_t bench_control(const uint32_t *words, uint32_t count, unsigned status_at)
{
    struct nic_received received;
    uint32_t answer[8];

    memcpy(bench_scratch(), words, count * sizeof(*words));
    assert_int_equal(bench_send_scratch(NVSP_CHANNEL_CONTROL, count * 4), NVSP_SUCCESS);
    assert_int_equal(bench_take_pages(0, &received), 1);
    memcpy(answer, bench_received_at(&received.range[0]), sizeof(answer));
    assert_int_equal(answer[0], words[0] | RNDIS_COMPLETION);
    assert_int_equal(answer[2], words[2]);
    bench_give_back(0, received.descriptor.transaction);
    return answer[status_at / 4];
}

void bench_set_filter(uint32_t filter)
{
    const uint32_t words[] = {RNDIS_SET, 32, 9, OID_GEN_CURRENT_PACKET_FILTER, 4, 20, 0, filter};

    assert_int_equal(bench_control(words, 8, 12), RNDIS_SUCCESS);
}

void bench_set_offload(uint8_t tcp, uint8_t rsc)
{
    struct ndis_offload_parameters p = {
        .header = {NDIS_TYPE_DEFAULT, 3, sizeof(p)}, .tcp4 = tcp, .rsc_ip4 = rsc, .rsc_ip6 = rsc};
    uint32_t words[14] = {RNDIS_SET, 56, 10, OID_TCP_OFFLOAD_PARAMETERS, sizeof(p), 20, 0};

    memcpy(&words[7], &p, sizeof(p));
    assert_int_equal(bench_control(words, 14, 12), RNDIS_SUCCESS);
}

void bench_open_channel(unsigned n)
{
    assert_int_equal(guest_open(bench.guest, bench.relid[n], RING_AT(n), RING_PAGES), 0);
    bench.ring[n] = guest_ring_of(bench.guest, bench.relid[n], RING_AT(n), RING_PAGES);
    guest_run(bench.guest);
}

void bench_bring_up_nvsp(void)
{
    struct nvsp_message message = {.type = NVSP_INIT, .init = {NVSP_VERSION_61, NVSP_VERSION_61}};
    struct nvsp_message reply = bench_ask(&message);

    assert_int_equal(reply.type, NVSP_INIT_COMPLETE);
    assert_int_equal(reply.init_complete.status, NVSP_SUCCESS);
    assert_int_equal(guest_gpadl(bench.guest, bench.relid[0], 901, RECEIVE_AT, RECEIVE_PAGES), 0);
    assert_int_equal(guest_gpadl(bench.guest, bench.relid[0], 902, SEND_AT, SEND_PAGES), 0);
    message = (struct nvsp_message){.type = NVSP_SEND_RECEIVE_BUFFER,
                                    .buffer = {901, NVSP_RECEIVE_BUFFER_ID, 0}};
    reply = bench_ask(&message);
    assert_int_equal(reply.receive_buffer_complete.status, NVSP_SUCCESS);
    assert_int_equal(reply.receive_buffer_complete.section_count, 1);
    bench.allocation = reply.receive_buffer_complete.allocation_size;
    message = (struct nvsp_message){.type = NVSP_SEND_SEND_BUFFER, .buffer = {902, 0, 0}};
    reply = bench_ask(&message);
    assert_int_equal(reply.send_buffer_complete.section_size, BH_SEND_SECTION);
}

static void bench_bring_up(void)
{
    const uint32_t initialize[] = {RNDIS_INITIALIZE, 24, 8, 1, 0, 0x4000};

    bench_open_channel(0);
    bench_bring_up_nvsp();
    assert_int_equal(bench_control(initialize, 6, 12), RNDIS_SUCCESS);
    bench_set_offload(NDIS_OFFLOAD_TX_RX, NDIS_OFFLOAD_DISABLED);
    bench_set_filter(NDIS_FILTER_DIRECTED | NDIS_FILTER_BROADCAST | NDIS_FILTER_ALL_MULTICAST);
}

/* On the queues of a tap that it takes over. */
static void make_card(const int *taps, unsigned queues)
{
    bench.queues = queues;
    memcpy(bench.card_ends, taps, sizeof(bench.card_ends));
    bench.nic = bh_nic_create(&bench.options,
                              &(struct bh_nic_place){.bus = bench.guest->bus,
                                                     .instance = bh_vmbus_instance("vm", "nic:0"),
                                                     .taps = bench.card_ends,
                                                     .tap_count = queues,
                                                     .clock = now});
    assert_non_null(bench.nic);
    bh_nic_set_link(bench.nic, !bench.link_down);
}

void bench_add_card_on(struct bh_nic_options options, unsigned queues)
{
    int taps[2];

    memset(&bench, 0, sizeof(bench));
    bench.now = 1000 * SECOND;
    bench.guest = guest_begin_kept();
    for (unsigned i = 0; i < 2; i++) {
        int pair[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair), 0);
        taps[i] = pair[0];
        bench.taps[i] = pair[1];
        if (i >= queues)
            assert_int_equal(close(pair[0]), 0);
    }
    bench.tap = bench.taps[0];
    memcpy(options.mac, bench_own, sizeof(bench_own));
    if (options.mtu == 0)
        options.mtu = 1500;
    if (options.queues == 0)
        options.queues = 1;
    bench.options = options;
    make_card(taps, queues);
    guest_connect(bench.guest);
    bench.relid[0] = guest_take(bench.guest, VMBUS_OFFER_CHANNEL).offer.relid;
    (void)guest_take(bench.guest, VMBUS_ALL_OFFERS_DELIVERED);
}

void bench_add_card(struct bh_nic_options options)
{
    bench_add_card_on(options, 1);
}

void bench_fall(void)
{
    struct guest *fallen = bench.guest;
    struct bh_nic *nic = bench.nic;
    int taps[2] = {-1, -1};

    for (unsigned i = 0; i < bench.queues; i++)
        taps[i] = dup(bench.card_ends[i]);
    bench.guest = guest_take_over(fallen);
    bh_nic_destroy(nic);
    guest_end(fallen);
    make_card(taps, bench.queues);
    assert_true(bh_vmbus_resume(bench.guest->bus));
    for (unsigned n = 0; n < sizeof(bench.ring) / sizeof(bench.ring[0]); n++)
        if (bench.ring[n].guest != NULL)
            bench.ring[n] = guest_ring_of(bench.guest, bench.relid[n], RING_AT(n), RING_PAGES);
}

void bench_begin_on(struct bh_nic_options options, unsigned queues)
{
    bench_add_card_on(options, queues);
    bench_bring_up();
}

void bench_begin(struct bh_nic_options options)
{
    bench_begin_on(options, 1);
}

void bench_end(void)
{
    bh_nic_destroy(bench.nic);
    for (unsigned i = 0; i < 2; i++)
        (void)close(bench.taps[i]);
    guest_end(bench.guest);
}

/* --- frames ------------------------------------------------------------------------------- */

uint32_t bench_make_frame(uint8_t *frame, const uint8_t *to, const uint8_t *from, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++)
        frame[i] = (uint8_t)(i * 13 + 5);
    memcpy(frame, to, 6);
    memcpy(frame + 6, from, 6);
    frame[12] = 0x88; /* an experimental type */
    frame[13] = 0xb5;
    return size;
}

uint32_t bench_wrap(uint8_t *at, const uint8_t *frame, uint32_t size)
{
    const struct rndis_header header = {RNDIS_PACKET, 44 + (size + 7) / 8 * 8};
    const struct rndis_packet fields = {.data_offset = 36, .data_length = size};

    memcpy(at, &header, sizeof(header));
    memcpy(at + 8, &fields, sizeof(fields));
    memcpy(at + 44, frame, size);
    return header.length;
}

long bench_take_tap(struct virtio_net_hdr *header, uint8_t *frame)
{
    struct iovec pieces[] = {{header, sizeof(*header)}, {frame, 70000}};
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 2};
    long size = recvmsg(bench.tap, &message, MSG_DONTWAIT);

    return size < 0 ? 0 : size - (long)sizeof(*header);
}

void bench_put_tap(const struct virtio_net_hdr *header, const uint8_t *frame, size_t size)
{
    struct iovec pieces[] = {{(void *)header, sizeof(*header)}, {(void *)frame, size}};
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 2};

    assert_true(sendmsg(bench.tap, &message, 0) > 0);
}

void bench_put_plain(const uint8_t *to, uint32_t size)
{
    const struct virtio_net_hdr none = {0};
    uint8_t frame[2048] = {0};

    bench_put_tap(&none, frame, bench_make_frame(frame, to, bench_other, size));
}

bool bench_hears(const uint8_t *to)
{
    struct nic_received received;

    bench_put_plain(to, 64);
    guest_run(bench.guest);
    if (bench_take_pages(0, &received) == 0)
        return false;
    bench_give_back(0, received.descriptor.transaction);
    return true;
}
