/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * ioctls of /dev/bulkhead: what the hypervisor tells about itself. The node is
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

#endif
