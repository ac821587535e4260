/* SPDX-License-Identifier: MIT */
/*
 * The seam between the API and the daemon: what the API asks, and how the daemon answers.
 *
 * The API speaks HTTP. It knows who calls, that the role allows the route, that the body fits its
 * schema and that every parameter is right before it calls any function of struct api_backend. The
 * daemon knows the objects: whether a name is taken, a state allows a change, an If-Match is stale.
 *
 * Threads: every function is called from the server's event threads, several at once. All but
 * handle() and upload_finish() answer before they return and must be quick: memory, the page cache,
 * or SQLite reads, never a guest, a child process or a flush to disk. handle() and upload_finish()
 * may return first and answer later, from any thread, by exactly one api_answer() or api_refuse().
 * Until then the request, and all it points to, stays valid and unchanged.
 *
 * Text is UTF-8 and ends with NUL. Documents are JSON bytes that go to the client as they are.
 */
#ifndef BULKHEAD_API_BACKEND_H
#define BULKHEAD_API_BACKEND_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Generated from openapi.yaml: enum api_route (API_VM_LIST, ...), enum api_collection
 * (API_COLLECTION_VMS, ...), enum api_problem_type (API_PROBLEM_NAME_TAKEN, ...). */
#include "api/contract_ids.h"

#define API_UUID_SIZE 37  /* 36 characters and the NUL */
#define API_ETAG_SIZE 64  /* characters of an entity tag without quotes, and the NUL */
#define API_PAGE_SIZE 513 /* characters of a page token, and the NUL */

enum api_role {
    API_ROLE_NONE,
    API_ROLE_ADMIN,
    API_ROLE_OPERATOR,
    API_ROLE_VIEWER,
    API_ROLE_METRICS,
    API_ROLE_CONSOLE
};
enum api_via { API_VIA_TOKEN, API_VIA_CERTIFICATE, API_VIA_SOCKET };

/* Who calls. */
struct api_caller {
    char name[96];      /* for the audit log, such as "user:alice" or "socket:0" */
    char user[64];      /* the user's name; empty for the local administrator */
    enum api_role role; /* the least of the user's and the token's */
    enum api_via via;
    char token[API_UUID_SIZE]; /* uuid of the token, or empty */
    char vm[API_UUID_SIZE];    /* the one VM the caller may reach, or empty for all; the daemon
                                  compares it when it resolves the VM in the path */
    int64_t expires_at;        /* seconds since 1970, or 0 for never */
};

/* One call of a route. */
struct api_request {
    enum api_route route;
    const char *object; /* first name or uuid in the path ({vm}, {disk}, ...), or NULL */
    const char *child;  /* second one ({snapshot}), or NULL */
    struct api_caller caller;
    json_t *body;         /* checked against the schema, sizes as integers; NULL without a body */
    const char *if_match; /* spec part of the entity tag, "*", or NULL */
    const char *idempotency_key; /* or NULL */
    unsigned char digest[32]; /* With a key: SHA-256 of method, path, query and body, of an upload
                                 once it is finished; the same key with another digest is
                                 API_PROBLEM_KEY_REUSED */
    bool dry_run;
    unsigned wait;           /* seconds to wait for the operation's end before answering 202; for
                                API_OPERATION_GET, before answering what it is then. 0: do not wait */
    const char *request_id;  /* 16 hexadecimal digits, or what the client sent in X-Request-Id */
    const char *traceparent; /* W3C trace context, or NULL */
};

/* A good answer. */
struct api_answer {
    int status;  /* 200 done, 201 created, 202 goes on, 204 deleted */
    char *bytes; /* JSON document from malloc, which the API frees; NULL with 204 */
    size_t size;
    char etag[API_ETAG_SIZE]; /* spec part: changes when and only when a settable field does, and is
                                 never used again by an object of the same name; empty for none */
    uint64_t sequence;        /* last event that touched the object; with etag it makes the ETag */
    char location[160];       /* 201: path of the new object; 202: path of the operation */
    char operation[API_UUID_SIZE]; /* operation that did or does it, or empty */
    bool replayed;                 /* the Idempotency-Key was seen before */
};

/* A refusal. Fill it with api_problem_set() and api_problem_point(). */
struct api_problem {
    enum api_problem_type type;    /* API_PROBLEM_NONE: nothing is wrong */
    char detail[512];              /* what is wrong with which thing, and what to do */
    json_t *errors;                /* array of {pointer, detail}, or NULL */
    char operation[API_UUID_SIZE]; /* operation that failed, or empty */
    char holder[API_UUID_SIZE];    /* operation or object in the way, or empty */
    unsigned retry_after;          /* seconds, or 0 */
    uint64_t oldest;               /* API_PROBLEM_TRIMMED: oldest sequence kept */
};

/* Answer a request given to handle() or upload_finish(). Take over answer->bytes and
 * problem->errors. From any thread, even before the function that got the request returns. */
void api_answer(struct api_request *request, struct api_answer *answer);
void api_refuse(struct api_request *request, struct api_problem *problem);

/* Set type and detail. With the type alone set, the first of the errors is the detail. */
void api_problem_set(struct api_problem *problem, enum api_problem_type type, const char *format,
                     ...) __attribute__((format(printf, 3, 4)));
