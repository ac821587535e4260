/* SPDX-License-Identifier: MIT */
/* A store in a raw file or a block device, through io_uring. */
#ifndef VSP_STORAGE_FILE_H
#define VSP_STORAGE_FILE_H

#include "parent/partition/error.h"
#include "vsp/storage/store.h"
#include "vsp/storage/uring.h"

/*
 * Takes over `fd`, also when it fails. I/O goes around the page cache where the file system can do
 * that, straight from and to the guest's pages; what is not aligned goes through a buffer. NULL
 * with `error` filled.
 */
struct bh_store *bh_file_open(struct bh_uring *uring, int fd, bool read_only,
                              struct bh_error *error);

#endif
