/* SPDX-License-Identifier: MIT */
/*
 * Cancelling an operation by a client. It is no operation itself: doing it twice is doing it once.
 * The request is checked and the mark set on the writer thread, where the operation's row changes,
 * so that If-Match holds at the moment of the mark; the audit log says who asked.
 */
#ifndef MGMTD_CANCEL_H
#define MGMTD_CANCEL_H

#include "mgmtd/daemon.h"

/* Answers or refuses the request later. */
void cancel_submit(struct daemon *daemon, struct api_request *request);

#endif
