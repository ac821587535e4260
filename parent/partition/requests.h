/* SPDX-License-Identifier: MIT */
/*
 * The ioctl numbers that the functions on partitions and on statistics use, for
 * a filter of system calls: only this library knows the driver's ioctls.
 */
#ifndef PARENT_PARTITION_REQUESTS_H
#define PARENT_PARTITION_REQUESTS_H

#include <stddef.h>
#include <stdint.h>

extern const uint32_t bh_requests[];
extern const size_t bh_request_count;

#endif
