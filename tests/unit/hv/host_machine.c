/* SPDX-License-Identifier: MIT */
#include "tests/unit/hv/host_machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/abi/bulkhead.h"
#include "hv/abi/synic.h"
#include "hv/arch.h"
#include "hv/core/hypercall.h"
#include "hv/core/intercept.h"
#include "tests/unit/hv/host_arch.h"

#define REFTIME_HZ 10000000ull

struct host_machine host;
static struct hypercall_buffers buffers;

/* ---- the machine ---- */

static void set_pages(frame_t first, frame_t count, enum frame_state state, partition_id_t owner)
{
    if (frame_table_set_range(&host.frames, first, count, state, owner) != HV_STATUS_SUCCESS) {
        abort();
    }
}

static void init_frames(void)
{
    frame_table_init(&host.frames, host.frame_storage, HOST_PAGE_COUNT);
    set_pages(0, HOST_GUEST_PAGES, FRAME_PARENT, PARTITION_PARENT);
    set_pages(HOST_PAGE_HYPERVISOR, 1, FRAME_HYPERVISOR, PARTITION_NONE);
    set_pages(HOST_PAGE_UNASSIGNED, 1, FRAME_UNASSIGNED, PARTITION_NONE);
    set_pages(HOST_PAGE_SHARED, 2, FRAME_PARENT, PARTITION_PARENT);
    if (frame_share(&host.frames, HOST_PAGE_SHARED, 2) != HV_STATUS_SUCCESS ||
        frame_deposit(&host.frames, HOST_PAGE_DEPOSITED, 2) != HV_STATUS_SUCCESS) {
        abort();
    }
}

/* The tables are beside the small machine's memory: an array of their own. */
static bool take_table(struct nested_source *source, spa_t *page)
{
    (void)source;
    *page = spa_make((HOST_PAGE_COUNT + host.tables_used++) << PAGE_SHIFT);
    return host.tables_used <= HOST_TABLES;
}

static void give_table(struct nested_source *source, spa_t page)
{
    (void)source;
    (void)page;
}

static void map_page(frame_t frame)
{
    struct nested_change change;

    if (nested_prepare_map(&host.partition.nested, gpa_make(frame << PAGE_SHIFT), frame_spa(frame),
                           SIZE_4K, NESTED_WRITE | NESTED_EXECUTE, &change) != HV_STATUS_SUCCESS) {
        abort();
    }
    nested_commit(&change);
    nested_finish(&change);
}

void host_make_tables(void)
{
    static struct nested_source source = {take_table, give_table};

    if (nested_init(&host.partition.nested, &nested_format_npt, &source, SIZE_2M) !=
        HV_STATUS_SUCCESS) {
        abort();
    }
    host.partition.state = PARTITION_ACTIVE; /* the parent's state says nothing */
    for (frame_t frame = 0; frame < HOST_GUEST_PAGES; frame++) {
        map_page(frame);
    }
    map_page(HOST_PAGE_SHARED);
}

void host_machine_init(unsigned vps, partition_id_t id)
{
    if (host.partition.id != PARTITION_NONE) {
        partition_delete(&host.partition);
    }
    host_memory_init(HOST_PAGE_COUNT + HOST_TABLES, 0);
    host = (struct host_machine){.now = 1000000,
                                 .tsc_invariant = true,
                                 .tsc_synchronized = true,
                                 .interrupts_enabled = true,
                                 .full_vp = HOST_VPS};
    init_frames();
    partition_init(&host.partition, id, &host.frames);
    if (id != PARTITION_PARENT) {
        host_make_tables();
    }
    partition_register(&host.partition);
    for (unsigned i = 0; i < vps; i++) {
        timer_queue_init(&host.timers[i]);
        vp_init(&host.vp[i], &host.partition, i, i, &host.timers[i]);
        host.partition.vp[i] = &host.vp[i];
        host.partition.vp_count = i + 1;
        host.vp[i].activity = VP_ACTIVE;
        vapic_write(&host.vp[i], VAPIC_SPURIOUS, 0x1ff);
        host.record[i] = (struct host_record){0};
    }
}

void host_time_set(reftime_t now)
{
    host.now = now;
    for (unsigned i = 0; i < host.partition.vp_count; i++) {
        timer_run_expired(&host.timers[i], now);
    }
}

void host_take_news(struct vp *vp)
{
    vp->notified = 0;
    vp_take_requests(vp);
    vapic_sync(vp);
}

int host_deliver(struct vp *vp)
{
    vapic_sync(vp);
    const int vector = vapic_next(&vp->apic);
    if (vector != VAPIC_NONE) {
        vapic_accept(vp, (uint8_t)vector);
    }
    return vector;
}

/* ---- guest memory ---- */

