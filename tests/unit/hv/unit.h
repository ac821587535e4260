/* SPDX-License-Identifier: MIT */
/* cmocka, with the headers it wants before itself, and a small random generator. */
#ifndef TESTS_UNIT_HV_UNIT_H
#define TESTS_UNIT_HV_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* The same numbers in every run (xorshift); state must not be 0. */
static inline uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

#endif
