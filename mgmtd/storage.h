/* SPDX-License-Identifier: MIT */
/* Files of disks and images: where they are, and how they are copied. */
#ifndef MGMTD_STORAGE_H
#define MGMTD_STORAGE_H

#include "mgmtd/operation.h"

bool disk_path(const struct daemon *daemon, const char *id, char path[PATH_SIZE]);
bool image_path(const struct daemon *daemon, const char *id, char path[PATH_SIZE]);

/* Waits until the file is on the disk; false with errno. */
bool storage_sync(const char *path);

/* Waits until nobody has a qcow2 file open: its server ends a moment after the VM. */
bool storage_settle(struct operation *operation, const char *path);

/* Copies a file sparsely, sharing blocks where the file system can, and syncs it. */
bool storage_copy(struct operation *operation, const char *from, const char *to);

/* Converts an image file with qemu-img, after checking that it refers to no other file. */
bool storage_convert(struct operation *operation, const char *format, const char *from,
                     const char *to_format, const char *to);

/* Bytes that a file takes on the host; its length. 0 when it is not there. */
int64_t storage_allocated(const char *path);
int64_t storage_length(const char *path);

/* Refuses when other objects refer to the change's object, naming one. */
bool storage_unused(struct change *change);

/* Sets a finished object's state in the database. `more` are further members of its status. */
bool storage_set_status(struct operation *operation, struct db *db, struct journal *journal,
                        enum db_kind kind, const char *id, const char *state, const char *more);

#endif
