/* SPDX-License-Identifier: MIT */
/* States and references of VMs. */
#include <stdio.h>

#include "db/statement.h"
#include "db/vm.h"

enum db_result db_vm_insert(struct db *db, const char *id, const char *state,
                            const char *desired_state)
{
    return db_run(db, "INSERT INTO vm (id, state, desired_state) VALUES (?1, ?2, ?3)", "ttt", id,
                  state, desired_state);
}

enum db_result db_vm_set_states(struct db *db, const char *id, const char *state,
                                const char *desired_state)
{
    return db_run(db, "UPDATE vm SET state = ?2, desired_state = ?3 WHERE id = ?1", "ttt", id,
                  state, desired_state);
}

/* Removing no row is no error here. */
static enum db_result clear(struct db *db, const char *sql, const char *id)
{
    enum db_result result = db_run(db, sql, "t", id);

    return result == DB_NOT_FOUND ? DB_OK : result;
}

enum db_result db_vm_clear_references(struct db *db, const char *id)
{
    enum db_result result = clear(db, "DELETE FROM vm_disk WHERE vm_id = ?1", id);

    if (result == DB_OK)
        result = clear(db, "DELETE FROM vm_nic WHERE vm_id = ?1", id);
    if (result == DB_OK)
        result = clear(db, "DELETE FROM vm_tag WHERE vm_id = ?1", id);
    return result;
}

enum db_result db_vm_add_disk(struct db *db, const char *id, int64_t slot, const char *disk_id,
                              const char *image_id)
{
    return db_run(db,
                  "INSERT INTO vm_disk (vm_id, slot, disk_id, image_id) VALUES (?1, ?2, ?3, ?4)",
                  "titt", id, slot, disk_id, image_id);
}

enum db_result db_vm_add_nic(struct db *db, const char *id, int64_t slot, const char *network_id,
                             const char *mac)
{
    return db_run(db,
                  "INSERT INTO vm_nic (vm_id, slot, network_id, mac) VALUES (?1, ?2, ?3, ?4)",
                  "titt", id, slot, network_id, mac);
}

enum db_result db_vm_add_tag(struct db *db, const char *id, const char *tag)
{
    return db_run(db, "INSERT INTO vm_tag (vm_id, tag) VALUES (?1, ?2)", "tt", id, tag);
}

struct vm_reader {
    db_vm_handler *handler;
    void *context;
};

static bool hand_vm(void *context, sqlite3_stmt *row)
{
    struct vm_reader *reader = context;

    return reader->handler(reader->context, db_column_text(row, 0), db_column_text(row, 1),
                           db_column_text(row, 2));
}

enum db_result db_vm_each(struct db *db, db_vm_handler *handler, void *context)
{
    struct vm_reader reader = {handler, context};

    return db_rows(db, hand_vm, &reader, "SELECT id, state, desired_state FROM vm", "");
}

static bool copy_id(void *context, sqlite3_stmt *row)
{
    snprintf(context, 40, "%s", db_column_text(row, 0));
    return false;
}

enum db_result db_vm_of_disk(struct db *db, const char *disk_id, char id[40])
{
    enum db_result result;

    id[0] = '\0';
    result = db_rows(db, copy_id, id, "SELECT vm_id FROM vm_disk WHERE disk_id = ?1", "t",
                     disk_id);
    return result == DB_OK && !id[0] ? DB_NOT_FOUND : result;
}
