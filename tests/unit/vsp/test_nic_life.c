/* SPDX-License-Identifier: MIT */
/* vsp/network: a card's limits, link, queues, set-up and end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/vsp/nic_bench.h"
#include "vsp/network/packet.h"
#include "vsp/protocol/ndis.h"
#include "vsp/protocol/rndis.h"

/* --- tests: limits, link, life ------------------------------------------------------------ */

static void rates_are_kept(void **state)
{
    struct nic_received received;
    uint8_t frame[1000] = {0};
    uint8_t out[70000];
    struct virtio_net_hdr header = {0};
    uint32_t size;

    (void)state;
    bench_begin((struct bh_nic_options){0});
    bh_nic_set_rates(bench.nic, 10000, 10000); /* a burst of 1,000 bytes */
    size =
        bench_wrap(bench_scratch(), frame, bench_make_frame(frame, bench_other, bench_own, 1000));
    assert_int_equal(bench_send_scratch(NVSP_CHANNEL_DATA, size), NVSP_SUCCESS);
    assert_int_equal(bench_take_tap(&header, out), 1000);
    assert_true(bench_send_direct(0, 0, SCRATCH_AT, 0, size));
    guest_run(bench.guest);
    assert_int_equal(bench_take_tap(&header, out), 0); /* it waits in the ring */
    bench_put_plain(bench_own, 1000);
    bench_put_plain(bench_own, 1000);
    guest_run(bench.guest);
    assert_int_equal(bench_take_pages(0, &received), 1);
    bench.now += SECOND;
    (void)usleep(1000); /* the timer is of real time, but was set for a tenth of a millisecond */
    guest_run(bench.guest);
    (void)usleep(120000);
    guest_run(bench.guest);
    assert_int_equal(bench_take_tap(&header, out), 1000);
    bench_end();
}

static void open_second_channel(void)
{
    struct nvsp_message message = {.type = NVSP_SUBCHANNEL,
                                   .subchannel = {NVSP_SUBCHANNEL_ALLOC, 1}};

    (void)bench_ask(&message);
    bench.relid[1] = guest_take(bench.guest, VMBUS_OFFER_CHANNEL).offer.relid;
    bench_open_channel(1);
}

/* Puts `count` frames of so many bytes into a channel's ring. */
static void fill_ring(unsigned channel, uint32_t count, uint32_t bytes)
{
    uint32_t page = SCRATCH_AT + channel;
    uint8_t frame[1500] = {0};
    uint32_t size = bench_wrap(bench_page_at(page), frame,
                               bench_make_frame(frame, bench_other, bench_own, bytes));

    for (uint32_t i = 0; i < count; i++)
        assert_true(bench_send_direct(channel, NVSP_CHANNEL_DATA, page, 0, size));
}

/* Lets time pass until so many frames more have gone; those of each channel in `sent`. */
static void let_go(uint32_t count, uint64_t sent[2])
{
    const struct bh_nic_stats *stats = bh_nic_get_stats(bench.nic);
    struct pollfd loop = {.fd = bh_loop_fd(bench.guest->loop), .events = POLLIN};
    uint64_t before[2] = {stats->queue[0].tx_packets, stats->queue[1].tx_packets};
    uint64_t goal = stats->tx_packets + count;

    while (stats->tx_packets < goal) {
        bench.now += SECOND / 1000;
        assert_int_equal(poll(&loop, 1, 10000), 1); /* the timer of the rate */
        guest_run(bench.guest);
    }
    for (unsigned n = 0; n < 2; n++)
        sent[n] = stats->queue[n].tx_packets - before[n];
}

static void a_rate_is_shared_by_the_queues(void **state)
{
    uint64_t sent[2];

    (void)state;
    bench_begin((struct bh_nic_options){.queues = 2});
    open_second_channel();
    bh_nic_set_rates(bench.nic, 100000, 0); /* a burst of 10 frames, and one more each 10 ms */
    fill_ring(0, 60, 1000);
    let_go(20, sent);
    assert_int_equal(sent[0], 20);
    fill_ring(1, 30, 1000); /* what the first had alone is not made up for */
    let_go(20, sent);
    assert_in_range(sent[0], 9, 11);
    assert_in_range(sent[1], 9, 11);
    bench_end();
}

