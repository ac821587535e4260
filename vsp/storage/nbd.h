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

/* Loads libnbd; false with `error` filled. bh_nbd_open does it, too. */
bool bh_nbd_load(struct bh_error *error);

/* Connects, and waits for the server's greeting. NULL with `error` filled. */
struct bh_store *bh_nbd_open(struct bh_loop *loop, const char *uri, bool read_only,
                             struct bh_error *error);

/*
 * The same on a socket that is connected to a server, taken over in every case, for a process that
 * cannot connect any more. libnbd was loaded before. Waits at most BH_NBD_GREETING_MS for the
 * server's greeting.
 */
#define BH_NBD_GREETING_MS 2000
struct bh_store *bh_nbd_attach(struct bh_loop *loop, int fd, const char *name, bool read_only,
                               struct bh_error *error);

#endif
