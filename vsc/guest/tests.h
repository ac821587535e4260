/* SPDX-License-Identifier: MIT */
/* The self-tests: each says `ok NAME`, with figures before it, or ends the guest. */
#ifndef VSC_GUEST_TESTS_H
#define VSC_GUEST_TESTS_H

#include "vsc/guest/console.h"
#include "vsc/guest/measure.h"
#include "vsc/guest/memory.h"
#include "vsc/guest/synic.h"

/* A test's own `check`, with its name in it, is defined from this one. */
static inline void check_that(bool holds, const char *test, const char *why)
{
    if (!holds)
        guest_fail(test, why);
}

void test_bus(const struct options *options);
void test_storage(const struct options *options);
void test_network(const struct options *options);
void test_services(const struct options *options);
void test_shutdown(const struct options *options); /* waits for the parent's request */

/* The connection is there, with the newest version. */
void connect(const char *test);

#endif
