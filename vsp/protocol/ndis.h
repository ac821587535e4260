/* SPDX-License-Identifier: MIT */
/* Object identifiers of NDIS and the objects they carry, in RNDIS QUERY and SET. */
#ifndef VSP_PROTOCOL_NDIS_H
#define VSP_PROTOCOL_NDIS_H

#include <stdint.h>

enum ndis_oid {
    OID_GEN_SUPPORTED_LIST = 0x00010101,
    OID_GEN_HARDWARE_STATUS = 0x00010102,
    OID_GEN_MEDIA_SUPPORTED = 0x00010103,
    OID_GEN_MEDIA_IN_USE = 0x00010104,
    OID_GEN_MAXIMUM_FRAME_SIZE = 0x00010106,
    OID_GEN_LINK_SPEED = 0x00010107,
    OID_GEN_TRANSMIT_BLOCK_SIZE = 0x0001010a,
    OID_GEN_RECEIVE_BLOCK_SIZE = 0x0001010b,
    OID_GEN_VENDOR_ID = 0x0001010c,
    OID_GEN_VENDOR_DESCRIPTION = 0x0001010d,
    OID_GEN_CURRENT_PACKET_FILTER = 0x0001010e,
    OID_GEN_MAXIMUM_TOTAL_SIZE = 0x00010111,
    OID_GEN_MEDIA_CONNECT_STATUS = 0x00010114,
    OID_GEN_VENDOR_DRIVER_VERSION = 0x00010116,
    OID_GEN_XMIT_OK = 0x00020101,
    OID_GEN_RCV_OK = 0x00020102,
    OID_GEN_XMIT_ERROR = 0x00020103,
    OID_GEN_RCV_ERROR = 0x00020104,
    OID_GEN_RCV_NO_BUFFER = 0x00020105,
    OID_GEN_RECEIVE_SCALE_CAPABILITIES = 0x00010203,
    OID_GEN_RECEIVE_SCALE_PARAMETERS = 0x00010204,
    OID_RNDIS_CONFIG_PARAMETER = 0x0001021b,
    OID_GEN_FRIENDLY_NAME = 0x00020216,
    OID_802_3_PERMANENT_ADDRESS = 0x01010101,
    OID_802_3_CURRENT_ADDRESS = 0x01010102,
    OID_802_3_MULTICAST_LIST = 0x01010103,
    OID_802_3_MAXIMUM_LIST_SIZE = 0x01010104,
    OID_802_3_RCV_ERROR_ALIGNMENT = 0x01020101,
    OID_802_3_XMIT_ONE_COLLISION = 0x01020102,
    OID_802_3_XMIT_MORE_COLLISIONS = 0x01020103,
    OID_TCP_OFFLOAD_CURRENT_CONFIG = 0xfc01020b,
    OID_TCP_OFFLOAD_PARAMETERS = 0xfc01020c,
    OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES = 0xfc01020d,
};

/* OID_GEN_CURRENT_PACKET_FILTER. */
#define NDIS_FILTER_DIRECTED      0x01u
#define NDIS_FILTER_MULTICAST     0x02u
#define NDIS_FILTER_ALL_MULTICAST 0x04u
#define NDIS_FILTER_BROADCAST     0x08u
#define NDIS_FILTER_PROMISCUOUS   0x20u

#define NDIS_TYPE_DEFAULT          0x80u
#define NDIS_TYPE_RSS_CAPABILITIES 0x88u
#define NDIS_TYPE_RSS_PARAMETERS   0x89u
#define NDIS_TYPE_OFFLOAD          0xa7u

struct ndis_object {
    uint8_t type;
    uint8_t revision;
    uint16_t size;
};
_Static_assert(sizeof(struct ndis_object) == 4, "NDIS object header");

/* --- offloads ----------------------------------------------------------------------------- */

#define NDIS_ENCAPSULATION_8023 0x2u

/* Bits of ip4_tx, ip6_tx, ip4_rx and ip6_rx. */
#define NDIS_CHECKSUM_IP_OPTIONS  0x001u /* IPv6: extension headers */
#define NDIS_CHECKSUM_TCP_OPTIONS 0x004u
#define NDIS_CHECKSUM_TCP         0x010u
#define NDIS_CHECKSUM_UDP         0x040u
#define NDIS_CHECKSUM_IP          0x100u

#define NDIS_LSO_IPV6_EXTENSIONS  0x1u
#define NDIS_LSO_IPV6_TCP_OPTIONS 0x4u

#define NDIS_OFFLOAD_SIZE_6_0  112u
#define NDIS_OFFLOAD_SIZE_6_1  144u
#define NDIS_OFFLOAD_SIZE_6_30 156u

struct ndis_checksum_offload {
    uint32_t ip4_tx_encapsulation;
    uint32_t ip4_tx;
    uint32_t ip4_rx_encapsulation;
    uint32_t ip4_rx;
    uint32_t ip6_tx_encapsulation;
    uint32_t ip6_tx;
    uint32_t ip6_rx_encapsulation;
    uint32_t ip6_rx;
};

