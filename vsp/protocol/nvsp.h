/* SPDX-License-Identifier: MIT */
/*
 * NVSP, the envelope of a synthetic network card: version, shared buffers,
 * sub-channels, and RNDIS messages by reference. Every message is sent as 40
 * bytes, whatever it uses of them: clients check cumulative minimum lengths.
 */
#ifndef VSP_PROTOCOL_NVSP_H
#define VSP_PROTOCOL_NVSP_H

#include <stdint.h>

#define NVSP_VERSION_1  0x00002u
#define NVSP_VERSION_2  0x30002u
#define NVSP_VERSION_4  0x40000u
#define NVSP_VERSION_5  0x50000u
#define NVSP_VERSION_6  0x60000u
#define NVSP_VERSION_61 0x60001u

enum nvsp_type {
    NVSP_INIT = 1,
    NVSP_INIT_COMPLETE = 2,
    NVSP_SEND_NDIS_VERSION = 100,
    NVSP_SEND_RECEIVE_BUFFER = 101,
    NVSP_SEND_RECEIVE_BUFFER_COMPLETE = 102,
    NVSP_REVOKE_RECEIVE_BUFFER = 103,
    NVSP_SEND_SEND_BUFFER = 104,
    NVSP_SEND_SEND_BUFFER_COMPLETE = 105,
    NVSP_REVOKE_SEND_BUFFER = 106,
    NVSP_SEND_RNDIS_PACKET = 107,
    NVSP_SEND_RNDIS_PACKET_COMPLETE = 108,
    NVSP_SEND_NDIS_CONFIG = 125,
    NVSP_SEND_VF_ASSOCIATION = 128,
    NVSP_SWITCH_DATA_PATH = 129,
    NVSP_SUBCHANNEL = 133,
    NVSP_SEND_INDIRECTION_TABLE = 134,
};

enum nvsp_status {
    NVSP_SUCCESS = 1,
    NVSP_FAIL = 2,
    NVSP_TOO_NEW = 3,
    NVSP_TOO_OLD = 4,
    NVSP_INVALID_RNDIS_PACKET = 5,
};

#define NVSP_RECEIVE_BUFFER_ID 0xcafeu
#define NVSP_SEND_BUFFER_ID    0u
#define NVSP_NO_SECTION        0xffffffffu
#define NVSP_CHANNEL_DATA      0u
#define NVSP_CHANNEL_CONTROL   1u
#define NVSP_SUBCHANNEL_ALLOC  1u
#define NVSP_SECTION_SIZE_MIN  68u /* the least section size clients take */
#define NVSP_INDIRECTION_COUNT 16u

/* Capabilities in SEND_NDIS_CONFIG. */
#define NVSP_CAPABILITY_SRIOV     (1ull << 2)
#define NVSP_CAPABILITY_IEEE8021Q (1ull << 3)
#define NVSP_CAPABILITY_TEAMING   (1ull << 5)
#define NVSP_CAPABILITY_RSC       (1ull << 7)

struct nvsp_init {
    uint32_t minimum_version;
    uint32_t maximum_version;
};

struct nvsp_init_complete {
    uint32_t version;
    uint32_t max_mdl_chain_length;
    uint32_t status;
};

struct nvsp_ndis_version {
    uint32_t major;
    uint32_t minor;
};

struct nvsp_ndis_config {
    uint32_t mtu; /* of the frame: with the Ethernet header */
    uint32_t reserved;
    uint64_t capabilities;
} __attribute__((packed));

/* SEND_RECEIVE_BUFFER and SEND_SEND_BUFFER; in the REVOKE messages only `id`, at offset 4. */
struct nvsp_buffer {
    uint32_t gpadl;
    uint16_t id;
    uint16_t reserved;
};

struct nvsp_receive_buffer_complete {
    uint32_t status;
    uint32_t section_count; /* 1 */
    uint32_t offset;        /* 0 */
    uint32_t allocation_size;
    uint32_t allocation_count;
    uint32_t end_offset;
};

struct nvsp_send_buffer_complete {
    uint32_t status;
    uint32_t section_size;
};

struct nvsp_rndis_packet {
    uint32_t channel_type;
    uint32_t section_index;
    uint32_t section_size;
};

struct nvsp_subchannel_request {
    uint32_t operation;
    uint32_t count;
};

struct nvsp_subchannel_complete {
    uint32_t status;
    uint32_t count;
};

struct nvsp_indirection_table {
    uint32_t count;
    uint32_t offset; /* of the table, from the start of the message */
};

struct nvsp_message {
    uint32_t type;
    union {
        struct nvsp_init init;
        struct nvsp_init_complete init_complete;
        struct nvsp_ndis_version ndis_version;
        struct nvsp_ndis_config ndis_config;
        struct nvsp_buffer buffer;
        uint16_t revoked_id;
        struct nvsp_receive_buffer_complete receive_buffer_complete;
        struct nvsp_send_buffer_complete send_buffer_complete;
        struct nvsp_rndis_packet rndis;
        uint32_t status; /* SEND_RNDIS_PACKET_COMPLETE */
        uint32_t data_path;
        struct nvsp_subchannel_request subchannel;
        struct nvsp_subchannel_complete subchannel_complete;
        struct nvsp_indirection_table indirection;
        uint8_t bytes[36];
    } __attribute__((packed, aligned(4)));
};
_Static_assert(sizeof(struct nvsp_message) == 40, "NVSP messages are 40 bytes");
_Static_assert(__builtin_offsetof(struct nvsp_message, ndis_config.capabilities) == 12,
               "NVSP NDIS configuration");
_Static_assert(__builtin_offsetof(struct nvsp_message, receive_buffer_complete.end_offset) == 24,
               "NVSP receive buffer section");

#endif
