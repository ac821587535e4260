/* SPDX-License-Identifier: MIT */
/*
 * Disks and NICs of the simulated worker. It plays no device, but it holds the
 * descriptors that a real one would, and refuses wrong ones.
 */
#ifndef TESTS_SIMWORKER_DEVICES_H
#define TESTS_SIMWORKER_DEVICES_H

#include "parent/control/config.h"

struct devices {
    struct bh_vm_config *config;      /* what there is now */
    int disk_fd[BH_CONFIG_DISKS_MAX]; /* in the order of the configuration; -1: no disc */
    struct bh_fds nic_fds[BH_CONFIG_NICS_MAX];
};

/* Opens what the configuration names, while the files are in reach. */
bool devices_open(struct devices *devices, struct bh_vm_config *config,
                  struct bh_control_error *error);

/* disk_add, disk_remove, cd_insert, cd_eject, nic_add, nic_remove. NULL with `error` filled. */
json_t *devices_change(struct devices *devices, struct bh_control_request *request,
                       struct bh_control_error *error);

json_t *devices_list_disks(const struct devices *devices);
json_t *devices_list_nics(const struct devices *devices);

#endif