static void a_rate_is_shared_by_bytes(void **state)
{
    uint64_t sent[2];

    (void)state;
    bench_begin((struct bh_nic_options){.queues = 2});
    open_second_channel();
    bh_nic_set_rates(bench.nic, 100000, 0);
    fill_ring(0, 30, 1200);
    fill_ring(1, 100, 200);
    let_go(20, sent); /* the burst is the first one's */
    let_go(42, sent);
    assert_in_range(sent[0], 5, 7);
    assert_in_range(sent[1], 35, 37);
    bench_end();
}

static void the_guest_is_told_of_the_link(void **state)
{
    struct nic_received received;
    uint32_t words[3];
    uint8_t frame[100] = {0};
    uint8_t out[70000];
    struct virtio_net_hdr header = {0};
    uint32_t size = bench_make_frame(frame, bench_other, bench_own, 100);

    (void)state;
    bench_begin((struct bh_nic_options){0});
    bh_nic_set_link(bench.nic, false);
    bh_nic_set_link(bench.nic, false);
    assert_int_equal(bench_take_pages(0, &received), 1);
    memcpy(words, bench_received_at(&received.range[0]), sizeof(words));
    assert_int_equal(words[0], RNDIS_INDICATE_STATUS);
    assert_int_equal(words[2], RNDIS_MEDIA_DISCONNECT);
    bench_give_back(0, received.descriptor.transaction);
    assert_false(bench_hears(bench_own));
    assert_int_equal(
        bench_send_scratch(NVSP_CHANNEL_DATA, bench_wrap(bench_scratch(), frame, size)),
        NVSP_SUCCESS);
    assert_int_equal(bench_take_tap(&header, out), 0);
    bh_nic_set_link(bench.nic, true);
    assert_int_equal(bench_take_pages(0, &received), 1);
    memcpy(words, bench_received_at(&received.range[0]), sizeof(words));
    assert_int_equal(words[2], RNDIS_MEDIA_CONNECT);
    bench_give_back(0, received.descriptor.transaction);
    assert_true(bench_hears(bench_own));
    assert_true(bh_nic_link(bench.nic));
    bench_end();
}

static void close_down(void)
{
    struct nvsp_message message = {.type = NVSP_REVOKE_RECEIVE_BUFFER, .revoked_id = 0xcafe};

    bench_set_filter(0);
    bench_tell(&message);
    message.type = NVSP_REVOKE_SEND_BUFFER;
    bench_tell(&message);
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
    bench_begin((struct bh_nic_options){.mtu = 9000});
    assert_true(bench.allocation > 9000);
    close_down();
    tear_down_gpadls();
    bench_open_channel(0);
    assert_int_equal(bench_ask(&message).init_complete.status, NVSP_SUCCESS);
    config.ndis_config.mtu = 1500 + 14;
    bench_tell(&config);
    assert_int_equal(guest_gpadl(bench.guest, bench.relid[0], 901, RECEIVE_AT, RECEIVE_PAGES), 0);
    message = (struct nvsp_message){.type = NVSP_SEND_RECEIVE_BUFFER,
                                    .buffer = {901, NVSP_RECEIVE_BUFFER_ID, 0}};
    bench.allocation = bench_ask(&message).receive_buffer_complete.allocation_size;
    assert_int_equal(bench.allocation, BH_RECEIVE_ALLOCATION);
    assert_int_equal(bench_control(initialize, 6, 12), RNDIS_SUCCESS);
    bench_set_filter(NDIS_FILTER_DIRECTED);
    assert_true(bench_hears(bench_own));
    bench_end();
}

