/* SPDX-License-Identifier: MIT */
/* Versions, unload and connecting again, requests that are refused. */
#include <string.h>

#include "vsc/guest/tests.h"

#define NO_FRAME (1ull << 40) /* beyond any memory */

static void check(bool holds, const char *why)
{
    check_that(holds, "bus", why);
}

void connect(const char *test)
{
    struct vsc_bus *bus = synic_bus();

    check_that(bus->version != 0 || vsc_bus_connect(bus, VMBUS_VERSION_5_3), test,
               "there is no VMBus");
}

static uint32_t count_offers(const struct vsc_bus *bus)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < VSC_RELIDS; i++)
        count += bus->slot[i].offered;
    return count;
}

static void test_versions(struct vsc_bus *bus)
{
    static const uint32_t versions[] = {VMBUS_VERSION_4_0, VMBUS_VERSION_4_1, VMBUS_VERSION_5_0,
                                        VMBUS_VERSION_5_1, VMBUS_VERSION_5_2, VMBUS_VERSION_5_3};
    uint32_t offers = 0;

    check(!vsc_bus_contact(bus, VMBUS_VERSION(3, 0)), "version 3.0 was accepted");
    check(!vsc_bus_contact(bus, VMBUS_VERSION(99, 0)), "version 99.0 was accepted");
    for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
        check(vsc_bus_connect(bus, versions[i]) && bus->version == versions[i],
              "a version was refused");
        check(offers == 0 || offers == count_offers(bus), "not the same offers as before");
        offers = count_offers(bus);
        check(offers != 0, "no device is offered");
        check(vsc_bus_unload(bus), "an unload was not answered");
    }
    say_figure("bus", "offers", offers, "devices");
}

/* A list of one frame that is no memory, and one of no pages. */
static void test_lists(struct vsc_bus *bus, uint32_t relid)
{
    uint64_t message[sizeof(struct vmbus_gpadl_header) / 8 + 2] = {0};
    const uint64_t frame = NO_FRAME;
    struct vmbus_gpadl_header header = {.header = {.type = VMBUS_GPADL_HEADER},
                                        .relid = relid,
                                        .gpadl = 1,
                                        .range_bytes = 16,
                                        .range_count = 1,
                                        .byte_count = PAGE_SIZE};

    memcpy(message, &header, sizeof(header));
    memcpy((uint8_t *)message + sizeof(header), &frame, sizeof(frame));
    check(vsc_bus_ask(bus, message, sizeof(header) + sizeof(frame), VMBUS_GPADL_CREATED, 1) &&
              bus->status != 0,
          "a list of frames that are no memory was accepted");
    header.byte_count = 0;
    memcpy(message, &header, sizeof(header));
    check(vsc_bus_ask(bus, message, sizeof(header) + sizeof(frame), VMBUS_GPADL_CREATED, 1) &&
              bus->status != 0,
          "an empty list was accepted");
}

static void test_opening(struct vsc_bus *bus, uint32_t relid)
{
    const struct vmbus_open request = {.header = {.type = VMBUS_OPEN_CHANNEL},
                                       .relid = relid,
                                       .open_id = relid,
                                       .ring_gpadl = 12345,
                                       .downstream_page = 2};

    check(vsc_bus_ask(bus, &request, sizeof(request), VMBUS_OPEN_RESULT, relid) && bus->status != 0,
          "a channel was opened with rings that are nowhere");
}

static uint32_t first_offer(const struct vsc_bus *bus)
{
    for (uint32_t i = 0; i < VSC_RELIDS; i++)
        if (bus->slot[i].offered)
            return i;
    return 0;
}

/* How long a list of many pages takes: each message of it holds 28. */
static void test_long_list(struct vsc_bus *bus, const struct options *options, uint32_t relid)
{
    enum { PAGES = 1024 };
    uint64_t mark = memory_mark();
    const void *pages = memory_pages(PAGES);
    struct measure measure;
    uint32_t id;

    measure_begin(&measure, options, "bus.list");
    check(vsc_gpadl_create(bus, relid, pages, PAGES, &id), "a list of 4 MiB was refused");
    check(vsc_gpadl_teardown(bus, relid, id), "a list was not given back");
    measure_end(&measure, PAGES, (uint64_t)PAGES * PAGE_SIZE);
    memory_release(mark);
}

void test_bus(const struct options *options)
{
    struct vsc_bus *bus = synic_bus();
    uint32_t relid;

    test_versions(bus);
    connect("bus");
    relid = first_offer(bus);
    test_lists(bus, relid);
    test_opening(bus, relid);
    test_long_list(bus, options, relid);
    check(vsc_bus_unload(bus), "the last unload was not answered");
    say("ok bus\n");
}
