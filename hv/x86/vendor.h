/* SPDX-License-Identifier: MIT */
/*
 * The seam between what all processors with hardware virtualization have in
 * common and what one vendor's extension does its own way.
 */
#ifndef HV_X86_VENDOR_H
#define HV_X86_VENDOR_H

#include "hv/abi/intercept.h"
#include "hv/abi/vp.h"
#include "hv/core/vp.h"
#include "hv/x86/boot/linux.h"
#include "hv/x86/lp.h"

enum vendor_register {
    VENDOR_CR0,
    VENDOR_CR4,
    VENDOR_EFER,
    VENDOR_RFLAGS,
    VENDOR_PAT,
    VENDOR_TSC_OFFSET
};

struct vendor_ops {
    uint32_t id; /* enum bh_vendor */
    const char *name;
    const struct nested_format *nested_format;
    uint8_t hypercall_code[3]; /* the call instruction */

    /* Turns the extension on for the calling LP. */
    void (*init_lp)(struct lp *lp);
    /* Makes the vendor's part of a VP in two zeroed pages: its state and its control block. */
    void (*init_vp)(struct vp *vp, void *state, void *control, spa_t control_spa);
    /* Register state: after INIT; at a start-up IPI; at a 64-bit Linux entry. */
    void (*reset)(struct vp *vp);
    void (*startup)(struct vp *vp, uint8_t vector);
    void (*set_linux_entry)(struct vp *vp, const struct linux_entry *entry);

    /* Enters the guest, with whatever event is due, and handles the exit. */
    void (*run)(struct lp *lp, struct vp *vp);

    /* Exits at the exceptions that the partition's exception_intercepts name, and at no others. */
    void (*take_intercepts)(struct vp *vp);

    uint64_t (*get)(const struct vp *vp, enum vendor_register reg);
    void (*set)(struct vp *vp, enum vendor_register reg, uint64_t value);
    unsigned (*get_cpl)(const struct vp *vp);

    /* By TLFS name; false: not a register of the control block, or not that value. */
    bool (*get_register)(struct vp *vp, uint32_t name, union hv_register_value *value);
    bool (*set_register)(struct vp *vp, uint32_t name, const union hv_register_value *value);
    void (*fill_register_page)(const struct vp *vp, struct hv_register_page *page);
    /* Of an intercept message, for an instruction of that length; 0: not known. */
    struct hv_intercept_header (*make_header)(const struct vp *vp, enum hv_intercept_access access,
                                              uint64_t length);

    /* Steps over an instruction of `length` bytes, or as many as the processor reported. */
    void (*advance)(struct vp *vp, unsigned length);
    /* An exception to deliver at the next entry. */
    void (*inject_fault)(struct vp *vp, uint8_t vector, bool has_error, uint32_t error);
};

extern const struct vendor_ops *vendor;

/* Chooses the back end for this processor. Refuses the machine with a sentence if there is none. */
void vendor_select(void);

#endif
