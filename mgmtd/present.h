/* SPDX-License-Identifier: MIT */
/*
 * What is true of one object at this moment and is not stored with it: who holds
 * it, who uses it, how far its console is. It is put into the answer for one
 * object, and into lists of networks, which are short; other lists stay a
 * concatenation of what is stored.
 */
#ifndef MGMTD_PRESENT_H
#define MGMTD_PRESENT_H

#include "mgmtd/daemon.h"
#include "mgmtd/object.h"

/* Adds members to the status that ends `document`, where the kind has one. */
void present_add(struct daemon *daemon, struct db *db, enum db_kind kind, const char *id,
                 struct text *document);

#endif
