/* SPDX-License-Identifier: MIT */
/*
 * Completes the instruction by which a guest touched MMIO: decodes it (Zydis
 * does that), does the access on the bus, and brings registers, flags and RIP
 * up to date. It knows what compilers emit for device access: moves of all
 * kinds, AND/OR/XOR/ADD/SUB on memory, TEST and CMP, XCHG, and STOS.
 */
#ifndef PARENT_WORKER_MMIO_H
#define PARENT_WORKER_MMIO_H

#include <stddef.h>

#include "parent/worker/bus.h"

struct bh_mmio_cpu {
    uint64_t general[16]; /* RAX RCX RDX RBX RSP RBP RSI RDI R8..R15 */
    uint64_t rip;
    uint64_t rflags;
    bool long_mode; /* 64-bit code; else code_32 tells 32 from 16 */
    bool code_32;
};

enum bh_mmio_status {
    BH_MMIO_DONE,
    BH_MMIO_INCOMPLETE,  /* the bytes do not hold a whole instruction */
    BH_MMIO_UNSUPPORTED, /* an instruction that this does not emulate */
};

/* `gpa` is where the access was. `cpu` is unchanged unless the status is DONE. */
enum bh_mmio_status bh_mmio_emulate(struct bh_mmio_cpu *cpu, const uint8_t *instruction,
                                    size_t length, uint64_t gpa, const struct bh_bus *bus);

#endif
