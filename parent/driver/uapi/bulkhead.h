/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * ioctls of /dev/bulkhead: what the hypervisor tells about itself; and those that
 * a partition's file has beside the upstream ones (mshv.h). The node is
 * mode 0600. Structures of the hypervisor (hv/abi/bulkhead.h) pass through
 * unchanged; they grow only at their ends.
 *
 * Errors: EFAULT for a bad pointer, EINVAL for reserved or impossible values,
 * ENOENT for an LP, partition or VP that is not there, ENOTTY for an unknown
 * number, EIO for any other refusal of the hypervisor.
 */
#ifndef PARENT_DRIVER_UAPI_BULKHEAD_H
#define PARENT_DRIVER_UAPI_BULKHEAD_H

#include <linux/ioctl.h>

#include "hv/abi/bulkhead.h"
#include "hv/abi/synic.h"

#define BH_IOC_TYPE 0xb9

/* Fills a struct bh_info. */
#define BH_IOC_GET_INFO _IOR(BH_IOC_TYPE, 0x00, struct bh_info)

/* In: `position`, the first byte wanted, and nothing else. Out: the whole structure. */
#define BH_IOC_READ_LOG _IOWR(BH_IOC_TYPE, 0x01, struct bh_log_output)

/*
 * Copies up to buffer_size bytes (1 to 4096) of the statistics of one object to
 * `buffer`. What the hypervisor does not count is zero.
 */
struct bh_stats_request {
    struct bh_stats_input object;
    uint64_t buffer; /* user address */
    uint32_t buffer_size;
    uint32_t reserved; /* zero */
};
_Static_assert(sizeof(struct bh_stats_request) == 32, "bh_stats_request");

#define BH_IOC_GET_STATS _IOW(BH_IOC_TYPE, 0x02, struct bh_stats_request)

/* The ids of the parent itself and of the children this driver has created, the parent's first. */
struct bh_partition_list {
    uint64_t buffer;   /* user address of uint64_t[capacity] */
    uint32_t capacity; /* at most 65,536 */
    uint32_t count;    /* out: how many there are; only `capacity` of them are written */
};
_Static_assert(sizeof(struct bh_partition_list) == 16, "bh_partition_list");

#define BH_IOC_LIST_PARTITIONS _IOWR(BH_IOC_TYPE, 0x03, struct bh_partition_list)

/* The id of the partition whose file (of MSHV_CREATE_PARTITION) is open as `fd`; EINVAL for
 * another. */
struct bh_partition_id {
    int32_t fd;
    uint32_t reserved; /* zero */
    uint64_t id;       /* out */
};
_Static_assert(sizeof(struct bh_partition_id) == 16, "bh_partition_id");

#define BH_IOC_PARTITION_ID _IOWR(BH_IOC_TYPE, 0x04, struct bh_partition_id)

/*
 * --- on the file of a partition (MSHV_CREATE_PARTITION) ---
 *
 * Messages and events between the child and the holder of the file. Of the errors above, EIO only;
 * besides: EEXIST for a connection id in use, ENOSPC for a port too many, EAGAIN for a full queue,
 * ENOTCONN for a SynIC, page or SINT that the guest has not turned on, ENOMEM.
 */

#define BH_CONNECTION_ID_LIMIT 0xffffffu

/*
 * Returns a file from which read(2) takes whole struct hv_message (hv/abi/synic.h) that the child
 * posts to the connection id, up to 16 at once. It can be polled. It holds the partition like a
 * VP's file.
 */
struct bh_message_port {
    uint32_t connection_id; /* 1 to BH_CONNECTION_ID_LIMIT */
    uint32_t reserved;      /* zero */
};
_Static_assert(sizeof(struct bh_message_port) == 8, "bh_message_port");

#define BH_IOC_OPEN_MESSAGE_PORT _IOW(BH_IOC_TYPE, 0x10, struct bh_message_port)

/* Adds 1 to an eventfd when the child signals the connection id, flag 0. */
struct bh_event_port {
    uint32_t connection_id;
    int32_t fd;        /* not looked at with BH_EVENT_PORT_CLOSE */
    uint32_t flags;    /* 0 or BH_EVENT_PORT_CLOSE: ENOENT when there is none */
    uint32_t reserved; /* zero */
};
_Static_assert(sizeof(struct bh_event_port) == 16, "bh_event_port");

#define BH_EVENT_PORT_CLOSE 1u
#define BH_IOC_EVENT_PORT   _IOW(BH_IOC_TYPE, 0x11, struct bh_event_port)

/* A message into the slot of a SINT of a VP, behind those that wait for it. */
struct bh_post_message {
    uint32_t vp_index;
    uint32_t sint;
    uint8_t message[HV_MESSAGE_SIZE]; /* struct hv_message */
};
_Static_assert(sizeof(struct bh_post_message) == 264, "bh_post_message");

#define BH_IOC_POST_MESSAGE _IOW(BH_IOC_TYPE, 0x12, struct bh_post_message)

/* Sets an event flag of a SINT of a VP. */
struct bh_signal_event {
    uint32_t vp_index;
    uint8_t sint;
    uint8_t reserved; /* zero */
    uint16_t flag;
};
_Static_assert(sizeof(struct bh_signal_event) == 8, "bh_signal_event");

#define BH_IOC_SIGNAL_EVENT _IOW(BH_IOC_TYPE, 0x13, struct bh_signal_event)

/* The eventfd gets 1 when messages can be posted again after EAGAIN. */
struct bh_watch_room {
    int32_t fd;        /* -1: no more */
    uint32_t reserved; /* zero */
};
_Static_assert(sizeof(struct bh_watch_room) == 8, "bh_watch_room");

#define BH_IOC_WATCH_ROOM _IOW(BH_IOC_TYPE, 0x14, struct bh_watch_room)

#endif
