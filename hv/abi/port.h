/* SPDX-License-Identifier: MIT */
/*
 * Ports and connections, and the event ring by which doorbells reach the
 * parent. A port is where messages and events arrive in one partition; a
 * connection is the id by which another partition sends to it.
 */
#ifndef HV_ABI_PORT_H
#define HV_ABI_PORT_H

#include "hv/abi/ints.h"

#define HVCALL_DELETE_PORT            0x0058u
#define HVCALL_DISCONNECT_PORT        0x005bu
#define HVCALL_NOTIFY_PORT_RING_EMPTY 0x008bu /* fast: RDX = sint */
#define HVCALL_CREATE_PORT            0x0095u
#define HVCALL_CONNECT_PORT           0x0096u

#define HV_PORT_ID_MASK 0xffffffu

enum hv_port_type {
    HV_PORT_MESSAGE = 1,
    HV_PORT_EVENT = 2,
    HV_PORT_MONITOR = 3,
    HV_PORT_DOORBELL = 4,
};

struct hv_port_info {
    uint32_t type; /* enum hv_port_type */
    uint32_t reserved;
    union {
        struct {
            uint32_t sint;
            uint32_t vp; /* or HV_ANY_VP */
            uint64_t reserved;
        } message; /* and doorbell */
        struct {
            uint32_t sint;
            uint32_t vp;
            uint16_t base_flag;
            uint16_t flag_count;
            uint32_t reserved;
        } event;
    };
};
_Static_assert(sizeof(struct hv_port_info) == 24, "HV_PORT_INFO");

struct hv_input_create_port {
    uint64_t port_partition;
    uint32_t port_id;
    uint8_t port_vtl;
    uint8_t min_connection_vtl;
    uint16_t reserved;
    uint64_t connection_partition;
    struct hv_port_info info;
    uint64_t proximity;
};
_Static_assert(sizeof(struct hv_input_create_port) == 56, "HvCallCreatePort");

/* A "fast" call: RDX the partition, R8 the port id. */
struct hv_input_delete_port {
    uint64_t port_partition;
    uint32_t port_id;
    uint32_t reserved;
};
_Static_assert(sizeof(struct hv_input_delete_port) == 16, "HvCallDeletePort");

/* hv_connection_info.doorbell.flags: the width that triggers, or any value. */
#define HV_DOORBELL_SIZE_ANY  0ull
#define HV_DOORBELL_SIZE_1    1ull
#define HV_DOORBELL_SIZE_2    2ull
#define HV_DOORBELL_SIZE_4    3ull
#define HV_DOORBELL_SIZE_8    4ull
#define HV_DOORBELL_ANY_VALUE (1ull << 31)

struct hv_connection_info {
    uint32_t type; /* enum hv_port_type */
    uint32_t reserved;
    struct {
        uint64_t gpa;
        uint64_t trigger_value;
        uint64_t flags;
    } doorbell;
};
_Static_assert(sizeof(struct hv_connection_info) == 32, "HV_CONNECTION_INFO");

struct hv_input_connect_port {
    uint64_t connection_partition;
    uint32_t connection_id;
    uint8_t connection_vtl;
    uint8_t reserved[3];
    uint64_t port_partition;
    uint32_t port_id;
    uint32_t reserved2;
    struct hv_connection_info info;
    uint64_t proximity;
};
_Static_assert(sizeof(struct hv_input_connect_port) == 72, "HvCallConnectPort");

/* hv_input_disconnect_port.is_doorbell */
#define HV_DISCONNECT_DOORBELL 1u

/* A "fast" call: RDX the partition, R8 the rest. */
struct hv_input_disconnect_port {
    uint64_t connection_partition;
    uint32_t connection_id;
    uint32_t is_doorbell;
};
_Static_assert(sizeof(struct hv_input_disconnect_port) == 16, "HvCallDisconnectPort");

/* The page of MSR SIRBP: one ring of port ids for each SINT. */
#define HV_MSR_SIRBP          0x40000085u
#define HV_EVENT_RING_ENTRIES 63u

struct hv_event_ring {
    uint8_t signal_masked; /* set by the hypervisor when it signals, cleared by the reader */
    uint8_t ring_full;     /* set by the hypervisor: the reader calls NOTIFY_PORT_RING_EMPTY */
    uint16_t reserved;
    uint32_t entry[HV_EVENT_RING_ENTRIES]; /* 0: empty */
};
struct hv_event_ring_page {
    struct hv_event_ring sint[16];
};
_Static_assert(sizeof(struct hv_event_ring_page) == 4096, "event ring page");

#endif
