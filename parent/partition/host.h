/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor as its parent sees it: information, log, statistics. A host
 * is one open file of /dev/bulkhead; use it from one thread at a time.
 *
 * Functions return false with `error` filled. error->number is ENOENT for an
 * LP, partition or VP that is not there. Times in the statistics are in 100 ns
 * since the hypervisor's start.
 */
#ifndef PARENT_PARTITION_HOST_H
#define PARENT_PARTITION_HOST_H

#include <stdint.h>

#include "hv/abi/bulkhead.h"
#include "parent/partition/device.h"
#include "parent/partition/error.h"

#define BH_HOST_NODE "/dev/bulkhead"

/* The partition that asks, wherever a partition id is wanted. */
#define BH_PARTITION_SELF UINT64_MAX

struct bh_host;

/* NULL on failure. `layer` must outlive the host; NULL means the kernel. */
struct bh_host *bh_host_open(const struct bh_device_layer *layer, struct bh_error *error);
void bh_host_close(struct bh_host *host);

/* Texts in `info` are NUL-terminated. */
bool bh_host_info(struct bh_host *host, struct bh_info *info, struct bh_error *error);

/* The log from `position` on; log->length is at most BH_LOG_TEXT_SIZE. */
bool bh_host_read_log(struct bh_host *host, uint64_t position, struct bh_log_output *log,
                      struct bh_error *error);

/*
 * The ids of all partitions, the parent's first. Writes at most `capacity`; *count is how many
 * there are, which may be more.
 */
bool bh_host_partitions(struct bh_host *host, uint64_t *ids, uint32_t capacity, uint32_t *count,
                        struct bh_error *error);

/* The id of a partition by its file (bh_partition_fd). */
bool bh_host_partition_id(struct bh_host *host, int fd, uint64_t *id, struct bh_error *error);

bool bh_host_hypervisor_stats(struct bh_host *host, struct bh_hypervisor_stats *stats,
                              struct bh_error *error);
bool bh_host_lp_stats(struct bh_host *host, uint32_t lp, struct bh_lp_stats *stats,
                      struct bh_error *error);
bool bh_host_partition_stats(struct bh_host *host, uint64_t partition_id,
                             struct bh_partition_stats *stats, struct bh_error *error);
bool bh_host_vp_stats(struct bh_host *host, uint64_t partition_id, uint32_t vp,
                      struct bh_vp_stats *stats, struct bh_error *error);

/* "svm", "vmx" or "unknown". */
const char *bh_vendor_name(uint32_t vendor);

/* "cpuid", "msr_write", ...; NULL from BH_EXIT_COUNT on. */
const char *bh_exit_name(unsigned kind);

#endif
