/* SPDX-License-Identifier: MIT */
/* The unpacked kernel of a bzImage, from the cache that bulkhead-unpack keeps. */
#ifndef PARENT_WORKER_UNPACKED_H
#define PARENT_WORKER_UNPACKED_H

#include "parent/worker/boot.h"

/*
 * For a bzImage, runs bulkhead-unpack, which lies beside this program, and maps what it names.
 * *image has size 0 when there is none: the kernel unpacks itself then. Needs
 * files, so it comes before the sandbox.
 */
void bh_unpacked_open(const char *folder, const char *kernel, struct bh_boot_image *image);

#endif
