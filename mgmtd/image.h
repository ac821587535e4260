/* SPDX-License-Identifier: MIT */
/*
 * Images: announced, uploaded in pieces that can be resumed, checked, converted.
 *
 * An upload writes to a file of its own as bytes come; what was synced is in the
 * database, so that after any break the client is told where to go on. One
 * client uploads to an image at a time; what a repeat of an upload sends is dropped.
 */
#ifndef MGMTD_IMAGE_H
#define MGMTD_IMAGE_H

#include "mgmtd/operation.h"

bool image_plan_create(struct change *change);
bool image_plan_update(struct change *change);
bool image_plan_delete(struct change *change);
bool image_run_delete(struct operation *operation);

/* The end of an upload: all bytes are there. */
bool image_plan_upload(struct change *change);
bool image_run_upload(struct operation *operation);
bool image_finish_upload(struct operation *operation, struct db *db, struct journal *journal,
                         bool succeeded);

/* The functions of struct api_backend; their context is the daemon. */
bool image_upload_begin(void *context, const struct api_request *request, int64_t offset,
                        int64_t total, void **upload, struct api_problem *problem);
bool image_upload_write(void *context, void *upload, const char *bytes, size_t size,
                        struct api_problem *problem);
void image_upload_finish(void *context, void *upload, struct api_request *request);
void image_upload_abort(void *context, void *upload);

#endif
