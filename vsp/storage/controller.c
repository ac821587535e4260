/* SPDX-License-Identifier: MIT */
#include "vsp/storage/controller.h"

#include <stdlib.h>
#include <string.h>

#include "vsp/storage/controller_parts.h"

/* What the journal keeps of the controller itself. */
struct saved {
    bool ready;
    bool rescan_wanted;
    struct {
        char id[32]; /* empty: there is no disk */
        uint32_t attention;
        bool locked;
    } lun[BH_CONTROLLER_LUNS];
};
_Static_assert(sizeof(struct saved) <= BH_VMBUS_STATE_MAX, "the device's state");

/* --- SCSI --------------------------------------------------------------------------------- */

/* These Linux takes for good whatever the status says: the data must not be old memory. */
static bool is_taken_for_good(uint8_t operation)
{
    return operation == SCSI_INQUIRY || operation == SCSI_MODE_SENSE_6 ||
           operation == SCSI_MODE_SENSE_10;
}

static void on_scsi_done(struct bh_scsi_request *scsi)
{
    static const uint8_t zeros[256];
    struct bh_request *request = (struct bh_request *)scsi;
    struct storvsc_srb *srb = &request->packet.srb;

    srb->scsi_status = scsi->status;
    srb->srb_status = SRB_SUCCESS;
    srb->sense_length = 0;
    srb->transfer_length = scsi->transferred;
    if (scsi->status != SCSI_GOOD) {
        if (is_taken_for_good(scsi->cdb[0]))
            (void)bh_scsi_copy_out(scsi, zeros, sizeof(zeros));
        srb->srb_status = SRB_ERROR | SRB_AUTOSENSE_VALID;
        srb->sense_length = sizeof(scsi->sense);
        memset(srb->sense, 0, sizeof(srb->sense));
        memcpy(srb->sense, scsi->sense, sizeof(scsi->sense));
    }
    request->packet.status = STORVSC_STATUS_OK;
    bh_request_answer(request);
}

/* "No device here, and none can be": peripheral qualifier 3. */
static void inquire_nothing(struct bh_scsi_request *scsi)
{
    uint8_t data[36] = {0x7f, 0, 0x06, 0x02, sizeof(data) - 5};

    bh_scsi_reply(scsi, data, sizeof(data), bh_scsi_get16(scsi->cdb + 3));
}

/* The LUNs of target 0; other targets have none. */
static void report_luns(const struct bh_controller *controller, const struct storvsc_srb *srb,
                        struct bh_scsi_request *scsi)
{
    uint8_t data[8 + 8 * BH_CONTROLLER_LUNS] = {0};
    bool is_target = srb->path == 0 && srb->target == 0;
    uint32_t size = 0;

    for (unsigned i = 0; is_target && i < BH_CONTROLLER_LUNS; i++) {
        if (controller->lun[i] == NULL)
            continue;
        data[8 + size + 1] = (uint8_t)i;
        size += 8;
    }
    bh_scsi_put32(data, size);
    bh_scsi_reply(scsi, data, 8 + size, bh_scsi_get32(scsi->cdb + 6));
}

static void execute(struct bh_controller *controller, struct bh_request *request)
{
    const struct storvsc_srb *srb = &request->packet.srb;
    struct bh_disk *disk = NULL;

    if (srb->path == 0 && srb->target == 0 && srb->lun < BH_CONTROLLER_LUNS)
        disk = controller->lun[srb->lun];
    if (request->scsi.cdb[0] == SCSI_REPORT_LUNS) {
        report_luns(controller, srb, &request->scsi);
    } else if (disk != NULL) {
        bh_disk_execute(disk, &request->scsi);
    } else if (request->scsi.cdb[0] == SCSI_INQUIRY) {
        inquire_nothing(&request->scsi);
    } else {
        request->packet.srb.srb_status = SRB_INVALID_LUN;
        request->packet.srb.scsi_status = SCSI_GOOD;
        request->packet.srb.transfer_length = 0;
        bh_request_answer(request);
    }
}

static void refuse(struct bh_request *request)
{
    request->packet.srb.srb_status = SRB_INVALID_REQUEST;
    request->packet.srb.scsi_status = SCSI_GOOD;
    request->packet.srb.transfer_length = 0;
    bh_request_answer(request);
}

