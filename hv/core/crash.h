/* SPDX-License-Identifier: MIT */
/* Crash MSRs: a dying guest's last words, kept for statistics and put into the log. */
#ifndef HV_CORE_CRASH_H
#define HV_CORE_CRASH_H

#include "hv/core/types.h"

struct partition;

/* HV_MSR_CRASH_P0 to HV_MSR_CRASH_CTL. False: #GP. */
bool crash_read_msr(struct partition *partition, uint32_t index, uint64_t *value);
bool crash_write_msr(struct partition *partition, uint32_t index, uint64_t value);

#endif
