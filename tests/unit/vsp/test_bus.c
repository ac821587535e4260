/* SPDX-License-Identifier: MIT */
/* vsp/bus against a simulated guest, well-behaved and not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/vsp/guest.h"

/* --- a provider that sends everything back ------------------------------------------------ */

struct echo {
    struct bh_vmbus_device *device;
    struct bh_vmbus_channel *channel; /* the primary, while open */
    uint32_t opened;
    uint32_t closed;
    uint32_t packets;
    uint32_t refused; /* completions for which there was no room */
    bool hold;
    bool refuse;
    uint32_t sub_channels; /* offered by the first packet */
    struct iovec pieces[8];
    int piece_count;
    uint64_t waiting; /* transaction that found no room; 0: none */
};

static bool echo_opened(void *context, struct bh_vmbus_channel *channel, const uint8_t user[120])
{
    struct echo *echo = context;

    assert_int_equal(user[0], 0);
    echo->opened++;
    if (bh_vmbus_channel_index(channel) == 0)
        echo->channel = channel;
    return !echo->refuse;
}

static void echo_closed(void *context, struct bh_vmbus_channel *channel)
{
    struct echo *echo = context;

    assert_false(bh_vmbus_channel_is_open(channel));
    echo->closed++;
}

static void echo_ready(void *context, struct bh_vmbus_channel *channel)
{
    struct echo *echo = context;
    struct bh_vmbus_packet packet;

    if (echo->waiting != 0) {
        if (!bh_vmbus_channel_complete(channel, echo->waiting, "again", 5))
            return;
        echo->waiting = 0;
    }
    while (bh_vmbus_channel_read(channel, &packet)) {
        echo->packets++;
        if (packet.type == VMBUS_PACKET_GPA_DIRECT)
            echo->piece_count = bh_vmbus_packet_memory(channel, &packet, echo->pieces, 8);
        if (echo->hold)
            bh_vmbus_channel_hold(channel);
        if (echo->sub_channels != 0)
            assert_true(bh_vmbus_device_offer_sub_channels(echo->device, echo->sub_channels));
        echo->sub_channels = 0;
        if (!bh_vmbus_channel_complete(channel, packet.transaction, packet.payload, packet.size)) {
            echo->refused++;
            echo->waiting = packet.transaction;
            return;
        }
    }
}

static const struct bh_vmbus_provider echo_provider = {
    .opened = echo_opened, .closed = echo_closed, .ready = echo_ready};

static void add_echo(struct guest *guest, struct echo *echo, const char *name)
{
    const struct bh_vmbus_identity identity = {VMBUS_CLASS_SCSI, bh_vmbus_instance("vm", name)};

    memset(echo, 0, sizeof(*echo));
    echo->device = bh_vmbus_device_add(guest->bus, &identity, &echo_provider, echo);
    assert_non_null(echo->device);
}

/* A connected guest that has opened one device, relid 1, with rings of 4 pages at page 16. */
static struct guest *begin_open(struct echo *echo, struct guest_ring *ring)
{
    struct guest *guest = guest_begin();

    add_echo(guest, echo, "a");
    guest_connect(guest);
    assert_int_equal(guest_take(guest, VMBUS_OFFER_CHANNEL).offer.relid, 1);
    (void)guest_take(guest, VMBUS_ALL_OFFERS_DELIVERED);
    assert_int_equal(guest_open(guest, 1, 16, 4), 0);
    *ring = guest_ring_of(guest, 1, 16, 4);
    guest_run(guest);
    return guest;
}

static void post_relid(struct guest *guest, enum vmbus_message_type type, uint32_t relid)
{
    const struct vmbus_relid_message message = {.header = {.type = type}, .relid = relid};

    guest_post(guest, &message, sizeof(message));
}

static void post_teardown(struct guest *guest, uint32_t relid, uint32_t gpadl)
{
    const struct vmbus_gpadl_teardown message = {
        .header = {.type = VMBUS_GPADL_TEARDOWN}, .relid = relid, .gpadl = gpadl};

    guest_post(guest, &message, sizeof(message));
}

/* --- connection --------------------------------------------------------------------------- */

static struct vmbus_version_response contact(struct guest *guest, uint32_t version)
{
    const struct vmbus_initiate_contact message = {
        .header = {.type = VMBUS_INITIATE_CONTACT}, .version = version, .target_vp = 1};
    struct guest_message answer;

