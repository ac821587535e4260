/* SPDX-License-Identifier: MIT */
/*
 * What queries need of a VM beside its document: its states, and what it refers
 * to. The references are foreign keys, so a disk, image or network in use
 * cannot be deleted by any path.
 */
#ifndef DB_VM_H
#define DB_VM_H

#include "db/db.h"

/* After db_object_insert. */
enum db_result db_vm_insert(struct db *db, const char *id, const char *state,
                            const char *desired_state);
enum db_result db_vm_set_states(struct db *db, const char *id, const char *state,
                                const char *desired_state);

/* Forgets all references, before the new ones are added. */
enum db_result db_vm_clear_references(struct db *db, const char *id);

/* One of disk_id and image_id (a CD) is given; both NULL: an empty drive. */
enum db_result db_vm_add_disk(struct db *db, const char *id, int64_t slot, const char *disk_id,
                              const char *image_id);
enum db_result db_vm_add_nic(struct db *db, const char *id, int64_t slot, const char *network_id,
                             const char *mac);
enum db_result db_vm_add_tag(struct db *db, const char *id, const char *tag);

typedef bool db_vm_handler(void *context, const char *id, const char *state,
                           const char *desired_state);
enum db_result db_vm_each(struct db *db, db_vm_handler *handler, void *context);

/* The VM that holds a disk; DB_NOT_FOUND when none does. `id` has room for 40 bytes. */
enum db_result db_vm_of_disk(struct db *db, const char *disk_id, char id[40]);

#endif
