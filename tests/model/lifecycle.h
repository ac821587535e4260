/* SPDX-License-Identifier: MIT */
/*
 * Parts of the model of partitions' lives (lifecycle.c): what is written down of a state, the
 * calls, and what must be refused in all of them (lifecycle_refuse.c).
 */
#ifndef TESTS_MODEL_LIFECYCLE_H
#define TESTS_MODEL_LIFECYCLE_H

#include "tests/model/machine.h"

#define CHILDREN     MACHINE_CHILDREN
#define VPS          MACHINE_VPS_EACH
#define SHARED_FRAME 3u
#define FIRST_FRAME  4u /* of those that are deposited for child 0; then those for child 1 */
#define TABLES       3u /* below the root, for the page that is mapped */
#define TARGET       0ull
#define LEAF         0x40000000u

/* What the parent was granted for each child. */
struct child {
    uint8_t exists, state; /* enum partition_state */
    uint8_t vp[VPS];
    uint8_t mapped, port, override;
    uint8_t has_root, tables, has_port_page; /* what it pays for besides */
    uint32_t deposited;                      /* a bit for each frame */
};
extern struct child child[CHILDREN];

enum verb {
    INITIALIZE,
    FINALIZE,
    DELETE,
    DEPOSIT,
    WITHDRAW,
    MAP,
    UNMAP,
    CREATE_PORT,
    DELETE_PORT,
    OVERRIDE,
    CREATE_VP,
    DELETE_VP,
    VERBS,
    CREATE = VERBS, /* names nobody */
    REFUSALS,       /* all that must be refused */
};
/* Codes of the calls, and those of them that repeat, here once. */
extern const uint32_t code_of[VERBS];
#define CONTROL_OF(verb) (code_of[verb] | ((verb) >= DEPOSIT && (verb) <= UNMAP ? 1ull << 32 : 0))

static inline uint64_t id_of(unsigned number)
{
    return MACHINE_FIRST_CHILD + number;
}

/* A call of the parent. Deletion of a port names none but the port. */
struct machine_answer call(enum verb verb, uint64_t id, uint32_t argument);

/* Wrong calls of everybody; machine_broken if one is granted. */
void refuse_all(void);

#endif
