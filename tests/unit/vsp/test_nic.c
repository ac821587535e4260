/* SPDX-License-Identifier: MIT */
/* vsp/network: frames between a simulated guest and a socket that stands for the tap. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/vsp/nic_bench.h"
#include "vsp/network/packet.h"
#include "vsp/protocol/ndis.h"
#include "vsp/protocol/rndis.h"

/* --- tests: from the guest ---------------------------------------------------------------- */

static void a_frame_goes_out_from_pages_and_from_sections(void **state)
{
    uint8_t frame[1500] = {0};
    uint8_t out[70000];
    struct virtio_net_hdr header = {0};
    uint32_t size = bench_make_frame(frame, bench_other, bench_own, 1400);
    struct nvsp_message message = {.type = NVSP_SEND_RNDIS_PACKET, .rndis = {0, 3, 0}};

    (void)state;
    bench_begin((struct bh_nic_options){0});
    assert_int_equal(
        bench_send_scratch(NVSP_CHANNEL_DATA, bench_wrap(bench_scratch(), frame, size)),
        NVSP_SUCCESS);
    assert_int_equal(bench_take_tap(&header, out), size);
    assert_memory_equal(out, frame, size);
    assert_int_equal(header.flags, 0);
    message.rndis.section_size =
        bench_wrap(bench_page_at(SEND_AT) + (size_t)3 * BH_SEND_SECTION, frame, size);
    assert_int_equal(bench_ask(&message).status, NVSP_SUCCESS);
    assert_int_equal(bench_take_tap(&header, out), size);
    assert_memory_equal(out, frame, size);
    assert_int_equal(bh_nic_get_stats(bench.nic)->tx_packets, 2);
    assert_int_equal(bh_nic_get_stats(bench.nic)->tx_bytes, 2 * size);
    bench_end();
}

static void several_messages_go_in_one_packet(void **state)
{
    uint8_t frame[1500] = {0};
    uint8_t out[70000];
    struct virtio_net_hdr header = {0};
    uint32_t size = bench_make_frame(frame, bench_other, bench_own, 61);
    uint32_t at = 0;

    (void)state;
    bench_begin((struct bh_nic_options){0});
    for (int i = 0; i < 8; i++)
        at += bench_wrap(bench_scratch() + at, frame, size);
    assert_int_equal(bench_send_scratch(NVSP_CHANNEL_DATA, at), NVSP_SUCCESS);
    for (int i = 0; i < 8; i++)
        assert_int_equal(bench_take_tap(&header, out), size);
    at += bench_wrap(bench_scratch() + at, frame, size); /* a ninth is more than was agreed on */
    assert_int_equal(bench_send_scratch(NVSP_CHANNEL_DATA, at), NVSP_INVALID_RNDIS_PACKET);
    bench_end();
}

static void foreign_addresses_do_not_go_out(void **state)
{
    uint8_t frame[100] = {0};
    uint8_t out[70000];
    struct virtio_net_hdr header = {0};
    uint32_t size = bench_make_frame(frame, bench_own, bench_other, 100);

    (void)state;
    bench_begin((struct bh_nic_options){0});
    assert_int_equal(
        bench_send_scratch(NVSP_CHANNEL_DATA, bench_wrap(bench_scratch(), frame, size)),
        NVSP_SUCCESS);
    assert_int_equal(bench_take_tap(&header, out), 0);
    assert_int_equal(bh_nic_get_stats(bench.nic)->tx_spoofed, 1);
    assert_int_equal(bh_nic_get_stats(bench.nic)->tx_dropped, 1);
    bench_end();
    bench_begin((struct bh_nic_options){.trusted = true});
    assert_int_equal(
        bench_send_scratch(NVSP_CHANNEL_DATA, bench_wrap(bench_scratch(), frame, size)),
        NVSP_SUCCESS);
    assert_int_equal(bench_take_tap(&header, out), size);
    bench_end();
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
    bench_begin((struct bh_nic_options){0});
    at = bench_scratch();
    (void)bench_make_frame(frame, bench_other, bench_own, 300);
    memcpy(at, &rndis, 8);
    memcpy(at + 8, &fields, 36);
    memcpy(at + 44, &info, 12);
    memcpy(at + 56, &tag, 4);
    memcpy(at + 60, frame, 300);
    assert_int_equal(bench_send_scratch(NVSP_CHANNEL_DATA, 360), NVSP_SUCCESS);
    assert_int_equal(bench_take_tap(&header, out), 304);
    assert_memory_equal(out, frame, 12);
    assert_memory_equal(out + 12, "\x81\x00\xa1\x23", 4);
    assert_memory_equal(out + 16, frame + 12, 288);
    bench_end();
}