struct ndis_lso_offload {
    uint32_t ip4_encapsulation;
    uint32_t ip4_max_size;
    uint32_t ip4_min_segments;
    uint32_t ip6_encapsulation;
    uint32_t ip6_max_size;
    uint32_t ip6_min_segments;
    uint32_t ip6_options;
};

struct ndis_offload {
    struct ndis_object header;
    struct ndis_checksum_offload checksum;
    uint8_t lso_version_1[16];
    uint8_t ipsec_version_1[28];
    struct ndis_lso_offload lso;
    uint32_t flags;
    uint8_t ipsec_version_2[32]; /* from NDIS 6.1 on */
    uint8_t rsc_ip4;             /* from NDIS 6.30 on */
    uint8_t rsc_ip6;
    uint8_t reserved[2];
    uint32_t encapsulation_flags;
    uint32_t encapsulation_max_header;
};
_Static_assert(sizeof(struct ndis_offload) == NDIS_OFFLOAD_SIZE_6_30, "NDIS_OFFLOAD");
_Static_assert(__builtin_offsetof(struct ndis_offload, lso) == 80, "NDIS_OFFLOAD LSO version 2");
_Static_assert(__builtin_offsetof(struct ndis_offload, ipsec_version_2) == NDIS_OFFLOAD_SIZE_6_0,
               "NDIS_OFFLOAD of NDIS 6.0");
_Static_assert(__builtin_offsetof(struct ndis_offload, rsc_ip4) == NDIS_OFFLOAD_SIZE_6_1,
               "NDIS_OFFLOAD of NDIS 6.1");

/* Values in struct ndis_offload_parameters. */
enum ndis_offload_change {
    NDIS_OFFLOAD_NO_CHANGE = 0,
    NDIS_OFFLOAD_DISABLED = 1,
    NDIS_OFFLOAD_TX = 2,
    NDIS_OFFLOAD_RX = 3,
    NDIS_OFFLOAD_TX_RX = 4,
    NDIS_OFFLOAD_LSO_ENABLED = 2, /* of lso_* */
    NDIS_OFFLOAD_RSC_ENABLED = 2, /* of rsc_* */
};

#define NDIS_OFFLOAD_PARAMETERS_SIZE_MIN 20u /* of NDIS 6.0 */

struct ndis_offload_parameters {
    struct ndis_object header;
    uint8_t ip4;
    uint8_t tcp4;
    uint8_t udp4;
    uint8_t tcp6;
    uint8_t udp6;
    uint8_t lso_version_1;
    uint8_t ipsec_version_1;
    uint8_t lso_ip4;
    uint8_t lso_ip6;
    uint8_t connection_ip4;
    uint8_t connection_ip6;
    uint8_t reserved;
    uint32_t flags;
    uint8_t ipsec_version_2;
    uint8_t ipsec_version_2_ip4;
    uint8_t rsc_ip4;
    uint8_t rsc_ip6;
    uint8_t encapsulation;
    uint8_t encapsulation_types;
    uint8_t reserved_2[2];
};
_Static_assert(sizeof(struct ndis_offload_parameters) == 28, "NDIS_OFFLOAD_PARAMETERS");

/* --- receive-side scaling ----------------------------------------------------------------- */

#define NDIS_RSS_CAPABILITY_TCP_IPV4 0x100u
#define NDIS_RSS_CAPABILITY_TCP_IPV6 0x200u

struct ndis_rss_capabilities {
    struct ndis_object header;
    uint32_t flags;
    uint32_t interrupt_messages;
    uint32_t receive_queues;
    uint16_t indirection_entries;
} __attribute__((packed));
_Static_assert(sizeof(struct ndis_rss_capabilities) == 18, "NDIS_RECEIVE_SCALE_CAPABILITIES");

#define NDIS_RSS_INDIRECTION_UNCHANGED 0x04u
#define NDIS_RSS_KEY_UNCHANGED         0x08u
#define NDIS_RSS_DISABLE               0x10u

#define NDIS_HASH_TOEPLITZ 0x0001u
#define NDIS_HASH_IPV4     0x0100u
#define NDIS_HASH_TCP_IPV4 0x0200u
#define NDIS_HASH_IPV6     0x0400u
#define NDIS_HASH_TCP_IPV6 0x1000u

#define NDIS_RSS_KEY_SIZE        40u
#define NDIS_RSS_INDIRECTION_MAX 256u

/* Offsets count from the start of this structure. */
struct ndis_rss_parameters {
    struct ndis_object header;
    uint16_t flags;
    uint16_t base_cpu;
    uint32_t hash;
    uint16_t indirection_size; /* bytes, of 32-bit entries */
    uint16_t reserved;
    uint32_t indirection_offset;
    uint16_t key_size;
    uint16_t reserved_2;
    uint32_t key_offset;
    uint32_t processor_masks_offset;
    uint32_t processor_masks_count;
    uint32_t processor_masks_size;
};
_Static_assert(sizeof(struct ndis_rss_parameters) == 40, "NDIS_RECEIVE_SCALE_PARAMETERS");

#endif
