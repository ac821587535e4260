/* SPDX-License-Identifier: MIT */
/*
 * Problem documents, RFC 9457. backend.h has the parts that the daemon uses too.
 */
#ifndef BULKHEAD_API_PROBLEM_H
#define BULKHEAD_API_PROBLEM_H

#include "api/backend.h"
#include "api/text.h"

/* Add one offending query parameter or header. */
void api_problem_parameter(struct api_problem *problem, const char *parameter, const char *format,
                           ...) __attribute__((format(printf, 3, 4)));
/* Drop what it holds and make it "nothing is wrong". */
void api_problem_clear(struct api_problem *problem);
int api_problem_status(const struct api_problem *problem);
/* Append the document. instance: path of the request. */
void api_problem_render(const struct api_problem *problem, const char *instance,
                        const char *request_id, struct text *out);

#endif
