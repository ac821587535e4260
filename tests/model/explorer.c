/* SPDX-License-Identifier: MIT */
#include "tests/model/explorer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How a state was reached first. */
struct origin {
    uint32_t from;
    uint32_t operation;
};

struct result {
    uint64_t states, transitions;
    const char *violation; /* NULL: none, and the state space is closed */
};

/* All states found, in order; index: an open hash table of state numbers + 1, 0 = empty. */
struct state_set {
    const struct explorer_system *system;
    unsigned char *states;
    struct origin *origins;
    uint32_t count, room;
    uint32_t *index;
    uint32_t index_size; /* a power of two, at least twice the room */
};

static void *allocate(void *old, size_t size)
{
    void *memory = realloc(old, size);

    if (!memory) {
        fputs("explorer: out of memory\n", stderr);
        exit(2);
    }
    return memory;
}

static unsigned char *set_state(const struct state_set *set, uint32_t number)
{
    return set->states + (size_t)number * set->system->state_size;
}

static size_t key_size(const struct explorer_system *system)
{
    return system->key_size ? system->key_size : system->state_size;
}

static uint32_t state_hash(const unsigned char *state, size_t size)
{
    uint64_t hash = 0xcbf29ce484222325ull;

    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ state[i]) * 0x100000001b3ull;
    }
    return (uint32_t)(hash ^ hash >> 32);
}

/* The place of a state in the index: its own, or the empty one it would get. */
static uint32_t *set_place(const struct state_set *set, const unsigned char *state)
{
    size_t size = key_size(set->system);
    uint32_t at = state_hash(state, size);

    for (;; at++) {
        uint32_t *place = &set->index[at & (set->index_size - 1)];

        if (*place == 0 || memcmp(set_state(set, *place - 1), state, size) == 0) {
            return place;
        }
    }
}

static void set_grow(struct state_set *set)
{
    set->room = set->room ? set->room * 2 : 1024;
    set->index_size = set->room * 2;
    set->states = allocate(set->states, set->room * set->system->state_size);
    set->origins = allocate(set->origins, set->room * sizeof(*set->origins));
    set->index = allocate(set->index, set->index_size * sizeof(*set->index));
    memset(set->index, 0, set->index_size * sizeof(*set->index));
    for (uint32_t i = 0; i < set->count; i++) {
        *set_place(set, set_state(set, i)) = i + 1;
    }
}

static void set_add(struct state_set *set, const unsigned char *state, struct origin origin)
{
    if (set->count == set->room) {
        set_grow(set);
    }
    uint32_t *place = set_place(set, state);

    if (*place == 0) {
        memcpy(set_state(set, set->count), state, set->system->state_size);
        set->origins[set->count++] = origin;
        *place = set->count;
    }
}

static void print_operation(const struct explorer_system *system, unsigned operation)
{
    char text[128];

    system->describe(operation, text, sizeof(text));
    printf("  %s\n", text);
}

static void print_way(const struct state_set *set, uint32_t number)
{
    if (number != 0) {
        print_way(set, set->origins[number].from);
        print_operation(set->system, set->origins[number].operation);
    }
}

static struct result explore(const struct explorer_system *system)
{
    struct state_set set = {.system = system};
    struct result result = {0};
    unsigned char *state = allocate(NULL, system->state_size * 2);
    unsigned char *next = state + system->state_size;

    system->start(state);
    set_add(&set, state, (struct origin){0, 0});
    for (uint32_t at = 0; at < set.count && !result.violation; at++) {
        memcpy(state, set_state(&set, at), system->state_size);
        for (unsigned operation = 0; operation < system->operations; operation++) {
            result.violation = system->step(state, operation, next);
            result.transitions++;
            if (result.violation) {
                puts("the shortest way to a violation:");
                print_way(&set, at);
                print_operation(system, operation);
                break;
            }
            set_add(&set, next, (struct origin){at, operation});
        }
    }
    result.states = set.count;
    free(set.states);
    free(set.origins);
    free(set.index);
    free(state);
    return result;
}

int explorer_run(const struct explorer_system *system, const char *name, bool mutant)
{
    const struct result result = explore(system);

    printf("%s: %llu states, %llu transitions, %s\n", name, (unsigned long long)result.states,
           (unsigned long long)result.transitions,
           result.violation ? result.violation : "closed, no violation");
    return (result.violation != NULL) == mutant ? EXIT_SUCCESS : EXIT_FAILURE;
}