    guest_post(guest, &message, sizeof(message));
    answer = guest_take(guest, VMBUS_VERSION_RESPONSE);
    assert_int_equal(answer.vp, 1);
    assert_int_equal(answer.size, 16);
    return answer.version;
}

static void versions_are_negotiated(void **state)
{
    struct guest *guest = guest_begin();

    (void)state;
    assert_int_equal(contact(guest, VMBUS_VERSION(6, 0)).supported, 0);
    assert_int_equal(contact(guest, VMBUS_VERSION(3, 0)).supported, 0);
    assert_int_equal(contact(guest, VMBUS_VERSION(4, 0)).connection_id, 1);
    assert_int_equal(contact(guest, VMBUS_VERSION(5, 2)).connection_id, 4);
    assert_int_equal(contact(guest, VMBUS_VERSION(5, 3)).supported, 1);
    guest_end(guest);
}

static void nothing_is_served_before_contact(void **state)
{
    const struct vmbus_header offers = {.type = VMBUS_REQUEST_OFFERS};
    struct guest *guest = guest_begin();
    struct echo echo;

    (void)state;
    add_echo(guest, &echo, "a");
    guest_post(guest, &offers, sizeof(offers));
    guest_post(guest, &offers, 4);
    post_relid(guest, VMBUS_CLOSE_CHANNEL, 1);
    assert_int_equal(guest->count, 0);
    bh_vmbus_device_remove(echo.device);
    guest_end(guest);
}

static void offers_have_what_linux_reads(void **state)
{
    struct guest *guest = guest_begin();
    struct echo a;
    struct echo b;
    struct guest_message message;

    (void)state;
    add_echo(guest, &a, "a");
    guest_connect(guest);
    message = guest_take(guest, VMBUS_OFFER_CHANNEL);
    assert_int_equal(message.size, 196);
    assert_int_equal(message.offer.relid, 1);
    assert_int_equal(message.offer.dedicated, 1);
    assert_int_equal(message.offer.monitor_allocated, 0);
    assert_int_equal(message.offer.connection_id, 0x2001);
    assert_int_equal(guest_take(guest, VMBUS_ALL_OFFERS_DELIVERED).size, 8);
    add_echo(guest, &b, "b"); /* hot add */
    assert_int_equal(guest_take(guest, VMBUS_OFFER_CHANNEL).offer.relid, 2);
    assert_null(bh_vmbus_device_add(
        guest->bus, &(struct bh_vmbus_identity){VMBUS_CLASS_SCSI, bh_vmbus_instance("vm", "b")},
        &echo_provider, &b));
    guest_end(guest);
}

static void a_full_queue_only_delays_messages(void **state)
{
    struct guest *guest = guest_begin();
    struct echo echo[40];

    (void)state;
    for (unsigned i = 0; i < 40; i++) {
        const char name[] = {(char)('A' + i), '\0'};

        add_echo(guest, &echo[i], name);
    }
    guest->room = 11;
    guest_connect(guest);
    assert_int_equal(guest->count, 10);
    guest->room = 100;
    bh_vmbus_retry(guest->bus);
    for (unsigned i = 0; i < 40; i++)
        assert_int_equal(guest_take(guest, VMBUS_OFFER_CHANNEL).offer.relid, i + 1);
    (void)guest_take(guest, VMBUS_ALL_OFFERS_DELIVERED);
    guest_end(guest);
}

static void has_room_again(void *context)
{
    (*(uint32_t *)context)++;
}

static void a_guest_that_does_not_read_is_not_read(void **state)
{
    struct guest *guest = guest_begin();
    uint32_t called = 0;
    unsigned posted = 0;

    (void)state;
    guest_connect(guest);
    (void)guest_take(guest, VMBUS_ALL_OFFERS_DELIVERED);
    guest->room = 0;
    while (bh_vmbus_has_room(guest->bus) && posted < 10000) {
        const struct vmbus_modify modify = {.header = {.type = VMBUS_MODIFY_CHANNEL}, .relid = 7};

        guest_post(guest, &modify, sizeof(modify));
        posted++;
    }
    assert_in_range(posted, 100, 1000);
    bh_vmbus_on_room(guest->bus, has_room_again, &called);
    guest->room = posted;
    bh_vmbus_retry(guest->bus);
    assert_int_equal(called, 1);
    assert_int_equal(guest->count, posted);
    guest_end(guest);
}

