/* SPDX-License-Identifier: MIT */
/* This host as an object of the API: capacity, version, health, certificates. */
#ifndef MGMTD_HOST_H
#define MGMTD_HOST_H

#include "mgmtd/operation.h"

/* Makes the host's row at the first start and reads its uuid. */
bool host_open(struct daemon *daemon, char *message, size_t size);

/* The document as of now, for the caller to free. */
char *host_document(struct daemon *daemon);

/* Readiness checks, for struct api_backend; the context is the daemon. */
void host_health(void *context, api_check_function *check, void *sink);

bool host_plan_rotate(struct change *change);
bool host_run_rotate(struct operation *operation);

/* Gives the server its present certificate. */
void host_use_certificate(struct daemon *daemon);

struct host_capacity {
    int64_t processors;
    int64_t memory_total;
    int64_t memory_free; /* that more VMs may have */
    int64_t storage_total;
    int64_t storage_free;
};
void host_capacity(struct daemon *daemon, struct host_capacity *capacity);

#endif
