/* SPDX-License-Identifier: MIT */
/* Private to db/: how a row of `object` is read, shared by look-ups and lists. */
#ifndef DB_ROW_H
#define DB_ROW_H

#include "db/object.h"
#include "db/statement.h"

#define DB_OBJECT_COLUMNS "o.id, o.scope, o.name, o.state, o.revision, o.sequence, o.head, o.tail"

struct db_object_reader {
    enum db_kind kind;
    db_object_handler *handler;
    void *context;
    int64_t count;
};

/* Reads DB_OBJECT_COLUMNS of a row; texts are borrowed from it. */
void db_row_object(sqlite3_stmt *row, enum db_kind kind, struct db_object *object);

/* A db_row_handler whose context is a struct db_object_reader. */
bool db_row_hand_object(void *context, sqlite3_stmt *row);

#endif
