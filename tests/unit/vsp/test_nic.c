/* SPDX-License-Identifier: MIT */
/* vsp/network: a card between a simulated guest and a socket that stands for the tap. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_net.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/vsp/guest.h"
#include "vsp/network/nic.h"
#include "vsp/network/nic_parts.h"
#include "vsp/network/packet.h"
#include "vsp/protocol/ndis.h"
#include "vsp/protocol/nvsp.h"
#include "vsp/protocol/rndis.h"

#define RING_PAGES    8u
#define RING_AT(n)    (16u + 16u * (n)) /* first page of the rings of channel n */
#define RECEIVE_AT    200u
#define RECEIVE_PAGES 256u
#define SEND_AT       480u
#define SEND_PAGES    30u
#define SCRATCH_AT    600u
#define SECOND        UINT64_C(1000000000)

static const uint8_t own[6] = {0x52, 0x54, 0, 0, 0, 1};
static const uint8_t other[6] = {0x52, 0x54, 0, 0, 0, 2};

static struct {
    struct guest *guest;
    struct bh_nic *nic;
    int tap; /* the other end */
    uint64_t now;
    uint32_t relid[4];
    struct guest_ring ring[4];
    uint32_t allocation;
    uint32_t request;
} bench;

static uint64_t now(void)
{
    return bench.now;
}

/* --- the guest's driver, as simple as can be ---------------------------------------------- */

struct received {
    struct vmbus_descriptor descriptor;
    struct vmbus_transfer_header transfer;
    struct vmbus_transfer_range range[64];
    uint8_t rest[512];
};

static struct nvsp_message take_completion(uint64_t transaction)
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

static struct nvsp_message ask(const struct nvsp_message *message)
{
    assert_true(guest_send(&bench.ring[0], 42, message, sizeof(*message)));
    guest_run(bench.guest);
    return take_completion(42);
}

/* A message to which no reply is due: its completion is empty. */
static void tell(const struct nvsp_message *message)
{
    uint64_t packet[16];

    assert_true(guest_send(&bench.ring[0], 44, message, sizeof(*message)));
    guest_run(bench.guest);
    assert_int_equal(guest_ring_read(&bench.ring[0], packet, sizeof(packet)), 16);
}

/* A packet of received frames or answers on a channel; the number of ranges, 0: none. */
static uint32_t take_pages(unsigned channel, struct received *received)
{
    memset(received, 0, sizeof(*received));
    if (guest_ring_read(&bench.ring[channel], received, sizeof(*received)) == 0)
        return 0;
    assert_int_equal(received->descriptor.type, VMBUS_PACKET_TRANSFER_PAGES);
    assert_int_equal(received->transfer.page_set, NVSP_RECEIVE_BUFFER_ID);
    return received->transfer.range_count;
}

static void give_back(unsigned channel, uint64_t transaction)
{
    struct {
        struct vmbus_descriptor descriptor;
        uint32_t message[2];
    } packet = {{VMBUS_PACKET_COMPLETION, 2, 3, 0, transaction},
                {NVSP_SEND_RNDIS_PACKET_COMPLETE, NVSP_SUCCESS}};

    assert_true(guest_ring_write(&bench.ring[channel], &packet, sizeof(packet)));
    guest_run(bench.guest);
}

static uint8_t *page_at(size_t page)
{
    return bench.guest->memory + page * 4096;
}

static const uint8_t *received_at(const struct vmbus_transfer_range *range)
{
    assert_true(range->byte_count <= bench.allocation);
    assert_true(range->byte_offset + range->byte_count <= RECEIVE_PAGES * 4096);
    return page_at(RECEIVE_AT) + range->byte_offset;
}

