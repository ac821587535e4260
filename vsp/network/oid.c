/* SPDX-License-Identifier: MIT */
#include "vsp/network/oid.h"

#include <string.h>

#include "vsp/protocol/ndis.h"
#include "vsp/protocol/nvsp.h"
#include "vsp/protocol/rndis.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define INDIRECTION_ENTRIES 128u
#define LSO_SIZE_MAX        65160u /* of a segment's payload: fits IPv4 with all its options */
#define MULTICAST_LIST_MAX  64u    /* addresses; the list itself is not kept, see set_multicast */
#define KNOWN_FILTERS                                                           \
    (NDIS_FILTER_DIRECTED | NDIS_FILTER_MULTICAST | NDIS_FILTER_ALL_MULTICAST | \
     NDIS_FILTER_BROADCAST | NDIS_FILTER_PROMISCUOUS)

/* --- queries ------------------------------------------------------------------------------ */

static uint32_t put(uint8_t *value, uint32_t *size, const void *data, size_t length)
{
    memcpy(value, data, length);
    *size = (uint32_t)length;
    return RNDIS_SUCCESS;
}

static uint32_t put_32(uint8_t *value, uint32_t *size, uint64_t number)
{
    uint32_t word = number < UINT32_MAX ? (uint32_t)number : UINT32_MAX;

    return put(value, size, &word, sizeof(word));
}

static uint32_t put_supported(uint8_t *value, uint32_t *size)
{
    static const uint32_t list[] = {
        OID_GEN_SUPPORTED_LIST,
        OID_GEN_HARDWARE_STATUS,
        OID_GEN_MEDIA_SUPPORTED,
        OID_GEN_MEDIA_IN_USE,
        OID_GEN_MAXIMUM_FRAME_SIZE,
        OID_GEN_LINK_SPEED,
        OID_GEN_TRANSMIT_BLOCK_SIZE,
        OID_GEN_RECEIVE_BLOCK_SIZE,
        OID_GEN_VENDOR_ID,
        OID_GEN_VENDOR_DESCRIPTION,
        OID_GEN_CURRENT_PACKET_FILTER,
        OID_GEN_MAXIMUM_TOTAL_SIZE,
        OID_GEN_MEDIA_CONNECT_STATUS,
        OID_GEN_VENDOR_DRIVER_VERSION,
        OID_GEN_XMIT_OK,
        OID_GEN_RCV_OK,
        OID_GEN_XMIT_ERROR,
        OID_GEN_RCV_ERROR,
        OID_GEN_RCV_NO_BUFFER,
        OID_GEN_RECEIVE_SCALE_CAPABILITIES,
        OID_GEN_RECEIVE_SCALE_PARAMETERS,
        OID_RNDIS_CONFIG_PARAMETER,
        OID_GEN_FRIENDLY_NAME,
        OID_802_3_PERMANENT_ADDRESS,
        OID_802_3_CURRENT_ADDRESS,
        OID_802_3_MULTICAST_LIST,
        OID_802_3_MAXIMUM_LIST_SIZE,
        OID_802_3_RCV_ERROR_ALIGNMENT,
        OID_802_3_XMIT_ONE_COLLISION,
        OID_802_3_XMIT_MORE_COLLISIONS,
        OID_TCP_OFFLOAD_CURRENT_CONFIG,
        OID_TCP_OFFLOAD_PARAMETERS,
        OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES,
    };

    _Static_assert(sizeof(list) <= BH_OID_SIZE_MAX, "the list fits a value");
    return put(value, size, list, sizeof(list));
}

/* In UTF-16. */
static uint32_t put_name(uint8_t *value, uint32_t *size, const char *name)
{
    uint32_t length = 0;

    for (; name[length / 2] != '\0' && length < 62; length += 2) {
        value[length] = (uint8_t)name[length / 2];
        value[length + 1] = 0;
    }
    *size = length;
    return RNDIS_SUCCESS;
}

