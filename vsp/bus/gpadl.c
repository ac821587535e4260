/* SPDX-License-Identifier: MIT */
/*
 * GPADLs: lists of guest pages under a handle that the guest chose. The pages
 * arrive in a header and any number of bodies; only a complete list, all of
 * it RAM, is ever used.
 */
#include <string.h>

#include "vsp/bus/parts.h"

#define PFN_MAX (UINT64_C(1) << 40) /* of the 52-bit address space */

static struct bh_gpadl *find_id(struct bh_vmbus *bus, uint32_t id)
{
    for (uint32_t i = 0; i < BH_VMBUS_GPADLS_MAX; i++)
        if (bus->gpadl[i].relid != 0 && bus->gpadl[i].id == id)
            return &bus->gpadl[i];
    return NULL;
}

static struct bh_gpadl *find_free(struct bh_vmbus *bus)
{
    for (uint32_t i = 0; i < BH_VMBUS_GPADLS_MAX; i++)
        if (bus->gpadl[i].relid == 0)
            return &bus->gpadl[i];
    return NULL;
}

static void drop(struct bh_vmbus *bus, struct bh_gpadl *gpadl)
{
    bus->gpadl_pages -= gpadl->pages;
    bus->gpadl_doomed -= gpadl->doomed;
    *gpadl = (struct bh_gpadl){0};
    bus->changed = true;
}

static void answer(struct bh_vmbus *bus, uint32_t relid, uint32_t id, uint32_t status)
{
    const struct vmbus_gpadl_created message = {
        .header = {.type = VMBUS_GPADL_CREATED}, .relid = relid, .gpadl = id, .status = status};

    bh_outbox_post(bus, &message, sizeof(message));
}

static bool is_ram(const struct bh_vmbus *bus, uint64_t pfn)
{
    return pfn < PFN_MAX &&
           bus->host->memory(bus->host->context, pfn * VMBUS_PAGE_SIZE, VMBUS_PAGE_SIZE) != NULL;
}

/* Takes PFNs; answers when the list is complete or wrong. `from` may be unaligned. */
static void take(struct bh_vmbus *bus, struct bh_gpadl *gpadl, const uint8_t *from, size_t size)
{
    size_t count = size / sizeof(uint64_t);

    for (size_t i = 0; i < count && gpadl->received < gpadl->pages; i++) {
        uint64_t pfn;

        memcpy(&pfn, from + i * sizeof(pfn), sizeof(pfn));
        if (!is_ram(bus, pfn)) {
            answer(bus, gpadl->relid, gpadl->id, STATUS_FAILED);
            drop(bus, gpadl);
            return;
        }
        bus->journal->pfn[gpadl->first + gpadl->received++] = pfn;
    }
    if (gpadl->received == gpadl->pages)
        answer(bus, gpadl->relid, gpadl->id, STATUS_OK);
}

/* The PFNs of a list; 0 for one that is refused. */
static uint32_t count_pages(const struct bh_vmbus *bus, const struct vmbus_gpadl_header *header)
{
    uint64_t pages = ((uint64_t)header->byte_offset + header->byte_count + VMBUS_PAGE_SIZE - 1) /
                     VMBUS_PAGE_SIZE;

    if (header->range_count != 1 || header->byte_count == 0 ||
        header->byte_offset >= VMBUS_PAGE_SIZE || pages > BH_VMBUS_PAGES_MAX - bus->gpadl_pages)
        return 0;
    return (uint32_t)pages;
}

/* The list that has one of these places for PFNs, or NULL. */
static const struct bh_gpadl *find_user(const struct bh_vmbus *bus, uint32_t first, uint32_t pages)
{
    for (uint32_t i = 0; i < BH_VMBUS_GPADLS_MAX; i++) {
        const struct bh_gpadl *gpadl = &bus->gpadl[i];

        if (gpadl->relid != 0 && first < gpadl->first + gpadl->pages &&
            gpadl->first < first + pages)
            return gpadl;
    }
    return NULL;
}

/* Where the journal has room for as many PFNs in a row; BH_VMBUS_PAGES_MAX: nowhere. */
static uint32_t find_room(const struct bh_vmbus *bus, uint32_t pages)
{
    uint32_t first = 0;

    while (first + pages <= BH_VMBUS_PAGES_MAX) {
        const struct bh_gpadl *user = find_user(bus, first, pages);

        if (user == NULL)
            return first;
        first = user->first + user->pages;
    }
    return BH_VMBUS_PAGES_MAX;
}

static bool is_known(struct bh_vmbus *bus, uint32_t relid)
{
    const struct bh_vmbus_channel *channel = bh_channel_find(bus, relid);

    return channel != NULL &&
           (channel->state.phase == CHANNEL_OFFERED || channel->state.phase == CHANNEL_OPEN);
}