/* Sends bytes at `page` of the guest as RNDIS, by GPA-direct. */
static bool send_direct(unsigned channel, uint32_t type, uint32_t page, uint32_t offset,
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

static uint8_t *scratch(void)
{
    return page_at(SCRATCH_AT);
}

static uint32_t send_scratch(uint32_t type, uint32_t size)
{
    assert_true(send_direct(0, type, SCRATCH_AT, 0, size));
    guest_run(bench.guest);
    return take_completion(43).status;
}

/* An RNDIS request; the answer's status word at `status_at`. */
static uint32_t control(const uint32_t *words, uint32_t count, unsigned status_at)
{
    struct received received;
    uint32_t answer[8];

    memcpy(scratch(), words, count * sizeof(*words));
    assert_int_equal(send_scratch(NVSP_CHANNEL_CONTROL, count * 4), NVSP_SUCCESS);
    assert_int_equal(take_pages(0, &received), 1);
    memcpy(answer, received_at(&received.range[0]), sizeof(answer));
    assert_int_equal(answer[0], words[0] | RNDIS_COMPLETION);
    assert_int_equal(answer[2], words[2]);
    give_back(0, received.descriptor.transaction);
    return answer[status_at / 4];
}

static void set_filter(uint32_t filter)
{
    const uint32_t words[] = {RNDIS_SET, 32, 9, OID_GEN_CURRENT_PACKET_FILTER, 4, 20, 0, filter};

    assert_int_equal(control(words, 8, 12), RNDIS_SUCCESS);
}

static void set_offload(uint8_t tcp, uint8_t rsc)
{
    struct ndis_offload_parameters p = {
        .header = {NDIS_TYPE_DEFAULT, 3, sizeof(p)}, .tcp4 = tcp, .rsc_ip4 = rsc, .rsc_ip6 = rsc};
    uint32_t words[14] = {RNDIS_SET, 56, 10, OID_TCP_OFFLOAD_PARAMETERS, sizeof(p), 20, 0};

    memcpy(&words[7], &p, sizeof(p));
    assert_int_equal(control(words, 14, 12), RNDIS_SUCCESS);
}

static void open_channel(unsigned n)
{
    assert_int_equal(guest_open(bench.guest, bench.relid[n], RING_AT(n), RING_PAGES), 0);
    bench.ring[n] = guest_ring_of(bench.guest, bench.relid[n], RING_AT(n), RING_PAGES);
    guest_run(bench.guest);
}

static void bring_up_nvsp(void)
{
    struct nvsp_message message = {.type = NVSP_INIT, .init = {NVSP_VERSION_61, NVSP_VERSION_61}};
    struct nvsp_message reply = ask(&message);

    assert_int_equal(reply.type, NVSP_INIT_COMPLETE);
    assert_int_equal(reply.init_complete.status, NVSP_SUCCESS);
    assert_int_equal(guest_gpadl(bench.guest, bench.relid[0], 901, RECEIVE_AT, RECEIVE_PAGES), 0);
    assert_int_equal(guest_gpadl(bench.guest, bench.relid[0], 902, SEND_AT, SEND_PAGES), 0);
    message = (struct nvsp_message){.type = NVSP_SEND_RECEIVE_BUFFER,
                                    .buffer = {901, NVSP_RECEIVE_BUFFER_ID, 0}};
    reply = ask(&message);
    assert_int_equal(reply.receive_buffer_complete.status, NVSP_SUCCESS);
    assert_int_equal(reply.receive_buffer_complete.section_count, 1);
    bench.allocation = reply.receive_buffer_complete.allocation_size;
    message = (struct nvsp_message){.type = NVSP_SEND_SEND_BUFFER, .buffer = {902, 0, 0}};
    reply = ask(&message);
    assert_int_equal(reply.send_buffer_complete.section_size, BH_SEND_SECTION);
}

static void bring_up(void)
{
    const uint32_t initialize[] = {RNDIS_INITIALIZE, 24, 8, 1, 0, 0x4000};

    open_channel(0);
    bring_up_nvsp();
    assert_int_equal(control(initialize, 6, 12), RNDIS_SUCCESS);
    set_offload(NDIS_OFFLOAD_TX_RX, NDIS_OFFLOAD_DISABLED);
    set_filter(NDIS_FILTER_DIRECTED | NDIS_FILTER_BROADCAST | NDIS_FILTER_ALL_MULTICAST);
}

static void add_card(struct bh_nic_options options)
{
    int pair[2];

    memset(&bench, 0, sizeof(bench));
    bench.now = 1000 * SECOND;
    bench.guest = guest_begin();
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair), 0);
    bench.tap = pair[1];
    memcpy(options.mac, own, sizeof(own));
    if (options.mtu == 0)
        options.mtu = 1500;
    if (options.queues == 0)
        options.queues = 1;
    bench.nic =
        bh_nic_create(&options, &(struct bh_nic_place){.bus = bench.guest->bus,
                                                       .instance = bh_vmbus_instance("vm", "nic:0"),
                                                       .taps = pair,
                                                       .tap_count = 1,
                                                       .clock = now});
    assert_non_null(bench.nic);
    guest_connect(bench.guest);
    bench.relid[0] = guest_take(bench.guest, VMBUS_OFFER_CHANNEL).offer.relid;
    (void)guest_take(bench.guest, VMBUS_ALL_OFFERS_DELIVERED);
}

static void begin(struct bh_nic_options options)
{
    add_card(options);
    bring_up();
}

static void end(void)
{
    bh_nic_destroy(bench.nic);
    (void)close(bench.tap);
    guest_end(bench.guest);
}

/* --- frames ------------------------------------------------------------------------------- */

