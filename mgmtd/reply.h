/* SPDX-License-Identifier: MIT */
/* Answers from what is stored: objects read, and operations that ended. */
#ifndef MGMTD_REPLY_H
#define MGMTD_REPLY_H

#include "mgmtd/change.h"

/* What a finished mutation is answered with: 200, 201 or 204. */
int reply_status(const struct mutation *mutation);

/* The path of an object; `vm` is the owner of a snapshot. */
void reply_location(char *location, size_t size, enum db_kind kind, const char *vm, const char *id);

/* Answers with an object's document, or refuses with not-found. */
void reply_object(struct daemon *daemon, struct api_request *request, enum db_kind kind,
                  const char *scope, const char *id_or_name);

/*
 * Answers with what an operation made, if it ended: true. When it has not, and
 * `now` is set, answers 202 (or 200 for who asked for the operation itself); else
 * false and nothing is answered.
 */
bool reply_operation(struct daemon *daemon, struct api_request *request, const char *id,
                     bool replayed, bool now);

/* A problem as the JSON that an operation keeps, and back. */
void reply_write_problem(struct text *text, const struct api_problem *problem);
void reply_read_problem(struct api_problem *problem, const json_t *stored);

#endif
