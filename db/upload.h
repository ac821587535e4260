/* SPDX-License-Identifier: MIT */
/* Uploads under way: bytes of an image's content that were received and said to be. */
#ifndef DB_UPLOAD_H
#define DB_UPLOAD_H

#include "db/db.h"

/* DB_NOT_FOUND when none was begun. */
enum db_result db_upload_get(struct db *db, const char *image_id, int64_t *received);
enum db_result db_upload_set(struct db *db, const char *image_id, int64_t received, int64_t now);
enum db_result db_upload_end(struct db *db, const char *image_id);

#endif