/* --- GPADLs ------------------------------------------------------------------------------- */

static void gpadls_arrive_in_pieces(void **state)
{
    struct guest_ring ring;
    struct echo echo;
    struct guest *guest = begin_open(&echo, &ring);
    struct iovec pieces[2];

    (void)state;
    assert_int_equal(guest_gpadl(guest, 1, 7, 100, 300), 0);
    assert_int_equal(bh_vmbus_gpadl_size(echo.channel, 7), 300u * 4096u);
    assert_int_equal(bh_vmbus_gpadl_memory(echo.channel, 7, 4000, 5000, pieces, 2), 1);
    assert_ptr_equal(pieces[0].iov_base, guest_page(guest, 100) + 4000);
    assert_int_equal(pieces[0].iov_len, 5000);
    assert_int_equal(bh_vmbus_gpadl_memory(echo.channel, 7, UINT64_C(299) * 4096, 4097, pieces, 2),
                     -1);
    assert_int_equal(bh_vmbus_gpadl_memory(echo.channel, 7, UINT64_MAX, 2, pieces, 2), -1);
    assert_int_equal(bh_vmbus_gpadl_memory(echo.channel, 8, 0, 1, pieces, 2), -1);
    post_teardown(guest, 1, 7);
    assert_int_equal(guest_take(guest, VMBUS_GPADL_TORN_DOWN).torn.gpadl, 7);
    assert_int_equal(bh_vmbus_gpadl_size(echo.channel, 7), 0);
    guest_end(guest);
}

static uint32_t create(struct guest *guest, const struct vmbus_gpadl_header *header, uint64_t pfn)
{
    uint8_t buffer[36];

    memcpy(buffer, header, 28);
    memcpy(buffer + 28, &pfn, 8);
    guest_post(guest, buffer, sizeof(buffer));
    return guest_take(guest, VMBUS_GPADL_CREATED).created.status;
}

static void hostile_gpadls_are_refused(void **state)
{
    const struct vmbus_gpadl_header good = {.header = {.type = VMBUS_GPADL_HEADER},
                                            .relid = 1,
                                            .gpadl = 50,
                                            .range_count = 1,
                                            .byte_count = 4096};
    struct vmbus_gpadl_header bad;
    struct guest_ring ring;
    struct echo echo;
    struct guest *guest = begin_open(&echo, &ring);

    (void)state;
    assert_int_not_equal(create(guest, &good, GUEST_PAGES), 0);
    assert_int_not_equal(create(guest, &good, UINT64_MAX), 0);
    assert_int_not_equal(create(guest, &good, UINT64_C(1) << 52), 0);
    bad = good;
    bad.range_count = 2;
    assert_int_not_equal(create(guest, &bad, 1), 0);
    bad = good;
    bad.byte_count = 0;
    assert_int_not_equal(create(guest, &bad, 1), 0);
    bad = good;
    bad.byte_offset = 4096;
    assert_int_not_equal(create(guest, &bad, 1), 0);
    bad = good;
    bad.byte_count = UINT32_MAX;
    assert_int_not_equal(create(guest, &bad, 1), 0);
    bad = good;
    bad.relid = 2;
    assert_int_not_equal(create(guest, &bad, 1), 0);
    assert_int_equal(create(guest, &good, 1), 0);
    assert_int_not_equal(create(guest, &good, 1), 0); /* the id is taken */
    guest_end(guest);
}

static void there_is_a_limit_on_gpadls(void **state)
{
    struct guest_ring ring;
    struct echo echo;
    struct guest *guest = begin_open(&echo, &ring);
    uint32_t made = 0;

    (void)state;
    while (made < 5000 && guest_gpadl(guest, 1, 1000 + made, 100, 1) == 0)
        made++;
    assert_int_equal(made, BH_VMBUS_GPADLS_MAX - 1);
    guest_end(guest);
}

/* --- channels ----------------------------------------------------------------------------- */

