/* SPDX-License-Identifier: MIT */
/*
 * Networks: Linux bridges; NAT by nftables, addresses and names by dnsmasq. What
 * a network is on the host can be made any number of times with the same result,
 * so all networks are simply made again at each start of the daemon.
 */
#ifndef MGMTD_NETWORK_H
#define MGMTD_NETWORK_H

#include "mgmtd/operation.h"

bool network_plan_create(struct change *change);
bool network_plan_update(struct change *change);
bool network_run_make(struct operation *operation);
bool network_finish_make(struct operation *operation, struct db *db, struct journal *journal,
                         bool succeeded);
bool network_plan_delete(struct change *change);
bool network_run_delete(struct operation *operation);

/* Makes all networks of the database on this host; says in the log which could not be. */
void networks_restore(struct daemon *daemon);

struct network_tap {
    const char *name;
    bool several_queues; /* made so that it can have more than one */
};

/* A tap for one NIC, in the network's bridge. One that is there stays as it is. */
bool network_tap_make(struct daemon *daemon, const struct object *network,
                      const struct network_tap *tap, char *problem, size_t size);
void network_tap_remove(struct daemon *daemon, const char *tap);

#endif
