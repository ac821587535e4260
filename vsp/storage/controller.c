/* SPDX-License-Identifier: MIT */
#include "vsp/storage/controller.h"

#include <stdlib.h>
#include <string.h>

#include "vsp/bus/channel.h"
#include "vsp/protocol/storvsc.h"

#define REQUESTS   512u /* at a time; more stay in the rings */
#define RANGES_MAX 3968u

/*
 * A request as the journal keeps it, from the round that took it until the one that answered it.
 * One that another process had taken and not answered is begun again: what was done of it so far
 * is done again, with the same data, since the guest waits for the answer.
 */
struct slot {
    uint64_t taken;    /* round; 0: never used */
    uint64_t answered; /* round; 0: not yet */
    uint64_t transaction;
    uint32_t channel; /* its index */
    uint32_t type;
    uint32_t range_count;
    uint32_t range_bytes;
    struct storvsc_packet packet;
    uint8_t ranges[RANGES_MAX];
};
_Static_assert(sizeof(struct slot) <= 4096, "a page");
_Static_assert(REQUESTS * 4096u <= BH_VMBUS_SPACE, "the device's space");

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

/* One packet of the guest, from its arrival until its answer is in the ring. */
struct request {
    struct bh_scsi_request scsi;
    struct bh_controller *controller;
    struct bh_vmbus_channel *channel;
    struct request *next; /* in a list: free, or answers without room */
    struct slot *slot;
    uint64_t transaction;
    struct storvsc_packet packet;
    struct iovec pieces[BH_SCSI_PIECES_MAX];
};

/* Of an open channel, by its index. */
struct queue {
    struct bh_vmbus_channel *channel;
    struct request *first; /* answers that found no room, in order */
    struct request **last;
};

struct bh_controller {
    struct bh_vmbus *bus;
    struct bh_vmbus_device *device;
    struct bh_disk *lun[BH_CONTROLLER_LUNS];
    struct queue queue[1 + BH_CONTROLLER_SUB_CHANNELS];
    bool ready; /* the guest has finished initialization */
    bool rescan_wanted;
    const struct bh_vmbus_channel *serving; /* the bus flushes it afterwards */
    const uint64_t *round;                  /* the last that is whole */
    struct request *free;                   /* the one that was put back first, */
    struct request **last_free;
    bool starved; /* a channel stopped because there was no free request */
    struct request request[REQUESTS];
};

static struct queue *queue_of(struct bh_controller *controller,
                              const struct bh_vmbus_channel *channel)
{
    return &controller->queue[bh_vmbus_channel_index(channel)];
}

/* --- answers ------------------------------------------------------------------------------ */

static void put_back(struct request *request)
{
    struct bh_controller *controller = request->controller;
    struct bh_vmbus_channel *channel = request->channel;

    if (request->slot->answered == 0) /* nobody waits for an answer any more */
        request->slot->answered = *controller->round + 1;
    request->next = NULL;
    *controller->last_free = request;
    controller->last_free = &request->next;
    bh_vmbus_channel_release(channel);
    if (!controller->starved)
        return;
    controller->starved = false;
    for (unsigned i = 0; i <= BH_CONTROLLER_SUB_CHANNELS; i++)
        if (controller->queue[i].channel != NULL)
            bh_vmbus_channel_kick(controller->queue[i].channel);
}

static bool write_answer(const struct request *request)
{
    if (!bh_vmbus_channel_complete(request->channel, request->transaction, &request->packet,
                                   sizeof(request->packet)))
        return false;
    request->slot->answered = *request->controller->round + 1;
    return true;
}

/* Answers keep their order: one that waits holds up those behind it. */
static void answer(struct request *request)
{
    struct queue *queue = queue_of(request->controller, request->channel);

    request->packet.operation = STORVSC_COMPLETE_IO;
    request->next = NULL;
    if (queue->channel == NULL || (queue->first == NULL && write_answer(request))) {
        if (request->controller->serving != request->channel)
            bh_vmbus_channel_flush(request->channel);
        put_back(request);
        return;
    }
    *queue->last = request;
    queue->last = &request->next;
}

