/* SPDX-License-Identifier: MIT */
/*
 * Lists: rows of the database handed on as they are stored. Objects come by
 * name, operations newest first, events oldest first. A page token is where the
 * next page begins, in the clear: the order's key of the last row.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/list.h"
#include "mgmtd/backend.h"
#include "mgmtd/host.h"
#include "mgmtd/present.h"
#include "mgmtd/vms.h"

static const struct {
    enum api_collection collection;
    enum db_kind kind;
} kinds[] = {
    {API_COLLECTION_VMS, DB_VM},
    {API_COLLECTION_DISKS, DB_DISK},
    {API_COLLECTION_IMAGES, DB_IMAGE},
    {API_COLLECTION_NETWORKS, DB_NETWORK},
    {API_COLLECTION_SNAPSHOTS, DB_SNAPSHOT},
    {API_COLLECTION_USERS, DB_USER},
    {API_COLLECTION_TOKENS, DB_TOKEN},
    {API_COLLECTION_HOSTS, DB_HOST},
};

static enum db_kind kind_of(enum api_collection collection)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (kinds[i].collection == collection)
            return kinds[i].kind;
    return DB_HOST;
}

uint64_t lists_version(void *context, enum api_collection collection)
{
    struct daemon *daemon = context;

    if (collection == API_COLLECTION_EVENTS)
        return (uint64_t)store_sequence(daemon->store);
    if (collection == API_COLLECTION_HOSTS) /* its status is new each time */
        return (uint64_t)time_now();
    if (collection == API_COLLECTION_OPERATIONS)
        return (uint64_t)store_kind_sequence(daemon->store, JOURNAL_OPERATION);
    return (uint64_t)store_kind_sequence(daemon->store, (enum journal_mark)kind_of(collection));
}

static bool refuse(struct api_problem *problem, enum db_result result, const struct db *db)
{
    if (result == DB_INVALID)
        api_problem_set(problem, API_PROBLEM_INVALID_FILTER, "%s", db_message(db));
    else
        object_problem(problem, result, DB_HOST, "", db ? db_message(db) : "no connection");
    return false;
}

struct sink {
    struct daemon *daemon;
    struct db *db;
    api_row_function *row;
    void *to;
    struct text text;
    char observed[TIME_SIZE];
    unsigned left; /* rows that still fit the page */
    bool more;
    char next[API_PAGE_SIZE];

    /* Of operations and events: conditions that no index answers. */
    const struct api_list_query *query;
    int64_t last;
};

/* --- Objects --- */

static bool give_object(void *context, const struct db_object *row)
{
    struct sink *sink = context;

    if (sink->left == 0) {
        sink->more = true;
        return false;
    }
    sink->left--;
    sink->text.size = 0;
    object_write(&sink->text, row, sink->observed);
    if (row->kind == DB_NETWORK) /* they are few */
        present_add(sink->daemon, sink->db, row->kind, row->id, &sink->text);
    if (sink->text.failed)
        return false;
    sink->row(sink->to, API_ROW_ITEM, sink->text.bytes, sink->text.size);
    snprintf(sink->next, sizeof(sink->next), "%s~%s", row->scope, row->name);
    return true;
}

static bool give_tombstone(void *context, const char *id, const char *name, int64_t sequence)
{
    struct sink *sink = context;

    sink->text.size = 0;
    text_printf(&sink->text, "{\"uuid\":\"%s\"", id);
    text_member(&sink->text, "name", name);
    text_member_integer(&sink->text, "sequence", sequence);
    text_puts(&sink->text, "}");
    if (!sink->text.failed)
        sink->row(sink->to, API_ROW_DELETED, sink->text.bytes, sink->text.size);
    return true;
}

static bool take_conditions(const struct api_list_query *query, struct db_list *list,
                            struct api_problem *problem)
{
    if (query->condition_count > DB_FILTERS_MAX) {
        api_problem_set(problem, API_PROBLEM_INVALID_FILTER, "At most %d conditions.",
                        DB_FILTERS_MAX);
        return false;
    }
    for (size_t i = 0; i < query->condition_count; i++) {
        const struct api_condition *condition = &query->conditions[i];
        struct db_filter *filter = &list->filter[list->filter_count++];

        if (condition->negated && condition->prefix) {
            api_problem_set(problem, API_PROBLEM_INVALID_FILTER,
                            "A condition with != takes no star.");
            return false;
        }
        *filter = (struct db_filter){.column = condition->column, .value = condition->value};
        filter->match = condition->negated  ? DB_MATCH_DIFFERENT
                        : condition->prefix ? DB_MATCH_PREFIX
                                            : DB_MATCH_EQUAL;
    }
    return true;
}

/* "scope~name", from give_object. */
static bool take_token(const char *token, struct db_list *list, char *copy, size_t size,
                       struct api_problem *problem)
{
    char *tilde;

    if (!token)
        return true;
    snprintf(copy, size, "%s", token);
    tilde = strchr(copy, '~');
    if (!tilde) {
        api_problem_set(problem, API_PROBLEM_INVALID_PARAMETER,
                        "The page_token is not one of this collection.");
        return false;
    }
    *tilde = '\0';
    list->after_scope = copy;
    list->after_name = tilde + 1;
    return true;
}