static void versions_and_buffers_are_agreed_on_once(void **state)
{
    struct nvsp_message message = {.type = NVSP_INIT, .init = {0x70000, 0x70000}};

    (void)state;
    bench_add_card((struct bh_nic_options){0});
    bench_open_channel(0);
    assert_int_equal(bench_ask(&message).init_complete.status, NVSP_TOO_NEW);
    message.init.maximum_version = 3;
    assert_int_equal(bench_ask(&message).init_complete.status, NVSP_TOO_OLD);
    message = (struct nvsp_message){.type = NVSP_SEND_RECEIVE_BUFFER,
                                    .buffer = {901, NVSP_RECEIVE_BUFFER_ID, 0}};
    bench_tell(&message); /* before a version */
    bench_bring_up_nvsp();
    assert_int_equal(bench_ask(&message).receive_buffer_complete.status, NVSP_FAIL); /* a second */
    message.type = NVSP_INIT;
    message.init = (struct nvsp_init){NVSP_VERSION_61, NVSP_VERSION_61};
    assert_int_equal(bench_ask(&message).init_complete.status, NVSP_FAIL);
    bench_end();
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
    assert_int_equal(bench_control(words, sizeof(words) / 4, 12), RNDIS_SUCCESS);
}

static void flows_are_spread_over_the_queues(void **state)
{
    struct nvsp_message message = {.type = NVSP_SUBCHANNEL,
                                   .subchannel = {NVSP_SUBCHANNEL_ALLOC, 7}};
    const struct virtio_net_hdr none = {0};
    struct nic_received received;
    struct nvsp_message reply;
    uint32_t frames[2] = {0, 0};
    uint8_t frame[100] = {0};

    (void)state;
    bench_begin((struct bh_nic_options){.queues = 2});
    reply = bench_ask(&message);
    assert_int_equal(reply.type, NVSP_SUBCHANNEL);
    assert_int_equal(reply.subchannel_complete.status, NVSP_SUCCESS);
    assert_int_equal(reply.subchannel_complete.count, 1);
    assert_int_equal(bench_ask(&message).subchannel_complete.status, NVSP_FAIL); /* once only */
    bench.relid[1] = guest_take(bench.guest, VMBUS_OFFER_CHANNEL).offer.relid;
    bench_open_channel(1);
    set_scaling();
    (void)bench_make_frame(frame, bench_own, bench_other, sizeof(frame));
    frame[12] = 8; /* IPv4 ... */
    frame[13] = 0;
    frame[14] = 0x45;
    frame[20] = frame[21] = 0;
    frame[23] = 6; /* ... TCP */
    frame[46] = 0x50;
    for (unsigned i = 0; i < 64; i++) {
        frame[34] = (uint8_t)i;
        bench_put_tap(&none, frame, sizeof(frame));
        guest_run(bench.guest);
    }
    for (unsigned n = 0; n < 2; n++) {
        while (bench_take_pages(n, &received) != 0) {
            frames[n] += received.transfer.range_count;
            bench_give_back(n, received.descriptor.transaction);
        }
    }
    assert_int_equal(frames[0] + frames[1], 64);
    assert_true(frames[0] > 8 && frames[1] > 8);
    assert_int_equal(bench.nic->loans.free_count, bench.nic->loans.count);
    bench_end();
}

static void a_sub_channel_carries_data_and_nothing_else(void **state)
{
    struct nvsp_message message;
    uint8_t frame[100] = {0};
    uint8_t out[70000];
    uint64_t packet[16];
    struct virtio_net_hdr header = {0};
    uint32_t size;

    (void)state;
    bench_begin((struct bh_nic_options){.queues = 2});
    open_second_channel();
    size = bench_wrap(bench_scratch(), frame, bench_make_frame(frame, bench_other, bench_own, 100));
    assert_true(bench_send_direct(1, NVSP_CHANNEL_DATA, SCRATCH_AT, 0, size));
    guest_run(bench.guest);
    assert_int_equal(bench_take_tap(&header, out), 100);
    assert_int_equal(guest_ring_read(&bench.ring[1], packet, sizeof(packet)), 56);
    assert_true(bench_send_direct(1, NVSP_CHANNEL_CONTROL, SCRATCH_AT, 0, size));
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
    bench_end();
}

static void a_tap_that_goes_takes_the_link_down(void **state)
{
    struct nic_received received;
    uint32_t words[3];

    (void)state;
    bench_begin((struct bh_nic_options){0});
    (void)shutdown(bench.nic->tap[0].watch.fd, SHUT_RDWR);
    (void)close(bench.taps[0]);
    bench.taps[0] = dup(0);
    guest_run(bench.guest);
    assert_false(bh_nic_link(bench.nic));
    assert_int_equal(bench.guest->logged, 1);
    assert_int_equal(bench_take_pages(0, &received), 1);
    memcpy(words, bench_received_at(&received.range[0]), sizeof(words));
    assert_int_equal(words[2], RNDIS_MEDIA_DISCONNECT);
    bh_nic_set_link(bench.nic, true);
    assert_false(bh_nic_link(bench.nic));
    bench_end();
}