static void nonsense_is_answered_with_an_error(void **state)
{
    struct nvsp_message message = {.type = NVSP_SEND_RNDIS_PACKET};
    const struct bh_nic_stats *stats;
    uint8_t frame[2000] = {0};
    uint32_t size;

    (void)state;
    bench_begin((struct bh_nic_options){0});
    stats = bh_nic_get_stats(bench.nic);
    message.rndis = (struct nvsp_rndis_packet){0, SEND_PAGES * 4096 / BH_SEND_SECTION, 100};
    assert_int_equal(bench_ask(&message).status, NVSP_FAIL); /* no such section */
    message.rndis = (struct nvsp_rndis_packet){0, 0, BH_SEND_SECTION + 1};
    assert_int_equal(bench_ask(&message).status, NVSP_FAIL);
    assert_true(bench_send_direct(0, 0, GUEST_PAGES - 1, 0, 5000)); /* not all is RAM */
    guest_run(bench.guest);
    assert_int_equal(bench_take_completion(43).status, NVSP_FAIL);
    memset(bench_scratch(), 0, 100);
    assert_int_equal(bench_send_scratch(NVSP_CHANNEL_DATA, 100), NVSP_INVALID_RNDIS_PACKET);
    size = bench_wrap(
        bench_scratch(), frame,
        bench_make_frame(frame, bench_other, bench_own, 1519)); /* too long for the MTU */
    assert_int_equal(bench_send_scratch(NVSP_CHANNEL_DATA, size), NVSP_SUCCESS);
    assert_int_equal(stats->tx_malformed, 2);
    size = bench_wrap(bench_scratch(), frame, 13); /* shorter than an Ethernet header */
    assert_int_equal(bench_send_scratch(NVSP_CHANNEL_DATA, size), NVSP_SUCCESS);
    assert_int_equal(stats->tx_malformed, 3);
    assert_int_equal(stats->tx_packets, 0);
    memset(bench_scratch(), 0, 5000);
    assert_int_equal(bench_send_scratch(NVSP_CHANNEL_CONTROL, 5000), NVSP_INVALID_RNDIS_PACKET);
    bench_end();
}

/* --- tests: to the guest ------------------------------------------------------------------ */

static void frames_come_in_together_and_allocations_go_back(void **state)
{
    uint32_t free_count;
    struct nic_received received;
    struct bh_packet packet;

    (void)state;
    bench_begin((struct bh_nic_options){0});
    free_count = bench.nic->loans.free_count;
    for (uint32_t i = 0; i < 5; i++)
        bench_put_plain(bench_own, 1514 - i);
    guest_run(bench.guest);
    assert_int_equal(bench_take_pages(0, &received), 5);
    for (uint32_t i = 0; i < 5; i++) {
        const uint8_t *message = bench_received_at(&received.range[i]);

        assert_true(bh_packet_parse(message, received.range[i].byte_count, &packet));
        assert_int_equal(packet.data_length, 1514 - i);
        assert_memory_equal(message + packet.data_offset, bench_own, 6);
        assert_int_equal(message[packet.data_offset + 1000], (uint8_t)(1000 * 13 + 5));
    }
    assert_int_equal(bench.nic->loans.free_count, free_count - 5);
    bench_give_back(0, received.descriptor.transaction + 1); /* not lent under that name */
    assert_int_equal(bench.nic->loans.free_count, free_count - 5);
    bench_give_back(0, received.descriptor.transaction);
    assert_int_equal(bench.nic->loans.free_count, free_count);
    bench_give_back(0, received.descriptor.transaction); /* twice */
    bench_give_back(0, UINT64_MAX);
    bench_give_back(0, 0);
    assert_int_equal(bench.nic->loans.free_count, free_count);
    bench_end();
}

