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

#include "hv/abi/vp.h"
#include "hv/core/types.h"
#include "hv/core/vapic.h"

struct bh_hypervisor_stats;
struct bh_info;
struct bh_lp_stats;
struct cpuid_result;
struct hv_reference_tsc_page;
struct hypercall_buffers;
struct sched_params;
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

/* ---- partitions and their VPs ---- */

struct partition;

/* A page for a partition's structure; NULL: the hypervisor's pool is used up. */
struct partition *arch_alloc_partition(void);
void arch_free_partition(struct partition *partition);

/* A suspended VP, paid from the partition's pool and assigned to an LP. */
enum hv_status arch_vp_create(struct partition *partition, uint32_t index, struct vp **vp);
/* The share of its LP. The status is sched_set_params'. */
enum hv_status arch_vp_set_share(struct vp *vp, const struct sched_params *share);
/* The VP stops, its LP forgets it, its pages go back to the pool. */
void arch_vp_destroy(struct vp *vp);

/* Runs function(argument) on the LP of the VP, and returns when it has run. */
void arch_call_on_vp(struct vp *vp, void (*function)(void *argument), void *argument);

/* Makes every LP forget cached translations of the partition, and look up its VPs' pages anew. */
void arch_flush_partition(struct partition *partition);

/* The VP's TSC is behind the machine's by this much. On its LP, or before it runs. */
void arch_set_time_lag(struct vp *vp, reftime_t lag);

/* Whether the VP may run changed. On its LP. */
void arch_suspend_changed(struct vp *vp);

/* The parent's VP of the same LP. */
struct vp *arch_parent_vp(const struct vp *vp);

/* Registers that the back end keeps, by TLFS name. False: no such register, or not that value. */
bool arch_get_register(struct vp *vp, uint32_t name, union hv_register_value *value);
bool arch_set_register(struct vp *vp, uint32_t name, const union hv_register_value *value);
/* RSP, RIP, RFLAGS, segments and control registers; all intercepts do this. */
void arch_fill_register_page(const struct vp *vp, struct hv_register_page *page);

/* The VP's XSAVE area, which its registers are in from now on; NULL: the processor has none. */
uint8_t *arch_vp_xsave(struct vp *vp);
/* Of all VPs: the components that there can be, and the size of an area. */
uint64_t arch_xsave_components(void);
uint64_t arch_xsave_size(void);

/* ---- instructions that a guest's exit asks for ---- */

/* The processor's own answer, while the VP's registers are in it. On the VP's LP. */
void arch_cpuid(struct vp *vp, uint32_t leaf, uint32_t subleaf, struct cpuid_result *result);
/* MSRs that are neither synthetic nor the APIC's. False: #GP. */
bool arch_read_msr(struct vp *vp, uint32_t index, uint64_t *value);
bool arch_write_msr(struct vp *vp, uint32_t index, uint64_t value);

/* On the VP's LP, after its partition's exception_intercepts changed: takes a struct vp. */
void arch_take_intercepts(void *vp);

/* ---- hypercalls ---- */

/* The parent answers the call in the VP's registers. */
void arch_intercept_hypercall(struct vp *vp);

/* Code of the hypercall page: the vendor's call instruction and a return. */
void arch_fill_hypercall_page(void *page);
/* This processor's buffers. */
struct hypercall_buffers *arch_hypercall_buffers(void);

void arch_fill_info(struct bh_info *info);
void arch_fill_pool_stats(struct bh_hypervisor_stats *stats);
/* False: no such processor. */
bool arch_fill_lp_stats(uint32_t index, struct bh_lp_stats *stats);

#endif
