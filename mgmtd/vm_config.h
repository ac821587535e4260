/* SPDX-License-Identifier: MIT */
/*
 * From a VM's document to what its worker is given: files instead of names,
 * taps instead of networks.
 */
#ifndef MGMTD_VM_CONFIG_H
#define MGMTD_VM_CONFIG_H

#include "mgmtd/operation.h"

/* The worker's configuration; NULL with the operation's problem set. Makes taps and the seed. */
json_t *vm_config_make(struct operation *operation, const struct object *vm);

/* One disk or NIC as the worker takes it. */
json_t *vm_config_disk(struct operation *operation, const struct object *vm, const char *name,
                       const json_t *device);
json_t *vm_config_nic(struct operation *operation, const struct object *vm, const char *name,
                      const json_t *device);

/* What of a NIC can change while the VM runs: the params of nic_set. */
json_t *vm_config_nic_settings(const char *name, const json_t *device);

/* The name of a NIC's tap: the same for the same VM and device, at most 15 bytes. */
void vm_config_tap(const char *vm_id, const char *name, char tap[16]);

/* Removes the taps of a VM that ended. */
void vm_config_release(struct daemon *daemon, const struct object *vm);

/* Caps and reserves in the worker's measure: percent of one processor, for all VPs together. */
int64_t vm_config_cap(const json_t *processors);
int64_t vm_config_reserve(const json_t *processors);

#endif
