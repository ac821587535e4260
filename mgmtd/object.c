/* SPDX-License-Identifier: MIT */
/* Objects between their rows, their documents and the bytes that are sent. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mgmtd/object.h"

static json_t *parse_head(const struct db_object *row)
{
    char *whole = malloc(row->head_size + 2);
    json_t *document = NULL;

    if (whole) {
        memcpy(whole, row->head, row->head_size);
        memcpy(whole + row->head_size, "}", 2);
        document = json_loadb(whole, row->head_size + 1, 0, NULL);
        free(whole);
    }
    return document;
}

static bool take_row(void *context, const struct db_object *row)
{
    struct object *object = context;

    object->kind = row->kind;
    snprintf(object->id, sizeof(object->id), "%s", row->id);
    snprintf(object->scope, sizeof(object->scope), "%s", row->scope);
    snprintf(object->name, sizeof(object->name), "%s", row->name);
    snprintf(object->state, sizeof(object->state), "%s", row->state);
    object->revision = row->revision;
    object->sequence = row->sequence;
    object->document = parse_head(row);
    object->tail = strdup(row->tail);
    return false;
}

enum db_result object_load(struct object *object, struct db *db, enum db_kind kind,
                           const char *scope, const char *id_or_name)
{
    enum db_result result;

    *object = (struct object){.kind = kind};
    result = db_object_get(db, kind, scope, id_or_name, take_row, object);
    if (result == DB_OK && (!object->document || !object->tail))
        result = DB_FAILED;
    return result;
}

void object_release(struct object *object)
{
    json_decref(object->document);
    free(object->tail);
    *object = (struct object){.kind = object->kind};
}

/* The document without its last brace, for the caller to free. */
static char *dump_head(const struct object *object)
{
    char *head = json_dumps(object->document, JSON_COMPACT);

    if (head)
        head[strlen(head) - 1] = '\0';
    return head;
}

typedef enum db_result write_row(struct db *db, const struct db_object *row);

static enum db_result write_with(struct object *object, struct db *db, write_row *write)
{
    char *head = dump_head(object);
    struct db_object row = {
        .kind = object->kind,
        .id = object->id,
        .scope = object->scope,
        .name = object->name,
        .state = object->state,
        .revision = object->revision,
        .sequence = object->sequence,
        .head = head,
        .tail = object->tail ? object->tail : "",
    };
    enum db_result result = head ? write(db, &row) : DB_FAILED;

    free(head);
    return result;
}

enum db_result object_insert(struct object *object, struct db *db)
{
    return write_with(object, db, db_object_insert);
}

enum db_result object_update(struct object *object, struct db *db)
{
    return write_with(object, db, db_object_update);
}

enum db_result object_save(struct object *object, struct db *db, int64_t now)
{
    char time[TIME_SIZE];

    time_format(now, time);
    object->revision++;
    snprintf(object->name, sizeof(object->name), "%s", json_text(object->document, "name"));
    json_object_set_new(object->document, "revision", json_integer(object->revision));
    json_object_set_new(object->document, "updated_at", json_string(time));
    return object_update(object, db);
}

void object_set_status(struct object *object, const char *state, const char *more)
{
    struct text text = {0};
    char now[TIME_SIZE];

    time_format(time_now(), now);
    snprintf(object->state, sizeof(object->state), "%s", state);
    text_printf(&text, ",\"status\":{\"state\":\"%s\",\"observed_at\":\"%s\"%s}", state, now, more);
    free(object->tail);
    object->tail = text_take(&text);
}

bool object_write_tags(struct db *db, const struct object *object)
{
    enum db_result result = db_label_clear(db, object->id, "tag");
    const json_t *tag;
    size_t index;

    json_array_foreach(json_object_get(object->document, "tags"), index, tag)
    {
        if (result == DB_OK)
            result = db_label_add(db, object->id, "tag", json_string_value(tag));
        if (result == DB_EXISTS) /* said twice */
            result = DB_OK;
    }
    return result == DB_OK;
}

