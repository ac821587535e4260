/* SPDX-License-Identifier: MIT */
/*
 * The SVM back end for programs on the host: the small machine of the unit tests (host_machine.h)
 * with the parent, and a child of two VPs whose registers hv/x86/svm, extended.c, exit.c and arch.c
 * keep as in the hypervisor. What the processor does between an entry and the exit is the
 * program's. The processor has all XSAVE components that the code knows, TSC_AUX, SPEC_CTRL, and
 * SVM_ASIDS identifiers.
 *
 * The child's page SVM_CODE is mapped; each VP has its intercept page, and VP 0 its register page.
 */
#ifndef TESTS_MODEL_SVM_MACHINE_H
#define TESTS_MODEL_SVM_MACHINE_H

#include "hv/abi/hypercall.h"
#include "hv/abi/synic.h"
#include "hv/x86/lp.h"
#include "hv/x86/svm/svm.h"
#include "tests/unit/hv/host_machine.h"

#define SVM_VPS         2u
#define SVM_CHILD       ((partition_id_t)2)
#define SVM_ASIDS       8u
#define SVM_MSR_MAP     0x100000ull /* physical addresses that the control block has */
#define SVM_IO_MAP      0x200000ull
#define SVM_CODE        0x3000ull /* of the child, and of the parent */
#define SVM_COMPONENTS  0x602ffull
#define SVM_NPT_ROOT(m) ((m)->partition.nested.root.raw)

struct svm_machine {
    struct partition partition;
    struct lp lp;
    struct svm_lp svm_lp;
    struct {
        struct vp vp;
        struct svm_vp svm;
        _Alignas(64) struct vmcb vmcb;
        _Alignas(64) unsigned char extended[8192];
    } child[SVM_VPS];
};
extern struct svm_machine svm_machine;

/* Acts as the processor: looks at what it is to run, and writes the exit. */
extern void (*svm_processor)(struct vmcb *vmcb);

void svm_machine_begin(void);

/* The whole of it but for input and output of calls. */
struct svm_machine_state {
    struct svm_machine machine;
    struct host_machine host;
    unsigned char ram[(HOST_PAGE_COUNT + HOST_TABLES) * PAGE_SIZE];
};
void svm_machine_save(struct svm_machine_state *state);
void svm_machine_load(const struct svm_machine_state *state);
/* Whether the child and all memory are as they were. */
bool svm_machine_is(const struct svm_machine_state *state);
/* Whether VP 1 is. */
bool svm_machine_has_sibling(const struct svm_machine_state *state);

/* A call of the parent: its status. */
enum hv_status svm_machine_call(uint64_t control, const void *input, size_t size);
enum hv_status svm_machine_set(uint32_t vp, uint32_t name, const union hv_register_value *value);
/* Up to HV_GET_VP_REGISTERS_MAX of them. */
enum hv_status svm_machine_get(uint32_t vp, const uint32_t *names, unsigned count,
                               union hv_register_value *values);

/* One entry and exit of the child's VP. */
void svm_machine_run(uint32_t vp);
/* What is in the intercept page of the VP, which becomes empty. */
struct hv_message svm_machine_take_message(uint32_t vp);

#endif
