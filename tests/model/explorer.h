/* SPDX-License-Identifier: MIT */
/*
 * An explicit-state explorer: from one state it takes every operation, from
 * every state it finds it takes every operation again, until no new state turns
 * up. What holds in all of them then holds after sequences of any length.
 * States are visited breadth first, so a violation comes with a shortest way to
 * it.
 */
#ifndef TESTS_MODEL_EXPLORER_H
#define TESTS_MODEL_EXPLORER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct explorer_system {
    size_t state_size;
    size_t key_size;     /* states are compared by their first bytes; 0: by all */
    unsigned operations; /* numbered from 0 */
    void (*start)(void *state);
    /* Takes one operation. Returns NULL, or the words for the rule that was broken. */
    const char *(*step)(const void *state, unsigned operation, void *next);
    void (*describe)(unsigned operation, char *text, size_t size);
};

/*
 * Prints how many states and transitions `name` has, and the way to a violation, to standard
 * output. The program's exit status: success when there is none, or, of a mutant, when there is
 * one. Ends the program when memory does.
 */
int explorer_run(const struct explorer_system *system, const char *name, bool mutant);

#endif
