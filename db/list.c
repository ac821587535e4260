/* SPDX-License-Identifier: MIT */
/*
 * Lists. The text of the query is put together from constants of this file
 * only; every value is a bound parameter. Each condition is written so that an
 * index answers it, and the planner picks the narrowest.
 */
#include <stdio.h>
#include <string.h>

#include "db/list.h"
#include "db/row.h"

#define SQL_MAX 2048

struct column {
    enum db_kind kind;
    const char *name;
    const char *condition; /* has one %d: the number of its parameter */
};

static const struct column columns[] = {
    {DB_VM, "state", "o.id IN (SELECT id FROM vm WHERE state = ?%d)"},
    {DB_VM, "desired_state", "o.id IN (SELECT id FROM vm WHERE desired_state = ?%d)"},
    {DB_VM, "tag", "o.id IN (SELECT vm_id FROM vm_tag WHERE tag = ?%d)"},
    {DB_VM, "network", "o.id IN (SELECT vm_id FROM vm_nic WHERE network_id = ?%d)"},
    {DB_VM, "disk", "o.id IN (SELECT vm_id FROM vm_disk WHERE disk_id = ?%d)"},
    {DB_DISK, "state", "o.id IN (SELECT id FROM disk WHERE state = ?%d)"},
    {DB_DISK, "image", "o.id IN (SELECT id FROM disk WHERE image_id = ?%d)"},
    {DB_DISK, "vm", "o.id IN (SELECT disk_id FROM vm_disk WHERE vm_id = ?%d)"},
    {DB_IMAGE, "state", "o.id IN (SELECT id FROM image WHERE state = ?%d)"},
    {DB_NETWORK, "mode", "o.id IN (SELECT id FROM network WHERE mode = ?%d)"},
    {DB_SNAPSHOT, "vm", "o.id IN (SELECT id FROM snapshot WHERE vm_id = ?%d)"},
    {DB_TOKEN, "role", "o.id IN (SELECT id FROM token WHERE role = ?%d)"},
};

/* Columns that every kind has. */
static const struct column common_columns[] = {
    {DB_KIND_COUNT, "id", "o.id = ?%d"},
    {DB_KIND_COUNT, "name", "o.name = ?%d"},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct column *find_column(enum db_kind kind, const char *name)
{
    for (size_t i = 0; i < COUNT(common_columns); i++)
        if (strcmp(common_columns[i].name, name) == 0)
            return &common_columns[i];
    for (size_t i = 0; i < COUNT(columns); i++)
        if (columns[i].kind == kind && strcmp(columns[i].name, name) == 0)
            return &columns[i];
    return NULL;
}

const char *db_list_column(enum db_kind kind, unsigned index)
{
    if (index < COUNT(common_columns))
        return common_columns[index].name;
    index -= (unsigned)COUNT(common_columns);
    for (size_t i = 0; i < COUNT(columns); i++)
        if (columns[i].kind == kind && index-- == 0)
            return columns[i].name;
    return NULL;
}

struct query {
    char sql[SQL_MAX];
    size_t used;
    const char *texts[DB_FILTERS_MAX + 4];
    int text_count;
};

static void add(struct query *query, const char *text)
{
    size_t size = strlen(text);

    if (query->used + size < sizeof(query->sql)) {
        memcpy(query->sql + query->used, text, size + 1);
        query->used += size;
    }
}

/* Appends a condition whose parameter is the next text. */
static void add_text(struct query *query, const char *condition, const char *value)
{
    char buffer[256];

    query->texts[query->text_count++] = value;
    /* The format is a constant of this file. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(buffer, sizeof(buffer), condition, query->text_count);
#pragma GCC diagnostic pop
    add(query, " AND ");
    add(query, buffer);
}

static enum db_result build_conditions(struct db *db, const struct db_list *list,
                                       struct query *query)
{
    query->texts[query->text_count++] = db_kind_name(list->kind);
    add(query, " FROM object o WHERE o.kind = ?1");
    if (list->scope)
        add_text(query, "o.scope = ?%d", list->scope);
    for (unsigned i = 0; i < list->filter_count; i++) {
        const struct column *column = find_column(list->kind, list->filter[i].column);

        if (!column) {
            snprintf(db->message, sizeof(db->message), "%s has no filter column %s",
                     db_kind_name(list->kind), list->filter[i].column);
            return DB_INVALID;
        }
        add_text(query, column->condition, list->filter[i].value);
    }
    return DB_OK;
}

static void add_page(const struct db_list *list, struct query *query)
{
    char buffer[96];

    if (list->after_name) {
        query->texts[query->text_count++] = list->after_scope ? list->after_scope : "";
        query->texts[query->text_count++] = list->after_name;
        snprintf(buffer, sizeof(buffer), " AND (o.scope, o.name) > (?%d, ?%d)",
                 query->text_count - 1, query->text_count);
        add(query, buffer);
    }
    if (list->since > 0) {
        snprintf(buffer, sizeof(buffer), " AND o.sequence > ?%d", query->text_count + 2);
        add(query, buffer);
    }
    snprintf(buffer, sizeof(buffer), " ORDER BY o.scope, o.name LIMIT ?%d",
             query->text_count + 1);
    add(query, buffer);
}

static void bind_texts(sqlite3_stmt *statement, const struct query *query)
{
    for (int i = 0; i < query->text_count; i++)
        sqlite3_bind_text(statement, i + 1, query->texts[i], -1, SQLITE_STATIC);
}

enum db_result db_list(struct db *db, const struct db_list *list, db_object_handler *handler,
                       void *context)
{
    struct db_object_reader reader = {
        .kind = list->kind, .handler = handler, .context = context};
    struct query query = {.used = 0};
    enum db_result result;
    sqlite3_stmt *statement;

    add(&query, "SELECT " DB_OBJECT_COLUMNS);
    result = build_conditions(db, list, &query);
    if (result != DB_OK)
        return result;
    add_page(list, &query);
    statement = db_prepare(db, query.sql, "");
    if (!statement)
        return DB_FAILED;
    bind_texts(statement, &query);
    sqlite3_bind_int64(statement, query.text_count + 1, list->limit);
    if (list->since > 0)
        sqlite3_bind_int64(statement, query.text_count + 2, list->since);
    return db_rows_of(db, statement, db_row_hand_object, &reader);
}

static bool read_count(void *context, sqlite3_stmt *row)
{
    int64_t *count = context;

    *count = sqlite3_column_int64(row, 0);
    return false;
}

enum db_result db_list_count(struct db *db, const struct db_list *list, int64_t *count)
{
    struct query query = {.used = 0};
    enum db_result result;
    sqlite3_stmt *statement;

    add(&query, "SELECT count(*)");
    result = build_conditions(db, list, &query);
    if (result != DB_OK)
        return result;
    statement = db_prepare(db, query.sql, "");
    if (!statement)
        return DB_FAILED;
    bind_texts(statement, &query);
    return db_rows_of(db, statement, read_count, count);
}
