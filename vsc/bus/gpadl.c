/* SPDX-License-Identifier: MIT */
/* Lists of the guest's pages: a header message, and as many others as the frame numbers need. */
#include <string.h>

#include "vsc/bus/bus.h"

struct list {
    struct vsc_bus *bus;
    const uint8_t *memory;
    uint32_t relid;
    uint32_t id;
    uint32_t pages;
    uint32_t posted;
};

/* Posts `head` with as many frame numbers behind it as fit. The last message gets the answer. */
static bool post_some(struct list *list, const void *head, size_t head_size)
{
    uint8_t message[VMBUS_MESSAGE_SIZE_MAX];
    size_t size = head_size;
    const struct vsc_platform *platform = list->bus->platform;

    memcpy(message, head, head_size);
    while (list->posted < list->pages && size + sizeof(uint64_t) <= sizeof(message)) {
        uint64_t frame = platform->frame(platform->context,
                                         list->memory + (size_t)list->posted * VMBUS_PAGE_SIZE);

        memcpy(message + size, &frame, sizeof(frame));
        size += sizeof(frame);
        list->posted++;
    }
    if (list->posted < list->pages)
        return vsc_bus_post(list->bus, message, size);
    return vsc_bus_ask(list->bus, message, size, VMBUS_GPADL_CREATED, list->id);
}

static bool post_list(struct list *list)
{
    const struct vmbus_gpadl_header header = {
        .header = {.type = VMBUS_GPADL_HEADER},
        .relid = list->relid,
        .gpadl = list->id,
        .range_bytes = (uint16_t)(sizeof(struct vmbus_gpa_range) + sizeof(uint64_t) * list->pages),
        .range_count = 1,
        .byte_count = list->pages * VMBUS_PAGE_SIZE};
    const struct vmbus_gpadl_body body = {.header = {.type = VMBUS_GPADL_BODY}, .gpadl = list->id};

    if (!post_some(list, &header, sizeof(header)))
        return false;
    while (list->posted < list->pages)
        if (!post_some(list, &body, sizeof(body)))
            return false;
    return list->bus->status == 0;
}

bool vsc_gpadl_create(struct vsc_bus *bus, uint32_t relid, const void *memory, uint32_t pages,
                      uint32_t *id)
{
    struct list list = {
        .bus = bus, .memory = memory, .relid = relid, .id = bus->next_gpadl++, .pages = pages};

    *id = list.id;
    return pages != 0 && post_list(&list);
}

bool vsc_gpadl_teardown(struct vsc_bus *bus, uint32_t relid, uint32_t id)
{
    const struct vmbus_gpadl_teardown request = {
        .header = {.type = VMBUS_GPADL_TEARDOWN}, .relid = relid, .gpadl = id};

    return vsc_bus_ask(bus, &request, sizeof(request), VMBUS_GPADL_TORN_DOWN, id);
}
