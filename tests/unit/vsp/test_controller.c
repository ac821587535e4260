/* SPDX-License-Identifier: MIT */
/* vsp/storage/controller on the simulated guest, with disks in files, through io_uring. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/vsp/guest.h"
#include "vsp/protocol/storvsc.h"
#include "vsp/storage/controller.h"
#include "vsp/storage/file.h"

#define DISK_SIZE (4u << 20)
#define RING      16u /* first page of the primary's rings */
#define RING_EACH 8u
#define DATA      200u /* first page of data */

struct setup {
    struct guest *guest;
    struct bh_uring uring;
    struct bh_controller *controller;
    struct guest_ring ring;
    char path[2][32];
    unsigned failed;
};

static void on_failed(void *context, const char *id, const char *operation, const char *sentence)
{
    struct setup *setup = context;

    (void)id;
    (void)operation;
    (void)sentence;
    setup->failed++;
}

static struct bh_disk *make_disk(struct setup *setup, unsigned number, const char *id)
{
    const struct bh_disk_options options = {
        .vm = "vm", .id = id, .failed = on_failed, .context = setup};
    struct bh_error error;
    int fd;

    (void)snprintf(setup->path[number], sizeof(setup->path[number]), "/var/tmp/bh-disk-XXXXXX");
    fd = mkstemp(setup->path[number]);
    assert_true(fd >= 0 && ftruncate(fd, DISK_SIZE) == 0);
    return bh_disk_create(setup->guest->loop, &options,
                          bh_file_open(&setup->uring, fd, false, &error));
}

/* --- requests ----------------------------------------------------------------------------- */

static void wait_and_serve(struct guest *guest)
{
    struct pollfd wait = {.fd = bh_loop_fd(guest->loop), .events = POLLIN};

    (void)poll(&wait, 1, 5000);
    bh_loop_serve(guest->loop);
}

/* The next answer; waits for it. */
static uint64_t read_answer(struct guest_ring *ring, struct storvsc_packet *answer)
{
    uint64_t packet[16];
    uint32_t size = 0;

    for (unsigned i = 0; i < 1000 && size == 0; i++) {
        size = guest_ring_read(ring, packet, sizeof(packet));
        if (size == 0)
            wait_and_serve(ring->guest);
    }
    assert_int_equal(size, 80);
    assert_int_equal(packet[0] & 0xffff, VMBUS_PACKET_COMPLETION);
    memcpy(answer, &packet[2], sizeof(*answer));
    return packet[1];
}

static struct storvsc_packet ask(struct guest_ring *ring, struct storvsc_packet packet)
{
    struct storvsc_packet answer;

    assert_true(guest_send(ring, 0xfffffffffffffffd, &packet, sizeof(packet)));
    assert_true(read_answer(ring, &answer) == 0xfffffffffffffffd);
    assert_int_equal(answer.operation, STORVSC_COMPLETE_IO);
    return answer;
}

/* A command with `size` bytes at page `page` of the guest's memory, from `offset` on. */
static void send_srb(struct guest_ring *ring, uint64_t id, uint8_t lun, const uint8_t *cdb,
                     uint8_t direction, uint32_t page, uint32_t offset, uint32_t size)
{
    uint32_t pages = (offset + size + 4095) / 4096;
    uint64_t packet[64] = {0};
    uint32_t payload = size > 0 ? 4 + pages : 2;
    struct storvsc_packet vstor = {.operation = STORVSC_EXECUTE_SRB,
                                   .srb = {.length = 52,
                                           .lun = lun,
                                           .cdb_length = 16,
                                           .direction = direction,
                                           .transfer_length = size}};

    memcpy(vstor.srb.cdb, cdb, 16);
    packet[0] = (size > 0 ? VMBUS_PACKET_GPA_DIRECT : VMBUS_PACKET_INBAND) |
                (uint64_t)payload << 16 | (uint64_t)(payload + 8) << 32 | UINT64_C(1) << 48;
    packet[1] = id;
    if (size > 0) {
        packet[2] = UINT64_C(1) << 32;
        packet[3] = size | (uint64_t)offset << 32;
        for (uint32_t i = 0; i < pages; i++)
            packet[4 + i] = page + i;
    }
    memcpy(&packet[payload], &vstor, sizeof(vstor));
    assert_true(guest_ring_write(ring, packet, (payload + 8) * 8));
}

