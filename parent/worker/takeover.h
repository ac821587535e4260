/* SPDX-License-Identifier: MIT */
/*
 * The configuration with which a worker goes on where another one fell. It opens files with the
 * daemon's rights, before its own sandbox; what the one before left was written inside a sandbox,
 * by a process that a guest may have had in its hands. So the configuration file decides which
 * files, taps and sizes there are, and the journal only what changed in between: which of the
 * devices are still there, rates, the link, shares.
 */
#ifndef PARENT_WORKER_TAKEOVER_H
#define PARENT_WORKER_TAKEOVER_H

#include "parent/control/config.h"

/*
 * `config` holds the file's and becomes the one to go on with; `left` is not trusted. False, with
 * `config` as it was: `left` has a device that the file does not have.
 */
bool bh_takeover_config(struct bh_vm_config *config, const struct bh_vm_config *left);

#endif