/* The snapshots of one VM: its uuid becomes the scope. */
static bool take_scope(struct db *db, const struct api_request *request, struct db_list *list,
                       char scope[UUID_SIZE], struct api_problem *problem)
{
    struct object vm;
    enum db_result result;

    if (request->route != API_VM_SNAPSHOT_LIST)
        return true;
    result = object_load(&vm, db, DB_VM, "", request->object);
    snprintf(scope, UUID_SIZE, "%s", vm.id);
    object_release(&vm);
    list->scope = scope;
    if (result == DB_OK)
        return true;
    object_problem(problem, result, DB_VM, request->object, db_message(db));
    return false;
}

static bool list_rows(struct db *db, const struct api_request *request,
                      const struct api_list_query *query, struct sink *sink, struct api_page *page,
                      struct api_problem *problem)
{
    struct db_list list = {.kind = kind_of(query->collection),
                           .since = query->has_since ? (int64_t)query->since : 0,
                           .limit = (int64_t)query->limit + 1};
    char token[API_PAGE_SIZE];
    char scope[UUID_SIZE];
    enum db_result result;
    int64_t total = 0;

    if (!take_conditions(query, &list, problem) ||
        !take_token(query->page_token, &list, token, sizeof(token), problem) ||
        !take_scope(db, request, &list, scope, problem))
        return false;
    result = db_list(db, &list, give_object, sink);
    if (result == DB_OK)
        result = db_list_count(db, &list, &total);
    if (result == DB_OK && query->has_since && !query->page_token)
        result = db_tombstones(db, list.kind, (int64_t)query->since, give_tombstone, sink);
    page->total = (uint64_t)total;
    return result == DB_OK || refuse(problem, result, db);
}

/* --- Operations and events: conditions on what is in the rows --- */

static bool fits(const struct api_condition *condition, const char *value)
{
    bool same = condition->prefix ? strncmp(value, condition->value, strlen(condition->value)) == 0
                                  : strcmp(value, condition->value) == 0;

    return same != condition->negated;
}

/* The name of the object concerned, from the document's own text: names need no escapes. */
static void object_name(const char *document, char name[NAME_SIZE])
{
    const char *object = strstr(document, "\"object\":{");
    const char *begin = object ? strstr(object, ",\"name\":\"") : NULL;

    snprintf(name, NAME_SIZE, "%s", begin ? begin + strlen(",\"name\":\"") : "");
    name[strcspn(name, "\"")] = '\0';
}

static bool fits_object(const struct api_condition *condition, const char *id, const char *document)
{
    char name[NAME_SIZE];

    object_name(document, name);
    if (condition->negated)
        return fits(condition, id) && fits(condition, name);
    return fits(condition, id) || fits(condition, name);
}

static bool operation_fits(const struct api_list_query *query, const struct db_operation *row)
{
    for (size_t i = 0; i < query->condition_count; i++) {
        const struct api_condition *condition = &query->conditions[i];
        bool good = strcmp(condition->column, "state") == 0  ? fits(condition, row->state)
                    : strcmp(condition->column, "kind") == 0 ? fits(condition, row->action)
                    : strcmp(condition->column, "actor") == 0
                        ? fits(condition, row->actor)
                        : fits_object(condition, row->object_id, row->head);

        if (!good)
            return false;
    }
    return true;
}

static bool give_operation(void *context, const struct db_operation *row)
{
    struct sink *sink = context;

    if (!operation_fits(sink->query, row))
        return true;
    if (sink->left == 0) {
        sink->more = true;
        return false;
    }
    sink->left--;
    sink->text.size = 0;
    operation_write(&sink->text, row);
    if (sink->text.failed)
        return false;
    sink->row(sink->to, API_ROW_ITEM, sink->text.bytes, sink->text.size);
    snprintf(sink->next, sizeof(sink->next), "%lld", (long long)row->number);
    return true;
}

/* What an index can answer of the conditions. */
static void narrow(const struct api_list_query *query, struct db_operation_list *list)
{
    for (size_t i = 0; i < query->condition_count; i++) {
        const struct api_condition *condition = &query->conditions[i];

        if (condition->negated || condition->prefix)
            continue;
        if (strcmp(condition->column, "state") == 0)
            list->state = condition->value;
        else if (strcmp(condition->column, "kind") == 0)
            list->action = condition->value;
        else if (strcmp(condition->column, "actor") == 0)
            list->actor = condition->value;
        else if (strcmp(condition->column, "object") == 0 && uuid_valid(condition->value))
            list->object_id = condition->value;
    }
}

static bool list_operations(struct db *db, const struct api_list_query *query, struct sink *sink,
                            struct api_page *page, struct api_problem *problem)
{
    struct db_operation_list list = {.since = query->has_since ? (int64_t)query->since : 0,
                                     .limit = -1};
    enum db_result result;
    int64_t total = 0;

