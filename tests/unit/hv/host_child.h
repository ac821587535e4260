/* SPDX-License-Identifier: MIT */
/*
 * A child on the small machine of host_machine.h, made and used by the parent's hypercalls.
 * setup: a partition in state CREATED; activate: with deposits, ready for memory and VPs;
 * teardown: its end, after which every page is back with the parent.
 */
#ifndef TESTS_UNIT_HV_HOST_CHILD_H
#define TESTS_UNIT_HV_HOST_CHILD_H

#include "hv/abi/hypercall.h"
#include "hv/core/types.h"

/* Frames of the parent, by use. */
#define INPUT    0x1000u
#define OUTPUT   0x2000u
#define DEPOSIT  6u
#define DEPOSITS 5u
#define SHARED   12u

extern uint64_t child_id;

/* A call with this input block; the output is at OUTPUT. */
enum hv_status child_call(uint32_t code, uint32_t reps, const void *input, size_t size);
enum hv_status child_call_partition(uint32_t code);
enum hv_status child_deposit(unsigned count);
enum hv_status child_withdraw(unsigned count);
enum hv_status child_map(uint64_t target, uint64_t source, uint32_t flags);
enum hv_status child_unmap(uint64_t target);
enum hv_status child_create_vp(uint32_t index);
enum hv_status child_set_register(uint32_t name, uint64_t value);
enum hv_status child_get_register(uint32_t name, uint64_t *value);
enum hv_status child_map_state_page(uint16_t type, uint64_t frame);
int child_setup(void **state);
void child_activate(void);
int child_teardown(void **state);

#endif
