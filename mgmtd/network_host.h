/* SPDX-License-Identifier: MIT */
/* What a network is on the host: bridge, addresses, packet rules, dnsmasq. */
#ifndef MGMTD_NETWORK_HOST_H
#define MGMTD_NETWORK_HOST_H

#include <netinet/in.h>

#include "mgmtd/object.h"
#include "mgmtd/options.h"

struct subnet {
    uint32_t address; /* host byte order, of the network */
    unsigned prefix;
};

bool subnet_parse(const char *text, struct subnet *subnet);
bool subnet_overlaps(const struct subnet *a, const struct subnet *b);
bool address_parse(const char *text, uint32_t *address);
void address_format(uint32_t address, char text[INET_ADDRSTRLEN]);
bool subnet_holds(const struct subnet *subnet, uint32_t address);

/* The bridge's name: the same for the same network. */
void network_bridge(const struct object *network, char bridge[16]);

/* Both can be done again. `run` is the daemon's run directory. */
bool network_up(const char *run, const struct object *network, char *problem, size_t size);
bool network_down(const char *run, const struct object *network, char *problem, size_t size);

/* Addresses that its dnsmasq has given out and that have not expired. */
int64_t network_leases(const char *run, const char *id);

#endif
