/* SPDX-License-Identifier: MIT */
/*
 * Objects as the daemon handles them: a row of the database with its document
 * parsed, and the way back to the bytes that are stored and sent.
 */
#ifndef MGMTD_OBJECT_H
#define MGMTD_OBJECT_H

#include <jansson.h>

#include "api/backend.h"
#include "api/text.h"
#include "db/object.h"
#include "db/operation.h"
#include "mgmtd/ident.h"

#define NAME_SIZE  64
#define STATE_SIZE 16

struct object {
    enum db_kind kind;
    char id[UUID_SIZE];
    char scope[UUID_SIZE];
    char name[NAME_SIZE];
    char state[STATE_SIZE];
    int64_t revision;
    int64_t sequence;
    json_t
        *document; /* what is stored as head: what the client set, and the server's fixed members */
    char *tail;
};

/* DB_NOT_FOUND leaves the object empty. Release it in every case. */
enum db_result object_load(struct object *object, struct db *db, enum db_kind kind,
                           const char *scope, const char *id_or_name);
void object_release(struct object *object);

/* Writes a new row, or the changed one, with object->sequence. */
enum db_result object_insert(struct object *object, struct db *db);
enum db_result object_update(struct object *object, struct db *db);

/* object_update after a change of what the client can set: with the next revision. */
enum db_result object_save(struct object *object, struct db *db, int64_t now);

/* Sets object->tail to `,"status":{"state":...` with `more` (members that begin with a comma). */
void object_set_status(struct object *object, const char *state, const char *more);

/* Writes the object's tags anew; its other labels stay. */
bool object_write_tags(struct db *db, const struct object *object);

/* Appends the whole document, ready to send. `observed` is put into a VM's status. */
void object_write(struct text *text, const struct db_object *row, const char *observed);

/* The entity tag of what the client can set: never the same for two objects. */
void object_etag(const char *id, int64_t revision, char etag[API_ETAG_SIZE]);

/*
 * Whether If-Match, as a request has it (NULL: not sent), allows a change of what has this tag;
 * "" of what has none. object_unchanged says it of an object, with a problem.
 */
bool etag_matches(const char *if_match, const char *etag);
bool object_unchanged(const struct object *object, const char *if_match,
                      struct api_problem *problem);

/* The entity tag of an operation: of its state and its place in the queue. */
void operation_etag(const struct db_operation *row, char etag[API_ETAG_SIZE]);

/* Appends an operation's document. */
void operation_write(struct text *text, const struct db_operation *row);

/* Fills `problem` for a failed database call on an object, in words for the client. */
void object_problem(struct api_problem *problem, enum db_result result, enum db_kind kind,
                    const char *name, const char *message);

/*
 * Puts a merge patch (RFC 7396) into a document: objects are merged member by
 * member, null removes, anything else replaces.
 */
void json_merge(json_t *target, const json_t *patch);

/* The text member of a JSON object, or "" ; the integer, or `otherwise`. */
const char *json_text(const json_t *object, const char *member);
int64_t json_number(const json_t *object, const char *member, int64_t otherwise);
/* Whether the member is another in the two, or is in one of them only. */
bool json_differs(const json_t *before, const json_t *after, const char *member);

#endif
