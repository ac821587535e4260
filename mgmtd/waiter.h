/* SPDX-License-Identifier: MIT */
/*
 * Requests that wait for the end of an operation, with their deadlines.
 *
 * waiters_add and waiters_take are called under the operations' lock, so that an
 * end is not missed between looking and waiting. The waiters' own lock comes
 * after that one.
 */
#ifndef MGMTD_WAITER_H
#define MGMTD_WAITER_H

#include "mgmtd/change.h"

struct waiters;
struct waiter;

struct waiters *waiters_start(struct daemon *daemon);

/* False when nobody may wait any more, or without memory: answer at once. */
bool waiters_add(struct waiters *waiters, struct api_request *request, const char *id,
                 bool replayed);

/* Those who wait for the operation, to be handed to waiters_answer without any lock. */
struct waiter *waiters_take(struct waiters *waiters, const char *id);
void waiters_answer(struct daemon *daemon, struct waiter *list);

/* Answers all with what is now; waiters_add says false from then on. */
void waiters_close(struct waiters *waiters);
void waiters_stop(struct waiters *waiters);

#endif
