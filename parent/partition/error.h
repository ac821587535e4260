/* SPDX-License-Identifier: MIT */
/* An error for a person: a sentence that names the thing and the remedy, and its errno. */
#ifndef PARENT_PARTITION_ERROR_H
#define PARENT_PARTITION_ERROR_H

#include <stdbool.h>

struct bh_error {
    int number; /* errno */
    char text[256];
};

/* Fills `error` and returns false, so that a failing function can return it. */
bool bh_error_set(struct bh_error *error, int number, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
