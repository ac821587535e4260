/* SPDX-License-Identifier: MIT */
/*
 * Images, disks, snapshots and networks: the columns beside their documents.
 * Each insert comes after db_object_insert of the same id.
 */
#ifndef DB_STORAGE_H
#define DB_STORAGE_H

#include "db/db.h"

struct db_image {
    const char *state;
    const char *format;
    int64_t size; /* virtual, bytes; 0 until known */
};

struct db_disk {
    const char *state;
    const char *format; /* raw, qcow2 */
    int64_t size;       /* virtual, bytes */
    const char *image_id; /* it was made from, or NULL */
};

enum db_result db_image_insert(struct db *db, const char *id, const struct db_image *image);
enum db_result db_image_update(struct db *db, const char *id, const struct db_image *image);

/* Bytes of an upload that are synced to disk; DB_NOT_FOUND when none was begun. */
enum db_result db_upload_get(struct db *db, const char *image_id, int64_t *received);
enum db_result db_upload_set(struct db *db, const char *image_id, int64_t received, int64_t now);
enum db_result db_upload_end(struct db *db, const char *image_id);

enum db_result db_disk_insert(struct db *db, const char *id, const struct db_disk *disk);
enum db_result db_disk_update(struct db *db, const char *id, const struct db_disk *disk);

enum db_result db_network_insert(struct db *db, const char *id, const char *mode,
                                 const char *bridge);

enum db_result db_snapshot_insert(struct db *db, const char *id, const char *vm_id,
                                  const char *state);
enum db_result db_snapshot_set_state(struct db *db, const char *id, const char *state);
enum db_result db_snapshot_count(struct db *db, const char *vm_id, int64_t *count);

#endif