static uint32_t make_frame(uint8_t *frame, const uint8_t *to, const uint8_t *from, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++)
        frame[i] = (uint8_t)(i * 13 + 5);
    memcpy(frame, to, 6);
    memcpy(frame + 6, from, 6);
    frame[12] = 0x88; /* an experimental type */
    frame[13] = 0xb5;
    return size;
}

/* The RNDIS message of a frame of the guest, at `at`; its size. */
static uint32_t wrap(uint8_t *at, const uint8_t *frame, uint32_t size)
{
    const struct rndis_header header = {RNDIS_PACKET, 44 + (size + 7) / 8 * 8};
    const struct rndis_packet fields = {.data_offset = 36, .data_length = size};

    memcpy(at, &header, sizeof(header));
    memcpy(at + 8, &fields, sizeof(fields));
    memcpy(at + 44, frame, size);
    return header.length;
}

/* What has come out at the tap; the frame's size, 0: nothing. */
static long take_tap(struct virtio_net_hdr *header, uint8_t *frame)
{
    struct iovec pieces[] = {{header, sizeof(*header)}, {frame, 70000}};
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 2};
    long size = recvmsg(bench.tap, &message, MSG_DONTWAIT);

    return size < 0 ? 0 : size - (long)sizeof(*header);
}

static void put_tap(const struct virtio_net_hdr *header, const uint8_t *frame, size_t size)
{
    struct iovec pieces[] = {{(void *)header, sizeof(*header)}, {(void *)frame, size}};
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 2};

    assert_true(sendmsg(bench.tap, &message, 0) > 0);
}

static void put_plain(const uint8_t *to, uint32_t size)
{
    const struct virtio_net_hdr none = {0};
    uint8_t frame[2048] = {0};

    put_tap(&none, frame, make_frame(frame, to, other, size));
}

/* --- tests: from the guest ---------------------------------------------------------------- */

static void a_frame_goes_out_from_pages_and_from_sections(void **state)
{
    uint8_t frame[1500] = {0};
    uint8_t out[70000];
    struct virtio_net_hdr header = {0};
    uint32_t size = make_frame(frame, other, own, 1400);
    struct nvsp_message message = {.type = NVSP_SEND_RNDIS_PACKET, .rndis = {0, 3, 0}};

    (void)state;
    begin((struct bh_nic_options){0});
    assert_int_equal(send_scratch(NVSP_CHANNEL_DATA, wrap(scratch(), frame, size)), NVSP_SUCCESS);
    assert_int_equal(take_tap(&header, out), size);
    assert_memory_equal(out, frame, size);
    assert_int_equal(header.flags, 0);
    message.rndis.section_size = wrap(page_at(SEND_AT) + (size_t)3 * BH_SEND_SECTION, frame, size);
    assert_int_equal(ask(&message).status, NVSP_SUCCESS);
    assert_int_equal(take_tap(&header, out), size);
    assert_memory_equal(out, frame, size);
    assert_int_equal(bh_nic_get_stats(bench.nic)->tx_packets, 2);
    assert_int_equal(bh_nic_get_stats(bench.nic)->tx_bytes, 2 * size);
    end();
}

static void several_messages_go_in_one_packet(void **state)
{
    uint8_t frame[1500] = {0};
    uint8_t out[70000];
    struct virtio_net_hdr header = {0};
    uint32_t size = make_frame(frame, other, own, 61);
    uint32_t at = 0;

    (void)state;
    begin((struct bh_nic_options){0});
    for (int i = 0; i < 8; i++)
        at += wrap(scratch() + at, frame, size);
    assert_int_equal(send_scratch(NVSP_CHANNEL_DATA, at), NVSP_SUCCESS);
    for (int i = 0; i < 8; i++)
        assert_int_equal(take_tap(&header, out), size);
    at += wrap(scratch() + at, frame, size); /* a ninth is more than was agreed on */
    assert_int_equal(send_scratch(NVSP_CHANNEL_DATA, at), NVSP_INVALID_RNDIS_PACKET);
    end();
}

static void foreign_addresses_do_not_go_out(void **state)
{
    uint8_t frame[100] = {0};
    uint8_t out[70000];
    struct virtio_net_hdr header = {0};
    uint32_t size = make_frame(frame, own, other, 100);

    (void)state;
    begin((struct bh_nic_options){0});
    assert_int_equal(send_scratch(NVSP_CHANNEL_DATA, wrap(scratch(), frame, size)), NVSP_SUCCESS);
    assert_int_equal(take_tap(&header, out), 0);
    assert_int_equal(bh_nic_get_stats(bench.nic)->tx_spoofed, 1);
    assert_int_equal(bh_nic_get_stats(bench.nic)->tx_dropped, 1);
    end();
    begin((struct bh_nic_options){.trusted = true});
    assert_int_equal(send_scratch(NVSP_CHANNEL_DATA, wrap(scratch(), frame, size)), NVSP_SUCCESS);
    assert_int_equal(take_tap(&header, out), size);
    end();
}

