/* SPDX-License-Identifier: MIT */
/*
 * A simulated /dev/mshv behind parent/partition/device.h: one partition whose
 * VPs send the messages of a script, and then run until the thread has a signal.
 */
#ifndef TESTS_UNIT_PARENT_FAKE_MSHV_H
#define TESTS_UNIT_PARENT_FAKE_MSHV_H

#include <stdatomic.h>

#include "hv/abi/intercept.h"
#include "hv/abi/vp.h"
#include "parent/partition/device.h"
#include "parent/partition/partition.h"

#define FAKE_VPS      4u
#define FAKE_MESSAGES 8u

struct fake_vp {
    struct hv_message script[FAKE_MESSAGES];
    unsigned scripted;
    unsigned next;
    struct hv_register_page page;
    bool has_page;
    union hv_register_value set[16]; /* last value set of RAX..R15 by hypercall */
    uint64_t rip;
    atomic_uint runs;
};

struct fake_mshv {
    bool refuse_partition;
    bool refuse_memory;
    uint16_t property_status; /* what a change of a property is refused with; 0: not */
    bool refuse_ports;
    atomic_int open_files;
    unsigned partitions; /* created so far */
    unsigned maps;
    uint64_t mapped_bytes;
    struct hv_input_assert_interrupt interrupt;
    unsigned interrupts;
    uint64_t share;
    uint64_t frozen; /* the partition's time */
    uint64_t reference_time;
    atomic_uint frozen_runs; /* of VPs, while it was */
    uint8_t *ram;            /* translation is one to one below 4 GiB */
    struct fake_vp vp[FAKE_VPS];
};

extern struct fake_mshv fake_mshv;
extern const struct bh_device_layer fake_mshv_layer;

void fake_mshv_reset(void);

/* Appends a message to the script of a VP. */
void fake_mshv_script(unsigned vp, uint32_t type, const void *payload, size_t size);

/* An IN or OUT at RIP 0x1000, of two bytes of code. */
struct hv_io_port_intercept fake_io(uint16_t port, unsigned size, bool write, uint64_t rax);

#endif
