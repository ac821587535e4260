/* SPDX-License-Identifier: MIT */
/* Packets to the SCSI controller. Each is a byte of length in units of 8 and the packet itself. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/vsp/guest.h"
#include "tests/unit/vsp/memory_store.h"
#include "vsp/protocol/storvsc.h"
#include "vsp/storage/controller.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FIRST 16u
#define PAGES 4u

static void on_failed(void *context, const char *id, const char *operation, const char *sentence)
{
    (void)context;
    (void)id;
    (void)operation;
    (void)sentence;
}

static void ask(struct guest_ring *ring, enum storvsc_operation operation)
{
    struct storvsc_packet packet = {.operation = operation, .version = {STORVSC_VERSION_6_2, 0}};

    (void)guest_send(ring, 1, &packet, sizeof(packet));
    guest_run(ring->guest);
}

/* Every answer is whole, or the guest would lose its place in the ring. */
static void read_answers(struct guest_ring *ring)
{
    uint64_t packet[512];
    uint32_t size;

    while ((size = guest_ring_read(ring, packet, sizeof(packet))) != 0)
        if (size != 80)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct bh_disk_options options = {.vm = "vm", .id = "a", .failed = on_failed};
    struct guest *guest = guest_begin();
    struct bh_controller *controller = bh_controller_create(guest->bus, "vm");
    struct guest_ring ring;

    if (!bh_controller_add(controller, bh_disk_create(guest->loop, &options,
                                                      memory_store(false, size > 0 ? data[0] : 0))))
        abort();
    guest_connect(guest);
    guest->count = 0;
    if (guest_open(guest, 1, FIRST, PAGES) != 0)
        abort();
    ring = guest_ring_of(guest, 1, FIRST, PAGES);
    guest_run(guest);
    ask(&ring, STORVSC_BEGIN_INITIALIZATION);
    ask(&ring, STORVSC_END_INITIALIZATION);
    for (size_t at = 1; at < size;) {
        size_t length = data[at++] * 8u;

        length = length < size - at ? length : size - at;
        if (length >= 16)
            (void)guest_ring_write(&ring, data + at, (uint32_t)length / 8 * 8);
        guest_run(guest);
        read_answers(&ring);
        at += length;
    }
    (void)bh_vmbus_reset(guest->bus, -1);
    bh_controller_destroy(controller);
    guest_end(guest);
    return 0;
}
