/* SPDX-License-Identifier: MIT */
/*
 * RNDIS: what a synthetic network card and its client say to each other, control
 * and data. Offsets inside messages ("body-relative") count from the eighth
 * byte of a message, behind type and length. The objects of NDIS that object
 * identifiers carry are in ndis.h.
 */
#ifndef VSP_PROTOCOL_RNDIS_H
#define VSP_PROTOCOL_RNDIS_H

#include <stdint.h>

#define RNDIS_COMPLETION 0x80000000u

enum rndis_type {
    RNDIS_PACKET = 1,
    RNDIS_INITIALIZE = 2,
    RNDIS_HALT = 3,
    RNDIS_QUERY = 4,
    RNDIS_SET = 5,
    RNDIS_RESET = 6,
    RNDIS_INDICATE_STATUS = 7,
    RNDIS_KEEPALIVE = 8,
};

enum rndis_status {
    RNDIS_SUCCESS = 0,
    RNDIS_FAILURE = 0xc0000001,
    RNDIS_INVALID_DATA = 0xc0010015,
    RNDIS_INVALID_LENGTH = 0xc0010014,
    RNDIS_NOT_SUPPORTED = 0xc00000bb,
    RNDIS_MEDIA_CONNECT = 0x4001000b,
    RNDIS_MEDIA_DISCONNECT = 0x4001000c,
    RNDIS_LINK_SPEED_CHANGE = 0x40010013,
    RNDIS_NETWORK_CHANGE = 0x40010018,
};

#define RNDIS_MAJOR_VERSION   1u
#define RNDIS_MINOR_VERSION   0u
#define RNDIS_CONNECTIONLESS  1u /* device flag */
#define RNDIS_MEDIUM_ETHERNET 0u

struct rndis_header {
    uint32_t type;
    uint32_t length; /* of the whole message */
};
_Static_assert(sizeof(struct rndis_header) == 8, "RNDIS header");

struct rndis_initialize {
    uint32_t request_id;
    uint32_t major;
    uint32_t minor;
    uint32_t max_transfer_size;
};
_Static_assert(sizeof(struct rndis_initialize) == 16, "RNDIS INITIALIZE");

struct rndis_initialize_complete {
    uint32_t request_id;
    uint32_t status;
    uint32_t major;
    uint32_t minor;
    uint32_t device_flags;
    uint32_t medium;
    uint32_t max_packets_per_message;
    uint32_t max_transfer_size;
    uint32_t alignment_shift; /* packets in a message begin at multiples of 1 << this */
    uint32_t address_family_offset;
    uint32_t address_family_size;
};
_Static_assert(sizeof(struct rndis_initialize_complete) == 44, "RNDIS INITIALIZE completion");

/* QUERY and SET. */
struct rndis_request {
    uint32_t request_id;
    uint32_t oid;
    uint32_t length;
    uint32_t offset; /* body-relative */
    uint32_t handle;
};
_Static_assert(sizeof(struct rndis_request) == 20, "RNDIS QUERY and SET");

struct rndis_query_complete {
    uint32_t request_id;
    uint32_t status;
    uint32_t length;
    uint32_t offset; /* body-relative, 16 or more */
};
_Static_assert(sizeof(struct rndis_query_complete) == 16, "RNDIS QUERY completion");

/* Of SET and KEEPALIVE. */
struct rndis_complete {
    uint32_t request_id;
    uint32_t status;
};

struct rndis_reset_complete {
    uint32_t status;
    uint32_t addressing_reset;
};

struct rndis_indicate_status {
    uint32_t status;
    uint32_t length;
    uint32_t offset; /* body-relative, 12 or more */
};
_Static_assert(sizeof(struct rndis_indicate_status) == 12, "RNDIS INDICATE_STATUS");

struct rndis_packet {
    uint32_t data_offset; /* body-relative, as all offsets here */
    uint32_t data_length;
    uint32_t oob_offset;
    uint32_t oob_length;
    uint32_t oob_count;
    uint32_t info_offset; /* 0: no per-packet information */
    uint32_t info_length;
    uint32_t handle;
    uint32_t reserved;
};
_Static_assert(sizeof(struct rndis_packet) == 36, "RNDIS PACKET");

/* One element of per-packet information; its data begins `offset` bytes behind its start. */
struct rndis_info {
    uint32_t size;
    uint32_t type; /* with RNDIS_INFO_INTERNAL */
    uint32_t offset;
};
_Static_assert(sizeof(struct rndis_info) == 12, "RNDIS per-packet information");

#define RNDIS_INFO_INTERNAL 0x80000000u

enum rndis_info_type {
    RNDIS_INFO_CHECKSUM = 0,
    RNDIS_INFO_LSO = 2,
    RNDIS_INFO_VLAN = 6,
    RNDIS_INFO_HASH = 8,
    RNDIS_INFO_PACKET_ID = 1, /* with RNDIS_INFO_INTERNAL */
};

/* Data of RNDIS_INFO_CHECKSUM from a client. */
#define RNDIS_TX_IS_IPV4                (1u << 0)
#define RNDIS_TX_IS_IPV6                (1u << 1)
#define RNDIS_TX_TCP_CHECKSUM           (1u << 2)
#define RNDIS_TX_UDP_CHECKSUM           (1u << 3)
#define RNDIS_TX_IP_CHECKSUM            (1u << 4)
#define RNDIS_TX_TRANSPORT_OFFSET_SHIFT 16
#define RNDIS_TX_TRANSPORT_OFFSET_MASK  0x3ffu

/* Data of RNDIS_INFO_CHECKSUM to a client. */
#define RNDIS_RX_TCP_FAILED    (1u << 0)
#define RNDIS_RX_UDP_FAILED    (1u << 1)
#define RNDIS_RX_IP_FAILED     (1u << 2)
#define RNDIS_RX_TCP_SUCCEEDED (1u << 3)
#define RNDIS_RX_UDP_SUCCEEDED (1u << 4)
#define RNDIS_RX_IP_SUCCEEDED  (1u << 5)

/* Data of RNDIS_INFO_LSO, version 2. */
#define RNDIS_LSO_MSS_MASK         0xfffffu
#define RNDIS_LSO_TCP_OFFSET_SHIFT 20
#define RNDIS_LSO_TCP_OFFSET_MASK  0x3ffu
#define RNDIS_LSO_VERSION_2        (1u << 30)
#define RNDIS_LSO_IPV6             (1u << 31)

/* Data of RNDIS_INFO_VLAN: priority 2:0, CFI 3, VLAN id 15:4. */
#define RNDIS_VLAN_CFI      (1u << 3)
#define RNDIS_VLAN_ID_SHIFT 4
#define RNDIS_VLAN_ID_MASK  0xfffu
#define RNDIS_VLAN_PRIORITY 0x7u

/* Data of RNDIS_INFO_PACKET_ID: parts of one coalesced packet. */
struct rndis_packet_id {
    uint8_t version; /* 1 */
    uint8_t flags;
    uint16_t id;
};
#define RNDIS_PART       (1u << 0)
#define RNDIS_PART_FIRST (1u << 1)
#define RNDIS_PART_LAST  (1u << 2)

/* Data of a SET of OID_RNDIS_CONFIG_PARAMETER; offsets from its start, texts in UTF-16. */
struct rndis_config_parameter {
    uint32_t name_offset;
    uint32_t name_length;
    uint32_t type;
    uint32_t value_offset;
    uint32_t value_length;
};
#define RNDIS_CONFIG_STRING 2u

#endif
