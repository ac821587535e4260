/* SPDX-License-Identifier: MIT */
/* Exits that every vendor has: each of these acts and steps over the instruction, or faults. */
#ifndef HV_X86_EXIT_H
#define HV_X86_EXIT_H

struct vp;

void exit_cpuid(struct vp *vp);
void exit_read_msr(struct vp *vp);
void exit_write_msr(struct vp *vp);
void exit_hypercall(struct vp *vp);
void exit_halt(struct vp *vp);

#endif
