/* SPDX-License-Identifier: MIT */
/*
 * The disks of the VM: opens what the configuration names, puts them on a SCSI
 * controller of the guest's bus, and answers the control socket about them.
 */
#ifndef PARENT_WORKER_DISKS_H
#define PARENT_WORKER_DISKS_H

#include "parent/control/config.h"
#include "parent/partition/error.h"
#include "parent/worker/added.h"
#include "vsp/bus/vmbus.h"

struct bh_disks;

/* A disk has failed: for the event `disk_error`. */
typedef void bh_disks_failed(void *context, const char *id, const char *operation,
                             const char *sentence);

struct bh_disks_owner {
    bh_disks_failed *failed;
    void *context; /* of `failed` */
    struct bh_added added;
    long user; /* of servers for qcow2; 0: stays who starts them */
};

/*
 * With all disks of the configuration. Opens their files, and starts servers for qcow2, so it comes
 * before the sandbox. NULL with `error` filled.
 */
struct bh_disks *bh_disks_create(const struct bh_vm_config *config, struct bh_vmbus *vmbus,
                                 const struct bh_disks_owner *owner,
                                 struct bh_control_error *error);

/* No guest uses them any more (bh_vmbus_reset). */
void bh_disks_destroy(struct bh_disks *disks);

/* The io_uring's descriptor, which another process may wait for (bh_uring_wait_idle). */
int bh_disks_ring(const struct bh_disks *disks);

/* Fills the disks of a configuration as they are now. */
void bh_disks_get_config(const struct bh_disks *disks, struct bh_vm_config *config);

/*
 * A disk that the guest had already, when another worker ran it, or has from its start. `fd` is the
 * open file or socket, taken over; -1 for a CD-ROM drive without a disc.
 */
bool bh_disks_put_in(struct bh_disks *disks, const struct bh_disk_config *config, int fd,
                     struct bh_control_error *error);

/* One that is new to the guest. */
bool bh_disks_add(struct bh_disks *disks, const struct bh_disk_config *config, int fd,
                  struct bh_control_error *error);
bool bh_disks_remove(struct bh_disks *disks, const char *id, struct bh_control_error *error);
bool bh_disks_insert(struct bh_disks *disks, const char *id, const char *path, int fd,
                     struct bh_control_error *error);
bool bh_disks_eject(struct bh_disks *disks, const char *id, bool force,
                    struct bh_control_error *error);

/* The member `disks` of status and of stats; new references. */
json_t *bh_disks_status(const struct bh_disks *disks);
json_t *bh_disks_stats(const struct bh_disks *disks);

#endif