/* Add one offending field by its JSON pointer. */
void api_problem_point(struct api_problem *problem, const char *pointer, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Say that there was no event `wanted`, so that nothing can be told since then. */
void api_problem_unknown_sequence(struct api_problem *problem, uint64_t wanted, uint64_t newest);

/* One condition of ?filter=. The column is one that x-filter of the route names. */
struct api_condition {
    const char *column;
    const char *value;
    bool negated; /* != */
    bool prefix;  /* the value was followed by a star */
};

struct api_list_query {
    enum api_collection collection;
    unsigned limit; /* 1 to 1000 */
    const char
        *page_token; /* the next of an earlier page, or NULL; a bad one is INVALID_PARAMETER */
    bool has_since;
    uint64_t since; /* answer what changed after this sequence, deleted ones too */
    size_t condition_count;
    const struct api_condition *conditions;
};

enum api_row_kind {
    API_ROW_ITEM,
    API_ROW_DELETED /* {"uuid":...,"name":...,"sequence":...}; only with since */
};
/* Takes one ready JSON document. The bytes are copied before it returns. */
typedef void api_row_function(void *sink, enum api_row_kind kind, const char *bytes, size_t size);

struct api_page {
    uint64_t sequence;        /* everything up to this event is in the answer */
    uint64_t total;           /* rows that match, or an estimate */
    char next[API_PAGE_SIZE]; /* page token of A-Z a-z 0-9 _ . ~ -, or empty at the end */
};

struct api_events_page {
    uint64_t last;   /* sequence of the last row, or the one read up to */
    uint64_t oldest; /* oldest sequence kept */
    bool trimmed;    /* events after the wanted one were trimmed: rows begin at oldest */
    bool unknown;    /* there was no event of the wanted number: no rows, last is the newest */
};

struct api_console_span {
    uint64_t oldest; /* offset of the oldest byte kept */
    uint64_t end;    /* offset behind the newest byte */
    uint64_t first;  /* offset of the first byte answered */
};

struct api_metrics; /* api/metrics.h */
typedef void api_check_function(void *sink, const char *name, bool ok, const char *detail);

struct api_backend {
    void *context;       /* first argument of every function */
    const char *version; /* the daemon's version, for GET /v1 */

    /* --- Who calls. True: *caller is filled. False: not known, expired or revoked. --- */
    bool (*authenticate_token)(void *context, const char *token, struct api_caller *caller);
    bool (*authenticate_certificate)(void *context, const unsigned char *der, size_t size,
                                     struct api_caller *caller);
    bool (*authenticate_peer)(void *context, uid_t uid, gid_t gid, struct api_caller *caller);
    /* Still valid? Asked again while a stream is open. */
    bool (*caller_valid)(void *context, const struct api_caller *caller);

    /* --- Reads. --- */
    /* Grows with every change of the collection, status included: the collection's ETag.
     * One atomic load. Read before the rows, so that a tag is never newer than its rows. For
     * API_COLLECTION_EVENTS it is the sequence of the newest event. */
    uint64_t (*collection_version)(void *context, enum api_collection collection);
    /* Give the rows of a page in order. request->object is the VM of API_VM_SNAPSHOT_LIST.
     * False: *problem says why. Not called for events. */
    bool (*list)(void *context, const struct api_request *request,
                 const struct api_list_query *query, api_row_function *row, void *sink,
                 struct api_page *page, struct api_problem *problem);
    /* Give up to query->limit events after query->since, oldest first. */
    bool (*events_read)(void *context, const struct api_list_query *query, api_row_function *row,
                        void *sink, struct api_events_page *page, struct api_problem *problem);

    /* --- Everything else: one object read, every change. Answer by api_answer() or api_refuse().
     * --- */
    void (*handle)(void *context, struct api_request *request);

    /* --- Upload of request->object's content. --- */
    /* offset: where the bytes begin; total: size of the whole, or -1 when not known. What comes
     * with a key that was used before changes nothing, and upload_finish() answers as before. */
    bool (*upload_begin)(void *context, const struct api_request *request, int64_t offset,
                         int64_t total, void **upload, struct api_problem *problem);
    bool (*upload_write)(void *context, void *upload, const char *bytes, size_t size,
                         struct api_problem *problem);
    /* All bytes came: flush, check, convert, answer the image. Ends the upload. */
    void (*upload_finish)(void *context, void *upload, struct api_request *request);
    /* The client went away, or a write failed: keep what came, so that it can go on. Ends the
     * upload. */
    void (*upload_abort)(void *context, void *upload);

    /* --- Console. --- */
    /* Find the VM in request->object, check caller.vm, and say its uuid. */
    bool (*console_find)(void *context, const struct api_request *request, char uuid[API_UUID_SIZE],
                         struct api_problem *problem);
    /* Copy up to size bytes from offset (or from the oldest kept, when that is later). Return the
     * number of bytes, 0 when there are none yet or size is 0 (then only the span is wanted). A VM
     * that is gone: -1. */
    ssize_t (*console_read)(void *context, const char *uuid, uint64_t offset, char *buffer,
                            size_t size, struct api_console_span *span);
    /* Type into the guest. The API keeps the one-writer rule. Never blocks: a guest that does not
     * read, or a VM that does not run, is API_PROBLEM_WRONG_STATE. */
    bool (*console_write)(void *context, const char *uuid, const char *bytes, size_t size,
                          struct api_problem *problem);

    /* --- Watching. --- */
    /* Write the daemon's families; the API adds its own and the end. */
    void (*metrics)(void *context, struct api_metrics *metrics);
    /* Say each readiness check. */
    void (*health)(void *context, api_check_function *check, void *sink);
};

#endif
