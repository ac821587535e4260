/* SPDX-License-Identifier: MIT */
/*
 * The configuration with which a worker goes on where another one fell. It opens files with the
 * daemon's rights, before its own sandbox; what the one before left was written inside a sandbox,
 * by a process that a guest may have had in its hands. So the configuration file decides which
 * files, taps and sizes there are, and the journal only what changed in between: which of the
 * devices are still there, rates, the link, shares. Devices that were added since have no files to
 * open: they are what descriptors the one before had, and are looked at behind the sandbox.
 */
#ifndef PARENT_WORKER_TAKEOVER_H
#define PARENT_WORKER_TAKEOVER_H

#include "parent/control/config.h"

/*
 * `config` holds the file's and becomes the one to go on with; `left` is not trusted. Devices that
 * were added since go into `added` as they are, not trusted either. False, with `config` as it was:
 * `left` has another device that the file does not have.
 */
bool bh_takeover_config(struct bh_vm_config *config, const struct bh_vm_config *left,
                        struct bh_vm_config *added);

/*
 * The same device as a request could have described it, with a `kept` that is a place; false when
 * none could.
 */
bool bh_takeover_disk(const struct bh_disk_config *left, struct bh_disk_config *disk);
bool bh_takeover_nic(const struct bh_nic_config *left, struct bh_nic_config *nic);

#endif
