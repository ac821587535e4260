/* SPDX-License-Identifier: MIT */
/*
 * VMBus: channel messages, ring buffers and packets, as guests lay them out.
 * Everything is little-endian. In what a guest writes no field can be trusted.
 */
#ifndef VSP_PROTOCOL_VMBUS_H
#define VSP_PROTOCOL_VMBUS_H

#include <stddef.h>
#include <stdint.h>

#include "vsp/protocol/guid.h"

#define VMBUS_PAGE_SIZE        4096u
#define VMBUS_SINT             2u
#define VMBUS_MESSAGE_TYPE     1u /* of all messages, in both directions */
#define VMBUS_MESSAGE_SIZE_MAX 240u
#define VMBUS_CONNECTION_OLD   1u /* where guests older than version 5.0 post */
#define VMBUS_CONNECTION       4u /* where the others do */

#define VMBUS_VERSION(major, minor) ((uint32_t)(major) << 16 | (uint32_t)(minor))
#define VMBUS_VERSION_4_0           VMBUS_VERSION(4, 0)
#define VMBUS_VERSION_4_1           VMBUS_VERSION(4, 1)
#define VMBUS_VERSION_5_0           VMBUS_VERSION(5, 0)
#define VMBUS_VERSION_5_1           VMBUS_VERSION(5, 1)
#define VMBUS_VERSION_5_2           VMBUS_VERSION(5, 2)
#define VMBUS_VERSION_5_3           VMBUS_VERSION(5, 3)

/* --- channel messages --------------------------------------------------------------------- */

enum vmbus_message_type {
    VMBUS_OFFER_CHANNEL = 1,
    VMBUS_RESCIND_OFFER = 2,
    VMBUS_REQUEST_OFFERS = 3,
    VMBUS_ALL_OFFERS_DELIVERED = 4,
    VMBUS_OPEN_CHANNEL = 5,
    VMBUS_OPEN_RESULT = 6,
    VMBUS_CLOSE_CHANNEL = 7,
    VMBUS_GPADL_HEADER = 8,
    VMBUS_GPADL_BODY = 9,
    VMBUS_GPADL_CREATED = 10,
    VMBUS_GPADL_TEARDOWN = 11,
    VMBUS_GPADL_TORN_DOWN = 12,
    VMBUS_RELID_RELEASED = 13,
    VMBUS_INITIATE_CONTACT = 14,
    VMBUS_VERSION_RESPONSE = 15,
    VMBUS_UNLOAD = 16,
    VMBUS_UNLOAD_RESPONSE = 17,
    VMBUS_TL_CONNECT = 21,
    VMBUS_MODIFY_CHANNEL = 22,
    VMBUS_MODIFY_RESPONSE = 24,
};

struct vmbus_header {
    uint32_t type; /* enum vmbus_message_type */
    uint32_t padding;
};
_Static_assert(sizeof(struct vmbus_header) == 8, "message header");

/* vmbus_offer.flags */
#define VMBUS_OFFER_DEDICATED 1u

struct vmbus_offer {
    struct vmbus_header header;
    struct vmbus_guid class;
    struct vmbus_guid instance;
    uint64_t reserved[2];
    uint16_t channel_flags;
    uint16_t mmio_megabytes;
    uint8_t user[120];
    uint16_t sub_channel_index;
    uint16_t reserved2;
    uint32_t relid;
    uint8_t monitor_id;
    uint8_t monitor_allocated;
    uint16_t dedicated; /* VMBUS_OFFER_DEDICATED */
    uint32_t connection_id;
} __attribute__((packed));
_Static_assert(sizeof(struct vmbus_offer) == 196, "OFFERCHANNEL");
_Static_assert(offsetof(struct vmbus_offer, sub_channel_index) == 180, "OFFERCHANNEL");

/* RESCIND_CHANNELOFFER, CLOSECHANNEL, RELID_RELEASED */
struct vmbus_relid_message {
    struct vmbus_header header;
    uint32_t relid;
};
_Static_assert(sizeof(struct vmbus_relid_message) == 12, "relid message");

struct vmbus_open {
    struct vmbus_header header;
    uint32_t relid;
    uint32_t open_id;
    uint32_t ring_gpadl;
    uint32_t target_vp;
    uint32_t downstream_page; /* where the ring to the guest begins in the GPADL */
    uint8_t user[120];
};
_Static_assert(sizeof(struct vmbus_open) == 148, "OPENCHANNEL");

struct vmbus_open_result {
    struct vmbus_header header;
    uint32_t relid;
    uint32_t open_id;
    uint32_t status;
};
_Static_assert(sizeof(struct vmbus_open_result) == 20, "OPENCHANNEL_RESULT");

