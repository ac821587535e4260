/* SPDX-License-Identifier: GPL-2.0-only */
/* The misc device /dev/bulkhead (uapi/bulkhead.h). */
#ifndef PARENT_DRIVER_DEVICE_H
#define PARENT_DRIVER_DEVICE_H

int bh_device_init(void);
void bh_device_exit(void);

#endif
