/* SPDX-License-Identifier: MIT */
/*
 * A SCSI controller on VMBus: up to 64 disks and CD-ROM drives at channel 0,
 * target 0, one queue for each channel that the guest opens. Answers go back on
 * the channel of their request.
 */
#ifndef VSP_STORAGE_CONTROLLER_H
#define VSP_STORAGE_CONTROLLER_H

#include "vsp/bus/device.h"
#include "vsp/storage/disk.h"

#define BH_CONTROLLER_LUNS         64u
#define BH_CONTROLLER_SUB_CHANNELS 15u

struct bh_controller;

/* Adds it to the bus. `vm` names the VM, for its instance GUID. NULL: no memory, or the bus is
 * full. */
struct bh_controller *bh_controller_create(struct bh_vmbus *bus, const char *vm);

/* Removes it and its disks; their I/O has ended, as after bh_vmbus_reset. */
void bh_controller_destroy(struct bh_controller *controller);

/* Takes over `disk`, at the first free LUN; the guest is told. False when all are taken. */
bool bh_controller_add(struct bh_controller *controller, struct bh_disk *disk);

/* The disk of an id, NULL when there is none. */
struct bh_disk *bh_controller_find(const struct bh_controller *controller, const char *id);

/* Takes the disk away from the guest and destroys it when its I/O has ended. */
void bh_controller_remove(struct bh_controller *controller, struct bh_disk *disk);

#endif