static struct storvsc_srb run_srb(struct guest_ring *ring, uint8_t lun, const uint8_t *cdb,
                                  uint8_t direction, uint32_t offset, uint32_t size)
{
    struct storvsc_packet answer;

    send_srb(ring, 7, lun, cdb, direction, DATA, offset, size);
    assert_int_equal(read_answer(ring, &answer), 7);
    assert_int_equal(answer.operation, STORVSC_COMPLETE_IO);
    return answer.srb;
}

/* --- set-up ------------------------------------------------------------------------------- */

static int begin(void **state)
{
    struct setup *setup = calloc(1, sizeof(*setup));
    static const uint8_t ready[16] = {0};

    setup->guest = guest_begin();
    assert_int_equal(bh_uring_open(&setup->uring, setup->guest->loop), 0);
    setup->controller = bh_controller_create(setup->guest->bus, "vm");
    assert_true(bh_controller_add(setup->controller, make_disk(setup, 0, "a")));
    guest_connect(setup->guest);
    (void)guest_take(setup->guest, VMBUS_OFFER_CHANNEL);
    (void)guest_take(setup->guest, VMBUS_ALL_OFFERS_DELIVERED);
    assert_int_equal(guest_open(setup->guest, 1, RING, RING_EACH), 0);
    setup->ring = guest_ring_of(setup->guest, 1, RING, RING_EACH);
    guest_run(setup->guest);
    for (uint32_t operation = STORVSC_BEGIN_INITIALIZATION; operation <= STORVSC_QUERY_PROPERTIES;
         operation++) {
        struct storvsc_packet question = {.operation = operation};

        if (operation == STORVSC_QUERY_VERSION)
            question.version.version = STORVSC_VERSION_6_2;
        if (operation != STORVSC_END_INITIALIZATION)
            assert_int_equal(ask(&setup->ring, question).status, 0);
    }
    assert_int_equal(
        ask(&setup->ring, (struct storvsc_packet){.operation = STORVSC_END_INITIALIZATION}).status,
        0);
    assert_int_equal(run_srb(&setup->ring, 0, ready, 2, 0, 0).sense[12], 0x29);
    assert_int_equal(run_srb(&setup->ring, 0, ready, 2, 0, 0).srb_status, SRB_SUCCESS);
    *state = setup;
    return 0;
}

static int end(void **state)
{
    struct setup *setup = *state;

    (void)bh_vmbus_reset(setup->guest->bus, -1);
    bh_controller_destroy(setup->controller);
    bh_uring_close(&setup->uring);
    guest_end(setup->guest);
    for (unsigned i = 0; i < 2; i++)
        if (setup->path[i][0] != '\0')
            (void)unlink(setup->path[i]);
    free(setup);
    return 0;
}

/* --- tests -------------------------------------------------------------------------------- */

static void the_guest_is_told_what_linux_needs(void **state)
{
    struct setup *setup = *state;
    struct storvsc_packet answer =
        ask(&setup->ring, (struct storvsc_packet){.operation = STORVSC_QUERY_PROPERTIES});

    assert_int_equal(answer.properties.transfer_max, BH_SCSI_TRANSFER_MAX);
    assert_int_equal(answer.properties.flags, 1);
    answer = ask(&setup->ring, (struct storvsc_packet){.operation = STORVSC_QUERY_VERSION,
                                                       .version = {0x0702, 0}});
    assert_int_not_equal(answer.status, 0);
    answer = ask(&setup->ring, (struct storvsc_packet){.operation = 77});
    assert_int_not_equal(answer.status, 0);
}