static void a_tag_is_put_into_the_frame(void **state)
{
    const struct rndis_info info = {16, RNDIS_INFO_VLAN, 12};
    const uint32_t tag = 5u | 0x123u << RNDIS_VLAN_ID_SHIFT; /* priority 5, VLAN 0x123 */
    struct rndis_packet fields = {
        .data_offset = 52, .data_length = 300, .info_offset = 36, .info_length = 16};
    const struct rndis_header rndis = {RNDIS_PACKET, 60 + 300};
    uint8_t frame[300] = {0};
    uint8_t out[70000];
    struct virtio_net_hdr header = {0};
    uint8_t *at;

    (void)state;
    begin((struct bh_nic_options){0});
    at = scratch();
    (void)make_frame(frame, other, own, 300);
    memcpy(at, &rndis, 8);
    memcpy(at + 8, &fields, 36);
    memcpy(at + 44, &info, 12);
    memcpy(at + 56, &tag, 4);
    memcpy(at + 60, frame, 300);
    assert_int_equal(send_scratch(NVSP_CHANNEL_DATA, 360), NVSP_SUCCESS);
    assert_int_equal(take_tap(&header, out), 304);
    assert_memory_equal(out, frame, 12);
    assert_memory_equal(out + 12, "\x81\x00\xa1\x23", 4);
    assert_memory_equal(out + 16, frame + 12, 288);
    end();
}

static void nonsense_is_answered_with_an_error(void **state)
{
    struct nvsp_message message = {.type = NVSP_SEND_RNDIS_PACKET};
    const struct bh_nic_stats *stats;
    uint8_t frame[2000] = {0};
    uint32_t size;

    (void)state;
    begin((struct bh_nic_options){0});
    stats = bh_nic_get_stats(bench.nic);
    message.rndis = (struct nvsp_rndis_packet){0, SEND_PAGES * 4096 / BH_SEND_SECTION, 100};
    assert_int_equal(ask(&message).status, NVSP_FAIL); /* no such section */
    message.rndis = (struct nvsp_rndis_packet){0, 0, BH_SEND_SECTION + 1};
    assert_int_equal(ask(&message).status, NVSP_FAIL);
    assert_true(send_direct(0, 0, GUEST_PAGES - 1, 0, 5000)); /* not all is RAM */
    guest_run(bench.guest);
    assert_int_equal(take_completion(43).status, NVSP_FAIL);
    memset(scratch(), 0, 100);
    assert_int_equal(send_scratch(NVSP_CHANNEL_DATA, 100), NVSP_INVALID_RNDIS_PACKET);
    size = wrap(scratch(), frame, make_frame(frame, other, own, 1519)); /* too long for the MTU */
    assert_int_equal(send_scratch(NVSP_CHANNEL_DATA, size), NVSP_SUCCESS);
    assert_int_equal(stats->tx_malformed, 2);
    size = wrap(scratch(), frame, 13); /* shorter than an Ethernet header */
    assert_int_equal(send_scratch(NVSP_CHANNEL_DATA, size), NVSP_SUCCESS);
    assert_int_equal(stats->tx_malformed, 3);
    assert_int_equal(stats->tx_packets, 0);
    memset(scratch(), 0, 5000);
    assert_int_equal(send_scratch(NVSP_CHANNEL_CONTROL, 5000), NVSP_INVALID_RNDIS_PACKET);
    end();
}

/* --- tests: to the guest ------------------------------------------------------------------ */

static void frames_come_in_together_and_allocations_go_back(void **state)
{
    uint32_t free_count;
    struct received received;
    struct bh_packet packet;

    (void)state;
    begin((struct bh_nic_options){0});
    free_count = bench.nic->loans.free_count;
    for (uint32_t i = 0; i < 5; i++)
        put_plain(own, 1514 - i);
    guest_run(bench.guest);
    assert_int_equal(take_pages(0, &received), 5);
    for (uint32_t i = 0; i < 5; i++) {
        const uint8_t *message = received_at(&received.range[i]);

        assert_true(bh_packet_parse(message, received.range[i].byte_count, &packet));
        assert_int_equal(packet.data_length, 1514 - i);
        assert_memory_equal(message + packet.data_offset, own, 6);
        assert_int_equal(message[packet.data_offset + 1000], (uint8_t)(1000 * 13 + 5));
    }
    assert_int_equal(bench.nic->loans.free_count, free_count - 5);
    give_back(0, received.descriptor.transaction + 1); /* not lent under that name */
    assert_int_equal(bench.nic->loans.free_count, free_count - 5);
    give_back(0, received.descriptor.transaction);
    assert_int_equal(bench.nic->loans.free_count, free_count);
    give_back(0, received.descriptor.transaction); /* twice */
    give_back(0, UINT64_MAX);
    give_back(0, 0);
    assert_int_equal(bench.nic->loans.free_count, free_count);
    end();
}