static void packets_go_both_ways(void **state)
{
    struct guest_ring ring;
    struct echo echo;
    struct guest *guest = begin_open(&echo, &ring);
    const struct vmbus_ring_control *control = (void *)ring.in;
    uint64_t answer[16];

    (void)state;
    for (uint64_t i = 1; i <= 1000; i++) {
        uint32_t before = guest->signals[0][1];

        assert_true(guest_send(&ring, i, "12345678abc", 11));
        guest_run(guest);
        assert_int_equal(guest->signals[0][1], before + 1);
        assert_int_equal(guest_ring_read(&ring, answer, sizeof(answer)), 32);
        assert_int_equal(answer[1], i);
        assert_memory_equal(&answer[2], "12345678abc\0\0\0\0\0", 16);
    }
    assert_int_equal(control->write_index, 1000 * 40 % ring.size);
    assert_int_equal(echo.packets, 1000);
    guest_end(guest);
}

static void a_batch_costs_one_interrupt_and_a_masked_ring_none(void **state)
{
    struct guest_ring ring;
    struct echo echo;
    struct guest *guest = begin_open(&echo, &ring);
    struct vmbus_ring_control *control = (void *)ring.in;

    (void)state;
    guest->signals[0][1] = 0;
    for (uint64_t i = 1; i <= 20; i++)
        assert_true(guest_send(&ring, i, "x", 1));
    guest_run(guest);
    assert_int_equal(guest->signals[0][1], 1);
    control->read_index = control->write_index;
    control->interrupt_mask = 1;
    assert_true(guest_send(&ring, 21, "x", 1));
    guest_run(guest);
    assert_int_equal(guest->signals[0][1], 1);
    assert_int_equal(echo.packets, 21);
    guest_end(guest);
}

static void a_full_ring_is_waited_for(void **state)
{
    struct guest_ring ring;
    struct echo echo;
    struct guest *guest = begin_open(&echo, &ring);
    uint64_t answer[256];
    uint8_t payload[1024] = {0};
    uint64_t expected = 1;

    (void)state;
    for (uint64_t i = 1; i <= 40; i++) {
        while (!guest_send(&ring, i, payload, sizeof(payload))) {
            guest_run(guest);
            if (guest_ring_read(&ring, answer, sizeof(answer)) != 0)
                assert_int_equal(answer[1], expected++);
        }
    }
    assert_true(echo.refused > 0);
    for (unsigned i = 0; i < 100; i++) {
        guest_run(guest);
        if (guest_ring_read(&ring, answer, sizeof(answer)) != 0)
            assert_int_equal(answer[1], expected++);
    }
    assert_int_equal(expected, 41);
    guest_end(guest);
}

static void gpa_ranges_become_memory(void **state)
{
    struct guest_ring ring;
    struct echo echo;
    struct guest *guest = begin_open(&echo, &ring);
    uint64_t packet[10] = {
        VMBUS_PACKET_GPA_DIRECT | UINT64_C(9) << 16 | UINT64_C(10) << 32 | UINT64_C(1) << 48,
        77,
        UINT64_C(2) << 32,          /* two ranges */
        5000 | UINT64_C(100) << 32, /* 5,000 bytes from offset 100 */
        200,                        /* pages 200 and 202 */
        202,
        4096,
        203,
        0,
        0x1122334455667788,
    };

    (void)state;
    packet[8] = 0;
    assert_true(guest_ring_write(&ring, packet, sizeof(packet)));
    guest_run(guest);
    assert_int_equal(echo.piece_count, 3);
    assert_ptr_equal(echo.pieces[0].iov_base, guest_page(guest, 200) + 100);
    assert_int_equal(echo.pieces[0].iov_len, 3996);
    assert_ptr_equal(echo.pieces[1].iov_base, guest_page(guest, 202));
    assert_int_equal(echo.pieces[1].iov_len, 1004);
    assert_ptr_equal(echo.pieces[2].iov_base, guest_page(guest, 203));
    packet[5] = 201;         /* next to each other: one piece */
    packet[7] = GUEST_PAGES; /* not RAM */
    assert_true(guest_ring_write(&ring, packet, sizeof(packet)));
    guest_run(guest);
    assert_int_equal(echo.piece_count, -1);
    packet[7] = 203;
    packet[4] = UINT64_MAX;
    assert_true(guest_ring_write(&ring, packet, sizeof(packet)));
    guest_run(guest);
    assert_int_equal(echo.piece_count, -1);
    guest_end(guest);
}