/* The CDB's bytes behind its length are zero, whatever the guest left there. */
static void execute_srb(struct bh_controller *controller, struct bh_request *request,
                        const struct bh_vmbus_packet *packet)
{
    struct storvsc_srb *srb = &request->packet.srb;
    struct bh_scsi_request *scsi = &request->scsi;

    scsi->done = on_scsi_done;
    scsi->pieces = request->pieces;
    scsi->size = packet->range_bytes;
    scsi->count = 0;
    if (bh_vmbus_packet_ranges_size(packet) > BH_REQUEST_RANGES_MAX) {
        refuse(request);
        return;
    }
    if (!controller->ready || srb->cdb_length == 0 || srb->cdb_length > STORVSC_CDB_SIZE ||
        srb->direction > STORVSC_NO_DATA || packet->range_bytes > BH_SCSI_TRANSFER_MAX) {
        refuse(request);
        return;
    }
    if (packet->type == VMBUS_PACKET_GPA_DIRECT)
        scsi->count = bh_vmbus_packet_memory(request->channel, packet, request->pieces,
                                             (int)BH_SCSI_PIECES_MAX);
    if (scsi->count < 0) {
        refuse(request);
        return;
    }
    scsi->direction = (enum bh_scsi_direction)srb->direction;
    memset(scsi->cdb, 0, sizeof(scsi->cdb));
    memcpy(scsi->cdb, srb->cdb, srb->cdb_length);
    execute(controller, request);
}

/* --- the protocol ------------------------------------------------------------------------- */

static void answer_status(struct bh_request *request, bool good)
{
    request->packet.status = good ? STORVSC_STATUS_OK : STORVSC_STATUS_FAILED;
    bh_request_answer(request);
}

static bool speaks(uint16_t version)
{
    return version == STORVSC_VERSION_6_2 || version == STORVSC_VERSION_6_0 ||
           version == STORVSC_VERSION_5_1;
}

static void serve(struct bh_controller *controller, struct bh_request *request,
                  const struct bh_vmbus_packet *packet)
{
    bool is_primary = bh_vmbus_channel_index(request->channel) == 0;

    switch (request->packet.operation) {
    case STORVSC_EXECUTE_SRB:
        execute_srb(controller, request, packet);
        return;
    case STORVSC_BEGIN_INITIALIZATION:
        controller->ready = controller->ready && !is_primary;
        answer_status(request, is_primary);
        return;
    case STORVSC_QUERY_VERSION:
        answer_status(request, speaks(request->packet.version.version));
        return;
    case STORVSC_QUERY_PROPERTIES:
        request->packet.properties =
            (struct storvsc_properties){.sub_channels_max = BH_CONTROLLER_SUB_CHANNELS,
                                        .flags = STORVSC_MULTI_CHANNEL,
                                        .transfer_max = BH_SCSI_TRANSFER_MAX};
        answer_status(request, true);
        return;
    case STORVSC_END_INITIALIZATION:
        controller->ready = controller->ready || is_primary;
        answer_status(request, is_primary);
        return;
    case STORVSC_CREATE_SUB_CHANNELS:
        answer_status(request, is_primary && controller->ready &&
                                   request->packet.sub_channels <= BH_CONTROLLER_SUB_CHANNELS &&
                                   bh_vmbus_device_offer_sub_channels(
                                       controller->device, request->packet.sub_channels));
        return;
    case STORVSC_RESET_LUN:
    case STORVSC_RESET_ADAPTER:
    case STORVSC_RESET_BUS: /* what runs ends by itself; the guest waits for it */
        answer_status(request, true);
        return;
    default:
        answer_status(request, false);
        return;
    }
}

/* Guests look for devices again; one that has not come so far will look anyway. */
static void ask_for_rescan(struct bh_controller *controller)
{
    const struct storvsc_packet packet = {.operation = STORVSC_ENUMERATE_BUS};
    struct bh_vmbus_channel *channel = controller->queue[0].channel;

    if (!controller->ready || channel == NULL)
        return;
    controller->rescan_wanted = !bh_vmbus_channel_send(channel, 0, 0, &packet, sizeof(packet));
    if (controller->serving != channel)
        bh_vmbus_channel_flush(channel);
}

