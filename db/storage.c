/* SPDX-License-Identifier: MIT */
/* Images and their uploads, disks, networks, snapshots. */
#include "db/storage.h"
#include "db/statement.h"

enum db_result db_image_insert(struct db *db, const char *id, const struct db_image *image)
{
    return db_run(db, "INSERT INTO image (id, state, format, size) VALUES (?1, ?2, ?3, ?4)",
                  "ttti", id, image->state, image->format, image->size);
}

enum db_result db_image_update(struct db *db, const char *id, const struct db_image *image)
{
    return db_run(db, "UPDATE image SET state = ?2, format = ?3, size = ?4 WHERE id = ?1", "ttti",
                  id, image->state, image->format, image->size);
}

enum db_result db_upload_get(struct db *db, const char *image_id, int64_t *received)
{
    return db_integer(db, received, "SELECT received FROM upload WHERE image_id = ?1", "t",
                      image_id);
}

enum db_result db_upload_set(struct db *db, const char *image_id, int64_t received, int64_t now)
{
    return db_run(db,
                  "INSERT INTO upload (image_id, received, updated_at) VALUES (?1, ?2, ?3)"
                  " ON CONFLICT (image_id) DO UPDATE SET received = ?2, updated_at = ?3",
                  "tii", image_id, received, now);
}

enum db_result db_upload_end(struct db *db, const char *image_id)
{
    return db_run(db, "DELETE FROM upload WHERE image_id = ?1", "t", image_id);
}

enum db_result db_disk_insert(struct db *db, const char *id, const struct db_disk *disk)
{
    return db_run(db,
                  "INSERT INTO disk (id, state, format, size, image_id)"
                  " VALUES (?1, ?2, ?3, ?4, ?5)",
                  "tttit", id, disk->state, disk->format, disk->size, disk->image_id);
}

enum db_result db_disk_update(struct db *db, const char *id, const struct db_disk *disk)
{
    return db_run(db,
                  "UPDATE disk SET state = ?2, format = ?3, size = ?4, image_id = ?5"
                  " WHERE id = ?1",
                  "tttit", id, disk->state, disk->format, disk->size, disk->image_id);
}

enum db_result db_network_insert(struct db *db, const char *id, const char *mode,
                                 const char *bridge)
{
    return db_run(db, "INSERT INTO network (id, mode, bridge) VALUES (?1, ?2, ?3)", "ttt", id,
                  mode, bridge);
}

enum db_result db_snapshot_insert(struct db *db, const char *id, const char *vm_id,
                                  const char *state)
{
    return db_run(db, "INSERT INTO snapshot (id, vm_id, state) VALUES (?1, ?2, ?3)", "ttt", id,
                  vm_id, state);
}

enum db_result db_snapshot_set_state(struct db *db, const char *id, const char *state)
{
    return db_run(db, "UPDATE snapshot SET state = ?2 WHERE id = ?1", "tt", id, state);
}

enum db_result db_snapshot_count(struct db *db, const char *vm_id, int64_t *count)
{
    return db_integer(db, count, "SELECT count(*) FROM snapshot WHERE vm_id = ?1", "t", vm_id);
}
