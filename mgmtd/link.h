/* SPDX-License-Identifier: MIT */
/*
 * The way from the daemon's parts to the API's server, which comes after them and
 * goes before them. Each call does nothing while there is no server. The lock is
 * held during the call, so that the server cannot go away under it.
 */
#ifndef MGMTD_LINK_H
#define MGMTD_LINK_H

#include "mgmtd/daemon.h"

void link_set(struct daemon *daemon, struct api_server *server);

/* Takes the server away; from then on nobody calls it. */
struct api_server *link_take(struct daemon *daemon);

void link_events_advanced(struct daemon *daemon);
void link_console_advanced(struct daemon *daemon, const char *vm_id);
void link_trust_changed(struct daemon *daemon);

/* True without a server as well. */
bool link_use_certificate(struct daemon *daemon, const char *chain, const char *key);

#endif
