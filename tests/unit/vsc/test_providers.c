/* SPDX-License-Identifier: MIT */
/* The clients of vsc/ against the bus and the providers of vsp/, in one process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/virtio_net.h>

#include <cmocka.h>

#include "tests/unit/vsc/pair.h"
#include "tests/unit/vsp/memory_store.h"
#include "vsc/network/network.h"
#include "vsc/services/services.h"
#include "vsc/storage/scsi.h"
#include "vsp/network/nic.h"
#include "vsp/services/services.h"
#include "vsp/storage/controller.h"

#define BLOCK 512u

static struct pair *pair;

static int begin(void **state)
{
    (void)state;
    pair = pair_begin();
    return 0;
}

static int end(void **state)
{
    (void)state;
    pair_end(pair);
    return 0;
}

/* --- the bus ------------------------------------------------------------------------------ */

static void test_versions(void **state)
{
    static const uint32_t versions[] = {VMBUS_VERSION_5_3, VMBUS_VERSION_5_2, VMBUS_VERSION_5_1,
                                        VMBUS_VERSION_5_0, VMBUS_VERSION_4_1, VMBUS_VERSION_4_0};

    (void)state;
    assert_false(vsc_bus_contact(&pair->bus, VMBUS_VERSION(6, 0)));
    assert_false(vsc_bus_contact(&pair->bus, VMBUS_VERSION(3, 0)));
    for (unsigned i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
        pair->full = i; /* a port without room is asked again */
        assert_true(vsc_bus_connect(&pair->bus, versions[i]));
        assert_int_equal(pair->bus.version, versions[i]);
        assert_true(vsc_bus_unload(&pair->bus));
        assert_int_equal(pair->bus.version, 0);
    }
}

/* Nobody answers: the client gives up after its time. */
static void test_no_answer(void **state)
{
    uint64_t before = pair->now;

    (void)state;
    pair->guest->room = 0;
    assert_false(vsc_bus_connect(&pair->bus, VMBUS_VERSION_4_0));
    assert_true(pair->now - before >= 60 * PAIR_SECOND);
    pair->guest->room = UINT32_MAX;
}

/* --- storage ------------------------------------------------------------------------------ */

static struct bh_controller *controller;
static struct vsc_storage storage;

static void on_failed(void *context, const char *id, const char *operation, const char *sentence)
{
    (void)context;
    (void)id;
    (void)operation;
    (void)sentence;
}

static int begin_storage(void **state)
{
    const struct bh_disk_options options = {.vm = "vm", .id = "disk", .failed = on_failed};

    (void)begin(state);
    controller = bh_controller_create(pair->guest->bus, "vm");
    assert_non_null(controller);
    assert_true(bh_controller_add(
        controller, bh_disk_create(pair->guest->loop, &options, memory_store(false, 0))));
    assert_true(vsc_bus_connect(&pair->bus, VMBUS_VERSION_5_3));
    return 0;
}

static int end_storage(void **state)
{
    (void)bh_vmbus_reset(pair->guest->bus, -1);
    bh_controller_destroy(controller);
    return end(state);
}

static void open_storage(uint32_t channels)
{
    assert_true(
        vsc_storage_open(&storage, &pair->bus, pair_pages(pair, 8 * channels), 4, channels));
    assert_int_equal(storage.channel_count, channels);
    assert_int_equal(storage.version, STORVSC_VERSION_6_2);
}

