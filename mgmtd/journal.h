/* SPDX-License-Identifier: MIT */
/*
 * The journal: the one durable sequence of events with its hash chain, and for
 * each collection the number of the event that changed it last. Numbers have no
 * gaps but one before each host.restored, so that a history that goes on from a
 * backup gives no number again that the lost one gave.
 *
 * The hash of an event is SHA-256 over the hash before it (32 bytes) and the
 * event's JSON up to the comma before its "hash" member, so that a client can
 * verify the chain from what the API answers. Used by the writer thread only.
 */
#ifndef MGMTD_JOURNAL_H
#define MGMTD_JOURNAL_H

#include "db/event.h"
#include "db/object.h"

/* Collections whose last change is remembered: the kinds of db/object.h, then these. */
enum journal_mark {
    JOURNAL_OPERATION = DB_KIND_COUNT,
    JOURNAL_MARK_COUNT,
};

struct journal {
    int64_t sequence; /* of the last event */
    uint8_t hash[DB_HASH_SIZE];
    int64_t mark[JOURNAL_MARK_COUNT];
};

struct journal_event {
    const char *class; /* audit: somebody asked; operation; lifecycle: it was seen to happen */
    const char *type;
    enum db_kind kind;
    const char *id;
    const char *name;
    const char *actor;
    const char *operation;  /* uuid or NULL */
    const char *request_id; /* or NULL */
    const char *data;       /* a JSON object, or NULL */
};

enum db_result journal_load(struct journal *journal, struct db *db);

/* Appends an event and marks its kind; journal->sequence is then its number. */
enum db_result journal_append(struct journal *journal, struct db *db,
                              const struct journal_event *event);

/* The first event after a return to a backup: its number is far above any that was given since. */
enum db_result journal_append_restored(struct journal *journal, struct db *db, const char *host_id,
                                       const char *host_name);
void journal_mark(struct journal *journal, enum journal_mark mark);

/* Follows the whole chain. DB_CORRUPT with the first broken sequence in *broken. */
enum db_result journal_verify(struct db *db, int64_t *count, int64_t *broken);

#endif