void object_write(struct text *text, const struct db_object *row, const char *observed)
{
    text_append(text, row->head, row->head_size);
    text_member_integer(text, "sequence", row->sequence);
    text_append(text, row->tail, row->tail_size);
    if (row->kind == DB_VM && strcmp(row->state, "unknown") != 0)
        text_printf(text, ",\"observed_at\":\"%s\"", observed);
    text_puts(text, row->kind == DB_VM ? "}}" : "}");
}

void object_etag(const char *id, int64_t revision, char etag[API_ETAG_SIZE])
{
    snprintf(etag, API_ETAG_SIZE, "%.13s-%lld", id, (long long)revision);
}

bool etag_matches(const char *if_match, const char *etag)
{
    return !if_match || strcmp(if_match, "*") == 0 || strcmp(if_match, etag) == 0;
}

bool object_unchanged(const struct object *object, const char *if_match,
                      struct api_problem *problem)
{
    char etag[API_ETAG_SIZE];

    object_etag(object->id, object->revision, etag);
    if (etag_matches(if_match, etag))
        return true;
    api_problem_set(problem, API_PROBLEM_PRECONDITION_FAILED, "%s is at revision %lld now",
                    object->name, (long long)object->revision);
    return false;
}

void operation_etag(const struct db_operation *row, char etag[API_ETAG_SIZE])
{
    snprintf(etag, API_ETAG_SIZE, "%.13s-%s%lld", row->id, row->state, (long long)row->position);
}

void operation_write(struct text *text, const struct db_operation *row)
{
    text_append(text, row->head, row->head_size);
    text_member_integer(text, "sequence", row->sequence);
    text_append(text, row->tail, row->tail_size);
    text_member_integer(text, "position", row->position);
    if (row->holder_id && row->holder_id[0])
        text_member(text, "holder", row->holder_id);
    text_puts(text, "}");
}

static const char *noun_of(enum db_kind kind)
{
    static const char *const names[DB_KIND_COUNT] = {
        [DB_VM] = "VM",           [DB_DISK] = "disk",         [DB_IMAGE] = "image",
        [DB_NETWORK] = "network", [DB_SNAPSHOT] = "snapshot", [DB_HOST] = "host",
        [DB_USER] = "user",       [DB_TOKEN] = "token",
    };

    return names[kind];
}

void object_problem(struct api_problem *problem, enum db_result result, enum db_kind kind,
                    const char *name, const char *message)
{
    const char *noun = noun_of(kind);

    switch (result) {
    case DB_NOT_FOUND:
        api_problem_set(problem, API_PROBLEM_NOT_FOUND, "There is no %s %s.", noun, name);
        break;
    case DB_EXISTS:
        api_problem_set(problem, API_PROBLEM_NAME_TAKEN, "A %s named %s exists.", noun, name);
        api_problem_point(problem, "/name", "is taken");
        break;
    case DB_IN_USE:
        api_problem_set(problem, API_PROBLEM_IN_USE, "The %s %s is in use.", noun, name);
        break;
    case DB_FULL:
        api_problem_set(problem, API_PROBLEM_STORAGE_FULL,
                        "The database has no space left. Free space on its file system.");
        break;
    default:
        api_problem_set(problem, API_PROBLEM_UNAVAILABLE, "The database cannot be used: %s.",
                        message);
        break;
    }
}

void json_merge(json_t *target, const json_t *patch)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)patch, name, value)
    {
        json_t *present = json_object_get(target, name);

        if (json_is_null(value)) {
            json_object_del(target, name);
        } else if (json_is_object(value)) {
            if (!json_is_object(present)) {
                present = json_object();
                json_object_set_new(target, name, present);
            }
            json_merge(present, value);
        } else {
            json_object_set_new(target, name, json_deep_copy(value));
        }
    }
}

const char *json_text(const json_t *object, const char *member)
{
    const char *value = json_string_value(json_object_get(object, member));

    return value ? value : "";
}

int64_t json_number(const json_t *object, const char *member, int64_t otherwise)
{
    const json_t *value = json_object_get(object, member);

    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

bool json_differs(const json_t *before, const json_t *after, const char *member)
{
    const json_t *a = json_object_get(before, member);
    const json_t *b = json_object_get(after, member);

    return a != b && !json_equal(a, b);
}
