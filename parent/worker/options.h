/* SPDX-License-Identifier: MIT */
/* What the worker is told on its command line. */
#ifndef PARENT_WORKER_OPTIONS_H
#define PARENT_WORKER_OPTIONS_H

#include <stdbool.h>

#include "parent/worker/sandbox.h"

struct bh_worker_options {
    const char *config;
    const char *control;
    const char *kernel_cache;
    bool start;
    bool keep;
    int kept; /* where the keeper is; -1: there is none */
    struct bh_sandbox_options sandbox;
};

/* Says what is wrong, or what it is asked about itself, and ends the process then. */
void bh_worker_options_parse(int argc, char **argv, struct bh_worker_options *options);

#endif
