/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Hypercalls on pages of the module's own: one for input and one for output per
 * CPU. (The kernel's input page is in use by the kernel itself, and a kernel
 * that is not Microsoft's root has no output page.)
 *
 * A call holds off interrupts on its CPU from filling the page to reading the
 * answer, so it may be issued in any context but NMI.
 */
#ifndef PARENT_DRIVER_HYPERCALL_H
#define PARENT_DRIVER_HYPERCALL_H

#include <linux/types.h>

#include "hv/abi/hypercall.h"

int bh_hypercall_init(void);
void bh_hypercall_exit(void);

/*
 * Copies `in_size` bytes in, calls, and copies `out_size` bytes out, both at
 * most 4096; out_size is copied only after success. Returns the result word.
 */
u64 bh_hypercall(u64 control, const void *in, size_t in_size, void *out, size_t out_size);

/* The same with input in registers only; returns the status. */
u16 bh_hypercall_fast(u16 code, u64 input1, u64 input2);

/* A call of `count` repetitions. */
struct bh_rep_call {
    u16 code;
    u16 count;      /* 1 to 4095 */
    const void *in; /* fixed part, variable header and elements */
    size_t in_size;
    void *out;          /* elements; NULL for none */
    size_t out_element; /* bytes of each */
};

/*
 * Goes on until all repetitions are done or one fails; *done is how many were
 * done. Returns the status of the last call.
 */
u16 bh_hypercall_rep(const struct bh_rep_call *call, u16 *done);

/* Status of a result word: enum hv_status, or another value of the TLFS. */
static inline u16 bh_hypercall_status(u64 result)
{
    return (u16)result;
}

/* The errno (negative) that the upstream interface gives for a status; 0 for success. */
int bh_status_to_errno(u16 status);

#endif
