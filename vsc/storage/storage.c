/* SPDX-License-Identifier: MIT */
#include "vsc/storage/storage.h"

#include <string.h>

#define CONTROL_ID 0xfffffffffffffffdull /* of requests that are no commands */

static const struct vmbus_guid scsi_class = VMBUS_CLASS_SCSI;

/* --- answers ------------------------------------------------------------------------------ */

static void finish(struct vsc_storage *storage, uint64_t id, const struct storvsc_packet *packet)
{
    const struct storvsc_srb *srb = &packet->srb;
    struct vsc_request *request = storage->slot[id];

    if (request == NULL)
        return;
    storage->slot[id] = NULL;
    storage->running--;
    request->srb_status = srb->srb_status;
    request->scsi_status = srb->scsi_status;
    request->transferred = srb->transfer_length;
    request->sense_length = 0;
    if ((srb->srb_status & SRB_AUTOSENSE_VALID) != 0) {
        request->sense_length =
            srb->sense_length < STORVSC_SENSE_SIZE ? srb->sense_length : STORVSC_SENSE_SIZE;
        memcpy(request->sense, srb->sense, sizeof(request->sense));
    }
    request->finished = true;
    if (request->done != NULL)
        request->done(request);
}

static void serve(struct vsc_storage *storage, const struct vsc_packet *packet)
{
    uint64_t id = packet->descriptor.transaction;
    struct storvsc_packet message;

    if (packet->payload_size < sizeof(message))
        return;
    memcpy(&message, packet->payload, sizeof(message));
    if (packet->descriptor.type != VMBUS_PACKET_COMPLETION) {
        storage->rescan_wanted =
            storage->rescan_wanted || message.operation == STORVSC_ENUMERATE_BUS;
    } else if (id == CONTROL_ID) {
        storage->answer = message;
        storage->answered = true;
    } else if (id >= 1 && id <= VSC_STORAGE_DEPTH) {
        finish(storage, id - 1, &message);
    }
}

static void on_ready(void *context, struct vsc_channel *channel)
{
    uint64_t buffer[16];
    struct vsc_packet packet;

    while (vsc_channel_read(channel, buffer, sizeof(buffer), &packet))
        serve(context, &packet);
}

/* --- initialization ----------------------------------------------------------------------- */

bool vsc_storage_control(struct vsc_storage *storage, struct storvsc_packet *packet)
{
    uint64_t deadline = vsc_bus_deadline(storage->bus, VSC_PATIENCE);
    struct vsc_message message = {.transaction = CONTROL_ID,
                                  .type = VMBUS_PACKET_INBAND,
                                  .flags = VMBUS_PACKET_WANTS_COMPLETION,
                                  .payload = packet,
                                  .size = sizeof(*packet)};

    packet->flags = 1; /* an answer is wanted */
    storage->answered = false;
    if (!vsc_channel_send(&storage->channel[0], &message))
        return false;
    vsc_channel_flush(&storage->channel[0]);
    while (!storage->answered)
        if (!vsc_bus_wait(storage->bus, deadline) && !storage->answered)
            return false;
    *packet = storage->answer;
    return packet->operation == STORVSC_COMPLETE_IO && packet->status == STORVSC_STATUS_OK;
}

static bool agree_on_version(struct vsc_storage *storage)
{
    static const uint16_t versions[] = {STORVSC_VERSION_6_2, STORVSC_VERSION_6_0,
                                        STORVSC_VERSION_5_1};

    for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
        struct storvsc_packet packet = {.operation = STORVSC_QUERY_VERSION,
                                        .version = {.version = versions[i]}};

        storage->version = versions[i];
        if (vsc_storage_control(storage, &packet))
            return true;
    }
    return false;
}

static bool initialize(struct vsc_storage *storage)
{
    struct storvsc_packet begin = {.operation = STORVSC_BEGIN_INITIALIZATION};
    struct storvsc_packet query = {.operation = STORVSC_QUERY_PROPERTIES};
    struct storvsc_packet end = {.operation = STORVSC_END_INITIALIZATION};

    if (!vsc_storage_control(storage, &begin) || !agree_on_version(storage) ||
        !vsc_storage_control(storage, &query))
        return false;
    storage->transfer_max = query.properties.transfer_max;
    storage->sub_channels_max = (query.properties.flags & STORVSC_MULTI_CHANNEL) != 0
                                    ? query.properties.sub_channels_max
                                    : 0;
    return vsc_storage_control(storage, &end);
}

static void set_up(struct vsc_storage *storage, uint32_t index)
{
    storage->channel[index].ready = on_ready;
    storage->channel[index].context = storage;
}

/* The relid of a sub-channel's offer, which comes behind the promise of it. */
static uint32_t await_offer(const struct vsc_storage *storage, uint16_t index)
{
    uint64_t deadline = vsc_bus_deadline(storage->bus, VSC_PATIENCE);
    uint32_t relid;

    while ((relid = vsc_bus_find(storage->bus, &scsi_class, index, 0)) == 0)
        if (!vsc_bus_wait(storage->bus, deadline))
            break;
    return relid;
}