void bh_gpadl_header(struct bh_vmbus *bus, const void *payload, size_t size)
{
    struct vmbus_gpadl_header header;
    struct bh_gpadl *gpadl = find_free(bus);
    uint32_t first = BH_VMBUS_PAGES_MAX;
    uint32_t pages;

    memcpy(&header, payload, sizeof(header));
    pages = count_pages(bus, &header);
    if (gpadl != NULL && pages != 0 && is_known(bus, header.relid) &&
        find_id(bus, header.gpadl) == NULL)
        first = find_room(bus, pages);
    if (first == BH_VMBUS_PAGES_MAX) {
        answer(bus, header.relid, header.gpadl, STATUS_FAILED);
        return;
    }
    *gpadl = (struct bh_gpadl){.id = header.gpadl,
                               .relid = header.relid,
                               .byte_count = header.byte_count,
                               .byte_offset = header.byte_offset,
                               .pages = pages,
                               .first = first};
    bus->gpadl_pages += pages;
    take(bus, gpadl, (const uint8_t *)payload + sizeof(header), size - sizeof(header));
}

void bh_gpadl_body(struct bh_vmbus *bus, const void *payload, size_t size)
{
    struct vmbus_gpadl_body body;
    struct bh_gpadl *gpadl;

    memcpy(&body, payload, sizeof(body));
    gpadl = find_id(bus, body.gpadl);
    if (gpadl != NULL && gpadl->received < gpadl->pages)
        take(bus, gpadl, (const uint8_t *)payload + sizeof(body), size - sizeof(body));
}

const struct bh_gpadl *bh_gpadl_find(const struct bh_vmbus *bus, uint32_t relid, uint32_t id)
{
    for (uint32_t i = 0; i < BH_VMBUS_GPADLS_MAX; i++) {
        const struct bh_gpadl *gpadl = &bus->gpadl[i];

        if (gpadl->relid == relid && gpadl->id == id && gpadl->received == gpadl->pages &&
            !gpadl->doomed)
            return gpadl;
    }
    return NULL;
}

static void finish(struct bh_vmbus *bus, struct bh_gpadl *gpadl)
{
    const struct vmbus_gpadl_torn_down message = {.header = {.type = VMBUS_GPADL_TORN_DOWN},
                                                  .gpadl = gpadl->id};

    drop(bus, gpadl);
    bh_outbox_post(bus, &message, sizeof(message));
}

void bh_gpadl_teardown(struct bh_vmbus *bus, const struct vmbus_gpadl_teardown *request)
{
    struct bh_gpadl *gpadl = find_id(bus, request->gpadl);
    struct bh_vmbus_channel *channel;

    if (gpadl == NULL || gpadl->relid != request->relid || gpadl->doomed)
        return;
    channel = bh_channel_find(bus, request->relid);
    if (channel != NULL && channel->pages == gpadl)
        bh_channel_close(channel); /* a guest that did not close it first */
    gpadl->doomed = true;
    bus->gpadl_doomed++;
    bh_gpadl_finish(bus);
}

void bh_gpadl_finish(struct bh_vmbus *bus)
{
    for (uint32_t i = 0; i < BH_VMBUS_GPADLS_MAX && bus->gpadl_doomed > 0; i++) {
        struct bh_gpadl *gpadl = &bus->gpadl[i];
        const struct bh_vmbus_channel *channel;

        if (gpadl->relid == 0 || !gpadl->doomed)
            continue;
        channel = bh_channel_find(bus, gpadl->relid);
        if (channel == NULL || channel->holds == 0)
            finish(bus, gpadl);
    }
}

void bh_gpadl_forget(struct bh_vmbus *bus, uint32_t relid)
{
    for (uint32_t i = 0; i < BH_VMBUS_GPADLS_MAX; i++) {
        struct bh_gpadl *gpadl = &bus->gpadl[i];

        if (gpadl->relid != 0 && (relid == 0 || gpadl->relid == relid))
            drop(bus, gpadl);
    }
}

uint64_t bh_vmbus_gpadl_size(const struct bh_vmbus_channel *channel, uint32_t gpadl)
{
    const struct bh_vmbus_channel *owner =
        channel->device != NULL ? channel->device->primary : NULL;
    const struct bh_gpadl *found =
        owner != NULL ? bh_gpadl_find(channel->bus, owner->state.relid, gpadl) : NULL;

    return found != NULL ? found->byte_count : 0;
}

int bh_vmbus_gpadl_memory(const struct bh_vmbus_channel *channel, uint32_t gpadl, uint64_t offset,
                          uint64_t size, struct iovec *pieces, int max)
{
    uint64_t total = bh_vmbus_gpadl_size(channel, gpadl);
    const struct bh_gpadl *found;
    const uint64_t *pfn;
    int count = 0;

    if (total == 0 || offset > total || size > total - offset)
        return -1;
    found = bh_gpadl_find(channel->bus, channel->device->primary->state.relid, gpadl);
    pfn = channel->bus->journal->pfn + found->first;
    for (offset += found->byte_offset; size > 0;) {
        uint64_t within = offset % VMBUS_PAGE_SIZE;
        uint64_t length = size < VMBUS_PAGE_SIZE - within ? size : VMBUS_PAGE_SIZE - within;
        uint64_t gpa = pfn[offset / VMBUS_PAGE_SIZE] * VMBUS_PAGE_SIZE + within;

        if (!bh_pieces_add(channel->bus, pieces, max, &count, gpa, length))
            return -1;
        offset += length;
        size -= length;
    }
    return count;
}