static void kick_disks(const struct bh_controller *controller)
{
    for (unsigned i = 0; i < BH_CONTROLLER_LUNS; i++)
        if (controller->lun[i] != NULL)
            bh_disk_kick(controller->lun[i]);
}

/* Without a free request packets stay in the ring. */
static void serve_packets(struct bh_controller *controller, struct bh_vmbus_channel *channel)
{
    struct bh_vmbus_packet packet;
    struct bh_request *request;

    while (bh_queue_of(controller, channel)->first == NULL) {
        if (!bh_request_is_free(controller)) {
            if (controller->free != NULL)
                bh_vmbus_channel_kick(channel);
            controller->starved = controller->free == NULL;
            return;
        }
        if (!bh_vmbus_channel_read(channel, &packet))
            return;
        if (packet.type == VMBUS_PACKET_COMPLETION || packet.size < sizeof(request->packet))
            continue; /* an answer to ENUMERATE_BUS, or nothing we could answer */
        request = bh_request_take(controller, channel, &packet);
        serve(controller, request, &packet);
    }
}

/* --- the provider ------------------------------------------------------------------------- */

static bool on_opened(void *context, struct bh_vmbus_channel *channel, const uint8_t user[120])
{
    struct bh_controller *controller = context;
    struct bh_queue *queue = bh_queue_of(controller, channel);

    (void)user;
    queue->channel = channel;
    queue->first = NULL;
    queue->last = &queue->first;
    if (bh_vmbus_channel_index(channel) == 0)
        controller->ready = false;
    for (unsigned i = 0; i < BH_REQUESTS; i++) /* of a channel of before: none is held */
        if (controller->request[i].slot->channel == bh_vmbus_channel_index(channel))
            controller->request[i].slot->taken = 0;
    return true;
}

static void on_closed(void *context, struct bh_vmbus_channel *channel)
{
    struct bh_controller *controller = context;
    struct bh_queue *queue = bh_queue_of(controller, channel);

    queue->channel = NULL;
    while (queue->first != NULL) {
        struct bh_request *request = queue->first;

        queue->first = request->next;
        bh_request_put_back(request);
    }
    queue->last = &queue->first;
    /* Sub-channels are closed before the primary: nobody waits for an answer any more. */
    for (unsigned i = 0; bh_vmbus_channel_index(channel) == 0 && i < BH_CONTROLLER_LUNS; i++)
        if (controller->lun[i] != NULL)
            bh_disk_abandon(controller->lun[i]);
}

static void on_ready(void *context, struct bh_vmbus_channel *channel)
{
    struct bh_controller *controller = context;

    controller->serving = channel;
    if (bh_queue_write_waiting(bh_queue_of(controller, channel))) {
        if (controller->rescan_wanted)
            ask_for_rescan(controller);
        serve_packets(controller, channel);
    }
    controller->serving = NULL;
    kick_disks(controller);
}

/* --- going on in another process ---------------------------------------------------------- */

static void save(void *context, void *state)
{
    const struct bh_controller *controller = context;
    struct saved *saved = state;

    saved->ready = controller->ready;
    saved->rescan_wanted = controller->rescan_wanted;
    for (unsigned i = 0; i < BH_CONTROLLER_LUNS; i++) {
        saved->lun[i].id[0] = '\0';
        if (controller->lun[i] == NULL)
            continue;
        memcpy(saved->lun[i].id, bh_disk_id(controller->lun[i]), sizeof(saved->lun[i].id));
        saved->lun[i].attention = bh_disk_attention(controller->lun[i], &saved->lun[i].locked);
    }
}

/* Begins a request of another process again. */
static void repeat(struct bh_request *request)
{
    const struct bh_slot *slot = request->slot;
    const struct bh_vmbus_packet packet = {.transaction = slot->transaction,
                                           .type = (uint16_t)slot->type,
                                           .size = sizeof(slot->packet),
                                           .payload = (const uint8_t *)&slot->packet,
                                           .range_count = slot->range_count,
                                           .range_bytes = slot->range_bytes,
                                           .ranges = slot->ranges};

    request->slot->answered = 0;
    request->transaction = slot->transaction;
    request->packet = slot->packet;
    serve(request->controller, request, &packet);
}