static bool open_sub_channels(struct vsc_storage *storage, uint8_t *memory, uint32_t pages,
                              uint32_t count)
{
    struct storvsc_packet packet = {.operation = STORVSC_CREATE_SUB_CHANNELS,
                                    .sub_channels = (uint16_t)count};

    if (count == 0)
        return true;
    if (!vsc_storage_control(storage, &packet))
        return false;
    for (uint32_t i = 1; i <= count; i++) {
        uint32_t relid = await_offer(storage, (uint16_t)i);

        set_up(storage, i);
        if (relid == 0 ||
            !vsc_channel_open(&storage->channel[i], storage->bus, relid,
                              memory + (size_t)2 * i * pages * VMBUS_PAGE_SIZE, pages))
            return false;
        storage->channel_count = i + 1;
    }
    return true;
}

bool vsc_storage_open(struct vsc_storage *storage, struct vsc_bus *bus, void *memory,
                      uint32_t pages, uint32_t channels)
{
    uint32_t relid = vsc_bus_find(bus, &scsi_class, 0, 0);
    uint32_t more;

    memset(storage, 0, sizeof(*storage));
    storage->bus = bus;
    set_up(storage, 0);
    if (channels == 0 || channels > VSC_STORAGE_CHANNELS_MAX || relid == 0 ||
        !vsc_channel_open(&storage->channel[0], bus, relid, memory, pages))
        return false;
    storage->channel_count = 1;
    if (initialize(storage)) {
        more = channels - 1 < storage->sub_channels_max ? channels - 1 : storage->sub_channels_max;
        if (open_sub_channels(storage, memory, pages, more))
            return true;
    }
    (void)vsc_storage_close(storage);
    return false;
}

/* --- the end ------------------------------------------------------------------------------ */

/* The server takes sub-channels back when the primary is closed; their relids are given back. */
static bool release_sub_channels(const struct vsc_storage *storage)
{
    uint64_t deadline = vsc_bus_deadline(storage->bus, VSC_PATIENCE);
    bool good = true;

    for (uint32_t i = 1; i < storage->channel_count; i++) {
        uint32_t relid = storage->channel[i].relid;

        while (good && !storage->bus->slot[relid].rescinded)
            good = vsc_bus_wait(storage->bus, deadline);
        good = good && vsc_bus_release(storage->bus, relid);
    }
    return good;
}

bool vsc_storage_close(struct vsc_storage *storage)
{
    bool good = true;

    for (uint32_t i = storage->channel_count; i-- > 0;)
        good = vsc_channel_close(&storage->channel[i]) && good;
    good = release_sub_channels(storage) && good;
    storage->channel_count = 0;
    storage->running = 0;
    memset(storage->slot, 0, sizeof(storage->slot));
    return good;
}

/* --- commands ----------------------------------------------------------------------------- */

static uint32_t find_slot(const struct vsc_storage *storage)
{
    uint32_t slot = 0;

    while (slot < VSC_STORAGE_DEPTH && storage->slot[slot] != NULL)
        slot++;
    return slot;
}

static void fill_srb(struct storvsc_srb *srb, const struct vsc_request *request)
{
    *srb = (struct storvsc_srb){.length = sizeof(*srb),
                                .path = request->path,
                                .target = request->target,
                                .lun = request->lun,
                                .cdb_length = request->cdb_length,
                                .sense_length = STORVSC_SENSE_SIZE,
                                .direction = (uint8_t)request->direction,
                                .transfer_length = request->size,
                                .queue_tag = 0xff,
                                .timeout = 60};
    memcpy(srb->cdb, request->cdb, sizeof(srb->cdb));
}

bool vsc_storage_submit(struct vsc_storage *storage, uint32_t channel, struct vsc_request *request)
{
    uint32_t slot = find_slot(storage);
    struct storvsc_packet packet = {.operation = STORVSC_EXECUTE_SRB, .flags = 1};
    const struct vsc_message message = {.transaction = slot + 1,
                                        .type = VMBUS_PACKET_INBAND,
                                        .flags = VMBUS_PACKET_WANTS_COMPLETION,
                                        .payload = &packet,
                                        .size = sizeof(packet)};
    struct vsc_channel *on = &storage->channel[channel];
    bool sent;

    if (slot == VSC_STORAGE_DEPTH || channel >= storage->channel_count)
        return false;
    fill_srb(&packet.srb, request);
    request->finished = false;
    sent = request->size != 0 ? vsc_channel_send_range(on, &message, request->data, request->size)
                              : vsc_channel_send(on, &message);
    if (sent) {
        storage->slot[slot] = request;
        storage->running++;
    }
    return sent;
}

void vsc_storage_flush(struct vsc_storage *storage, uint32_t channel)
{
    vsc_channel_flush(&storage->channel[channel]);
}

bool vsc_storage_execute(struct vsc_storage *storage, struct vsc_request *request)
{
    uint64_t deadline = vsc_bus_deadline(storage->bus, VSC_PATIENCE);

    if (!vsc_storage_submit(storage, 0, request))
        return false;
    vsc_storage_flush(storage, 0);
    while (!request->finished)
        if (!vsc_bus_wait(storage->bus, deadline) && !request->finished)
            return false;
    return true;
}