static char *open_page(uint64_t gpa, size_t size)
{
    if ((gpa & PAGE_MASK) + size > PAGE_SIZE) {
        abort();
    }
    return arch_window_map(spa_make(gpa & ~PAGE_MASK));
}

void host_guest_read(uint64_t gpa, void *to, size_t size)
{
    char *page = open_page(gpa, size);

    memcpy(to, page + (gpa & PAGE_MASK), size);
    arch_window_unmap(page);
}

void host_guest_write(uint64_t gpa, const void *from, size_t size)
{
    char *page = open_page(gpa, size);

    memcpy(page + (gpa & PAGE_MASK), from, size);
    arch_window_unmap(page);
}

uint32_t host_guest_read32(uint64_t gpa)
{
    uint32_t value;

    host_guest_read(gpa, &value, sizeof value);
    return value;
}

void host_guest_write32(uint64_t gpa, uint32_t value)
{
    host_guest_write(gpa, &value, sizeof value);
}

/* ---- hv/arch.h ---- */

static struct host_record *record_of(const struct vp *vp)
{
    return &host.record[vp->index];
}

void arch_console_write(const char *text, size_t length)
{
    if (length >= sizeof host.console) {
        abort();
    }
    memcpy(host.console, text, length);
    host.console[length] = '\0';
}

reftime_t arch_time_now(void)
{
    host.now += host.step;
    return host.now;
}

reftime_t arch_time_from_tsc(uint64_t tsc)
{
    return tsc / HOST_TSC_PER_UNIT;
}

uint64_t arch_ticks_to_reftime(uint64_t ticks)
{
    return ticks / HOST_TSC_PER_UNIT;
}

uint64_t arch_tsc_hz(void)
{
    return HOST_TSC_HZ;
}

bool arch_tsc_is_invariant(void)
{
    return host.tsc_invariant && host.tsc_synchronized;
}

bool arch_tsc_is_synchronized(void)
{
    return host.tsc_synchronized;
}

void arch_fill_reference_tsc(struct hv_reference_tsc_page *page)
{
    page->scale = UINT64_MAX / HOST_TSC_HZ * REFTIME_HZ;
    page->offset = -7;
    page->sequence = 1;
}

void arch_vp_notify(struct vp *vp)
{
    record_of(vp)->notified++;
    vp_leave_guest(vp);
}

void arch_vp_init(struct vp *vp)
{
    record_of(vp)->inits++;
}

void arch_vp_startup(struct vp *vp, uint8_t vector)
{
    record_of(vp)->startups++;
    record_of(vp)->startup_vector = vector;
}

bool arch_vp_interrupts_enabled(const struct vp *vp)
{
    (void)vp;
    return host.interrupts_enabled;
}

uint64_t arch_vp_cr4(const struct vp *vp)
{
    (void)vp;
    return host.cr4;
}

void arch_yield(struct vp *vp)
{
    record_of(vp)->yields++;
}

void arch_level_eoi(struct vp *vp, uint8_t vector)
{
    record_of(vp)->level_eoi[vector]++;
}

void arch_lvt_changed(struct vp *vp, enum vapic_lvt index, uint32_t value)
{
    record_of(vp)->lvt_writes[index]++;
    record_of(vp)->lvt[index] = value;
}

uint64_t arch_apic_base(void)
{
    return HOST_APIC_BASE;
}

void arch_cpuid(struct vp *vp, uint32_t leaf, uint32_t subleaf, struct cpuid_result *result)
{
    (void)vp;
    host.cpuid_leaf = leaf;
    host.cpuid_subleaf = subleaf;
    *result = host.cpuid;
}

bool arch_read_msr(struct vp *vp, uint32_t index, uint64_t *value)
{
    (void)vp;
    *value = host.processor_msr;
    return index == HOST_PROCESSOR_MSR;
}

bool arch_write_msr(struct vp *vp, uint32_t index, uint64_t value)
{
    (void)vp;
    if (index != HOST_PROCESSOR_MSR) {
        return false;
    }
    host.processor_msr = value;
    return true;
}

/* AMD's call instruction and a return, as child kernels find them. */
void arch_fill_hypercall_page(void *page)
{
    static const unsigned char code[] = {0x0f, 0x01, 0xd9, 0xc3};

    memset(page, 0xcc, PAGE_SIZE);
    memcpy(page, code, sizeof code);
}

struct hypercall_buffers *arch_hypercall_buffers(void)
{
    return &buffers;
}

void arch_fill_info(struct bh_info *info)
{
    info->vendor = BH_VENDOR_SVM;
    info->lp_count = host.partition.vp_count;
    snprintf(info->release, sizeof info->release, "test");
}

void arch_fill_pool_stats(struct bh_hypervisor_stats *stats)
{
    stats->pool_pages_total = 8;
    stats->pool_pages_free = 5;
}

