/* SPDX-License-Identifier: MIT */
/* The rows of operations as they run: begin, progress, end, and taking them up again. */
#ifndef MGMTD_OPERATION_ROW_H
#define MGMTD_OPERATION_ROW_H

#include "mgmtd/operation.h"

enum operation_end {
    OPERATION_SUCCEEDED,
    OPERATION_FAILED,
    OPERATION_CANCELLED,
};

const char *operation_end_name(enum operation_end end);

/* Each is durable when it returns true; false: the database refused, try again. */
bool operation_row_begin(struct operation *operation);

/* Runs the mutation's finish in the same transaction, which may turn a success into a failure. */
bool operation_row_end(struct operation *operation, enum operation_end *end);

/* Does not wait for the commit. */
void operation_row_progress(const struct operation *operation);

/* Queues what the database holds unfinished; what cannot go on is failed with a reason. */
bool operation_row_resume(struct daemon *daemon, struct operations *operations, char *message,
                          size_t size);

#endif
