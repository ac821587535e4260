/* SPDX-License-Identifier: MIT */
#include "vsc/network/network.h"

#include <string.h>

#include "vsp/protocol/ndis.h"

#define CONTROL_ID 0xffffffff00000001ull /* of NVSP messages */
#define REQUEST_ID 0xffffffff00000002ull /* of RNDIS requests */
#define MTU_FRAME  1514u
#define NO_ANSWER  RNDIS_FAILURE
#define PACKET_MAX 1024u /* bytes of a packet from the card: 64 ranges and a message */

static const struct vmbus_guid network_class = VMBUS_CLASS_NETWORK;

/* --- from the card ------------------------------------------------------------------------ */

static void take_completion(struct vsc_network *network, const struct vsc_rndis_message *message)
{
    uint32_t size =
        message->size < sizeof(network->answer) ? message->size : (uint32_t)sizeof(network->answer);

    if (message->request_id != network->request_id)
        return;
    if (size != 0)
        memcpy(network->answer, message->data, size);
    network->answer_size = size;
    network->answer_status = message->status;
    network->answered = true;
}

static void take_message(struct vsc_network *network, const uint8_t *at, uint32_t length)
{
    struct vsc_rndis_message message;

    if (!vsc_rndis_parse(at, length, &message)) {
        network->malformed++;
    } else if (message.type == RNDIS_PACKET) {
        network->received(network->context, message.data, message.size);
    } else if (message.type == RNDIS_INDICATE_STATUS) {
        if (message.status == RNDIS_MEDIA_CONNECT || message.status == RNDIS_MEDIA_DISCONNECT)
            network->link = message.status == RNDIS_MEDIA_CONNECT;
    } else {
        take_completion(network, &message);
    }
}

static bool give_back(struct vsc_network *network, uint64_t transaction)
{
    const struct nvsp_message message = {.type = NVSP_SEND_RNDIS_PACKET_COMPLETE,
                                         .status = NVSP_SUCCESS};
    const struct vsc_message packet = {.transaction = transaction,
                                       .type = VMBUS_PACKET_COMPLETION,
                                       .payload = &message,
                                       .size = sizeof(message)};

    return vsc_channel_send(&network->channel, &packet);
}

static void pay_debts(struct vsc_network *network)
{
    while (network->owed_count != 0 && give_back(network, network->owed[network->owed_count - 1]))
        network->owed_count--;
}

/* A packet that names messages in the receive buffer. */
static void take_pages(struct vsc_network *network, const struct vsc_packet *packet)
{
    const uint8_t *at = packet->payload - (size_t)packet->descriptor.offset8 * 8;
    struct vmbus_transfer_header header;
    uint32_t head = sizeof(packet->descriptor) + (uint32_t)sizeof(header);
    uint32_t total = VSC_NETWORK_RECEIVE_PAGES * VMBUS_PAGE_SIZE;

    if (packet->size < head)
        return;
    memcpy(&header, at + sizeof(packet->descriptor), sizeof(header));
    for (uint32_t i = 0; i < header.range_count; i++) {
        struct vmbus_transfer_range range;

        if (head + (i + 1) * sizeof(range) > packet->size)
            break;
        memcpy(&range, at + head + i * sizeof(range), sizeof(range));
        if (range.byte_offset > total || range.byte_count > total - range.byte_offset)
            network->malformed++;
        else
            take_message(network, network->receive + range.byte_offset, range.byte_count);
    }
    if (!give_back(network, packet->descriptor.transaction) &&
        network->owed_count < VSC_NETWORK_OWED_MAX)
        network->owed[network->owed_count++] = packet->descriptor.transaction;
}

/* The end of something that was sent. */
static void take_end(struct vsc_network *network, const struct vsc_packet *packet)
{
    uint64_t id = packet->descriptor.transaction;
    struct nvsp_message message = {0};

    memcpy(&message, packet->payload,
           packet->payload_size < sizeof(message) ? packet->payload_size : sizeof(message));
    if (id == CONTROL_ID) {
        network->reply = message;
        network->replied = true;
    } else if (id == REQUEST_ID && message.status != NVSP_SUCCESS) {
        network->answer_status = NO_ANSWER;
        network->answered = true;
    } else if (id >= 1 && id <= network->section_count && network->section_used[id - 1]) {
        network->section_used[id - 1] = false;
        network->sections_free++;
        network->refused += message.status != NVSP_SUCCESS;
    }
}

static void on_ready(void *context, struct vsc_channel *channel)
{
    uint64_t buffer[PACKET_MAX / sizeof(uint64_t)];
    struct vsc_network *network = context;
    struct vsc_packet packet;

    pay_debts(network);
    while (vsc_channel_read(channel, buffer, sizeof(buffer), &packet)) {
        if (packet.descriptor.type == VMBUS_PACKET_TRANSFER_PAGES)
            take_pages(network, &packet);
        else if (packet.descriptor.type == VMBUS_PACKET_COMPLETION)
            take_end(network, &packet);
    }
}