static bool hears(const uint8_t *to)
{
    struct received received;

    put_plain(to, 64);
    guest_run(bench.guest);
    if (take_pages(0, &received) == 0)
        return false;
    give_back(0, received.descriptor.transaction);
    return true;
}

static void the_guest_hears_what_its_filter_lets_in(void **state)
{
    static const uint8_t everybody[6] = {255, 255, 255, 255, 255, 255};
    static const uint8_t some[6] = {1, 0, 0x5e, 0, 0, 1};

    (void)state;
    begin((struct bh_nic_options){0});
    assert_true(hears(own) && hears(everybody) && hears(some) && !hears(other));
    set_filter(NDIS_FILTER_DIRECTED);
    assert_true(hears(own) && !hears(everybody) && !hears(some) && !hears(other));
    set_filter(NDIS_FILTER_PROMISCUOUS);
    assert_true(hears(own) && hears(everybody) && hears(some) && !hears(other));
    set_filter(0);
    assert_true(!hears(own) && !hears(everybody));
    set_filter(NDIS_FILTER_DIRECTED); /* what came meanwhile is not brought late */
    assert_true(hears(own));
    end();
    begin((struct bh_nic_options){.trusted = true});
    set_filter(NDIS_FILTER_PROMISCUOUS);
    assert_true(hears(other));
    end();
}

static void long_frames_come_in_parts_when_the_guest_takes_them(void **state)
{
    const struct virtio_net_hdr gso = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                       .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
                                       .gso_size = 1448,
                                       .csum_start = 34,
                                       .csum_offset = 16};
    static uint8_t frame[65000];
    static uint8_t joined[65000];
    struct received received;
    struct bh_packet packet;
    uint32_t count;
    uint32_t at = 0;

    (void)state;
    begin((struct bh_nic_options){0});
    (void)make_frame(frame, own, other, sizeof(frame));
    put_tap(&gso, frame, sizeof(frame));
    guest_run(bench.guest);
    assert_int_equal(take_pages(0, &received), 0);
    assert_int_equal(bh_nic_get_stats(bench.nic)->rx_dropped, 1);
    set_offload(NDIS_OFFLOAD_TX_RX, NDIS_OFFLOAD_RSC_ENABLED);
    put_plain(own, 60);
    put_tap(&gso, frame, sizeof(frame));
    guest_run(bench.guest);
    count = take_pages(0, &received);
    assert_int_equal(count, 1 + 40);
    for (uint32_t i = 1; i < count; i++) {
        const uint8_t *message = received_at(&received.range[i]);
        struct rndis_packet_id id;

        assert_true(bh_packet_parse(message, received.range[i].byte_count, &packet));
        memcpy(&id, message + packet.data_offset - sizeof(id), sizeof(id));
        assert_int_equal(id.flags, RNDIS_PART | (i == 1 ? RNDIS_PART_FIRST : 0) |
                                       (i == count - 1 ? RNDIS_PART_LAST : 0));
        memcpy(joined + at, message + packet.data_offset, packet.data_length);
        at += packet.data_length;
    }
    assert_int_equal(at, sizeof(frame));
    assert_memory_equal(joined, frame, sizeof(frame));
    end();
}

static void a_guest_that_gives_nothing_back_gets_nothing_more(void **state)
{
    struct received received;
    uint32_t packets = 0;
    uint64_t last = 0;

    (void)state;
    begin((struct bh_nic_options){0});
    for (int i = 0; i < 200; i++) {
        for (int n = 0; n < 8; n++)
            put_plain(own, 100);
        guest_run(bench.guest);
        if (take_pages(0, &received) == 0)
            break;
        last = received.descriptor.transaction;
        packets += received.transfer.range_count;
    }
    assert_true(packets > 400 && packets < bench.nic->receive.count - BH_RECEIVE_RESERVE);
    assert_true(bench.nic->loans.free_count >= BH_RECEIVE_RESERVE);
    set_filter(NDIS_FILTER_DIRECTED); /* answers still find room */
    give_back(0, last);
    assert_in_range(take_pages(0, &received), 1, 8); /* those that waited in the tap */
    end();
}

