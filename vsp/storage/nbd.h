/* SPDX-License-Identifier: MIT */
/*
 * A store in an NBD export, through libnbd: so qcow2, VHDX, VMDK and encryption
 * come from qemu-nbd or nbdkit. A server that goes away makes every later
 * operation fail with -ENOTCONN; it is not looked for again.
 */
#ifndef VSP_STORAGE_NBD_H
#define VSP_STORAGE_NBD_H

#include "parent/partition/error.h"
#include "vsp/bus/loop.h"
#include "vsp/storage/store.h"

/* Is this an NBD URI, such as nbd+unix:///name?socket=/run/disk.sock? */
bool bh_nbd_is_uri(const char *text);

/* Connects, and waits for the server's greeting. NULL with `error` filled. */
struct bh_store *bh_nbd_open(struct bh_loop *loop, const char *uri, bool read_only,
                             struct bh_error *error);

#endif