/* --- NVSP --------------------------------------------------------------------------------- */

static bool wait_for(struct vsc_network *network, const bool *flag)
{
    uint64_t deadline = vsc_bus_deadline(network->bus, VSC_PATIENCE);

    vsc_channel_flush(&network->channel);
    while (!*flag)
        if (!vsc_bus_wait(network->bus, deadline) && !*flag)
            return false;
    return true;
}

/* A message that is completed, with or without a reply of its own. */
static bool ask(struct vsc_network *network, const struct nvsp_message *message)
{
    const struct vsc_message packet = {.transaction = CONTROL_ID,
                                       .type = VMBUS_PACKET_INBAND,
                                       .flags = VMBUS_PACKET_WANTS_COMPLETION,
                                       .payload = message,
                                       .size = sizeof(*message)};

    network->replied = false;
    return vsc_channel_send(&network->channel, &packet) && wait_for(network, &network->replied);
}

static bool agree_on_version(struct vsc_network *network)
{
    const struct nvsp_message init = {.type = NVSP_INIT,
                                      .init = {NVSP_VERSION_61, NVSP_VERSION_61}};
    const struct nvsp_message config = {
        .type = NVSP_SEND_NDIS_CONFIG,
        .ndis_config = {.mtu = MTU_FRAME, .capabilities = NVSP_CAPABILITY_IEEE8021Q}};
    const struct nvsp_message ndis = {.type = NVSP_SEND_NDIS_VERSION, .ndis_version = {6, 30}};

    if (!ask(network, &init) || network->reply.type != NVSP_INIT_COMPLETE ||
        network->reply.init_complete.status != NVSP_SUCCESS)
        return false;
    network->version = NVSP_VERSION_61;
    return ask(network, &config) && ask(network, &ndis);
}

static bool share_receive_buffer(struct vsc_network *network)
{
    struct nvsp_message message = {.type = NVSP_SEND_RECEIVE_BUFFER,
                                   .buffer = {.id = NVSP_RECEIVE_BUFFER_ID}};

    if (!vsc_gpadl_create(network->bus, network->channel.relid, network->receive,
                          VSC_NETWORK_RECEIVE_PAGES, &network->receive_gpadl))
        return false;
    message.buffer.gpadl = network->receive_gpadl;
    return ask(network, &message) && network->reply.type == NVSP_SEND_RECEIVE_BUFFER_COMPLETE &&
           network->reply.receive_buffer_complete.status == NVSP_SUCCESS &&
           network->reply.receive_buffer_complete.section_count == 1;
}

static bool share_send_buffer(struct vsc_network *network)
{
    struct nvsp_message message = {.type = NVSP_SEND_SEND_BUFFER,
                                   .buffer = {.id = NVSP_SEND_BUFFER_ID}};
    uint32_t size;
    uint32_t count;

    if (!vsc_gpadl_create(network->bus, network->channel.relid, network->send,
                          VSC_NETWORK_SEND_PAGES, &network->send_gpadl))
        return false;
    message.buffer.gpadl = network->send_gpadl;
    if (!ask(network, &message) || network->reply.type != NVSP_SEND_SEND_BUFFER_COMPLETE ||
        network->reply.send_buffer_complete.status != NVSP_SUCCESS)
        return false;
    size = network->reply.send_buffer_complete.section_size;
    if (size < VSC_NETWORK_FRAME_MAX + VSC_RNDIS_PACKET_HEAD)
        return false;
    count = VSC_NETWORK_SEND_PAGES * VMBUS_PAGE_SIZE / size;
    network->section_size = size;
    network->section_count = count < VSC_NETWORK_SECTIONS_MAX ? count : VSC_NETWORK_SECTIONS_MAX;
    network->sections_free = network->section_count;
    return true;
}

/* --- RNDIS -------------------------------------------------------------------------------- */

/* The request of `size` bytes that is in its page; its status. */
static uint32_t execute(struct vsc_network *network, uint32_t size)
{
    const struct nvsp_message message = {.type = NVSP_SEND_RNDIS_PACKET,
                                         .rndis = {NVSP_CHANNEL_CONTROL, NVSP_NO_SECTION, 0}};
    const struct vsc_message packet = {.transaction = REQUEST_ID,
                                       .flags = VMBUS_PACKET_WANTS_COMPLETION,
                                       .payload = &message,
                                       .size = sizeof(message)};

    network->answered = false;
    if (!vsc_channel_send_range(&network->channel, &packet, network->request, size) ||
        !wait_for(network, &network->answered))
        return NO_ANSWER;
    return network->answer_status;
}

uint32_t vsc_network_query(struct vsc_network *network, uint32_t oid)
{
    return execute(network, vsc_rndis_query(network->request, ++network->request_id, oid));
}

