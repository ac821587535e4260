/* SPDX-License-Identifier: MIT */
/* Rows of figures: what a number of operations took. */
#ifndef VSC_GUEST_MEASURE_H
#define VSC_GUEST_MEASURE_H

#include <stdbool.h>
#include <stdint.h>

#include "vsc/guest/options.h"

struct measure {
    const struct options *options;
    const char *name;
    uint64_t ticks; /* of the time-stamp counter */
    uint64_t time;  /* 100 ns */
    uint64_t interrupts;
    uint64_t signals;
    uint64_t asked; /* operations that were begun */
};

/* The row `nothing`, for readers of counters: what its rests alone cost. */
void measure_nothing(const struct options *options);

/* Says `begin NAME`, and some time later begins. */
void measure_begin(struct measure *measure, const struct options *options, const char *name);

/* Is another operation to be begun? */
bool measure_goes_on(struct measure *measure);

/* Says `end NAME OPERATIONS`, and some time later the figures. */
void measure_end(const struct measure *measure, uint64_t operations, uint64_t bytes);

#endif
