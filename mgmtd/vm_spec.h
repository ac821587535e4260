/* SPDX-License-Identifier: MIT */
/*
 * What a VM's document must be beyond its schema: defaults, limits of the
 * worker, and the objects it names. Used when a VM is made and when it changes.
 */
#ifndef MGMTD_VM_SPEC_H
#define MGMTD_VM_SPEC_H

#include "mgmtd/object.h"

/* Fills in defaults, and checks. False: every fault is in `problem`, by pointer. */
bool vm_spec_complete(json_t *spec, struct api_problem *problem);

/*
 * Finds the objects that the document names and writes the references, labels
 * and MAC addresses of the VM anew. `before` is the document as it was, or NULL:
 * a name that did not change still means the object it meant, whatever that is
 * called now. False: `problem` says which is missing or taken.
 */
bool vm_spec_refer(struct db *db, const struct object *vm, const json_t *before,
                   struct api_problem *problem);

#endif