uint32_t vsc_network_set(struct vsc_network *network, uint32_t oid, uint32_t value)
{
    return execute(network, vsc_rndis_set(network->request, ++network->request_id, oid, &value,
                                          sizeof(value)));
}

static bool begin_rndis(struct vsc_network *network)
{
    uint32_t link;

    if (execute(network, vsc_rndis_initialize(network->request, ++network->request_id, 0x4000)) !=
            RNDIS_SUCCESS ||
        vsc_network_query(network, OID_802_3_PERMANENT_ADDRESS) != RNDIS_SUCCESS ||
        network->answer_size != sizeof(network->mac))
        return false;
    memcpy(network->mac, network->answer, sizeof(network->mac));
    if (vsc_network_query(network, OID_GEN_MEDIA_CONNECT_STATUS) != RNDIS_SUCCESS ||
        network->answer_size < sizeof(link))
        return false;
    memcpy(&link, network->answer, sizeof(link));
    network->link = link == 0; /* NdisMediaStateConnected */
    return vsc_network_set(network, OID_GEN_CURRENT_PACKET_FILTER,
                           NDIS_FILTER_DIRECTED | NDIS_FILTER_BROADCAST |
                               NDIS_FILTER_ALL_MULTICAST) == RNDIS_SUCCESS;
}

/* --- life --------------------------------------------------------------------------------- */

static bool start(struct vsc_network *network)
{
    return agree_on_version(network) && share_receive_buffer(network) &&
           share_send_buffer(network) && begin_rndis(network);
}

bool vsc_network_open(struct vsc_network *network, struct vsc_bus *bus, void *memory,
                      void (*received)(void *context, const uint8_t *frame, uint32_t size),
                      void *context)
{
    uint32_t relid = vsc_bus_find(bus, &network_class, 0, 0);
    uint8_t *pages = memory;

    memset(network, 0, sizeof(*network));
    network->bus = bus;
    network->receive = pages + (size_t)2 * VSC_NETWORK_RING_PAGES * VMBUS_PAGE_SIZE;
    network->send = network->receive + (size_t)VSC_NETWORK_RECEIVE_PAGES * VMBUS_PAGE_SIZE;
    network->request = network->send + (size_t)VSC_NETWORK_SEND_PAGES * VMBUS_PAGE_SIZE;
    network->received = received;
    network->context = context;
    network->channel.ready = on_ready;
    network->channel.context = network;
    if (relid == 0 ||
        !vsc_channel_open(&network->channel, bus, relid, memory, VSC_NETWORK_RING_PAGES))
        return false;
    if (start(network))
        return true;
    (void)vsc_network_close(network);
    return false;
}

static bool revoke(struct vsc_network *network, uint32_t type, uint16_t id)
{
    const struct nvsp_message message = {.type = type, .revoked_id = id};

    return ask(network, &message);
}

/* Buffers are taken back before the channel goes, and their memory is ours after that. */
bool vsc_network_close(struct vsc_network *network)
{
    uint32_t relid = network->channel.relid;
    bool good = revoke(network, NVSP_REVOKE_RECEIVE_BUFFER, NVSP_RECEIVE_BUFFER_ID) &&
                revoke(network, NVSP_REVOKE_SEND_BUFFER, NVSP_SEND_BUFFER_ID);

    good = vsc_channel_close(&network->channel) && good;
    if (network->receive_gpadl != 0)
        good = vsc_gpadl_teardown(network->bus, relid, network->receive_gpadl) && good;
    if (network->send_gpadl != 0)
        good = vsc_gpadl_teardown(network->bus, relid, network->send_gpadl) && good;
    return good;
}

/* --- frames out --------------------------------------------------------------------------- */

bool vsc_network_send(struct vsc_network *network, const void *frame, uint32_t size)
{
    uint32_t section = 0;
    struct nvsp_message message = {.type = NVSP_SEND_RNDIS_PACKET};
    struct vsc_message packet = {.type = VMBUS_PACKET_INBAND,
                                 .flags = VMBUS_PACKET_WANTS_COMPLETION,
                                 .payload = &message,
                                 .size = sizeof(message)};
    uint8_t *at;

    if (network->sections_free == 0 || size > VSC_NETWORK_FRAME_MAX)
        return false;
    while (network->section_used[section])
        section++;
    at = network->send + (size_t)section * network->section_size;
    vsc_rndis_packet(at, size);
    memcpy(at + VSC_RNDIS_PACKET_HEAD, frame, size);
    message.rndis =
        (struct nvsp_rndis_packet){NVSP_CHANNEL_DATA, section, VSC_RNDIS_PACKET_HEAD + size};
    packet.transaction = section + 1;
    if (!vsc_channel_send(&network->channel, &packet))
        return false;
    network->section_used[section] = true;
    network->sections_free--;
    return true;
}

void vsc_network_flush(struct vsc_network *network)
{
    vsc_channel_flush(&network->channel);
}
