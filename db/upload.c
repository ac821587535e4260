/* SPDX-License-Identifier: MIT */
/* Uploads under way. */
#include "db/upload.h"
#include "db/statement.h"

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