    if (query->page_token) {
        list.before = strtoll(query->page_token, NULL, 10);
        if (list.before <= 0) {
            api_problem_set(problem, API_PROBLEM_INVALID_PARAMETER,
                            "The page_token is not one of this collection.");
            return false;
        }
    }
    narrow(query, &list);
    result = db_operation_each(db, &list, give_operation, sink);
    if (result == DB_OK)
        result = db_operation_count(db, &list, &total);
    page->total = (uint64_t)total;
    return result == DB_OK || refuse(problem, result, db);
}

/* There is one, and it is filtered by its name only. */
static bool list_hosts(struct daemon *daemon, struct sink *sink, struct api_page *page,
                       struct api_problem *problem)
{
    const struct api_list_query *query = sink->query;
    struct object host;
    enum db_result result = object_load(&host, sink->db, DB_HOST, "", daemon->host_id);
    bool wanted = result == DB_OK;
    char *document = NULL;

    for (size_t i = 0; i < query->condition_count; i++)
        wanted = wanted && fits(&query->conditions[i], host.name);
    if (wanted)
        document = host_document(daemon);
    if (document)
        sink->row(sink->to, API_ROW_ITEM, document, strlen(document));
    page->total = wanted;
    free(document);
    object_release(&host);
    return result == DB_OK || refuse(problem, result, sink->db);
}

/* What changed since an event that is not of this history can not be told. */
static bool check_since(struct daemon *daemon, struct db *db, const struct api_list_query *query,
                        struct api_problem *problem)
{
    enum db_result result = DB_OK;
    bool known = true;

    if (query->has_since)
        result = db_event_known(db, (int64_t)query->since, &known);
    if (result != DB_OK)
        return refuse(problem, result, db);
    if (!known)
        api_problem_unknown_sequence(problem, query->since,
                                     (uint64_t)store_sequence(daemon->store));
    return known;
}

bool lists_objects(void *context, const struct api_request *request,
                   const struct api_list_query *query, api_row_function *row, void *to,
                   struct api_page *page, struct api_problem *problem)
{
    struct daemon *daemon = context;
    struct db *db = store_reader(daemon->store);
    struct sink sink = {
        .daemon = daemon, .db = db, .row = row, .to = to, .left = query->limit, .query = query};
    bool done;

    *page = (struct api_page){.sequence = (uint64_t)store_sequence(daemon->store)};
    if (!db)
        return refuse(problem, DB_FAILED, NULL);
    if (!check_since(daemon, db, query, problem))
        return false;
    vms_observed(daemon->vms, sink.observed);
    if (query->collection == API_COLLECTION_HOSTS)
        done = list_hosts(daemon, &sink, page, problem);
    else if (query->collection == API_COLLECTION_OPERATIONS)
        done = list_operations(db, query, &sink, page, problem);
    else
        done = list_rows(db, request, query, &sink, page, problem);
    if (sink.more)
        snprintf(page->next, sizeof(page->next), "%s", sink.next);
    text_free(&sink.text);
    return done;
}

/* --- Events --- */

static bool event_fits(const struct api_list_query *query, const struct db_event *row)
{
    for (size_t i = 0; i < query->condition_count; i++) {
        const struct api_condition *condition = &query->conditions[i];

        if (strcmp(condition->column, "type") == 0
                ? !fits(condition, row->type)
                : !fits_object(condition, row->object_id, row->document))
            return false;
    }
    return true;
}

static bool give_event(void *context, const struct db_event *row)
{
    struct sink *sink = context;

    if (event_fits(sink->query, row)) {
        if (sink->left == 0)
            return false;
        sink->left--;
        sink->row(sink->to, API_ROW_ITEM, row->document, row->document_size);
    }
    sink->last = row->sequence;
    return true;
}

bool lists_events(void *context, const struct api_list_query *query, api_row_function *row,
                  void *to, struct api_events_page *page, struct api_problem *problem)
{
    struct daemon *daemon = context;
    struct db *db = store_reader(daemon->store);
    struct sink sink = {.row = row, .to = to, .left = query->limit, .query = query};
    struct db_event_query events = {.since = (int64_t)query->since, .limit = -1};
    uint8_t hash[DB_HASH_SIZE];
    int64_t anchor = 0;
    bool known = false;
    enum db_result result = db ? db_event_anchor(db, &anchor, hash) : DB_FAILED;

    for (size_t i = 0; i < query->condition_count; i++)
        if (strcmp(query->conditions[i].column, "object") == 0 && !query->conditions[i].negated &&
            !query->conditions[i].prefix && uuid_valid(query->conditions[i].value))
            events.object_id = query->conditions[i].value;
    sink.last = events.since;
    if (result == DB_OK)
        result = db_event_known(db, events.since, &known);
    if (result == DB_OK && known)
        result = db_event_each(db, &events, give_event, &sink);
    *page = (struct api_events_page){
        .last = (uint64_t)(known ? sink.last : store_sequence(daemon->store)),
        .oldest = (uint64_t)anchor + 1,
        .trimmed = events.since < anchor,
        .unknown = !known};
    return result == DB_OK || refuse(problem, result, db);
}
