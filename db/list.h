/* SPDX-License-Identifier: MIT */
/*
 * Lists of objects: keyset pages in the order of names, narrowed by filters on
 * indexed columns, or the changes since a sequence number.
 */
#ifndef DB_LIST_H
#define DB_LIST_H

#include "db/object.h"

#define DB_FILTERS_MAX 8

enum db_match {
    DB_MATCH_EQUAL,
    DB_MATCH_DIFFERENT,
    DB_MATCH_PREFIX,
};

struct db_filter {
    const char *column; /* one of db_list_column's */
    enum db_match match;
    const char *value; /* of columns that name another object: its id or name */
};

struct db_list {
    enum db_kind kind;
    struct db_filter filter[DB_FILTERS_MAX];
    unsigned filter_count;
    const char *scope;      /* NULL: all */
    const char *after_name; /* exclusive start of the page with after_scope, or NULL */
    const char *after_scope;
    int64_t since; /* only rows changed after this sequence; 0: all */
    int64_t limit; /* rows at most; negative: all */
};

/* The filter columns of a kind: the index'th name, or NULL after the last. */
const char *db_list_column(enum db_kind kind, unsigned index);

/* Rows in order of (scope, name). DB_INVALID for a filter column the kind does not have. */
enum db_result db_list(struct db *db, const struct db_list *list, db_object_handler *handler,
                       void *context);

/* How many rows match, pages aside. */
enum db_result db_list_count(struct db *db, const struct db_list *list, int64_t *count);

#endif
