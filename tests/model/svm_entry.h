/* SPDX-License-Identifier: MIT */
/*
 * What VMRUN refuses, from the processor's manual alone (AMD64 APM 2, 15.5.1 "Canonicalization and
 * Consistency Checks", 15.20 on event injection, 15.25 on nested paging): the control block is read
 * as bytes at the offsets of appendix B.
 */
#ifndef TESTS_MODEL_SVM_ENTRY_H
#define TESTS_MODEL_SVM_ENTRY_H

#include <stdint.h>

/* Physical addresses that a child's control block must have. */
struct svm_entry_maps {
    uint64_t msr, io, nested_root;
};

/* NULL, or what in the control block is not as the hypervisor has to keep it, whatever registers
 * the parent gives the guest. */
const char *svm_entry_breaks_host(const void *vmcb, const struct svm_entry_maps *maps);

/* NULL, or which of the guest's own modes, together, the processor does not run. */
const char *svm_entry_is_refused(const void *vmcb);

#endif