static void each_channel_has_a_queue_of_the_tap(void **state)
{
    const struct bh_nic_stats *stats;
    struct virtio_net_hdr header = {0};
    uint8_t out[70000];

    (void)state;
    bench_begin_on((struct bh_nic_options){.queues = 2}, 2);
    open_second_channel();
    stats = bh_nic_get_stats(bench.nic);
    for (unsigned n = 0; n < 2; n++) {
        fill_ring(n, 3 + n, 100);
        guest_run(bench.guest);
        bench.tap = bench.taps[n];
        for (unsigned i = 0; i < 3 + n; i++)
            assert_int_equal(bench_take_tap(&header, out), 100);
        assert_int_equal(bench_take_tap(&header, out), 0);
        assert_int_equal(stats->queue[n].tx_packets, 3 + n);
        assert_int_equal(stats->tap[n].tx_packets, 3 + n);
    }
    for (unsigned n = 0; n < 2; n++) {
        bench.tap = bench.taps[n];
        bench_put_plain(bench_own, 64);
        guest_run(bench.guest);
        assert_int_equal(stats->tap[n].rx_packets, 1);
    }
    assert_int_equal(stats->queue[0].rx_packets, 2); /* without a hash */
    assert_int_equal(bh_nic_get_tap_queues(bench.nic), 2);
    bench_end();
}

static void channels_share_the_one_queue_of_a_tap(void **state)
{
    struct virtio_net_hdr header = {0};
    uint8_t out[70000];

    (void)state;
    bench_begin((struct bh_nic_options){.queues = 2});
    open_second_channel();
    for (unsigned n = 0; n < 2; n++)
        fill_ring(n, 2, 100);
    guest_run(bench.guest);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(bench_take_tap(&header, out), 100);
    assert_int_equal(bh_nic_get_stats(bench.nic)->tap[0].tx_packets, 4);
    bench_end();
}

static void a_tap_that_goes_with_its_queues_is_said_once(void **state)
{
    (void)state;
    bench_begin_on((struct bh_nic_options){.queues = 2}, 2);
    for (unsigned n = 0; n < 2; n++) {
        (void)shutdown(bench.nic->tap[n].watch.fd, SHUT_RDWR);
        (void)close(bench.taps[n]);
        bench.taps[n] = dup(0);
    }
    guest_run(bench.guest);
    assert_false(bh_nic_link(bench.nic));
    assert_int_equal(bench.guest->logged, 1);
    bench_end();
}

/* --- tests: another process goes on ------------------------------------------------------- */

static void a_card_goes_on_in_another_process(void **state)
{
    struct nic_received received;
    uint32_t free_count;

    (void)state;
    bench_begin((struct bh_nic_options){0});
    free_count = bench.nic->loans.free_count;
    for (uint32_t i = 0; i < 3; i++)
        bench_put_plain(bench_own, 100);
    guest_run(bench.guest);
    bench_fall();
    assert_int_equal(bench.nic->loans.free_count, free_count - 3);
    assert_int_equal(bench_take_pages(0, &received), 3); /* what was shown to the guest stays */
    bench_give_back(0, received.descriptor.transaction);
    assert_int_equal(bench.nic->loans.free_count, free_count);
    bench_give_back(0, received.descriptor.transaction); /* twice */
    assert_int_equal(bench.nic->loans.free_count, free_count);
    assert_true(bench_hears(bench_own) && !bench_hears(bench_other)); /* the filter is known */
    bench_set_filter(0);
    bench_fall();
    assert_false(bench_hears(bench_own));
    bench_end();
}