/* Disks came or went when nobody could tell the guest. */
static bool has_changed(const struct bh_controller *controller, const struct saved *saved)
{
    for (unsigned i = 0; i < BH_CONTROLLER_LUNS; i++)
        if ((controller->lun[i] != NULL) != (saved->lun[i].id[0] != '\0') ||
            (controller->lun[i] != NULL && strncmp(bh_disk_id(controller->lun[i]), saved->lun[i].id,
                                                   sizeof(saved->lun[i].id)) != 0))
            return true;
    return false;
}

static bool on_resumed(void *context, struct bh_vmbus_channel *channel)
{
    struct bh_controller *controller = context;
    const struct saved *saved = bh_vmbus_device_saved(controller->device);
    struct bh_queue *queue = bh_queue_of(controller, channel);

    queue->channel = channel;
    if (saved == NULL)
        return false;
    controller->ready = saved->ready;
    controller->rescan_wanted = saved->rescan_wanted || has_changed(controller, saved);
    for (struct bh_request *request = bh_request_take_open(controller, channel), *next;
         request != NULL; request = next) {
        next = request->next;
        repeat(request);
    }
    kick_disks(controller);
    return true;
}

static const struct bh_vmbus_provider provider = {on_opened, on_closed, on_ready, save, on_resumed};

/* --- life --------------------------------------------------------------------------------- */

struct bh_controller *bh_controller_create(struct bh_vmbus *bus, const char *vm)
{
    const struct bh_vmbus_identity identity = {VMBUS_CLASS_SCSI, bh_vmbus_instance(vm, "scsi0")};
    struct bh_controller *controller = calloc(1, sizeof(*controller));

    if (controller == NULL)
        return NULL;
    controller->bus = bus;
    for (unsigned i = 0; i <= BH_CONTROLLER_SUB_CHANNELS; i++)
        controller->queue[i].last = &controller->queue[i].first;
    controller->round = bh_vmbus_round(bus);
    controller->kept = bh_vmbus_is_kept(bus);
    controller->device = bh_vmbus_device_add(bus, &identity, &provider, controller);
    if (controller->device == NULL) {
        free(controller);
        return NULL;
    }
    bh_request_lay_out(controller);
    return controller;
}

void bh_controller_destroy(struct bh_controller *controller)
{
    if (controller == NULL)
        return;
    bh_vmbus_device_remove(controller->device);
    for (unsigned i = 0; i < BH_CONTROLLER_LUNS; i++)
        bh_disk_destroy(controller->lun[i]);
    free(controller);
}

/* A disk that another process had gets its LUN again, and is what it was. */
static bool add_again(struct bh_controller *controller, struct bh_disk *disk)
{
    const struct saved *saved = bh_vmbus_device_saved(controller->device);

    for (unsigned i = 0; saved != NULL && i < BH_CONTROLLER_LUNS; i++) {
        if (controller->lun[i] != NULL ||
            strncmp(bh_disk_id(disk), saved->lun[i].id, sizeof(saved->lun[i].id)) != 0)
            continue;
        controller->lun[i] = disk;
        bh_disk_set_attention(disk, saved->lun[i].attention, saved->lun[i].locked);
        return true;
    }
    return false;
}

bool bh_controller_add(struct bh_controller *controller, struct bh_disk *disk)
{
    if (add_again(controller, disk))
        return true;
    for (unsigned i = 0; i < BH_CONTROLLER_LUNS; i++) {
        if (controller->lun[i] != NULL)
            continue;
        controller->lun[i] = disk;
        ask_for_rescan(controller);
        return true;
    }
    return false;
}

struct bh_disk *bh_controller_find(const struct bh_controller *controller, const char *id)
{
    for (unsigned i = 0; i < BH_CONTROLLER_LUNS; i++)
        if (controller->lun[i] != NULL && strcmp(bh_disk_id(controller->lun[i]), id) == 0)
            return controller->lun[i];
    return NULL;
}

void bh_controller_remove(struct bh_controller *controller, struct bh_disk *disk)
{
    for (unsigned i = 0; i < BH_CONTROLLER_LUNS; i++)
        if (controller->lun[i] == disk)
            controller->lun[i] = NULL;
    bh_disk_destroy(disk);
    ask_for_rescan(controller);
}