static void absent_targets_look_absent(void **state)
{
    static const uint8_t inquiry[16] = {0x12, 0, 0, 0, 36};
    static const uint8_t luns[16] = {0xa0, 0, 0, 0, 0, 0, 0, 0, 16};
    static const uint8_t ready[16] = {0};
    struct setup *setup = *state;
    const uint8_t *data = guest_page(setup->guest, DATA);
    struct storvsc_srb srb = run_srb(&setup->ring, 9, inquiry, 1, 0, 36);

    assert_int_equal(srb.srb_status, SRB_SUCCESS);
    assert_int_equal(srb.transfer_length, 36);
    assert_int_equal(data[0], 0x7f);
    assert_int_equal(data[4], 31);
    assert_int_equal(run_srb(&setup->ring, 9, ready, 2, 0, 0).srb_status, SRB_INVALID_LUN);
    srb = run_srb(&setup->ring, 0, luns, 1, 0, 16);
    assert_int_equal(srb.transfer_length, 16);
    assert_int_equal(data[3], 8);
}

static void data_goes_to_the_file_and_back(void **state)
{
    static const uint8_t write[16] = {0x2a, 0, 0, 0, 0, 8, 0, 0, 16};
    static const uint8_t read[16] = {0x28, 0, 0, 0, 0, 8, 0, 0, 16};
    static const uint8_t sync[16] = {0x35};
    struct setup *setup = *state;
    uint8_t *data = guest_page(setup->guest, DATA);

    /* Aligned pages, sectors in the middle of pages, and bytes that are not aligned at all. */
    for (unsigned i = 0; i < 3; i++) {
        const uint32_t offset = i == 0 ? 0 : i == 1 ? 1536 : 77;
        struct storvsc_srb srb;

        for (uint32_t b = 0; b < 8192; b++)
            data[offset + b] = (uint8_t)(b * 7 + i);
        srb = run_srb(&setup->ring, 0, write, 0, offset, 8192);
        assert_int_equal(srb.srb_status, SRB_SUCCESS);
        assert_int_equal(srb.transfer_length, 8192);
        assert_int_equal(run_srb(&setup->ring, 0, sync, 2, 0, 0).srb_status, SRB_SUCCESS);
        memset(data, 0, 16384);
        srb = run_srb(&setup->ring, 0, read, 1, offset, 8192);
        assert_int_equal(srb.transfer_length, 8192);
        for (uint32_t b = 0; b < 8192; b++)
            assert_int_equal(data[offset + b], (uint8_t)(b * 7 + i));
    }
}

static void many_requests_are_answered_once_each(void **state)
{
    struct setup *setup = *state;
    bool answered[601] = {false};
    unsigned sent = 0;
    unsigned count = 0;

    while (count < 600) {
        const uint8_t read[16] = {0x28, 0, 0, 0, 0, (uint8_t)sent, 0, 0, 1};
        struct storvsc_packet answer;
        struct vmbus_ring_control *control = (void *)setup->ring.out;
        uint32_t used =
            (control->write_index - control->read_index + setup->ring.size) % setup->ring.size;
        uint64_t id;

        if (sent < 600 && used + 256 < setup->ring.size) {
            send_srb(&setup->ring, sent + 1, 0, read, 1, DATA, 0, 512);
            sent++;
            continue;
        }
        id = read_answer(&setup->ring, &answer);
        assert_in_range(id, 1, 600);
        assert_false(answered[id]);
        answered[id] = true;
        count++;
        assert_int_equal(answer.srb.srb_status, SRB_SUCCESS);
    }
}

static void wrong_requests_get_an_answer(void **state)
{
    static const uint8_t read[16] = {0x28, 0, 0, 0, 0, 0, 0, 0, 1};
    struct setup *setup = *state;
    struct storvsc_packet packet = {.operation = STORVSC_EXECUTE_SRB,
                                    .srb = {.cdb_length = 17, .direction = 2}};

    assert_int_equal(ask(&setup->ring, packet).srb.srb_status, SRB_INVALID_REQUEST);
    packet.srb.cdb_length = 16;
    packet.srb.direction = 3;
    assert_int_equal(ask(&setup->ring, packet).srb.srb_status, SRB_INVALID_REQUEST);
    /* memory that is not there */
    send_srb(&setup->ring, 5, 0, read, 1, GUEST_PAGES, 0, 512);
    assert_int_equal(read_answer(&setup->ring, &packet), 5);
    assert_int_equal(packet.srb.srb_status, SRB_INVALID_REQUEST);
    assert_int_equal(setup->failed, 0);
}

