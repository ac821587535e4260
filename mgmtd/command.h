/* SPDX-License-Identifier: MIT */
/*
 * Helper programs (qemu-img, ip, nft, ...): started without a shell, from an
 * argument vector, with a time limit, and ended when their operation is cancelled.
 */
#ifndef MGMTD_COMMAND_H
#define MGMTD_COMMAND_H

#include "mgmtd/operation.h"

#define COMMAND_OUTPUT 65536

struct command {
    const char *const *arguments; /* ends with NULL; the first is the program, found on PATH */
    const char *input;            /* for standard input, or NULL */
    int timeout_ms;
    const struct operation *operation; /* whose cancellation ends it, or NULL */
    char *output; /* standard output goes here (COMMAND_OUTPUT bytes), or NULL */
};

/* True when the program exited with 0. Else `problem` says what it said on standard error. */
bool command_run(const struct command *command, char *problem, size_t size);

#endif