static void a_full_ring_is_gone_on_with(void **state)
{
    struct received received;
    uint32_t count = 0;
    uint32_t frames = 0;

    (void)state;
    begin((struct bh_nic_options){0});
    for (int i = 0; i < 400; i++) {
        put_plain(own, 100);
        guest_run(bench.guest); /* each alone, in its own packet; the ring has 28 KiB */
        if (bench.nic->queue[0].batch_count != 0)
            break;
        count++;
    }
    assert_true(count > 200 && count < 400);
    put_plain(own, 100);
    put_plain(own, 100);
    guest_run(bench.guest);
    while (take_pages(0, &received) != 0) {
        frames += received.transfer.range_count;
        guest_run(bench.guest);
    }
    assert_int_equal(frames, count + 3);
    end();
}

/* --- tests: limits, link, life ------------------------------------------------------------ */

static void rates_are_kept(void **state)
{
    struct received received;
    uint8_t frame[1000] = {0};
    uint8_t out[70000];
    struct virtio_net_hdr header = {0};
    uint32_t size;

    (void)state;
    begin((struct bh_nic_options){0});
    bh_nic_set_rates(bench.nic, 10000, 10000); /* a burst of 1,000 bytes */
    size = wrap(scratch(), frame, make_frame(frame, other, own, 1000));
    assert_int_equal(send_scratch(NVSP_CHANNEL_DATA, size), NVSP_SUCCESS);
    assert_int_equal(take_tap(&header, out), 1000);
    assert_true(send_direct(0, 0, SCRATCH_AT, 0, size));
    guest_run(bench.guest);
    assert_int_equal(take_tap(&header, out), 0); /* it waits in the ring */
    put_plain(own, 1000);
    put_plain(own, 1000);
    guest_run(bench.guest);
    assert_int_equal(take_pages(0, &received), 1);
    bench.now += SECOND;
    (void)usleep(1000); /* the timer is of real time, but was set for a tenth of a millisecond */
    guest_run(bench.guest);
    (void)usleep(120000);
    guest_run(bench.guest);
    assert_int_equal(take_tap(&header, out), 1000);
    end();
}

static void the_guest_is_told_of_the_link(void **state)
{
    struct received received;
    uint32_t words[3];
    uint8_t frame[100] = {0};
    uint8_t out[70000];
    struct virtio_net_hdr header = {0};
    uint32_t size = make_frame(frame, other, own, 100);

    (void)state;
    begin((struct bh_nic_options){0});
    bh_nic_set_link(bench.nic, false);
    bh_nic_set_link(bench.nic, false);
    assert_int_equal(take_pages(0, &received), 1);
    memcpy(words, received_at(&received.range[0]), sizeof(words));
    assert_int_equal(words[0], RNDIS_INDICATE_STATUS);
    assert_int_equal(words[2], RNDIS_MEDIA_DISCONNECT);
    give_back(0, received.descriptor.transaction);
    assert_false(hears(own));
    assert_int_equal(send_scratch(NVSP_CHANNEL_DATA, wrap(scratch(), frame, size)), NVSP_SUCCESS);
    assert_int_equal(take_tap(&header, out), 0);
    bh_nic_set_link(bench.nic, true);
    assert_int_equal(take_pages(0, &received), 1);
    memcpy(words, received_at(&received.range[0]), sizeof(words));
    assert_int_equal(words[2], RNDIS_MEDIA_CONNECT);
    give_back(0, received.descriptor.transaction);
    assert_true(hears(own));
    assert_true(bh_nic_link(bench.nic));
    end();
}

static void close_down(void)
{
    struct nvsp_message message = {.type = NVSP_REVOKE_RECEIVE_BUFFER, .revoked_id = 0xcafe};

    set_filter(0);
    tell(&message);
    message.type = NVSP_REVOKE_SEND_BUFFER;
    tell(&message);
    guest_close(bench.guest, bench.relid[0]);
    guest_run(bench.guest);
    assert_int_equal(bench.nic->receive.size, 0);
    assert_int_equal(bench.nic->send.size, 0);
    assert_int_equal(bench.nic->state.version, 0);
}

static void tear_down_gpadls(void)
{
    const uint32_t ids[] = {901, 902, bench.relid[0] + 100};

    for (unsigned i = 0; i < 3; i++) {
        const uint32_t words[] = {VMBUS_GPADL_TEARDOWN, 0, bench.relid[0], ids[i]};

        guest_post(bench.guest, words, sizeof(words));
        (void)guest_take(bench.guest, VMBUS_GPADL_TORN_DOWN);
    }
}