/* Older clients take a shorter object. */
static uint32_t put_offload(uint8_t *value, uint32_t *size, uint32_t version)
{
    uint32_t length = NDIS_OFFLOAD_SIZE_6_0;
    struct ndis_offload offload = {
        .header = {.type = NDIS_TYPE_OFFLOAD, .revision = 1},
        .checksum =
            {
                .ip4_tx_encapsulation = NDIS_ENCAPSULATION_8023,
                .ip4_tx = NDIS_CHECKSUM_IP_OPTIONS | NDIS_CHECKSUM_TCP_OPTIONS | NDIS_CHECKSUM_TCP |
                          NDIS_CHECKSUM_UDP | NDIS_CHECKSUM_IP,
                .ip4_rx_encapsulation = NDIS_ENCAPSULATION_8023,
                .ip4_rx = NDIS_CHECKSUM_IP_OPTIONS | NDIS_CHECKSUM_TCP_OPTIONS | NDIS_CHECKSUM_TCP |
                          NDIS_CHECKSUM_UDP,
                .ip6_tx_encapsulation = NDIS_ENCAPSULATION_8023,
                .ip6_tx = NDIS_CHECKSUM_IP_OPTIONS | NDIS_CHECKSUM_TCP_OPTIONS | NDIS_CHECKSUM_TCP |
                          NDIS_CHECKSUM_UDP,
                .ip6_rx_encapsulation = NDIS_ENCAPSULATION_8023,
                .ip6_rx = NDIS_CHECKSUM_IP_OPTIONS | NDIS_CHECKSUM_TCP_OPTIONS | NDIS_CHECKSUM_TCP |
                          NDIS_CHECKSUM_UDP,
            },
        .lso = {.ip4_encapsulation = NDIS_ENCAPSULATION_8023,
                .ip4_max_size = LSO_SIZE_MAX,
                .ip4_min_segments = 2,
                .ip6_encapsulation = NDIS_ENCAPSULATION_8023,
                .ip6_max_size = LSO_SIZE_MAX,
                .ip6_min_segments = 2,
                .ip6_options = NDIS_LSO_IPV6_EXTENSIONS | NDIS_LSO_IPV6_TCP_OPTIONS},
        .rsc_ip4 = 1,
        .rsc_ip6 = 1,
    };

    if (version >= NVSP_VERSION_5) {
        offload.header.revision = 3;
        length = NDIS_OFFLOAD_SIZE_6_30;
    } else if (version >= NVSP_VERSION_4) {
        offload.header.revision = 2;
        length = NDIS_OFFLOAD_SIZE_6_1;
    }
    offload.header.size = (uint16_t)length;
    return put(value, size, &offload, length);
}

static uint32_t put_rss(uint8_t *value, uint32_t *size, uint32_t queues)
{
    const struct ndis_rss_capabilities rss = {
        .header = {NDIS_TYPE_RSS_CAPABILITIES, 2, sizeof(rss)},
        .flags = NDIS_HASH_TOEPLITZ | NDIS_RSS_CAPABILITY_TCP_IPV4 | NDIS_RSS_CAPABILITY_TCP_IPV6,
        .interrupt_messages = queues,
        .receive_queues = queues,
        .indirection_entries = INDIRECTION_ENTRIES,
    };

    return put(value, size, &rss, sizeof(rss));
}

static uint32_t query_counter(const struct bh_nic_stats *stats, uint32_t oid, uint8_t *value,
                              uint32_t *size)
{
    switch (oid) {
    case OID_GEN_XMIT_OK:
        return put_32(value, size, stats->tx_packets);
    case OID_GEN_RCV_OK:
        return put_32(value, size, stats->rx_packets);
    case OID_GEN_XMIT_ERROR:
        return put_32(value, size, stats->tx_dropped);
    case OID_GEN_RCV_NO_BUFFER:
        return put_32(value, size, stats->rx_dropped);
    case OID_GEN_RCV_ERROR:
    case OID_802_3_RCV_ERROR_ALIGNMENT:
    case OID_802_3_XMIT_ONE_COLLISION:
    case OID_802_3_XMIT_MORE_COLLISIONS:
        return put_32(value, size, 0);
    default:
        return RNDIS_NOT_SUPPORTED;
    }
}