/* Each is one word of a packet or of the control page that makes the channel broken. */
static void a_guest_that_breaks_its_ring_loses_the_channel_only(void **state)
{
    static const struct {
        unsigned word;
        uint64_t value;
    } bad[] = {
        {0, 6 | 2u << 16 | UINT64_C(1) << 32},   /* shorter than its descriptor */
        {0, 6 | 2u << 16 | UINT64_C(900) << 32}, /* longer than what is written */
        {0, 6 | 1u << 16 | UINT64_C(4) << 32},   /* payload inside the descriptor */
        {0, 6 | 5u << 16 | UINT64_C(4) << 32},   /* payload behind the end */
        {0, 9 | 2u << 16 | UINT64_C(4) << 32},   /* no room for ranges */
        {0, 9 | 3u << 16 | UINT64_C(4) << 32},   /* ranges that are not there */
        {0, 7 | 3u << 16 | UINT64_C(4) << 32},   /* not for a guest to send */
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct guest_ring ring;
        struct echo echo;
        struct guest *guest = begin_open(&echo, &ring);
        uint64_t packet[4] = {0, 1, UINT64_C(3) << 32, 0};

        packet[bad[i].word] = bad[i].value;
        assert_true(guest_ring_write(&ring, packet, sizeof(packet)));
        guest_run(guest);
        assert_int_equal(echo.packets, 0);
        assert_int_equal(guest->logged, 1);
        guest_close(guest, 1);
        post_teardown(guest, 1, 101);
        (void)guest_take(guest, VMBUS_GPADL_TORN_DOWN);
        assert_int_equal(guest_open(guest, 1, 16, 4), 0);
        guest_end(guest);
    }
}

static void impossible_indices_break_the_channel(void **state)
{
    static const uint32_t bad[] = {4, 3 * 4096, UINT32_MAX, 8};

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct guest_ring ring;
        struct echo echo;
        struct guest *guest = begin_open(&echo, &ring);
        struct vmbus_ring_control *control = (void *)ring.out;
        uint64_t one = 1;

        control->write_index = bad[i];
        assert_int_equal(write(guest->doorbell[0x2001], &one, 8), 8);
        guest_run(guest);
        assert_int_equal(guest->logged, 1);
        guest_end(guest);
    }
}

static void channels_are_opened_only_with_good_rings(void **state)
{
    struct vmbus_open request = {.header = {.type = VMBUS_OPEN_CHANNEL},
                                 .relid = 1,
                                 .open_id = 1,
                                 .ring_gpadl = 5,
                                 .downstream_page = 2};
    struct guest *guest = guest_begin();
    struct echo echo;

    (void)state;
    add_echo(guest, &echo, "a");
    guest_connect(guest);
    guest->count = 0;
    assert_int_equal(guest_gpadl(guest, 1, 5, 16, 4), 0);
    for (unsigned i = 0; i < 6; i++) {
        struct vmbus_open bad = request;

        bad.relid = i == 0 ? 2 : 1;
        bad.ring_gpadl = i == 1 ? 6 : 5;
        bad.target_vp = i == 2 ? GUEST_VPS : 0;
        bad.downstream_page = i == 3 ? 1 : i == 4 ? 3 : i == 5 ? UINT32_MAX : 2;
        guest_post(guest, &bad, sizeof(bad));
        assert_int_not_equal(guest_take(guest, VMBUS_OPEN_RESULT).open.status, 0);
    }
    echo.refuse = true;
    guest_post(guest, &request, sizeof(request));
    assert_int_not_equal(guest_take(guest, VMBUS_OPEN_RESULT).open.status, 0);
    assert_int_equal(guest->doorbell[0x2001], -1);
    echo.refuse = false;
    guest_post(guest, &request, sizeof(request));
    assert_int_equal(guest_take(guest, VMBUS_OPEN_RESULT).open.status, 0);
    guest_post(guest, &request, sizeof(request)); /* it is open */
    assert_int_not_equal(guest_take(guest, VMBUS_OPEN_RESULT).open.status, 0);
    assert_int_equal(echo.closed, 0);
    guest_end(guest);
}