static void a_larger_mtu_is_set_up_by_opening_again(void **state)
{
    struct nvsp_message config = {.type = NVSP_SEND_NDIS_CONFIG, .ndis_config = {.mtu = 9000 + 14}};
    const uint32_t initialize[] = {RNDIS_INITIALIZE, 24, 8, 1, 0, 0x4000};
    struct nvsp_message message = {.type = NVSP_INIT, .init = {NVSP_VERSION_61, NVSP_VERSION_61}};

    (void)state;
    begin((struct bh_nic_options){.mtu = 9000});
    assert_true(bench.allocation > 9000);
    close_down();
    tear_down_gpadls();
    open_channel(0);
    assert_int_equal(ask(&message).init_complete.status, NVSP_SUCCESS);
    config.ndis_config.mtu = 1500 + 14;
    tell(&config);
    assert_int_equal(guest_gpadl(bench.guest, bench.relid[0], 901, RECEIVE_AT, RECEIVE_PAGES), 0);
    message = (struct nvsp_message){.type = NVSP_SEND_RECEIVE_BUFFER,
                                    .buffer = {901, NVSP_RECEIVE_BUFFER_ID, 0}};
    bench.allocation = ask(&message).receive_buffer_complete.allocation_size;
    assert_int_equal(bench.allocation, BH_RECEIVE_ALLOCATION);
    assert_int_equal(control(initialize, 6, 12), RNDIS_SUCCESS);
    set_filter(NDIS_FILTER_DIRECTED);
    assert_true(hears(own));
    end();
}

static void versions_and_buffers_are_agreed_on_once(void **state)
{
    struct nvsp_message message = {.type = NVSP_INIT, .init = {0x70000, 0x70000}};

    (void)state;
    add_card((struct bh_nic_options){0});
    open_channel(0);
    assert_int_equal(ask(&message).init_complete.status, NVSP_TOO_NEW);
    message.init.maximum_version = 3;
    assert_int_equal(ask(&message).init_complete.status, NVSP_TOO_OLD);
    message = (struct nvsp_message){.type = NVSP_SEND_RECEIVE_BUFFER,
                                    .buffer = {901, NVSP_RECEIVE_BUFFER_ID, 0}};
    tell(&message); /* before a version */
    bring_up_nvsp();
    assert_int_equal(ask(&message).receive_buffer_complete.status, NVSP_FAIL); /* a second */
    message.type = NVSP_INIT;
    message.init = (struct nvsp_init){NVSP_VERSION_61, NVSP_VERSION_61};
    assert_int_equal(ask(&message).init_complete.status, NVSP_FAIL);
    end();
}

static void set_scaling(void)
{
    struct {
        uint32_t words[7];
        struct ndis_rss_parameters p;
        uint32_t table[4];
        uint8_t key[40];
    } message = {
        .words = {RNDIS_SET, sizeof(message), 11, OID_GEN_RECEIVE_SCALE_PARAMETERS,
                  sizeof(message) - 28, 20, 0},
        .p = {.header = {NDIS_TYPE_RSS_PARAMETERS, 2, 40},
              .hash = NDIS_HASH_TOEPLITZ | NDIS_HASH_IPV4 | NDIS_HASH_TCP_IPV4,
              .indirection_size = 16,
              .indirection_offset = 40,
              .key_size = 40,
              .key_offset = 56},
        .table = {0, 1, 1, 0},
    };
    uint32_t words[sizeof(message) / 4];

    for (unsigned i = 0; i < 40; i++)
        message.key[i] = (uint8_t)(i * 37 + 11);
    memcpy(words, &message, sizeof(message));
    assert_int_equal(control(words, sizeof(words) / 4, 12), RNDIS_SUCCESS);
}

static void flows_are_spread_over_the_queues(void **state)
{
    struct nvsp_message message = {.type = NVSP_SUBCHANNEL,
                                   .subchannel = {NVSP_SUBCHANNEL_ALLOC, 7}};
    const struct virtio_net_hdr none = {0};
    struct received received;
    struct nvsp_message reply;
    uint32_t frames[2] = {0, 0};
    uint8_t frame[100] = {0};

    (void)state;
    begin((struct bh_nic_options){.queues = 2});
    reply = ask(&message);
    assert_int_equal(reply.type, NVSP_SUBCHANNEL);
    assert_int_equal(reply.subchannel_complete.status, NVSP_SUCCESS);
    assert_int_equal(reply.subchannel_complete.count, 1);
    assert_int_equal(ask(&message).subchannel_complete.status, NVSP_FAIL); /* once only */
    bench.relid[1] = guest_take(bench.guest, VMBUS_OFFER_CHANNEL).offer.relid;
    open_channel(1);
    set_scaling();
    (void)make_frame(frame, own, other, sizeof(frame));
    frame[12] = 8; /* IPv4 ... */
    frame[13] = 0;
    frame[14] = 0x45;
    frame[20] = frame[21] = 0;
    frame[23] = 6; /* ... TCP */
    frame[46] = 0x50;
    for (unsigned i = 0; i < 64; i++) {
        frame[34] = (uint8_t)i;
        put_tap(&none, frame, sizeof(frame));
        guest_run(bench.guest);
    }
    for (unsigned n = 0; n < 2; n++) {
        while (take_pages(n, &received) != 0) {
            frames[n] += received.transfer.range_count;
            give_back(n, received.descriptor.transaction);
        }
    }
    assert_int_equal(frames[0] + frames[1], 64);
    assert_true(frames[0] > 8 && frames[1] > 8);
    assert_int_equal(bench.nic->loans.free_count, bench.nic->loans.count);
    end();
}

