/* SPDX-License-Identifier: MIT */
/* Files mapped read-only into memory: kernels and initrds. */
#ifndef PARENT_WORKER_IMAGE_H
#define PARENT_WORKER_IMAGE_H

#include "parent/partition/error.h"
#include "parent/worker/boot.h"

/* Maps a regular file. An empty path gives an image of size 0. */
bool bh_image_open(const char *path, struct bh_boot_image *image, struct bh_error *error);

/* Its pages need not stay in memory until it is read again. */
void bh_image_rest(const struct bh_boot_image *image);
void bh_image_close(struct bh_boot_image *image);

#endif