struct vmbus_gpadl_header {
    struct vmbus_header header;
    uint32_t relid;
    uint32_t gpadl;
    uint16_t range_bytes; /* wraps in large GPADLs: not used */
    uint16_t range_count;
    uint32_t byte_count;
    uint32_t byte_offset;
    uint64_t pfn[];
} __attribute__((packed));
_Static_assert(sizeof(struct vmbus_gpadl_header) == 28, "GPADL_HEADER");

struct vmbus_gpadl_body {
    struct vmbus_header header;
    uint32_t number;
    uint32_t gpadl;
    uint64_t pfn[];
};
_Static_assert(sizeof(struct vmbus_gpadl_body) == 16, "GPADL_BODY");

struct vmbus_gpadl_created {
    struct vmbus_header header;
    uint32_t relid;
    uint32_t gpadl;
    uint32_t status;
};
_Static_assert(sizeof(struct vmbus_gpadl_created) == 20, "GPADL_CREATED");

struct vmbus_gpadl_teardown {
    struct vmbus_header header;
    uint32_t relid;
    uint32_t gpadl;
};
_Static_assert(sizeof(struct vmbus_gpadl_teardown) == 16, "GPADL_TEARDOWN");

struct vmbus_gpadl_torn_down {
    struct vmbus_header header;
    uint32_t gpadl;
};
_Static_assert(sizeof(struct vmbus_gpadl_torn_down) == 12, "GPADL_TORNDOWN");

struct vmbus_initiate_contact {
    struct vmbus_header header;
    uint32_t version;
    uint32_t target_vp;
    uint64_t interrupt_page; /* from 5.0 on: byte 0 the SINT, byte 1 the VTL */
    uint64_t monitor_page[2];
};
_Static_assert(sizeof(struct vmbus_initiate_contact) == 40, "INITIATE_CONTACT");

struct vmbus_version_response {
    struct vmbus_header header;
    uint8_t supported;
    uint8_t state;
    uint16_t padding;
    uint32_t connection_id;
};
_Static_assert(sizeof(struct vmbus_version_response) == 16, "VERSION_RESPONSE");

struct vmbus_modify {
    struct vmbus_header header;
    uint32_t relid;
    uint32_t target_vp;
};
_Static_assert(sizeof(struct vmbus_modify) == 16, "MODIFYCHANNEL");

struct vmbus_modify_response {
    struct vmbus_header header;
    uint32_t relid;
    uint32_t status;
};
_Static_assert(sizeof(struct vmbus_modify_response) == 16, "MODIFYCHANNEL_RESPONSE");

/* --- rings -------------------------------------------------------------------------------- */

#define VMBUS_RING_HAS_PENDING_SEND 1u

/* The first page of a ring; data follows. Indices are byte offsets in the data, multiples of 8. */
struct vmbus_ring_control {
    uint32_t write_index;
    uint32_t read_index;
    uint32_t interrupt_mask;    /* of the consumer: 1 = do not signal me */
    uint32_t pending_send_size; /* of the producer: signal me when so much is free; 0: no */
    uint32_t reserved[12];
    uint32_t features;
    uint32_t reserved2[1007];
};
_Static_assert(sizeof(struct vmbus_ring_control) == VMBUS_PAGE_SIZE, "ring control page");

/* --- packets ------------------------------------------------------------------------------ */

enum vmbus_packet_type {
    VMBUS_PACKET_INBAND = 6,
    VMBUS_PACKET_TRANSFER_PAGES = 7,
    VMBUS_PACKET_GPA_DIRECT = 9,
    VMBUS_PACKET_COMPLETION = 11,
};

#define VMBUS_PACKET_WANTS_COMPLETION 1u

#define VMBUS_PACKET_TRAILER 8u /* after each packet: where it began, in the upper half */

struct vmbus_descriptor {
    uint16_t type;
    uint16_t offset8; /* of the payload, in units of 8 bytes */
    uint16_t length8; /* of all but the trailer */
    uint16_t flags;
    uint64_t transaction;
};
_Static_assert(sizeof(struct vmbus_descriptor) == 16, "packet descriptor");

struct vmbus_transfer_range {
    uint32_t byte_count;
    uint32_t byte_offset;
};
_Static_assert(sizeof(struct vmbus_transfer_range) == 8, "transfer page range");

/* Follows the descriptor. */
struct vmbus_transfer_header {
    uint16_t page_set;
    uint8_t sender_owns;
    uint8_t reserved;
    uint32_t range_count;
    /* then range_count times a struct vmbus_transfer_range */
};
_Static_assert(sizeof(struct vmbus_transfer_header) == 8, "transfer page packet");

/* Follows the descriptor; then range_count times a range and its PFNs. */
struct vmbus_gpa_header {
    uint32_t reserved;
    uint32_t range_count;
};
_Static_assert(sizeof(struct vmbus_gpa_header) == 8, "GPA-direct packet");

struct vmbus_gpa_range {
    uint32_t byte_count;
    uint32_t byte_offset;
    uint64_t pfn[];
};
_Static_assert(sizeof(struct vmbus_gpa_range) == 8, "GPA range");

#endif