static void sub_channels_come_and_go_with_the_primary(void **state)
{
    struct guest_ring ring;
    struct echo echo;
    struct guest *guest = begin_open(&echo, &ring);
    struct guest_message message;

    (void)state;
    for (unsigned round = 0; round < 3; round++) {
        echo.sub_channels = 2;
        assert_true(guest_send(&ring, 1, "x", 1));
        guest_run(guest);
        for (uint16_t i = 1; i <= 2; i++) {
            message = guest_take(guest, VMBUS_OFFER_CHANNEL);
            assert_int_equal(message.offer.sub_channel_index, i);
            assert_int_equal(message.offer.relid, i + 1);
        }
        for (uint16_t i = 1; i <= 2; i++)
            assert_int_equal(guest_open(guest, i + 1u, 100u + i * 8, 4), 0);
        assert_false(bh_vmbus_device_offer_sub_channels(echo.device, 1));
        echo.closed = 0;
        guest_close(guest, 1);
        assert_int_equal(echo.closed, 3);
        for (unsigned i = 0; i < 2; i++)
            post_relid(guest, VMBUS_RELID_RELEASED,
                       guest_take(guest, VMBUS_RESCIND_OFFER).relid.relid);
        post_teardown(guest, 1, 101);
        (void)guest_take(guest, VMBUS_GPADL_TORN_DOWN);
        assert_int_equal(guest_open(guest, 1, 16, 4), 0);
    }
    assert_false(bh_vmbus_device_offer_sub_channels(echo.device, 1000));
    guest_end(guest);
}

static void a_channel_moves_to_another_vp(void **state)
{
    struct vmbus_modify modify = {
        .header = {.type = VMBUS_MODIFY_CHANNEL}, .relid = 1, .target_vp = 1};
    struct guest_ring ring;
    struct echo echo;
    struct guest *guest = begin_open(&echo, &ring);

    (void)state;
    guest_post(guest, &modify, sizeof(modify));
    assert_int_equal(guest_take(guest, VMBUS_MODIFY_RESPONSE).modify.status, 0);
    guest->signals[0][1] = 0;
    guest->signals[1][1] = 0;
    assert_true(guest_send(&ring, 1, "x", 1));
    guest_run(guest);
    assert_int_equal(guest->signals[0][1], 0);
    assert_int_equal(guest->signals[1][1], 1);
    modify.target_vp = GUEST_VPS;
    guest_post(guest, &modify, sizeof(modify));
    assert_int_not_equal(guest_take(guest, VMBUS_MODIFY_RESPONSE).modify.status, 0);
    guest_end(guest);
}

/* --- the end of things -------------------------------------------------------------------- */

static void a_device_is_removed_and_added_again(void **state)
{
    struct guest_ring ring;
    struct echo echo;
    struct guest *guest = begin_open(&echo, &ring);

    (void)state;
    bh_vmbus_device_remove(echo.device);
    assert_int_equal(echo.closed, 1);
    assert_int_equal(guest_take(guest, VMBUS_RESCIND_OFFER).relid.relid, 1);
    add_echo(guest, &echo, "a"); /* the same: not offered while the guest has the old one */
    assert_int_equal(guest->count, 0);
    post_relid(guest, VMBUS_CLOSE_CHANNEL, 1);
    post_relid(guest, VMBUS_RELID_RELEASED, 1);
    assert_int_equal(guest_take(guest, VMBUS_OFFER_CHANNEL).offer.relid, 2);
    guest_end(guest);
}

static void unload_waits_for_io_and_is_answered(void **state)
{
    const struct vmbus_header unload = {.type = VMBUS_UNLOAD};
    struct guest_ring ring;
    struct echo echo;
    struct guest *guest = begin_open(&echo, &ring);

    (void)state;
    echo.hold = true;
    assert_true(guest_send(&ring, 1, "x", 1));
    guest_run(guest);
    guest_post(guest, &unload, sizeof(unload));
    assert_int_equal(echo.closed, 1);
    assert_int_equal(guest->count, 0);
    assert_false(bh_vmbus_has_room(guest->bus));
    bh_vmbus_channel_release(echo.channel);
    (void)guest_take(guest, VMBUS_UNLOAD_RESPONSE);
    assert_true(bh_vmbus_has_room(guest->bus));
    guest_connect(guest); /* the next kernel */
    assert_int_equal(guest_take(guest, VMBUS_OFFER_CHANNEL).offer.relid, 1);
    guest_end(guest);
}

