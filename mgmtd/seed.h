/* SPDX-License-Identifier: MIT */
/* Cloud-init seeds of the NoCloud kind: a small ISO 9660 image with the volume name cidata. */
#ifndef MGMTD_SEED_H
#define MGMTD_SEED_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Writes the image to `path` from a VM's cloud_init member. */
bool seed_make(const char *path, const char *vm_id, const char *vm_name, const json_t *cloud_init,
               char *problem, size_t size);

#endif
