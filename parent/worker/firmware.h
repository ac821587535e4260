/* SPDX-License-Identifier: MIT */
/* What a PC's firmware would leave in [BH_FIRMWARE_BASE, 1 MiB): ACPI tables, and a reset stub. */
#ifndef PARENT_WORKER_FIRMWARE_H
#define PARENT_WORKER_FIRMWARE_H

#include "parent/worker/guest_memory.h"

/* Writes both; *rsdp is where the tables begin. False when the VM has no memory there. */
bool bh_firmware_write(const struct bh_guest_memory *memory, uint32_t vps, uint64_t *rsdp);

#endif
