/* SPDX-License-Identifier: MIT */
/* What is done now and then: history trimmed, certificates renewed, uses of tokens saved. */
#ifndef MGMTD_HOUSEKEEPING_H
#define MGMTD_HOUSEKEEPING_H

#include "mgmtd/daemon.h"

struct housekeeping;

struct housekeeping *housekeeping_start(struct daemon *daemon);
void housekeeping_stop(struct housekeeping *housekeeping);

/* One round. Apart from the thread only so that it can be tested. */
void housekeeping_round(struct daemon *daemon);

#endif
