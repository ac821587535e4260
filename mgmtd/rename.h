/* SPDX-License-Identifier: MIT */
/*
 * Documents name other objects as people wrote them, beside references that are
 * kept by uuid. When an object gets another name, the documents that say the old
 * one follow in the same transaction: no name in a document ever comes to mean
 * another object that takes the old name later.
 */
#ifndef MGMTD_RENAME_H
#define MGMTD_RENAME_H

#include "mgmtd/change.h"

/*
 * For plan, after the object was written: puts its name for `old_name` in the
 * documents of VMs (disks, images, networks), of disks made from it (images) and of
 * tokens (users). Refuses with 409 while such a VM or disk has an operation under way,
 * which may put its document back.
 */
bool rename_follow(struct change *change, const char *old_name);

#endif
