/* SPDX-License-Identifier: MIT */
/*
 * A hostile guest and each integration component: the first byte chooses the
 * component and whether the guest negotiates well at first; the rest are its
 * answers, each with a length in front, put over what it was asked.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/unit/vsp/guest.h"
#include "vsp/protocol/ic.h"
#include "vsp/services/services.h"
#include "vsp/services/services_parts.h"

#define RING_PAGES 4u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t time_now;

static uint64_t now(void)
{
    return time_now;
}

static bool reference(void *context, uint64_t *time)
{
    (void)context;
    *time = time_now / 100;
    return true;
}

/* Texts must be ended and clean, and addresses are what inet_ntop writes. */
static void changed(void *context, const struct bh_guest_info *info)
{
    (void)context;
    if (memchr(info->os, '\0', sizeof(info->os)) == NULL ||
        memchr(info->host_name, '\0', sizeof(info->host_name)) == NULL ||
        info->address_count > BH_GUEST_ADDRESSES_MAX)
        abort();
    for (const char *c = info->host_name; *c != '\0'; c++)
        if ((unsigned char)*c < ' ')
            abort();
}

static void shutdown_answered(void *context, bool accepted)
{
    (void)context;
    (void)accepted;
}

static const struct bh_services_host host = {.clock = now,
                                             .utc = now,
                                             .reference = reference,
                                             .changed = changed,
                                             .shutdown_answered = shutdown_answered};

struct packet {
    struct vmbus_descriptor descriptor;
    struct ic_header header;
    uint8_t body[8192];
};

static void agree(struct guest_ring *ring)
{
    struct packet packet;
    struct ic_negotiate body;

    if (guest_ring_read(ring, &packet, sizeof(packet)) == 0)
        return;
    memcpy(&body, packet.body, sizeof(body));
    body.version[1] = body.version[body.framework_count];
    body.framework_count = 1;
    body.message_count = 1;
    memcpy(packet.body, &body, sizeof(body));
    packet.header.flags = IC_FLAG_RESPONSE;
    (void)guest_ring_write(ring, &packet, packet.descriptor.length8 * 8u);
}

/* The guest's bytes over the body, and with bit 0 of the first over the header as well. */
static void answer(struct guest_ring *ring, const uint8_t *bytes, size_t size)
{
    struct packet packet;
    size_t at = offsetof(struct packet, body);

    if (guest_ring_read(ring, &packet, sizeof(packet)) == 0 || size == 0)
        return;
    packet.header.flags = IC_FLAG_RESPONSE;
    if ((bytes[0] & 1) != 0)
        at = offsetof(struct packet, header);
    memcpy((uint8_t *)&packet + at, bytes + 1, size - 1);
    (void)guest_ring_write(ring, &packet, packet.descriptor.length8 * 8u);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct guest *guest;
    struct bh_services *services;
    struct guest_ring ring;
    uint32_t relid = 0;

    if (size < 1)
        return 0;
    guest = guest_begin();
    services = bh_services_create(guest->bus, "vm", &host);
    guest_connect(guest);
    for (int i = 0; i <= (data[0] & 3); i++)
        relid = guest_take(guest, VMBUS_OFFER_CHANNEL).offer.relid;
    while (guest->count > 0)
        (void)guest_take(guest, guest->message[0].header.type);
    if (guest_open(guest, relid, 16, RING_PAGES) != 0)
        abort();
    ring = guest_ring_of(guest, relid, 16, RING_PAGES);
    guest_run(guest);
    if ((data[0] & 4) != 0)
        agree(&ring);
    for (data++, size--; size >= 2;) {
        size_t length = data[0] | (size_t)(data[1] & 7) << 8;

        data += 2;
        size -= 2;
        length = length < size ? length : size;
        guest_run(guest);
        answer(&ring, data, length);
        data += length;
        size -= length;
        time_now += 6 * BH_SECOND;
        (void)bh_services_shutdown(services, false, "fuzz");
        bh_services_resume(services);
    }
    guest_run(guest);
    bh_services_destroy(services);
    guest_end(guest);
    return 0;
}