static void test_disk(void **state)
{
    struct vsc_request request = {0};
    uint8_t *data = pair_pages(pair, 1);

    (void)state;
    open_storage(1);
    vsc_scsi_plain(&request, 0, SCSI_READ_10);
    assert_true(vsc_storage_execute(&storage, &request));
    assert_true(vsc_scsi_has_sense(&request, SCSI_UNIT_ATTENTION, SCSI_ASC_POWER_ON));
    vsc_scsi_inquiry(&request, 0, data, 36);
    assert_true(vsc_storage_execute(&storage, &request) && vsc_scsi_is_good(&request));
    assert_memory_equal(data + 8, "BULKHEAD", 8);
    vsc_scsi_read_capacity(&request, 0, data, 32);
    assert_true(vsc_storage_execute(&storage, &request) && vsc_scsi_is_good(&request));
    assert_true(vsc_scsi_get64(data) == MEMORY_STORE_SIZE / BLOCK - 1);
    assert_int_equal(vsc_scsi_get32(data + 8), BLOCK);
    vsc_scsi_report_luns(&request, data, 4096);
    assert_true(vsc_storage_execute(&storage, &request) && vsc_scsi_get32(data) == 8);
    vsc_scsi_flush(&request, 0);
    assert_true(vsc_storage_execute(&storage, &request) && vsc_scsi_is_good(&request));
    assert_true(vsc_storage_close(&storage));
}

static void fill(uint8_t *data, uint32_t seed, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++)
        data[i] = (uint8_t)(seed * 31 + i * 7 + i / 251);
}

/* Data of all channels at once, begun anywhere in a page, come back as they were. */
static void test_channels(void **state)
{
    enum { REQUESTS = 24, SIZE = 8192 };
    uint8_t *data = pair_pages(pair, REQUESTS * 3);
    struct vsc_request request[REQUESTS] = {0};
    uint8_t wanted[SIZE];

    (void)state;
    open_storage(4);
    assert_true(vsc_scsi_make_ready(&storage, 0));
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < REQUESTS; i++) {
            const struct vsc_extent extent = {.block = (uint64_t)i * (SIZE / BLOCK),
                                              .count = SIZE / BLOCK,
                                              .data = data + (size_t)i * 3 * VMBUS_PAGE_SIZE +
                                                      (size_t)i * 8,
                                              .size = SIZE};

            if (round == 0) {
                fill(extent.data, i, SIZE);
                vsc_scsi_write(&request[i], 0, &extent);
            } else {
                memset(extent.data, 0, SIZE);
                vsc_scsi_read(&request[i], 0, &extent);
            }
            assert_true(vsc_storage_submit(&storage, i % 4, &request[i]));
        }
        for (uint32_t i = 0; i < 4; i++)
            vsc_storage_flush(&storage, i);
        while (storage.running != 0)
            assert_true(vsc_bus_wait(&pair->bus, UINT64_MAX));
        for (uint32_t i = 0; i < REQUESTS; i++)
            assert_true(vsc_scsi_is_good(&request[i]) && request[i].transferred == SIZE);
    }
    for (uint32_t i = 0; i < REQUESTS; i++) {
        fill(wanted, i, SIZE);
        assert_memory_equal(request[i].data, wanted, SIZE);
    }
    assert_true(vsc_storage_close(&storage));
}

/* 24 requests in one batch: one doorbell, and one interrupt for all answers. */
static void test_batch(void **state)
{
    enum { REQUESTS = 24 };
    struct vsc_request request[REQUESTS] = {0};
    uint64_t interrupts;

    (void)state;
    open_storage(1);
    pair->signalled = 0;
    interrupts = storage.channel[0].interrupts;
    for (uint32_t i = 0; i < REQUESTS; i++) {
        vsc_scsi_plain(&request[i], 0, SCSI_TEST_UNIT_READY);
        assert_true(vsc_storage_submit(&storage, 0, &request[i]));
    }
    vsc_storage_flush(&storage, 0);
    while (storage.running != 0)
        assert_true(vsc_bus_wait(&pair->bus, UINT64_MAX));
    assert_int_equal(pair->signalled, 1);
    assert_int_equal(storage.channel[0].interrupts - interrupts, 1);
    assert_true(vsc_storage_close(&storage));
}

static void expect_sense(struct vsc_request *request, enum scsi_sense_key key, uint32_t code)
{
    assert_true(vsc_storage_execute(&storage, request));
    assert_true(vsc_scsi_has_sense(request, key, code));
}