/* False when there is still no room. */
static bool write_waiting(struct queue *queue)
{
    while (queue->first != NULL) {
        struct request *request = queue->first;

        if (!write_answer(request))
            return false;
        queue->first = request->next;
        if (queue->first == NULL)
            queue->last = &queue->first;
        put_back(request);
    }
    return true;
}

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
    struct request *request = (struct request *)scsi;
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
    answer(request);
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

static void execute(struct bh_controller *controller, struct request *request)
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
        answer(request);
    }
}

static void refuse(struct request *request)
{
    request->packet.srb.srb_status = SRB_INVALID_REQUEST;
    request->packet.srb.scsi_status = SCSI_GOOD;
    request->packet.srb.transfer_length = 0;
    answer(request);
}

/* The CDB's bytes behind its length are zero, whatever the guest left there. */
static void execute_srb(struct bh_controller *controller, struct request *request,
                        const struct bh_vmbus_packet *packet)
{
    struct storvsc_srb *srb = &request->packet.srb;
    struct bh_scsi_request *scsi = &request->scsi;

    scsi->done = on_scsi_done;
    scsi->pieces = request->pieces;
    scsi->size = packet->range_bytes;
    scsi->count = 0;
    if (bh_vmbus_packet_ranges_size(packet) > RANGES_MAX) {
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

static void answer_status(struct request *request, bool good)
{
    request->packet.status = good ? STORVSC_STATUS_OK : STORVSC_STATUS_FAILED;
    answer(request);
}

static bool speaks(uint16_t version)
{
    return version == STORVSC_VERSION_6_2 || version == STORVSC_VERSION_6_0 ||
           version == STORVSC_VERSION_5_1;
}

static void serve(struct bh_controller *controller, struct request *request,
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

/* A request whose answer is not committed yet would be lost with its slot. */
static bool has_free(const struct bh_controller *controller)
{
    return controller->free != NULL && (controller->free->slot->answered <= *controller->round ||
                                        controller->free->slot->taken > *controller->round);
}

static struct request *take_free(struct bh_controller *controller, struct bh_vmbus_channel *channel)
{
    struct request *request = controller->free;

    controller->free = request->next;
    if (controller->free == NULL)
        controller->last_free = &controller->free;
    request->channel = channel;
    bh_vmbus_channel_hold(channel);
    return request;
}

/* Writes a packet down; `taken` last, as the round it belongs to. */
static void write_down(struct request *request, const struct bh_vmbus_packet *packet)
{
    struct slot *slot = request->slot;
    uint32_t size = bh_vmbus_packet_ranges_size(packet);

    slot->taken = UINT64_MAX;
    __atomic_signal_fence(__ATOMIC_SEQ_CST); /* the end of the process may come like a signal */
    slot->answered = 0;
    slot->transaction = packet->transaction;
    slot->channel = bh_vmbus_channel_index(request->channel);
    slot->type = packet->type;
    slot->range_count = packet->range_count;
    slot->range_bytes = packet->range_bytes;
    slot->packet = request->packet;
    if (size <= sizeof(slot->ranges) && size > 0)
        memcpy(slot->ranges, packet->ranges, size);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    slot->taken = *request->controller->round + 1;
}

/* Without a free request packets stay in the ring. */
static void serve_packets(struct bh_controller *controller, struct bh_vmbus_channel *channel)
{
    struct bh_vmbus_packet packet;
    struct request *request;

    while (queue_of(controller, channel)->first == NULL) {
        if (!has_free(controller)) {
            if (controller->free != NULL)
                bh_vmbus_channel_kick(channel);
            controller->starved = controller->free == NULL;
            return;
        }
        if (!bh_vmbus_channel_read(channel, &packet))
            return;
        if (packet.type == VMBUS_PACKET_COMPLETION || packet.size < sizeof(request->packet))
            continue; /* an answer to ENUMERATE_BUS, or nothing we could answer */
        request = take_free(controller, channel);
        request->transaction = packet.transaction;
        memcpy(&request->packet, packet.payload, sizeof(request->packet));
        write_down(request, &packet);
        serve(controller, request, &packet);
    }
}

/* --- the provider ------------------------------------------------------------------------- */

static bool on_opened(void *context, struct bh_vmbus_channel *channel, const uint8_t user[120])
{
    struct bh_controller *controller = context;
    struct queue *queue = queue_of(controller, channel);

    (void)user;
    queue->channel = channel;
    queue->first = NULL;
    queue->last = &queue->first;
    if (bh_vmbus_channel_index(channel) == 0)
        controller->ready = false;
    for (unsigned i = 0; i < REQUESTS; i++) /* of a channel of before: none is held */
        if (controller->request[i].slot->channel == bh_vmbus_channel_index(channel))
            controller->request[i].slot->taken = 0;
    return true;
}

static void on_closed(void *context, struct bh_vmbus_channel *channel)
{
    struct bh_controller *controller = context;
    struct queue *queue = queue_of(controller, channel);

    queue->channel = NULL;
    while (queue->first != NULL) {
        struct request *request = queue->first;

        queue->first = request->next;
        put_back(request);
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
    if (write_waiting(queue_of(controller, channel))) {
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

static bool is_open(const struct slot *slot, uint64_t round)
{
    return slot->taken != 0 && slot->taken <= round &&
           (slot->answered == 0 || slot->answered > round);
}

/* Begins a request of another process again. */
static void repeat(struct request *request)
{
    const struct slot *slot = request->slot;
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

/* Takes the requests of this channel that are open out of the list of the free ones. */
static struct request *take_open(struct bh_controller *controller, struct bh_vmbus_channel *channel)
{
    uint32_t index = bh_vmbus_channel_index(channel);
    struct request **at = &controller->free;
    struct request *taken = NULL;

    while (*at != NULL) {
        struct request *request = *at;

        if (!is_open(request->slot, *controller->round) || request->slot->channel != index) {
            at = &request->next;
            continue;
        }
        *at = request->next;
        request->next = taken;
        taken = request;
        request->channel = channel;
        bh_vmbus_channel_hold(channel);
    }
    controller->last_free = at;
    return taken;
}

static bool on_resumed(void *context, struct bh_vmbus_channel *channel)
{
    struct bh_controller *controller = context;
    const struct saved *saved = bh_vmbus_device_saved(controller->device);
    struct queue *queue = queue_of(controller, channel);

    queue->channel = channel;
    if (saved == NULL)
        return false;
    controller->ready = saved->ready;
    controller->rescan_wanted = saved->rescan_wanted;
    for (struct request *request = take_open(controller, channel), *next; request != NULL;
         request = next) {
        next = request->next;
        repeat(request);
    }
    kick_disks(controller);
    return true;
}

static const struct bh_vmbus_provider provider = {on_opened, on_closed, on_ready, save, on_resumed};

/* --- life --------------------------------------------------------------------------------- */

/* All requests are free; each has a slot of the device's space. */
static void lay_out(struct bh_controller *controller)
{
    uint8_t *space = bh_vmbus_device_space(controller->device);

    controller->last_free = &controller->free;
    for (unsigned i = 0; i < REQUESTS; i++) {
        struct request *request = &controller->request[i];

        request->controller = controller;
        request->slot = (struct slot *)(void *)(space + (size_t)i * 4096u);
        if (request->slot->taken > *controller->round) /* in a round that never was */
            request->slot->taken = 0;
        *controller->last_free = request;
        controller->last_free = &request->next;
    }
}

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
    controller->device = bh_vmbus_device_add(bus, &identity, &provider, controller);
    if (controller->device == NULL) {
        free(controller);
        return NULL;
    }
    lay_out(controller);
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
