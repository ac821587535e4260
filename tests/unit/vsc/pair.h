/* SPDX-License-Identifier: MIT */
/*
 * The clients of vsc/ and the server of vsp/ in one process: the simulated
 * guest of tests/unit/vsp/guest.h, with the clients in it.
 */
#ifndef TESTS_UNIT_VSC_PAIR_H
#define TESTS_UNIT_VSC_PAIR_H

#include "tests/unit/vsp/guest.h"
#include "vsc/bus/bus.h"

#define PAIR_SECOND UINT64_C(1000000000)

struct pair {
    struct guest *guest;
    struct vsc_platform platform;
    struct vsc_bus bus;
    uint64_t now; /* ns; a millisecond later after each time that somebody waits */
    uint32_t next_page;
    uint32_t full;      /* so many posts are refused first */
    uint32_t signalled; /* doorbells of the clients */
};

/* One at a time: the providers' clock is a function without a context. */
struct pair *pair_begin(void);
void pair_end(struct pair *pair);

/* The time of the pair, in ns. */
uint64_t pair_clock(void);

/* Pages of the guest's memory that nobody else has. */
void *pair_pages(struct pair *pair, uint32_t count);

/* Lets `seconds` pass, served every millisecond. */
void pair_pass(struct pair *pair, uint32_t seconds);

#endif