static void test_wrong_requests(void **state)
{
    struct vsc_request request = {0};
    uint8_t *data = pair_pages(pair, 1);
    const struct vsc_extent behind = {MEMORY_STORE_SIZE / BLOCK, 1, data, BLOCK};
    const struct vsc_extent wraps = {UINT64_MAX, 2, data, 2 * BLOCK};
    const struct vsc_extent longer = {0, 8, data, 4 * BLOCK};
    struct storvsc_packet packet = {.operation = 99};

    (void)state;
    open_storage(1);
    assert_true(vsc_scsi_make_ready(&storage, 0));
    vsc_scsi_read(&request, 0, &behind);
    expect_sense(&request, SCSI_ILLEGAL_REQUEST, SCSI_ASC_LBA_OUT_OF_RANGE);
    vsc_scsi_write(&request, 0, &wraps);
    expect_sense(&request, SCSI_ILLEGAL_REQUEST, SCSI_ASC_LBA_OUT_OF_RANGE);
    vsc_scsi_read(&request, 0, &longer);
    expect_sense(&request, SCSI_ILLEGAL_REQUEST, SCSI_ASC_INVALID_FIELD_IN_CDB);
    vsc_scsi_plain(&request, 0, 0xff);
    expect_sense(&request, SCSI_ILLEGAL_REQUEST, SCSI_ASC_INVALID_OPERATION);
    vsc_scsi_plain(&request, 9, SCSI_TEST_UNIT_READY);
    assert_true(vsc_storage_execute(&storage, &request));
    assert_int_equal(request.srb_status, SRB_INVALID_LUN);
    request.cdb_length = 17;
    assert_true(vsc_storage_execute(&storage, &request));
    assert_int_equal(request.srb_status, SRB_INVALID_REQUEST);
    assert_false(vsc_storage_control(&storage, &packet));
    assert_true(vsc_storage_close(&storage));
}

/* Closed with requests in the ring; opened again, it works. */
static void test_closed_in_the_middle(void **state)
{
    enum { REQUESTS = 16 };
    struct vsc_request request[REQUESTS] = {0};
    uint8_t *data = pair_pages(pair, REQUESTS);

    (void)state;
    for (int round = 0; round < 3; round++) {
        open_storage(2);
        assert_true(vsc_scsi_make_ready(&storage, 0));
        for (uint32_t i = 0; i < REQUESTS; i++) {
            const struct vsc_extent extent = {(uint64_t)i * 8, 8,
                                              data + (size_t)i * VMBUS_PAGE_SIZE, VMBUS_PAGE_SIZE};

            vsc_scsi_read(&request[i], 0, &extent);
            assert_true(vsc_storage_submit(&storage, i % 2, &request[i]));
        }
        vsc_storage_flush(&storage, 0);
        vsc_storage_flush(&storage, 1);
        assert_true(vsc_storage_close(&storage));
    }
    open_storage(1);
    vsc_scsi_flush(&request[0], 0);
    assert_true(vsc_storage_execute(&storage, &request[0]) && vsc_scsi_is_good(&request[0]));
    /* The same by an unload, which takes all at once. */
    vsc_scsi_flush(&request[0], 0);
    assert_true(vsc_storage_submit(&storage, 0, &request[0]));
    assert_true(vsc_bus_unload(&pair->bus));
    assert_true(vsc_bus_connect(&pair->bus, VMBUS_VERSION_5_3));
    open_storage(4);
    assert_true(vsc_storage_close(&storage));
}

/* --- network ------------------------------------------------------------------------------ */

static const uint8_t own[6] = {0x52, 0x54, 0, 0, 0, 1};

static struct {
    struct bh_nic *nic;
    int tap; /* the other end */
    struct vsc_network client;
    uint32_t frames;
    uint8_t last[1514];
    uint32_t last_size;
} net;

static void on_frame(void *context, const uint8_t *frame, uint32_t size)
{
    (void)context;
    net.frames++;
    net.last_size = size;
    memcpy(net.last, frame, size < sizeof(net.last) ? size : sizeof(net.last));
}

