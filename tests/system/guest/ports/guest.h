/* SPDX-License-Identifier: MIT */
/*
 * What runs inside the child of the program `ports`: a few jobs with messages and events, told by
 * a page that both sides see. Compiled into a section of the program, which copies it to
 * GUEST_CODE.
 */
#ifndef TESTS_SYSTEM_GUEST_PORTS_GUEST_H
#define TESTS_SYSTEM_GUEST_PORTS_GUEST_H

#include <stdint.h>

/* Addresses in the child; identity-mapped, the doorbells' page as well. */
#define GUEST_SIZE      0x200000u
#define GUEST_TABLES    0x1000u /* four pages */
#define GUEST_IDT       0x5000u
#define GUEST_CONTROL   0x6000u
#define GUEST_HYPERCALL 0x7000u
#define GUEST_MESSAGES  0x8000u
#define GUEST_EVENTS    0x9000u
#define GUEST_INPUT     0xa000u
#define GUEST_GDT       0xb000u
#define GUEST_STACK     0x20000u
#define GUEST_CODE      0x30000u
#define GUEST_DOORBELL  0x80000000u

#define GUEST_PORT       0x80 /* written when a job is done */
#define GUEST_SINT       2
/* The interrupt handler counts here. */
#define GUEST_INTERRUPTS 0x6800u
#define GUEST_BY_VECTOR  0x6900u /* and here, from vector 0x40 on */

enum guest_job {
    JOB_START,    /* hypercall page, SynIC, interrupts */
    JOB_POST,     /* `count` messages to `connection`, each with its number; again when refused */
    JOB_SIGNAL,   /* `count` times connection, connection + 1, ... (`step` of them) in turn */
    JOB_STORM,    /* signals until `stop` */
    JOB_DOORBELL, /* `count` stores of `value` in `size` bytes to GUEST_DOORBELL + `step` */
    JOB_RECEIVE,  /* `count` messages in the slot, numbered one after the other */
    JOB_ANSWER,   /* `count` interrupts, each answered by a signal to `connection` */
    JOB_FLAGS,    /* `count` event flags `step`; each answered by a signal to `connection`; no other
                     may be set */
};

struct guest_control {
    volatile uint32_t job;
    volatile uint32_t connection, count, step, size;
    volatile uint64_t value;
    volatile uint32_t stop;
    volatile uint32_t flag; /* with each signal */
    /* results */
    volatile uint32_t done, refused, missing, wrong;
    volatile uint32_t status; /* of the last hypercall */
};

void guest_entry(struct guest_control *control);
extern const char guest_interrupt[];
extern const char __start_guest_text[], __stop_guest_text[];

#endif