static void what_was_not_taken_is_taken_once(void **state)
{
    uint8_t frame[100] = {0};
    uint8_t out[70000];
    struct virtio_net_hdr header = {0};
    uint64_t packet[16];
    uint32_t size;

    (void)state;
    bench_begin((struct bh_nic_options){0});
    size = bench_wrap(bench_scratch(), frame, bench_make_frame(frame, bench_other, bench_own, 100));
    assert_true(bench_send_direct(0, NVSP_CHANNEL_DATA, SCRATCH_AT, 0, size));
    bench_fall(); /* before anybody has looked at the ring */
    guest_run(bench.guest);
    assert_int_equal(bench_take_completion(43).status, NVSP_SUCCESS);
    assert_int_equal(bench_take_tap(&header, out), 100);
    bench_fall(); /* with the answer taken */
    guest_run(bench.guest);
    assert_int_equal(bench_take_tap(&header, out), 0);
    assert_int_equal(guest_ring_read(&bench.ring[0], packet, sizeof(packet)), 0);
    assert_int_equal(bench_send_scratch(NVSP_CHANNEL_DATA, size), NVSP_SUCCESS);
    assert_int_equal(bench_take_tap(&header, out), 100);
    bench_end();
}

static void a_sub_channel_goes_on_in_another_process(void **state)
{
    struct nvsp_message message = {.type = NVSP_SUBCHANNEL,
                                   .subchannel = {NVSP_SUBCHANNEL_ALLOC, 1}};
    uint8_t frame[100] = {0};
    uint8_t out[70000];
    uint64_t packet[16];
    struct virtio_net_hdr header = {0};
    uint32_t size;

    (void)state;
    bench_begin((struct bh_nic_options){.queues = 2});
    (void)bench_ask(&message);
    bench.relid[1] = guest_take(bench.guest, VMBUS_OFFER_CHANNEL).offer.relid;
    bench_open_channel(1);
    bench_fall();
    size = bench_wrap(bench_scratch(), frame, bench_make_frame(frame, bench_other, bench_own, 100));
    assert_true(bench_send_direct(1, NVSP_CHANNEL_DATA, SCRATCH_AT, 0, size));
    guest_run(bench.guest);
    assert_int_equal(bench_take_tap(&header, out), 100);
    assert_int_equal(guest_ring_read(&bench.ring[1], packet, sizeof(packet)), 56);
    assert_int_equal(bench_ask(&message).subchannel_complete.status, NVSP_FAIL); /* once only */
    guest_close(bench.guest, bench.relid[0]); /* takes the sub-channel with it */
    assert_int_equal(guest_take(bench.guest, VMBUS_RESCIND_OFFER).relid.relid, bench.relid[1]);
    bench_end();
}

static void a_link_that_changed_between_two_processes_is_told(void **state)
{
    struct nic_received received;
    uint32_t words[3];

    (void)state;
    bench_begin((struct bh_nic_options){0});
    bench.link_down = true;
    bench_fall();
    guest_run(bench.guest);
    assert_int_equal(bench_take_pages(0, &received), 1);
    memcpy(words, bench_received_at(&received.range[0]), sizeof(words));
    assert_int_equal(words[2], RNDIS_MEDIA_DISCONNECT);
    bench_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_are_kept),
        cmocka_unit_test(a_rate_is_shared_by_the_queues),
        cmocka_unit_test(a_rate_is_shared_by_bytes),
        cmocka_unit_test(the_guest_is_told_of_the_link),
        cmocka_unit_test(a_larger_mtu_is_set_up_by_opening_again),
        cmocka_unit_test(versions_and_buffers_are_agreed_on_once),
        cmocka_unit_test(flows_are_spread_over_the_queues),
        cmocka_unit_test(a_sub_channel_carries_data_and_nothing_else),
        cmocka_unit_test(a_tap_that_goes_takes_the_link_down),
        cmocka_unit_test(each_channel_has_a_queue_of_the_tap),
        cmocka_unit_test(channels_share_the_one_queue_of_a_tap),
        cmocka_unit_test(a_tap_that_goes_with_its_queues_is_said_once),
        cmocka_unit_test(a_card_goes_on_in_another_process),
        cmocka_unit_test(what_was_not_taken_is_taken_once),
        cmocka_unit_test(a_sub_channel_goes_on_in_another_process),
        cmocka_unit_test(a_link_that_changed_between_two_processes_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
