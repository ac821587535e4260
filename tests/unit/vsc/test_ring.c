/* SPDX-License-Identifier: MIT */
/* vsc/bus/ring: packets around the end, room, signals, and what can not be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vsc/bus/ring.h"

#define PAGES 3u
#define SIZE  ((PAGES - 1) * VMBUS_PAGE_SIZE)

static _Alignas(4096) uint8_t memory[PAGES * VMBUS_PAGE_SIZE];
static struct vsc_ring writer;
static struct vsc_ring reader; /* the other side of the same memory */

static int begin(void **state)
{
    (void)state;
    vsc_ring_begin(&writer, memory, PAGES);
    reader = writer;
    return 0;
}

static bool write_packet(uint64_t id, uint32_t payload)
{
    const struct vmbus_descriptor descriptor = {.type = VMBUS_PACKET_INBAND,
                                                .offset8 = 2,
                                                .length8 = (uint16_t)((16 + payload + 7) / 8),
                                                .transaction = id};
    uint8_t bytes[SIZE];
    const struct vsc_part parts[] = {{&descriptor, sizeof(descriptor)}, {bytes, payload}};

    memset(bytes, (int)(id % 251), payload);
    return vsc_ring_write(&writer, parts, 2);
}

static uint32_t read_packet(uint64_t id)
{
    uint8_t packet[SIZE];
    struct vmbus_descriptor descriptor;
    uint32_t size = 0;

    if (vsc_ring_read(&reader, packet, sizeof(packet), &size) != VSC_RING_OK)
        return 0;
    memcpy(&descriptor, packet, sizeof(descriptor));
    assert_true(descriptor.transaction == id);
    for (uint32_t i = 16; i + 8 < size; i++)
        assert_int_equal(packet[i], id % 251);
    return size;
}

static void test_around(void **state)
{
    (void)state;
    for (uint64_t id = 0; id < 3000; id++) {
        uint32_t payload = (uint32_t)(id * 37 % 1500);

        assert_true(write_packet(id, payload));
        (void)vsc_ring_publish(&writer);
        assert_int_equal(read_packet(id), (16 + payload + 7) / 8 * 8);
        assert_false(vsc_ring_release(&reader));
    }
    assert_int_equal(read_packet(0), 0);
}

/* A packet is seen when it is published; the ring is never filled to its last byte. */
static void test_room(void **state)
{
    uint32_t count = 0;

    (void)state;
    while (write_packet(count, 40))
        count++;
    assert_int_equal(count, (SIZE - 1) / 64);
    assert_int_equal(read_packet(0), 0);
    assert_true(vsc_ring_publish(&writer));
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(read_packet(i), 56);
    assert_false(write_packet(0, 40));
    (void)vsc_ring_release(&reader);
    assert_true(write_packet(0, 40));
}

static void test_signals(void **state)
{
    (void)state;
    assert_false(vsc_ring_publish(&writer)); /* nothing */
    assert_true(write_packet(1, 8));
    assert_true(vsc_ring_publish(&writer)); /* it was empty */
    assert_true(write_packet(2, 8));
    assert_false(vsc_ring_publish(&writer)); /* it was not */
    vsc_ring_mask(&reader);
    assert_true(read_packet(1) != 0 && read_packet(2) != 0);
    (void)vsc_ring_release(&reader);
    assert_true(write_packet(3, 8));
    assert_false(vsc_ring_publish(&writer)); /* masked */
    assert_false(vsc_ring_unmask(&reader));  /* something came */
    assert_int_equal(writer.control->interrupt_mask, 1);
    assert_true(read_packet(3) != 0);
    (void)vsc_ring_release(&reader);
    assert_true(vsc_ring_unmask(&reader));
}

/* A writer that waits for room is signalled once, when there is more than it waits for. */
static void test_waiting_writer(void **state)
{
    uint32_t count = 0;
    uint32_t signals = 0;

    (void)state;
    while (write_packet(count, 40))
        count++;
    (void)vsc_ring_publish(&writer);
    writer.control->pending_send_size = 640;
    for (uint32_t i = 0; i < count; i++) {
        assert_true(read_packet(i) != 0);
        signals += vsc_ring_release(&reader);
        if (i < 8)
            assert_int_equal(signals, 0);
    }
    assert_int_equal(signals, 1);
}

static void test_broken(void **state)
{
    struct vmbus_descriptor descriptor = {.type = VMBUS_PACKET_INBAND, .offset8 = 2, .length8 = 2};
    uint8_t packet[64];
    uint32_t size;

    (void)state;
    writer.control->write_index = 4;
    assert_int_equal(vsc_ring_read(&reader, packet, sizeof(packet), &size), VSC_RING_BROKEN);
    writer.control->write_index = SIZE;
    assert_int_equal(vsc_ring_read(&reader, packet, sizeof(packet), &size), VSC_RING_BROKEN);
    writer.control->write_index = 8;
    assert_int_equal(vsc_ring_read(&reader, packet, sizeof(packet), &size), VSC_RING_BROKEN);
    writer.control->write_index = 24;
    for (uint16_t length = 0; length < 8; length++) {
        descriptor.length8 = length;
        memcpy(writer.data, &descriptor, sizeof(descriptor));
        if (length != 2)
            assert_int_equal(vsc_ring_read(&reader, packet, sizeof(packet), &size),
                             VSC_RING_BROKEN);
    }
    descriptor.length8 = 2;
    memcpy(writer.data, &descriptor, sizeof(descriptor));
    assert_int_equal(vsc_ring_read(&reader, packet, sizeof(packet), &size), VSC_RING_OK);
    writer.control->read_index = 3;
    assert_false(write_packet(1, 8));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_around, begin),
        cmocka_unit_test_setup(test_room, begin),
        cmocka_unit_test_setup(test_signals, begin),
        cmocka_unit_test_setup(test_waiting_writer, begin),
        cmocka_unit_test_setup(test_broken, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
