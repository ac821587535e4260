/* SPDX-License-Identifier: MIT */
/*
 * The daemon: what its parts share. Each part owns its own locks; no part calls
 * another while holding them, except the store, whose lock is always last.
 */
#ifndef MGMTD_DAEMON_H
#define MGMTD_DAEMON_H

#include <pthread.h>

#include "api/server.h"
#include "mgmtd/ident.h"
#include "mgmtd/options.h"
#include "mgmtd/store.h"

#define BULKHEAD_VERSION "0.1.0"

struct operations;
struct vms;
struct trust;
struct pki;
struct networks;

struct daemon {
    struct options options;
    struct store *store;
    struct operations *operations;
    struct vms *vms;
    struct trust *trust;
    struct pki *pki;
    struct networks *networks;
    pthread_rwlock_t server_lock;
    struct api_server *server; /* NULL until it listens; by link.h only */
    char host_id[UUID_SIZE];
    char hypervisor[32]; /* its release; empty: none */
};

#endif