uint32_t bh_oid_query(const struct bh_oid_card *card, const struct bh_nic_state *state,
                      uint32_t oid, uint8_t *value, uint32_t *size)
{
    static const char vendor[] = "Bulkhead network card";

    *size = 0;
    switch (oid) {
    case OID_GEN_SUPPORTED_LIST:
        return put_supported(value, size);
    case OID_GEN_HARDWARE_STATUS: /* ready */
    case OID_GEN_MEDIA_SUPPORTED: /* Ethernet */
    case OID_GEN_MEDIA_IN_USE:
        return put_32(value, size, 0);
    case OID_GEN_MAXIMUM_FRAME_SIZE:
        return put_32(value, size, card->options->mtu);
    case OID_GEN_MAXIMUM_TOTAL_SIZE:
    case OID_GEN_TRANSMIT_BLOCK_SIZE:
    case OID_GEN_RECEIVE_BLOCK_SIZE:
        return put_32(value, size, card->options->mtu + BH_ETHERNET_SIZE);
    case OID_GEN_LINK_SPEED: /* in 100 bit/s */
        return put_32(value, size, BH_NIC_SPEED / 100);
    case OID_GEN_VENDOR_ID:
        return put_32(value, size, 0xffffff);
    case OID_GEN_VENDOR_DESCRIPTION:
        return put(value, size, vendor, sizeof(vendor));
    case OID_GEN_VENDOR_DRIVER_VERSION:
        return put_32(value, size, 1);
    case OID_GEN_CURRENT_PACKET_FILTER:
        return put_32(value, size, state->filter);
    case OID_GEN_MEDIA_CONNECT_STATUS: /* 0: connected */
        return put_32(value, size, card->link_up ? 0 : 1);
    case OID_GEN_FRIENDLY_NAME:
        return put_name(value, size, card->options->name);
    case OID_802_3_PERMANENT_ADDRESS:
    case OID_802_3_CURRENT_ADDRESS:
        return put(value, size, card->options->mac, BH_MAC_SIZE);
    case OID_802_3_MAXIMUM_LIST_SIZE:
        return put_32(value, size, MULTICAST_LIST_MAX);
    case OID_TCP_OFFLOAD_CURRENT_CONFIG:
    case OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES:
        return put_offload(value, size, state->version);
    case OID_GEN_RECEIVE_SCALE_CAPABILITIES:
        return put_rss(value, size, card->options->queues);
    default:
        return query_counter(card->stats, oid, value, size);
    }
}

/* --- settings ----------------------------------------------------------------------------- */

static uint32_t set_filter(struct bh_nic_state *state, const uint8_t *value, uint32_t size)
{
    uint32_t filter;

    if (size < sizeof(filter))
        return RNDIS_INVALID_LENGTH;
    memcpy(&filter, value, sizeof(filter));
    state->filter = filter & KNOWN_FILTERS;
    return RNDIS_SUCCESS;
}

/* The addresses are not kept: a client with a list gets all multicast, and drops what it must. */
static uint32_t set_multicast(struct bh_nic_state *state, uint32_t size)
{
    if (size % BH_MAC_SIZE != 0 || size > MULTICAST_LIST_MAX * BH_MAC_SIZE)
        return RNDIS_INVALID_LENGTH;
    if (size != 0)
        state->filter |= NDIS_FILTER_MULTICAST;
    return RNDIS_SUCCESS;
}

static void apply_rsc(bool *coalesce, uint8_t change)
{
    if (change != NDIS_OFFLOAD_NO_CHANGE)
        *coalesce = change == NDIS_OFFLOAD_RSC_ENABLED;
}

static void apply_receive_checksum(bool *verify, uint8_t change)
{
    if (change != NDIS_OFFLOAD_NO_CHANGE)
        *verify = change == NDIS_OFFLOAD_RX || change == NDIS_OFFLOAD_TX_RX;
}