static void the_guest_hears_what_its_filter_lets_in(void **state)
{
    static const uint8_t everybody[6] = {255, 255, 255, 255, 255, 255};
    static const uint8_t some[6] = {1, 0, 0x5e, 0, 0, 1};

    (void)state;
    bench_begin((struct bh_nic_options){0});
    assert_true(bench_hears(bench_own) && bench_hears(everybody) && bench_hears(some) &&
                !bench_hears(bench_other));
    bench_set_filter(NDIS_FILTER_DIRECTED);
    assert_true(bench_hears(bench_own) && !bench_hears(everybody) && !bench_hears(some) &&
                !bench_hears(bench_other));
    bench_set_filter(NDIS_FILTER_PROMISCUOUS);
    assert_true(bench_hears(bench_own) && bench_hears(everybody) && bench_hears(some) &&
                !bench_hears(bench_other));
    bench_set_filter(0);
    assert_true(!bench_hears(bench_own) && !bench_hears(everybody));
    bench_set_filter(NDIS_FILTER_DIRECTED); /* what came meanwhile is not brought late */
    assert_true(bench_hears(bench_own));
    bench_end();
    bench_begin((struct bh_nic_options){.trusted = true});
    bench_set_filter(NDIS_FILTER_PROMISCUOUS);
    assert_true(bench_hears(bench_other));
    bench_end();
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
    struct nic_received received;
    struct bh_packet packet;
    uint32_t count;
    uint32_t at = 0;

    (void)state;
    bench_begin((struct bh_nic_options){0});
    (void)bench_make_frame(frame, bench_own, bench_other, sizeof(frame));
    bench_put_tap(&gso, frame, sizeof(frame));
    guest_run(bench.guest);
    assert_int_equal(bench_take_pages(0, &received), 0);
    assert_int_equal(bh_nic_get_stats(bench.nic)->rx_dropped, 1);
    bench_set_offload(NDIS_OFFLOAD_TX_RX, NDIS_OFFLOAD_RSC_ENABLED);
    bench_put_plain(bench_own, 60);
    bench_put_tap(&gso, frame, sizeof(frame));
    guest_run(bench.guest);
    count = bench_take_pages(0, &received);
    assert_int_equal(count, 1 + 40);
    for (uint32_t i = 1; i < count; i++) {
        const uint8_t *message = bench_received_at(&received.range[i]);
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
    bench_end();
}

static void a_guest_that_gives_nothing_back_gets_nothing_more(void **state)
{
    struct nic_received received;
    uint32_t packets = 0;
    uint64_t last = 0;

    (void)state;
    bench_begin((struct bh_nic_options){0});
    for (int i = 0; i < 200; i++) {
        for (int n = 0; n < 8; n++)
            bench_put_plain(bench_own, 100);
        guest_run(bench.guest);
        if (bench_take_pages(0, &received) == 0)
            break;
        last = received.descriptor.transaction;
        packets += received.transfer.range_count;
    }
    assert_true(packets > 400 && packets < bench.nic->receive.count - BH_RECEIVE_RESERVE);
    assert_true(bench.nic->loans.free_count >= BH_RECEIVE_RESERVE);
    bench_set_filter(NDIS_FILTER_DIRECTED); /* answers still find room */
    bench_give_back(0, last);
    assert_in_range(bench_take_pages(0, &received), 1, 8); /* those that waited in the tap */
    bench_end();
}

static void a_full_ring_is_gone_on_with(void **state)
{
    struct nic_received received;
    uint32_t count = 0;
    uint32_t frames = 0;

    (void)state;
    bench_begin((struct bh_nic_options){0});
    for (int i = 0; i < 400; i++) {
        bench_put_plain(bench_own, 100);
        guest_run(bench.guest); /* each alone, in its own packet; the ring has 28 KiB */
        if (bench.nic->queue[0].batch_count != 0)
            break;
        count++;
    }
    assert_true(count > 200 && count < 400);
    bench_put_plain(bench_own, 100);
    bench_put_plain(bench_own, 100);
    guest_run(bench.guest);
    while (bench_take_pages(0, &received) != 0) {
        frames += received.transfer.range_count;
        guest_run(bench.guest);
    }
    assert_int_equal(frames, count + 3);
    bench_end();
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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
