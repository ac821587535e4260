/* SPDX-License-Identifier: MIT */
/* The SCSI controller's protocol on VMBus: one packet of 64 bytes, both ways. */
#ifndef VSP_PROTOCOL_STORVSC_H
#define VSP_PROTOCOL_STORVSC_H

#include <stddef.h>
#include <stdint.h>

enum storvsc_operation {
    STORVSC_COMPLETE_IO = 1, /* of every answer */
    STORVSC_EXECUTE_SRB = 3,
    STORVSC_RESET_LUN = 4,
    STORVSC_RESET_ADAPTER = 5,
    STORVSC_RESET_BUS = 6,
    STORVSC_BEGIN_INITIALIZATION = 7,
    STORVSC_END_INITIALIZATION = 8,
    STORVSC_QUERY_VERSION = 9,
    STORVSC_QUERY_PROPERTIES = 10,
    STORVSC_ENUMERATE_BUS = 11, /* to the guest: look for devices again */
    STORVSC_CREATE_SUB_CHANNELS = 13,
};

#define STORVSC_VERSION_6_2 0x0602u
#define STORVSC_VERSION_6_0 0x0600u
#define STORVSC_VERSION_5_1 0x0501u

#define STORVSC_STATUS_OK     0u
#define STORVSC_STATUS_FAILED 0xc0000001u

/* storvsc_properties.flags */
#define STORVSC_MULTI_CHANNEL 1u

struct storvsc_version {
    uint16_t version; /* major in the upper byte */
    uint16_t revision;
};

struct storvsc_properties {
    uint32_t reserved;
    uint16_t sub_channels_max;
    uint16_t reserved2;
    uint32_t flags;
    uint32_t transfer_max; /* bytes, a multiple of 4,096 */
    uint64_t reserved3;
} __attribute__((packed));

enum storvsc_srb_status {
    SRB_SUCCESS = 0x01,
    SRB_ERROR = 0x04,
    SRB_INVALID_REQUEST = 0x06,
    SRB_DATA_OVERRUN = 0x12,
    SRB_INVALID_LUN = 0x20,
};
#define SRB_AUTOSENSE_VALID 0x80u

enum storvsc_direction { STORVSC_WRITE = 0, STORVSC_READ = 1, STORVSC_NO_DATA = 2 };

#define STORVSC_CDB_SIZE   16u
#define STORVSC_SENSE_SIZE 20u

struct storvsc_srb {
    uint16_t length; /* 52 */
    uint8_t srb_status;
    uint8_t scsi_status;
    uint8_t port;
    uint8_t path;
    uint8_t target;
    uint8_t lun;
    uint8_t cdb_length;
    uint8_t sense_length;
    uint8_t direction; /* enum storvsc_direction */
    uint8_t reserved;
    uint32_t transfer_length;
    union {
        uint8_t cdb[STORVSC_CDB_SIZE];
        uint8_t sense[STORVSC_SENSE_SIZE];
    };
    uint16_t reserved2;
    uint8_t queue_tag;
    uint8_t queue_action;
    uint32_t flags;
    uint32_t timeout;
    uint32_t sort_key;
} __attribute__((packed));
_Static_assert(sizeof(struct storvsc_srb) == 52, "SRB");

struct storvsc_packet {
    uint32_t operation; /* enum storvsc_operation */
    uint32_t flags;
    uint32_t status;
    union {
        struct storvsc_version version;
        struct storvsc_properties properties;
        struct storvsc_srb srb;
        uint16_t sub_channels;
    };
} __attribute__((packed));
_Static_assert(sizeof(struct storvsc_packet) == 64, "vstor packet");
_Static_assert(offsetof(struct storvsc_packet, srb.cdb) == 28, "vstor packet");

#endif