/* Checksums and segmentation of what the guest sends are done whenever a packet asks for it. */
static uint32_t set_offload(struct bh_nic_state *state, const uint8_t *value, uint32_t size)
{
    struct ndis_offload_parameters p = {0};

    if (size < NDIS_OFFLOAD_PARAMETERS_SIZE_MIN)
        return RNDIS_INVALID_LENGTH;
    memcpy(&p, value, size < sizeof(p) ? size : sizeof(p));
    if (p.header.type != NDIS_TYPE_DEFAULT)
        return RNDIS_INVALID_DATA;
    apply_receive_checksum(&state->verify_checksum, p.tcp4);
    apply_receive_checksum(&state->verify_checksum, p.tcp6);
    apply_rsc(&state->coalesce_ip4, p.rsc_ip4);
    apply_rsc(&state->coalesce_ip6, p.rsc_ip6);
    return RNDIS_SUCCESS;
}

static int hex_digit(uint16_t unit)
{
    if (unit >= '0' && unit <= '9')
        return unit - '0';
    unit |= 0x20;
    return unit >= 'a' && unit <= 'f' ? unit - 'a' + 10 : -1;
}

/* Twelve hexadecimal digits in UTF-16. */
static bool parse_mac(const uint8_t *text, uint8_t mac[BH_MAC_SIZE])
{
    for (size_t i = 0; i < BH_MAC_SIZE; i++, text += 4) {
        int high = hex_digit((uint16_t)(text[0] | text[1] << 8));
        int low = hex_digit((uint16_t)(text[2] | text[3] << 8));

        if (high < 0 || low < 0)
            return false;
        mac[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool inside(uint32_t offset, uint32_t length, uint32_t size)
{
    return offset <= size && length <= size - offset;
}

/*
 * The one parameter there is is the address. A guest may set what it has anyway; a trusted one may
 * set any, and need not be told: its frames are not looked at.
 */
static uint32_t set_config(const struct bh_oid_card *card, const uint8_t *value, uint32_t size)
{
    static const char name[] = "NetworkAddress";
    struct rndis_config_parameter p;
    uint8_t mac[BH_MAC_SIZE];

    if (size < sizeof(p))
        return RNDIS_INVALID_LENGTH;
    memcpy(&p, value, sizeof(p));
    if (!inside(p.name_offset, p.name_length, size) ||
        !inside(p.value_offset, p.value_length, size))
        return RNDIS_INVALID_DATA;
    if (p.name_length != 2 * (sizeof(name) - 1) || p.type != RNDIS_CONFIG_STRING ||
        p.value_length < 4 * BH_MAC_SIZE)
        return RNDIS_NOT_SUPPORTED;
    for (size_t i = 0; i < sizeof(name) - 1; i++)
        if (value[p.name_offset + 2 * i] != (uint8_t)name[i] ||
            value[p.name_offset + 2 * i + 1] != 0)
            return RNDIS_NOT_SUPPORTED;
    if (!parse_mac(value + p.value_offset, mac))
        return RNDIS_INVALID_DATA;
    return card->options->trusted || memcmp(mac, card->options->mac, sizeof(mac)) == 0
               ? RNDIS_SUCCESS
               : RNDIS_NOT_SUPPORTED;
}

uint32_t bh_oid_set(const struct bh_oid_card *card, struct bh_nic_state *state, uint32_t oid,
                    const uint8_t *value, uint32_t size)
{
    switch (oid) {
    case OID_GEN_CURRENT_PACKET_FILTER:
        return set_filter(state, value, size);
    case OID_802_3_MULTICAST_LIST:
        return set_multicast(state, size);
    case OID_TCP_OFFLOAD_PARAMETERS:
        return set_offload(state, value, size);
    case OID_GEN_RECEIVE_SCALE_PARAMETERS:
        return bh_rss_set(&state->rss, value, size, card->options->queues) ? RNDIS_SUCCESS
                                                                           : RNDIS_INVALID_DATA;
    case OID_RNDIS_CONFIG_PARAMETER:
        return set_config(card, value, size);
    default:
        return RNDIS_NOT_SUPPORTED;
    }
}