static int begin_network(void **state)
{
    struct bh_nic_options options = {.mtu = 1500, .queues = 1};
    int ends[2];

    (void)begin(state);
    memset(&net, 0, sizeof(net));
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, ends), 0);
    net.tap = ends[1];
    memcpy(options.mac, own, sizeof(own));
    net.nic = bh_nic_create(&options, &(struct bh_nic_place){.bus = pair->guest->bus,
                                                             .instance = {.a = 7},
                                                             .taps = &ends[0],
                                                             .tap_count = 1,
                                                             .clock = pair_clock});
    assert_non_null(net.nic);
    assert_true(vsc_bus_connect(&pair->bus, VMBUS_VERSION_5_3));
    return 0;
}

static int end_network(void **state)
{
    bh_nic_destroy(net.nic);
    (void)close(net.tap);
    return end(state);
}

static void open_network(void)
{
    assert_true(vsc_network_open(&net.client, &pair->bus, pair_pages(pair, VSC_NETWORK_PAGES),
                                 on_frame, NULL));
    assert_memory_equal(net.client.mac, own, sizeof(own));
    assert_true(net.client.link);
}

static void wait_for_sections(void)
{
    while (net.client.sections_free != net.client.section_count)
        assert_true(vsc_bus_wait(&pair->bus, UINT64_MAX));
}

static void test_frames(void **state)
{
    uint8_t frame[1514] = {0};
    uint8_t at_tap[2048];
    uint32_t sent = 0;

    (void)state;
    open_network();
    memset(frame, 0xff, 6);
    memcpy(frame + 6, own, 6);
    frame[12] = 0x88;
    frame[13] = 0xb5;
    for (uint32_t size = 60; size <= sizeof(frame); size += 97, sent++) {
        fill(frame + 14, size, size - 14);
        assert_true(vsc_network_send(&net.client, frame, size));
        vsc_network_flush(&net.client);
        wait_for_sections();
        assert_int_equal(read(net.tap, at_tap, sizeof(at_tap)),
                         sizeof(struct virtio_net_hdr) + size);
        assert_memory_equal(at_tap + sizeof(struct virtio_net_hdr), frame, size);
        assert_true(write(net.tap, at_tap, sizeof(struct virtio_net_hdr) + size) > 0);
        while (net.frames == sent)
            assert_true(vsc_bus_wait(&pair->bus, UINT64_MAX));
        assert_int_equal(net.last_size, size);
        assert_memory_equal(net.last, frame, size);
    }
    assert_int_equal(bh_nic_get_stats(net.nic)->tx_packets, sent);
    assert_int_equal(net.client.malformed, 0);
    assert_true(vsc_network_close(&net.client));
}

/* The card drops what comes from another address; objects that it has not are refused. */
static void test_wrong_frames(void **state)
{
    uint8_t frame[60] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2};

    (void)state;
    open_network();
    assert_true(vsc_network_send(&net.client, frame, sizeof(frame)));
    vsc_network_flush(&net.client);
    wait_for_sections();
    assert_int_equal(bh_nic_get_stats(net.nic)->tx_spoofed, 1);
    assert_int_not_equal(vsc_network_query(&net.client, 0x12345678), RNDIS_SUCCESS);
    assert_int_not_equal(vsc_network_set(&net.client, 0x12345678, 1), RNDIS_SUCCESS);
    assert_false(vsc_network_send(&net.client, frame, VSC_NETWORK_FRAME_MAX + 1));
    bh_nic_set_link(net.nic, false);
    pair_pass(pair, 1);
    assert_false(net.client.link);
    assert_true(vsc_network_close(&net.client));
    bh_nic_set_link(net.nic, true);
    pair->next_page = 16;
    open_network();
    assert_true(vsc_network_close(&net.client));
}

/* --- services ----------------------------------------------------------------------------- */

static struct {
    struct bh_services *server;
    struct bh_guest_info info;
    int accepted;
    struct vsc_service shutdown, heartbeat, time, kvp;
    struct vsc_shutdown wanted;
    struct vsc_time clock;
} ic;

static uint64_t utc(void)
{
    return pair_clock() + 1700000000 * PAIR_SECOND;
}

