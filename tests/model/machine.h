/* SPDX-License-Identifier: MIT */
/*
 * The small machine of the unit tests (host_machine.h) for an explorer: the parent with one VP and
 * up to two children, on the real hv/core, whose whole memory can be put into a state and read out
 * again. That is RAM, the frame table, all partitions and VPs, and the shadow of the model.
 *
 * A state is the list of the numbers of its pages in a store in which no page is twice; so it is
 * short, and two states are the same when their numbers are.
 *
 * Before a state is kept it is brought into a normal form: what only counts how often something
 * was done is cleared, and free pages of a pool are in the order of their addresses. Its key, by
 * which an explorer knows it again, is the same but for which page of a pool serves for what: pages
 * are as good as each other, which the model of memory (memory.c) shows. The same holds for the
 * place where a queue begins. So of pages in use the key has that they are there, and neither their
 * numbers nor what is in them; whatever else is in them the model's shadow must know.
 */
#ifndef TESTS_MODEL_MACHINE_H
#define TESTS_MODEL_MACHINE_H

#include "hv/abi/hypercall.h"
#include "hv/core/partition.h"
#include "hv/core/vp.h"
#include "tests/unit/hv/host_machine.h"

#define MACHINE_CHILDREN    2u
#define MACHINE_VPS_EACH    2u
#define MACHINE_VPS         (MACHINE_CHILDREN * MACHINE_VPS_EACH)
#define MACHINE_PAGES       88u
#define MACHINE_KEY_PAGES   64u
#define MACHINE_FIRST_CHILD ((partition_id_t)2)

/* Frames of the parent that the machine itself uses. */
#define MACHINE_INPUT  1u
#define MACHINE_OUTPUT 2u

struct machine_state {
    uint32_t key[MACHINE_KEY_PAGES];
    uint32_t page[MACHINE_PAGES];
};
#define MACHINE_KEY_SIZE (sizeof(uint32_t) * MACHINE_KEY_PAGES)

/* How a call ended. */
struct machine_answer {
    bool finished; /* false: the VP is to call again */
    enum hv_status status;
    uint32_t done; /* elements */
};

/* The first rule that was broken since the last machine_load; NULL: none. */
extern const char *machine_broken;
void machine_require(bool ok, const char *rule);

/*
 * A new machine with the parent alone. shadow: size bytes that are part of its state; pool: the
 * frames that may be deposited, a bit each. In the key the shadow is as `abstract` makes it, which
 * takes the numbers of frames out; NULL: it has none. The numbers of pages stay good until the end
 * of the program.
 */
void machine_begin(void *shadow, size_t size, uint64_t pool, void (*abstract)(void));
void machine_load(const struct machine_state *state);
/* Requires that no lock is held and no window open. */
void machine_save(struct machine_state *state);

/* The child with this identifier; NULL: there is none. */
struct partition *machine_child(partition_id_t id);
unsigned machine_partitions_used(void);
unsigned machine_vps_used(void);

/* One dispatch of a call of this VP, whose input is in the parent's page MACHINE_INPUT. */
struct machine_answer machine_call(struct vp *vp, uint64_t control, const void *input, size_t size);
/* The same with the input in registers. */
struct machine_answer machine_call_fast(struct vp *vp, uint64_t control, uint64_t rdx, uint64_t r8);
/* The first word of the output. */
uint64_t machine_output(void);

/*
 * What must hold whatever was called: each page of the child's pool is on its free list, in use at
 * one place that can be found from the partition, and in the frame table as such, but for those of
 * ports' queues, of which only the number is known. There are as many as were deposited, and they
 * are as many as the pool says. `deposited`: a bit for each frame.
 */
void machine_check_pool(struct partition *child, uint64_t deposited, unsigned in_queues);

#endif