static void sub_channels_carry_requests(void **state)
{
    static const uint8_t read[16] = {0x28, 0, 0, 0, 0, 0, 0, 0, 1};
    struct setup *setup = *state;
    struct guest_ring ring;

    assert_int_equal(
        ask(&setup->ring,
            (struct storvsc_packet){.operation = STORVSC_CREATE_SUB_CHANNELS, .sub_channels = 1})
            .status,
        0);
    assert_int_equal(guest_take(setup->guest, VMBUS_OFFER_CHANNEL).offer.sub_channel_index, 1);
    assert_int_equal(guest_open(setup->guest, 2, 64, RING_EACH), 0);
    ring = guest_ring_of(setup->guest, 2, 64, RING_EACH);
    guest_run(setup->guest);
    assert_int_equal(run_srb(&ring, 0, read, 1, 0, 512).srb_status, SRB_SUCCESS);
    assert_int_equal(
        ask(&setup->ring,
            (struct storvsc_packet){.operation = STORVSC_CREATE_SUB_CHANNELS, .sub_channels = 99})
            .status,
        STORVSC_STATUS_FAILED);
}

static void disks_come_and_go_under_the_guest(void **state)
{
    static const uint8_t inquiry[16] = {0x12, 0, 0, 0, 36};
    struct setup *setup = *state;
    uint64_t packet[16];
    struct bh_disk *disk = make_disk(setup, 1, "b");

    assert_true(bh_controller_add(setup->controller, disk));
    assert_int_equal(guest_ring_read(&setup->ring, packet, sizeof(packet)), 80);
    assert_int_equal(packet[0] & 0xffff, VMBUS_PACKET_INBAND);
    assert_int_equal(packet[2] & 0xffffffff, STORVSC_ENUMERATE_BUS);
    assert_int_equal(run_srb(&setup->ring, 1, inquiry, 1, 0, 36).transfer_length, 36);
    assert_int_equal(*guest_page(setup->guest, DATA), 0);
    assert_ptr_equal(bh_controller_find(setup->controller, "b"), disk);
    bh_controller_remove(setup->controller, disk);
    assert_int_equal(guest_ring_read(&setup->ring, packet, sizeof(packet)), 80);
    assert_null(bh_controller_find(setup->controller, "b"));
    assert_int_equal(run_srb(&setup->ring, 1, inquiry, 1, 0, 36).transfer_length, 36);
    assert_int_equal(*guest_page(setup->guest, DATA), 0x7f);
}

static void closing_waits_for_io_and_a_short_file_is_an_error(void **state)
{
    static const uint8_t read[16] = {0x28, 0, 0, 0, 0x10, 0, 0, 0, 8};
    struct setup *setup = *state;
    struct storvsc_srb srb;

    assert_int_equal(truncate(setup->path[0], 1 << 20), 0);
    srb = run_srb(&setup->ring, 0, read, 1, 0, 4096);
    assert_int_equal(srb.srb_status, SRB_ERROR | SRB_AUTOSENSE_VALID);
    assert_int_equal(srb.scsi_status, SCSI_CHECK_CONDITION);
    assert_int_equal(srb.sense[2], SCSI_MEDIUM_ERROR);
    assert_int_equal(setup->failed, 1);
    for (uint64_t i = 0; i < 20; i++)
        send_srb(&setup->ring, i + 1, 0, read, 1, DATA, 0, 4096);
    bh_loop_serve(setup->guest->loop);
    guest_close(setup->guest, 1);
    (void)bh_vmbus_reset(setup->guest->bus, -1); /* returns when none of them runs any more */
    guest_connect(setup->guest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_guest_is_told_what_linux_needs, begin, end),
        cmocka_unit_test_setup_teardown(absent_targets_look_absent, begin, end),
        cmocka_unit_test_setup_teardown(data_goes_to_the_file_and_back, begin, end),
        cmocka_unit_test_setup_teardown(many_requests_are_answered_once_each, begin, end),
        cmocka_unit_test_setup_teardown(wrong_requests_get_an_answer, begin, end),
        cmocka_unit_test_setup_teardown(sub_channels_carry_requests, begin, end),
        cmocka_unit_test_setup_teardown(disks_come_and_go_under_the_guest, begin, end),
        cmocka_unit_test_setup_teardown(closing_waits_for_io_and_a_short_file_is_an_error, begin,
                                        end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