static void a_sub_channel_carries_data_and_nothing_else(void **state)
{
    struct nvsp_message message = {.type = NVSP_SUBCHANNEL,
                                   .subchannel = {NVSP_SUBCHANNEL_ALLOC, 1}};
    uint8_t frame[100] = {0};
    uint8_t out[70000];
    uint64_t packet[16];
    struct virtio_net_hdr header = {0};
    uint32_t size;

    (void)state;
    begin((struct bh_nic_options){.queues = 2});
    (void)ask(&message);
    bench.relid[1] = guest_take(bench.guest, VMBUS_OFFER_CHANNEL).offer.relid;
    open_channel(1);
    size = wrap(scratch(), frame, make_frame(frame, other, own, 100));
    assert_true(send_direct(1, NVSP_CHANNEL_DATA, SCRATCH_AT, 0, size));
    guest_run(bench.guest);
    assert_int_equal(take_tap(&header, out), 100);
    assert_int_equal(guest_ring_read(&bench.ring[1], packet, sizeof(packet)), 56);
    assert_true(send_direct(1, NVSP_CHANNEL_CONTROL, SCRATCH_AT, 0, size));
    guest_run(bench.guest);
    assert_int_equal(guest_ring_read(&bench.ring[1], packet, sizeof(packet)), 56);
    assert_int_equal(((struct nvsp_message *)&packet[2])->status, NVSP_INVALID_RNDIS_PACKET);
    message = (struct nvsp_message){.type = NVSP_REVOKE_RECEIVE_BUFFER, .revoked_id = 0xcafe};
    assert_true(guest_send(&bench.ring[1], 5, &message, sizeof(message)));
    guest_run(bench.guest);
    assert_true(bench.nic->receive.size != 0);
    guest_close(bench.guest, bench.relid[0]); /* takes the sub-channel with it */
    assert_int_equal(guest_take(bench.guest, VMBUS_RESCIND_OFFER).relid.relid, bench.relid[1]);
    assert_null(bench.nic->queue[1].channel);
    end();
}

static void a_tap_that_goes_takes_the_link_down(void **state)
{
    struct received received;
    uint32_t words[3];

    (void)state;
    begin((struct bh_nic_options){0});
    (void)shutdown(bench.nic->tap[0].watch.fd, SHUT_RDWR);
    (void)close(bench.tap);
    bench.tap = dup(0);
    guest_run(bench.guest);
    assert_false(bh_nic_link(bench.nic));
    assert_int_equal(bench.guest->logged, 1);
    assert_int_equal(take_pages(0, &received), 1);
    memcpy(words, received_at(&received.range[0]), sizeof(words));
    assert_int_equal(words[2], RNDIS_MEDIA_DISCONNECT);
    bh_nic_set_link(bench.nic, true);
    assert_false(bh_nic_link(bench.nic));
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_goes_out_from_pages_and_from_sections),
        cmocka_unit_test(several_messages_go_in_one_packet),
        cmocka_unit_test(foreign_addresses_do_not_go_out),
        cmocka_unit_test(a_tag_is_put_into_the_frame),
        cmocka_unit_test(nonsense_is_answered_with_an_error),
        cmocka_unit_test(frames_come_in_together_and_allocations_go_back),
        cmocka_unit_test(the_guest_hears_what_its_filter_lets_in),
        cmocka_unit_test(long_frames_come_in_parts_when_the_guest_takes_them),
        cmocka_unit_test(a_guest_that_gives_nothing_back_gets_nothing_more),
        cmocka_unit_test(a_full_ring_is_gone_on_with),
        cmocka_unit_test(rates_are_kept),
        cmocka_unit_test(the_guest_is_told_of_the_link),
        cmocka_unit_test(a_larger_mtu_is_set_up_by_opening_again),
        cmocka_unit_test(versions_and_buffers_are_agreed_on_once),
        cmocka_unit_test(flows_are_spread_over_the_queues),
        cmocka_unit_test(a_sub_channel_carries_data_and_nothing_else),
        cmocka_unit_test(a_tap_that_goes_takes_the_link_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
