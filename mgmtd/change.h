/* SPDX-License-Identifier: MIT */
/*
 * A change: one mutation asked for by a client, or by the daemon itself.
 *
 * A mutation has up to three parts. `plan` runs in a transaction on the writer
 * thread: it validates everything, then writes. If it leaves `deferred` set, the
 * operation is queued, and `run` does the long work on a thread of its own, one
 * at a time per object; `finish` then writes its outcome in one transaction
 * with the operation's end. Whatever a run did must be safe to do again: after
 * a restart of the daemon, an unfinished operation runs from its start.
 */
#ifndef MGMTD_CHANGE_H
#define MGMTD_CHANGE_H

#include "mgmtd/daemon.h"
#include "mgmtd/object.h"

struct change;
struct operation;

enum mutation_flags {
    MUTATION_CREATES = 1, /* makes a new object of `kind`; answered with 201 */
    MUTATION_DELETES = 2, /* answered with 204 */
    MUTATION_CANCELS = 4, /* cancels older operations on the object */
    MUTATION_OF_VM = 8,   /* the path names a VM first: it is the object that is locked */
    MUTATION_CHILD = 16,  /* ... and then a snapshot, in change->child */
    MUTATION_ISSUES = 32, /* plan makes the document of the answer, kept as arguments only: 201 */
    MUTATION_MERGES = 64, /* a merge patch; one that changes nothing is not planned */
};

struct mutation {
    enum api_route route;
    const char *action; /* kind of the operation, such as vm.start */
    const char *event;  /* type of the event when it is done, such as vm.started */
    enum db_kind kind;  /* of the result */
    unsigned flags;
    bool (*plan)(struct change *change);
    bool (*run)(struct operation *operation); /* NULL: plan does all */
    bool (*finish)(struct operation *operation, struct db *db, struct journal *journal,
                   bool succeeded);
};

struct change {
    struct daemon *daemon;
    const struct mutation *mutation;
    struct api_request *request; /* of a client; NULL for the daemon's own */

    /* What the request says, or the daemon itself. */
    const char *actor;
    const char *cause;
    const char *request_id;
    const char *traceparent;
    json_t *body;
    bool dry_run;

    /* While it is planned. */
    struct db *db;
    struct journal *journal;
    int64_t now;
    struct object object; /* the one that is locked: loaded, or to be made */
    struct object child;  /* snapshot, with MUTATION_CHILD */
    char operation[UUID_SIZE];
    json_t *arguments; /* what run needs; survives a restart */
    bool deferred;
    char result[UUID_SIZE]; /* object to answer with; preset to object.id */

    /* The outcome. */
    struct api_problem problem;
    bool replayed;
    char *document; /* of the answer; preset by plan to replace the object's own */
    char etag[API_ETAG_SIZE];
    int64_t sequence;
    int status;

    /* After the commit, on the writer thread; must be quick. */
    void (*committed)(struct change *change);
    unsigned pending; /* for it: bits of enum vm_pending */

    /* Whatever came of it, before the client is answered; or NULL. */
    void (*decided)(void *context);
    void *context;
};

/* Does what a client asks; answers or refuses the request later. */
void change_submit(struct daemon *daemon, const struct mutation *mutation,
                   struct api_request *request);

/* The same; `decided` is called once it is committed or refused, before the client is answered. */
void change_submit_with(struct daemon *daemon, const struct mutation *mutation,
                        struct api_request *request, void (*decided)(void *context), void *context);

/* The daemon's own change of a VM, such as a restart by policy. Nobody waits for it. */
void change_submit_internal(struct daemon *daemon, enum api_route route, const char *object_id,
                            const char *cause);

/* The mutation of a route, or of an operation's action; NULL when there is none. */
const struct mutation *mutation_of_route(enum api_route route);
const struct mutation *mutation_of_action(const char *action);

/* For plan: refuse with a database result; always false. */
bool change_refuse(struct change *change, enum db_result result);

/* For plan: sets up the new object from change->body and inserts it. False: refused. */
bool change_insert(struct change *change);

/* For plan: writes the changed document with its next revision; a new name goes into what names it.
 */
bool change_update(struct change *change);

#endif
