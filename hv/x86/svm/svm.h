/* SPDX-License-Identifier: MIT */
/* The AMD SVM back end (AMD64 APM 2, chapter 15). */
#ifndef HV_X86_SVM_SVM_H
#define HV_X86_SVM_SVM_H

#include "hv/x86/svm/vmcb.h"
#include "hv/x86/vendor.h"

/* What decides whether SVM can be used: read from the processor, judged by a pure function. */
struct svm_facts {
    bool has_svm;           /* CPUID 80000001 ECX[2] */
    uint64_t vm_cr;         /* the VM_CR MSR, 0 without SVM */
    bool has_nested_paging; /* CPUID 8000000A EDX[0] */
    uint32_t asid_count;
    bool has_next_rip; /* EDX[3] */
};

void svm_read_facts(struct svm_facts *facts);
/* NULL, or a sentence that says what is missing and what the person can do. */
const char *svm_check(const struct svm_facts *facts);

/* The vendor's part of an LP and of a VP. */
struct svm_lp {
    uint64_t host_vmcb;  /* physical: VMLOAD restores the host's hidden state from it */
    uint64_t asid_round; /* from 1 */
    uint32_t asid_next;
};

#define COMPLAINTS_MAX 8u

struct svm_vp {
    struct vmcb *vmcb;
    uint64_t vmcb_spa;
    bool nmi_masked; /* an NMI handler runs: from its injection to its IRET */
    bool nmi_iret;   /* IRET was seen at nmi_iret_rip: unmasked once that has retired */
    uint64_t nmi_iret_rip;
    int delivering;               /* vector accepted and given to the processor, or VAPIC_NONE */
    const struct svm_lp *asid_lp; /* whose the VMCB's identifier is, and of which round */
    uint64_t asid_round;
    uint32_t complaints; /* messages logged for this VP, up to COMPLAINTS_MAX */
};

static inline struct svm_vp *svm_of(const struct vp *vp)
{
    return vp->vendor;
}

extern bool svm_has_next_rip;
extern const struct vendor_ops svm_ops;

/* svm_exit.c: acts on the exit that the VMCB describes. */
void svm_handle_exit(struct vp *vp);

/* The same for a child's VP (svm_child.c), and exits that both have. */
void svm_handle_child_exit(struct vp *vp);
bool svm_handle_common_exit(struct vp *vp);

struct hv_intercept_header svm_make_header(const struct vp *vp, enum hv_intercept_access access,
                                           uint64_t length);

/* The bytes at CS:RIP, as far as they can be read: how many. */
uint8_t svm_fetch(const struct vp *vp, uint8_t bytes[HV_INSTRUCTION_BYTES_MAX]);

/* In the order of instruction encoding. */
uint64_t svm_general_register(const struct vp *vp, unsigned number);

/* svm_register.c */
bool svm_get_register(struct vp *vp, uint32_t name, union hv_register_value *value);
void svm_fill_register_page(const struct vp *vp, struct hv_register_page *page);
bool svm_set_register(struct vp *vp, uint32_t name, const union hv_register_value *value);
void svm_pack_segment(const struct vmcb_segment *from, struct hv_segment_register *to);

/*
 * svm_enter.S: loads the guest's registers, runs it, saves them. Interrupts off before and after.
 * False: an NMI that nobody has looked at yet came before, and the guest did not run.
 */
bool svm_enter(struct vp_registers *registers, uint64_t vmcb_spa, uint64_t host_vmcb_spa,
               const volatile bool *nmi_seen, bool in_shadow);

#endif