bool arch_fill_lp_stats(uint32_t index, struct bh_lp_stats *stats)
{
    if (index >= host.partition.vp_count) {
        return false;
    }
    stats->apic_id = host.vp[index].apic.id;
    return true;
}

/* ---- partitions ---- */

static struct partition *heap_take_partition(void)
{
    return calloc(1, sizeof(struct partition));
}

static void heap_give_partition(struct partition *partition)
{
    free(partition);
}

static struct vp *heap_take_vp(struct partition *partition, uint32_t index)
{
    (void)partition;
    (void)index;
    return calloc(1, sizeof(struct vp));
}

static void heap_give_vp(struct vp *vp)
{
    free(vp);
}

static const struct host_allocator heap = {heap_take_partition, heap_give_partition, heap_take_vp,
                                           heap_give_vp};
const struct host_allocator *host_allocator = &heap;

struct partition *arch_alloc_partition(void)
{
    return host_allocator->take_partition();
}

void arch_free_partition(struct partition *partition)
{
    if (partition != &host.partition) {
        host_allocator->give_partition(partition);
    }
}

enum hv_status arch_vp_create(struct partition *partition, uint32_t index, struct vp **vp)
{
    *vp = host_allocator->take_vp(partition, index);
    if (*vp == NULL) {
        return HV_STATUS_INSUFFICIENT_MEMORY;
    }
    vp_init(*vp, partition, index, index, &host.timers[0]);
    (*vp)->explicit_suspend = true;
    (*vp)->next_on_lp = host.child_vps;
    host.child_vps = *vp;
    return HV_STATUS_SUCCESS;
}

enum hv_status arch_vp_set_share(struct vp *vp, const struct sched_params *share)
{
    if (vp->index == host.full_vp && share->reserve > vp->sched.params.reserve) {
        return HV_STATUS_NO_RESOURCES;
    }
    vp->sched.params = *share;
    host.share_changes++;
    return HV_STATUS_SUCCESS;
}

void arch_vp_destroy(struct vp *vp)
{
    struct vp **at = &host.child_vps;

    while (*at != vp) {
        at = &(*at)->next_on_lp;
    }
    *at = vp->next_on_lp;
    vapic_reset(vp);
    stimer_reset(vp);
    synic_reset(vp);
    intercept_forget(vp);
    host_allocator->give_vp(vp);
}

void arch_call_on_vp(struct vp *vp, void (*function)(void *argument), void *argument)
{
    (void)vp;
    function(argument);
}

void arch_flush_partition(struct partition *partition)
{
    (void)partition;
    host.flushes++;
    for (uint32_t i = 0; i < host.partition.vp_count; i++) {
        vp_check_overlays(&host.vp[i]);
    }
    for (struct vp *vp = host.child_vps; vp != NULL; vp = vp->next_on_lp) {
        vp_check_overlays(vp);
    }
}

void arch_set_time_lag(struct vp *vp, reftime_t lag)
{
    host.time_lag[vp->index] = lag;
}

void arch_take_intercepts(void *vp)
{
    (void)vp;
    host.intercept_changes++;
}

void arch_intercept_hypercall(struct vp *vp)
{
    vp->intercept_suspend = true;
}

void arch_suspend_changed(struct vp *vp)
{
    (void)vp;
    host.suspend_changes++;
}

struct vp *arch_parent_vp(const struct vp *vp)
{
    (void)vp;
    return &host.vp[0];
}

uint8_t *arch_vp_xsave(struct vp *vp)
{
    return host.xsave[vp->index];
}

uint64_t arch_xsave_components(void)
{
    return HOST_XSAVE_COMPONENTS;
}

uint64_t arch_xsave_size(void)
{
    return HOST_XSAVE_SIZE;
}

bool arch_get_register(struct vp *vp, uint32_t name, union hv_register_value *value)
{
    (void)vp;
    *value = name == HV_REGISTER_CR2                    ? host.cr2
             : name == HV_REGISTER_PENDING_INTERRUPTION ? host.pending
                                                        : host.register_value;
    return name == HV_REGISTER_RIP || name == HV_REGISTER_CR2 ||
           name == HV_REGISTER_PENDING_INTERRUPTION;
}

void arch_fill_register_page(const struct vp *vp, struct hv_register_page *page)
{
    (void)vp;
    page->rip = host.register_value.u64;
}

bool arch_set_register(struct vp *vp, uint32_t name, const union hv_register_value *value)
{
    (void)vp;
    if (name == HV_REGISTER_CR2) {
        host.cr2 = *value;
    } else if (name == HV_REGISTER_PENDING_INTERRUPTION) {
        host.pending = *value;
    } else if (name == HV_REGISTER_RIP) {
        host.register_value = *value;
    } else {
        return false;
    }
    return true;
}
