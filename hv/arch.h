/* SPDX-License-Identifier: MIT */
/*
 * What hv/core asks of the processor it runs on. hv/x86 implements these
 * functions for the machine; the tests implement them over an array.
 *
 * Windows. The hypervisor keeps no map of all memory. To read or write a page
 * it places it in a window of the processor it runs on and takes it out
 * again. Windows are released in the reverse order they were made, never
 * outlive the exit they were made in, and are seen by their own processor only.
 * hv/core holds at most ARCH_WINDOW_DEPTH of them at a time.
 */
#ifndef HV_ARCH_H
#define HV_ARCH_H

#include "hv/core/types.h"
#include "hv/core/vapic.h"

struct bh_hypervisor_stats;
struct bh_info;
struct bh_lp_stats;
struct cpuid_result;
struct hv_reference_tsc_page;
struct hypercall_buffers;
struct vp;

#define ARCH_WINDOW_DEPTH 6

/* The page at spa, which must be page-aligned RAM, readable and writable. Never fails. */
void *arch_window_map(spa_t page);
/* Ends the newest window; window is what arch_window_map returned. */
void arch_window_unmap(void *window);

/* ---- console and clock ---- */

void arch_console_write(const char *text, size_t length);

/* The reference clock; the same on all processors. */
reftime_t arch_time_now(void);
reftime_t arch_time_from_tsc(uint64_t tsc);
uint64_t arch_ticks_to_reftime(uint64_t ticks);
uint64_t arch_tsc_hz(void);
bool arch_tsc_is_invariant(void);
bool arch_tsc_is_synchronized(void);
void arch_fill_reference_tsc(struct hv_reference_tsc_page *page);

/* ---- virtual processors ---- */

/* From any LP: the VP's LP shall look at it soon. Called once until that LP did. */
void arch_vp_notify(struct vp *vp);

/* State after INIT, and the start at a real-mode address vector * 4096. On the VP's LP. */
void arch_vp_init(struct vp *vp);
void arch_vp_startup(struct vp *vp, uint8_t vector);

bool arch_vp_interrupts_enabled(const struct vp *vp);
uint64_t arch_vp_cr4(const struct vp *vp);

/* The VP has nothing better to do than wait: another may run first. */
void arch_yield(struct vp *vp);

/* The guest ended a level-triggered interrupt. */
void arch_level_eoi(struct vp *vp, uint8_t vector);
/* The guest wrote an LVT entry. */
void arch_lvt_changed(struct vp *vp, enum vapic_lvt index, uint32_t value);
/* Address bits of a new VP's APIC_BASE. */
uint64_t arch_apic_base(void);

/* ---- instructions that a guest's exit asks for ---- */

/* The processor's own answer. */
void arch_cpuid(uint32_t leaf, uint32_t subleaf, struct cpuid_result *result);
/* MSRs that are neither synthetic nor the APIC's. False: #GP. */
bool arch_read_msr(struct vp *vp, uint32_t index, uint64_t *value);
bool arch_write_msr(struct vp *vp, uint32_t index, uint64_t value);

/* ---- hypercalls ---- */

/* Code of the hypercall page: the vendor's call instruction and a return. */
void arch_fill_hypercall_page(void *page);
/* This processor's buffers. */
struct hypercall_buffers *arch_hypercall_buffers(void);

void arch_fill_info(struct bh_info *info);
void arch_fill_pool_stats(struct bh_hypervisor_stats *stats);
/* False: no such processor. */
bool arch_fill_lp_stats(uint32_t index, struct bh_lp_stats *stats);

#endif
