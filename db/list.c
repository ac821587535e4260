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

#define SQL_MAX 4096

/*
 * How a column is looked up. %s is the comparison of the value, such as `= ?3`;
 * a column that names another object ("target") takes its id or its name.
 */
struct column {
    enum db_kind kind; /* DB_KIND_COUNT: every kind */
    const char *name;
    enum { OWN, LABEL, TARGET } where;
    const char *field; /* column of `object`, label's field, or kind of the target */
};

static const struct column columns[] = {
    {DB_KIND_COUNT, "uuid", OWN, "o.id"},     {DB_KIND_COUNT, "name", OWN, "o.name"},
    {DB_KIND_COUNT, "state", OWN, "o.state"}, {DB_KIND_COUNT, "tag", LABEL, "tag"},
    {DB_VM, "network", TARGET, "network"},    {DB_VM, "disk", TARGET, "disk"},
    {DB_VM, "image", TARGET, "image"},        {DB_DISK, "image", LABEL, "image"},
    {DB_IMAGE, "kind", LABEL, "kind"},        {DB_NETWORK, "mode", LABEL, "mode"},
    {DB_SNAPSHOT, "vm", TARGET, "vm"},        {DB_USER, "role", LABEL, "role"},
    {DB_TOKEN, "role", LABEL, "role"},        {DB_TOKEN, "user", LABEL, "user"},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool belongs(const struct column *column, enum db_kind kind)
{
    return column->kind == kind || column->kind == DB_KIND_COUNT;
}

static const struct column *find_column(enum db_kind kind, const char *name)
{
    for (size_t i = 0; i < COUNT(columns); i++)
        if (belongs(&columns[i], kind) && strcmp(columns[i].name, name) == 0)
            return &columns[i];
    return NULL;
}

const char *db_list_column(enum db_kind kind, unsigned index)
{
    for (size_t i = 0; i < COUNT(columns); i++)
        if (belongs(&columns[i], kind) && index-- == 0)
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

/* Adds a text parameter; its number. */
static int add_parameter(struct query *query, const char *value)
{
    query->texts[query->text_count++] = value;
    return query->text_count;
}

/* A comparison of `field` with a parameter: equal, or a range that holds the prefix. */
static void add_comparison(struct query *query, const char *field, enum db_match match,
                           int parameter)
{
    char text[160];

    if (match == DB_MATCH_PREFIX)
        snprintf(text, sizeof(text), "(%s >= ?%d AND %s < ?%d || char(1114111))", field, parameter,
                 field, parameter);
    else
        snprintf(text, sizeof(text), "%s = ?%d", field, parameter);
    add(query, text);
}

static void add_filter(struct query *query, const struct column *column,
                       const struct db_filter *filter)
{
    int parameter = add_parameter(query, filter->value);
    char text[256];

    add(query, filter->match == DB_MATCH_DIFFERENT ? " AND NOT (" : " AND (");
    if (column->where == OWN) {
        add_comparison(query, column->field, filter->match, parameter);
    } else if (column->where == LABEL) {
        snprintf(text, sizeof(text), "o.id IN (SELECT object_id FROM label WHERE field = '%s' AND ",
                 column->field);
        add(query, text);
        add_comparison(query, "value", filter->match, parameter);
        add(query, ")");
    } else {
        snprintf(text, sizeof(text),
                 "o.id IN (SELECT from_id FROM reference WHERE to_id IN"
                 " (SELECT t.id FROM object t WHERE t.kind = '%s' AND (t.id = ?%d OR ",
                 column->field, parameter);
        add(query, text);
        add_comparison(query, "t.name", filter->match, parameter);
        add(query, ")))");
    }
    add(query, ")");
}

static enum db_result build_conditions(struct db *db, const struct db_list *list,
                                       struct query *query)
{
    add_parameter(query, db_kind_name(list->kind));
    add(query, " FROM object o WHERE o.kind = ?1");
    if (list->scope) {
        add(query, " AND ");
        add_comparison(query, "o.scope", DB_MATCH_EQUAL, add_parameter(query, list->scope));
    }
    for (unsigned i = 0; i < list->filter_count; i++) {
        const struct column *column = find_column(list->kind, list->filter[i].column);

        if (!column) {
            snprintf(db->message, sizeof(db->message), "%s has no filter column %s",
                     db_kind_name(list->kind), list->filter[i].column);
            return DB_INVALID;
        }
        add_filter(query, column, &list->filter[i]);
    }
    return DB_OK;
}

static void add_page(const struct db_list *list, struct query *query)
{
    char buffer[96];

    if (list->after_name) {
        add_parameter(query, list->after_scope ? list->after_scope : "");
        add_parameter(query, list->after_name);
        snprintf(buffer, sizeof(buffer), " AND (o.scope, o.name) > (?%d, ?%d)",
                 query->text_count - 1, query->text_count);
        add(query, buffer);
    }
    if (list->since > 0) {
        snprintf(buffer, sizeof(buffer), " AND o.sequence > ?%d", query->text_count + 2);
        add(query, buffer);
    }
    snprintf(buffer, sizeof(buffer), " ORDER BY o.scope, o.name LIMIT ?%d", query->text_count + 1);
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
    struct db_object_reader reader = {.kind = list->kind, .handler = handler, .context = context};
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