static bool reference(void *context, uint64_t *time)
{
    (void)context;
    *time = pair_clock() / 100;
    return true;
}

static void changed(void *context, const struct bh_guest_info *info)
{
    (void)context;
    ic.info = *info;
}

static void shutdown_answered(void *context, bool accepted)
{
    (void)context;
    ic.accepted = accepted;
}

static const struct bh_services_host services_host = {.clock = pair_clock,
                                                      .utc = utc,
                                                      .reference = reference,
                                                      .changed = changed,
                                                      .shutdown_answered = shutdown_answered};

static const struct vsc_pair said[] = {{"FullyQualifiedDomainName", "unit.test"},
                                       {"OSName", "small"},
                                       {"NetworkAddressIPv4", "10.1.0.2"}};
static struct vsc_pairs pairs = {said, 3};

static void *service_pages(void)
{
    return pair_pages(pair, 2 * VSC_SERVICE_PAGES);
}

static void test_services(void **state)
{
    struct vsc_bus *bus = &pair->bus;

    (void)state;
    memset(&ic, 0, sizeof(ic));
    ic.accepted = -1;
    ic.server = bh_services_create(pair->guest->bus, "vm", &services_host);
    assert_true(vsc_bus_connect(bus, VMBUS_VERSION_5_3));
    assert_true(
        vsc_service_open(&ic.shutdown, &vsc_shutdown_kind, &ic.wanted, bus, service_pages()));
    assert_true(vsc_service_open(&ic.heartbeat, &vsc_heartbeat_kind, NULL, bus, service_pages()));
    assert_true(vsc_service_open(&ic.time, &vsc_time_kind, &ic.clock, bus, service_pages()));
    assert_true(vsc_service_open(&ic.kvp, &vsc_kvp_kind, &pairs, bus, service_pages()));
    /* The services' timers run on the real clock: the loop has them when it is asked again. */
    for (int i = 0;
         i < 3000 && (ic.clock.samples == 0 || ic.heartbeat.requests == 0 || ic.kvp.requests < 4);
         i++) {
        pair_pass(pair, 1);
        (void)usleep(1000);
    }
    assert_int_equal(ic.time.version.major, 4);
    assert_int_equal(ic.clock.settings, 1);
    assert_true(ic.clock.parent_time - ic.clock.reference_time ==
                IC_TIME_1970 + UINT64_C(1700000000) * VSC_SECOND);
    assert_int_equal(ic.info.heartbeat, BH_HEARTBEAT_OK);
    assert_string_equal(ic.info.host_name, "unit.test");
    assert_string_equal(ic.info.os, "small");
    assert_string_equal(ic.info.address[0], "10.1.0.2");
    assert_true(bh_services_shutdown(ic.server, true, "enough"));
    pair_pass(pair, 1);
    assert_true(ic.wanted.wanted);
    assert_int_equal(ic.wanted.flags, IC_SHUTDOWN_FORCE | IC_SHUTDOWN_REBOOT);
    assert_int_equal(ic.accepted, 1);
    assert_true(vsc_service_close(&ic.kvp) && vsc_service_close(&ic.time));
    assert_true(vsc_bus_unload(bus));
    bh_services_destroy(ic.server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_versions, begin, end),
        cmocka_unit_test_setup_teardown(test_no_answer, begin, end),
        cmocka_unit_test_setup_teardown(test_disk, begin_storage, end_storage),
        cmocka_unit_test_setup_teardown(test_channels, begin_storage, end_storage),
        cmocka_unit_test_setup_teardown(test_batch, begin_storage, end_storage),
        cmocka_unit_test_setup_teardown(test_wrong_requests, begin_storage, end_storage),
        cmocka_unit_test_setup_teardown(test_closed_in_the_middle, begin_storage, end_storage),
        cmocka_unit_test_setup_teardown(test_frames, begin_network, end_network),
        cmocka_unit_test_setup_teardown(test_wrong_frames, begin_network, end_network),
        cmocka_unit_test_setup_teardown(test_services, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
