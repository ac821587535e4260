/* SPDX-License-Identifier: MIT */
/* The daemon as the API sees it: fills in struct api_backend. */
#ifndef MGMTD_BACKEND_H
#define MGMTD_BACKEND_H

#include "mgmtd/daemon.h"

void backend_fill(struct daemon *daemon, struct api_backend *backend);

/* lists.c */
uint64_t lists_version(void *context, enum api_collection collection);
bool lists_objects(void *context, const struct api_request *request,
                   const struct api_list_query *query, api_row_function *row, void *sink,
                   struct api_page *page, struct api_problem *problem);
bool lists_events(void *context, const struct api_list_query *query, api_row_function *row,
                  void *sink, struct api_events_page *page, struct api_problem *problem);

/* metrics.c */
void metrics_write(void *context, struct api_metrics *metrics);

#endif