static void a_reset_is_over_when_io_is(void **state)
{
    struct guest_ring ring;
    struct echo echo;
    struct guest *guest = begin_open(&echo, &ring);

    (void)state;
    echo.hold = true;
    assert_true(guest_send(&ring, 1, "x", 1));
    guest_run(guest);
    assert_false(bh_vmbus_reset(guest->bus, 0));
    assert_false(bh_vmbus_reset(guest->bus, 20));
    assert_int_equal(echo.closed, 1);
    bh_vmbus_channel_release(echo.channel);
    assert_true(bh_vmbus_reset(guest->bus, 0));
    guest_connect(guest); /* the next kernel */
    assert_int_equal(guest_take(guest, VMBUS_OFFER_CHANNEL).offer.relid, 1);
    guest_end(guest);
}

static void a_second_contact_is_a_new_guest(void **state)
{
    struct guest_ring ring;
    struct echo echo;
    struct guest *guest = begin_open(&echo, &ring);

    (void)state;
    guest_connect(guest);
    assert_int_equal(echo.closed, 1);
    (void)guest_take(guest, VMBUS_OFFER_CHANNEL);
    (void)guest_take(guest, VMBUS_ALL_OFFERS_DELIVERED);
    assert_int_equal(guest_open(guest, 1, 16, 4), 0); /* with the GPADL id of before */
    guest_end(guest);
}

static void teardown_waits_for_io(void **state)
{
    struct guest_ring ring;
    struct echo echo;
    struct guest *guest = begin_open(&echo, &ring);

    (void)state;
    echo.hold = true;
    assert_true(guest_send(&ring, 1, "x", 1));
    guest_run(guest);
    guest_close(guest, 1);
    post_teardown(guest, 1, 101);
    assert_int_equal(guest->count, 0);
    bh_vmbus_channel_release(echo.channel);
    assert_int_equal(guest_take(guest, VMBUS_GPADL_TORN_DOWN).torn.gpadl, 101);
    guest_end(guest);
}

static void a_ring_that_is_torn_down_open_is_closed_first(void **state)
{
    struct guest_ring ring;
    struct echo echo;
    struct guest *guest = begin_open(&echo, &ring);

    (void)state;
    post_teardown(guest, 1, 101);
    assert_int_equal(echo.closed, 1);
    (void)guest_take(guest, VMBUS_GPADL_TORN_DOWN);
    guest_end(guest);
}

static void instances_are_stable_and_different(void **state)
{
    struct vmbus_guid a = bh_vmbus_instance("vm", "disk");
    struct vmbus_guid b = bh_vmbus_instance("vm", "disk");
    struct vmbus_guid c = bh_vmbus_instance("vm", "disk2");
    struct vmbus_guid d = bh_vmbus_instance("vm2", "disk");

    (void)state;
    assert_memory_equal(&a, &b, 16);
    assert_memory_not_equal(&a, &c, 16);
    assert_memory_not_equal(&a, &d, 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_are_negotiated),
        cmocka_unit_test(nothing_is_served_before_contact),
        cmocka_unit_test(offers_have_what_linux_reads),
        cmocka_unit_test(a_full_queue_only_delays_messages),
        cmocka_unit_test(a_guest_that_does_not_read_is_not_read),
        cmocka_unit_test(gpadls_arrive_in_pieces),
        cmocka_unit_test(hostile_gpadls_are_refused),
        cmocka_unit_test(there_is_a_limit_on_gpadls),
        cmocka_unit_test(packets_go_both_ways),
        cmocka_unit_test(a_batch_costs_one_interrupt_and_a_masked_ring_none),
        cmocka_unit_test(a_full_ring_is_waited_for),
        cmocka_unit_test(gpa_ranges_become_memory),
        cmocka_unit_test(a_guest_that_breaks_its_ring_loses_the_channel_only),
        cmocka_unit_test(impossible_indices_break_the_channel),
        cmocka_unit_test(channels_are_opened_only_with_good_rings),
        cmocka_unit_test(sub_channels_come_and_go_with_the_primary),
        cmocka_unit_test(a_channel_moves_to_another_vp),
        cmocka_unit_test(a_device_is_removed_and_added_again),
        cmocka_unit_test(unload_waits_for_io_and_is_answered),
        cmocka_unit_test(a_reset_is_over_when_io_is),
        cmocka_unit_test(a_second_contact_is_a_new_guest),
        cmocka_unit_test(teardown_waits_for_io),
        cmocka_unit_test(a_ring_that_is_torn_down_open_is_closed_first),
        cmocka_unit_test(instances_are_stable_and_different),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
