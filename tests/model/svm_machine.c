/* SPDX-License-Identifier: MIT */
/* These are the LP's own, whose place is not there on the host: host_machine.c has them. */
#define arch_apic_base         x86_apic_base
#define arch_cpuid             x86_cpuid
#define arch_hypercall_buffers x86_hypercall_buffers
#include "hv/x86/arch.c" /* NOLINT(bugprone-suspicious-include) */
#undef arch_apic_base
#undef arch_cpuid
#undef arch_hypercall_buffers
#include "hv/x86/extended.c" /* NOLINT(bugprone-suspicious-include) */
#include "hv/x86/svm/svm.c"  /* NOLINT(bugprone-suspicious-include) */

#include "tests/model/svm_machine.h"

#include <sanitizer/asan_interface.h>
#include <stdio.h>
#include <stdlib.h>

#include "hv/abi/partition.h"
#include "hv/core/hypercall.h"
#include "hv/x86/panic.h"
#include "hv/x86/parent.h"
#include "tests/unit/hv/host_arch.h"

#define INPUT      1u /* pages of the parent */
#define OUTPUT     2u
#define FIRST_PAGE 4u /* the VPs' intercept pages, then the register page of VP 0 */
#define POOL_FRAME 8u
#define POOL_PAGES 6u

struct svm_machine svm_machine;
void (*svm_processor)(struct vmcb *vmcb);

/* ---- what hv/x86 asks of its other parts ---- */

const struct vendor_ops *vendor = &svm_ops;
struct time_base time_base = {.tsc_hz = HOST_TSC_HZ, .invariant = true, .synchronized = true};
struct memory_region memory_image, memory_pool;
const char *release_command_line = "";
struct lp *lp_table[HV_MAX_LPS] = {&svm_machine.lp};
uint32_t lp_count = 1;

static _Noreturn void never(const char *what)
{
    fprintf(stderr, "svm_machine: %s\n", what);
    abort();
}

void refuse(const char *format, ...)
{
    never(format);
}

void parent_reset(void)
{
    never("the parent is reset");
}

void *memory_alloc_pages(unsigned count)
{
    (void)count;
    never("memory of the boot");
}

spa_t memory_spa(const void *address)
{
    return spa_make((uint64_t)(uintptr_t)address);
}

bool cpu_read_msr_safe(uint32_t index, uint64_t *value)
{
    (void)index;
    (void)value;
    never("an MSR of the machine is read");
}

bool cpu_write_msr_safe(uint32_t index, uint64_t value)
{
    (void)index;
    (void)value;
    never("an MSR of the machine is written");
}

void interrupts_level_eoi(struct lp *lp, uint8_t vector)
{
    (void)lp;
    (void)vector;
}

void interrupts_set_lvt(enum vapic_lvt index, uint32_t value)
{
    (void)index;
    (void)value;
}

void lapic_look_again(void)
{
}

void lp_account_guest_entry(struct lp *lp)
{
    (void)lp;
}

void lp_account_guest_exit(struct lp *lp)
{
    (void)lp;
}

bool svm_enter(struct vp_registers *registers, uint64_t vmcb_spa, uint64_t host_vmcb_spa,
               const volatile bool *nmi_seen, bool in_shadow)
{
    (void)registers;
    (void)host_vmcb_spa;
    (void)nmi_seen;
    (void)in_shadow;
    svm_processor((struct vmcb *)(uintptr_t)vmcb_spa);
    return true;
}

/* ---- the child ---- */

static struct partition *take_partition(void)
{
    return &svm_machine.partition;
}

static void give_partition(struct partition *partition)
{
    (void)partition;
    never("the child ends");
}

static const struct host_allocator slots = {.take_partition = take_partition,
                                            .give_partition = give_partition};

/* As child_vp.c makes one. */
enum hv_status arch_vp_create(struct partition *partition, uint32_t index, struct vp **result)
{
    struct vp *vp = &svm_machine.child[index].vp;

    vp_init(vp, partition, index, index, &host.timers[0]);
    vp->lp = &svm_machine.lp;
    vp->explicit_suspend = true;
    vp->extended = svm_machine.child[index].extended;
    extended_reset(vp->extended);
    svm_init_vp(vp, &svm_machine.child[index].svm, &svm_machine.child[index].vmcb,
                memory_spa(&svm_machine.child[index].vmcb));
    svm_reset(vp);
    vp->registers.rdx = 0; /* the processor's model */
    vp->activity = VP_ACTIVE;
    *result = vp;
    return HV_STATUS_SUCCESS;
}

static void need(enum hv_status status)
{
    if (status != HV_STATUS_SUCCESS) {
        never("the child can not be made");
    }
}

static void place_page(uint32_t vp, uint16_t type, uint64_t frame)
{
    const struct hv_input_map_state_page input = {.partition_id = SVM_CHILD,
                                                  .vp_index = vp,
                                                  .type = type,
                                                  .flags = HV_STATE_PAGE_LOCATION_GIVEN,
                                                  .requested_location = frame};

    need(svm_machine_call(HVCALL_MAP_VP_STATE_PAGE, &input, sizeof input));
}

static void make_vp(uint32_t index)
{
    const struct hv_input_create_vp input = {.partition_id = SVM_CHILD, .vp_index = index};

    need(svm_machine_call(HVCALL_CREATE_VP, &input, sizeof input));
    place_page(index, HV_STATE_PAGE_INTERCEPT_MESSAGE, FIRST_PAGE + index);
}

static void map_code(void)
{
    const uint64_t input[] = {SVM_CHILD, SVM_CODE >> PAGE_SHIFT,
                              HV_MAP_READABLE | HV_MAP_WRITABLE | HV_MAP_KERNEL_EXECUTABLE |
                                  HV_MAP_USER_EXECUTABLE,
                              SVM_CODE >> PAGE_SHIFT};

    need(svm_machine_call(HVCALL_MAP_GPA_PAGES | 1ull << 32, input, sizeof input));
}

static void make_child(void)
{
    const struct hv_input_create_partition input = {.flags = HV_CREATE_LAPIC | HV_CREATE_X2APIC};
    const uint64_t id = SVM_CHILD;

    need(svm_machine_call(HVCALL_CREATE_PARTITION, &input, sizeof input));
    for (unsigned i = 0; i < POOL_PAGES; i++) {
        const uint64_t deposit[] = {id, POOL_FRAME + i};

        need(svm_machine_call(HVCALL_DEPOSIT_MEMORY | 1ull << 32, deposit, sizeof deposit));
    }
    need(svm_machine_call(HVCALL_INITIALIZE_PARTITION, &id, sizeof id));
    map_code();
    for (uint32_t i = 0; i < SVM_VPS; i++) {
        make_vp(i);
    }
    place_page(0, HV_STATE_PAGE_REGISTERS, FIRST_PAGE + SVM_VPS);
}

static void make_processor(void)
{
    all_components = SVM_COMPONENTS;
    area_size = sizeof svm_machine.child[0].extended - sizeof(struct extended);
    has_tsc_aux = has_spec_ctrl = true;
    asid_count = SVM_ASIDS;
    svm_has_next_rip = true;
    child_msr_map_spa = SVM_MSR_MAP;
    child_io_map_spa = SVM_IO_MAP;
}

void svm_machine_begin(void)
{
    make_processor();
    host_allocator = &slots;
    host_machine_init(1, PARTITION_PARENT);
    host_make_tables();
    svm_machine.svm_lp = (struct svm_lp){.asid_round = 1, .asid_next = CHILD_ASIDS};
    svm_machine.lp.vendor = &svm_machine.svm_lp;
    svm_machine.lp.parent_vp = &host.vp[0];
    make_child();
}

/* ---- states ---- */

static void settle_lock(struct spinlock *lock)
{
    if (lock->next != lock->serving) {
        never("a lock is still held");
    }
    spinlock_init(lock);
}

/* What the calls themselves leave. */
static void settle(unsigned char *ram)
{
    struct partition *child = &svm_machine.partition;

    child->hypercalls = 0;
    settle_lock(&child->register_lock);
    settle_lock(&child->memory_lock);
    settle_lock(&child->ports.lock);
    settle_lock(&child->pool.lock);
    for (unsigned i = 0; i < SVM_VPS; i++) {
        settle_lock(&svm_machine.child[i].vp.synic.lock);
    }
    memset(ram + INPUT * PAGE_SIZE, 0, PAGE_SIZE);
    memset(ram + OUTPUT * PAGE_SIZE, 0, PAGE_SIZE);
}

void svm_machine_save(struct svm_machine_state *state)
{
    unsigned char *ram = host_memory_expose();

    settle(ram);
    state->machine = svm_machine;
    state->host = host;
    memcpy(state->ram, ram, sizeof state->ram);
    host_memory_hide();
}

void svm_machine_load(const struct svm_machine_state *state)
{
    svm_machine = state->machine;
    host = state->host;
    memcpy(host_memory_expose(), state->ram, sizeof state->ram);
    host_memory_hide();
}

static bool is_same(const void *a, const void *b, size_t size)
{
    return memcmp(a, b, size) == 0;
}

bool svm_machine_has_sibling(const struct svm_machine_state *state)
{
    return is_same(&svm_machine.child[1], &state->machine.child[1], sizeof svm_machine.child[1]);
}

bool svm_machine_is(const struct svm_machine_state *state)
{
    unsigned char *ram = host_memory_expose();

    settle(ram);
    const bool same = is_same(&svm_machine, &state->machine, sizeof svm_machine) &&
                      is_same(ram, state->ram, sizeof state->ram);

    host_memory_hide();
    return same && host_windows_closed();
}

/* ---- calls ---- */

enum hv_status svm_machine_call(uint64_t control, const void *input, size_t size)
{
    struct vp_registers *registers = &host.vp[0].registers;

    host_guest_write(INPUT * PAGE_SIZE, input, size);
    registers->rcx = control;
    registers->rdx = INPUT * PAGE_SIZE;
    registers->r8 = OUTPUT * PAGE_SIZE;
    if (!hypercall_dispatch(&host.vp[0])) {
        never("a call of registers is cut");
    }
    return (enum hv_status)(registers->rax & 0xffff);
}

enum hv_status svm_machine_set(uint32_t vp, uint32_t name, const union hv_register_value *value)
{
    const struct {
        struct hv_input_vp_registers head;
        struct hv_register_assoc element;
    } input = {.head = {.partition_id = SVM_CHILD, .vp_index = vp},
               .element = {.name = name, .value = *value}};

    return svm_machine_call(HVCALL_SET_VP_REGISTERS | 1ull << 32, &input, sizeof input);
}

enum hv_status svm_machine_get(uint32_t vp, const uint32_t *names, unsigned count,
                               union hv_register_value *values)
{
    struct {
        struct hv_input_vp_registers head;
        uint32_t name[HV_GET_VP_REGISTERS_MAX];
    } input = {.head = {.partition_id = SVM_CHILD, .vp_index = vp}};

    memcpy(input.name, names, count * sizeof *names);
    const enum hv_status status =
        svm_machine_call(HVCALL_GET_VP_REGISTERS | (uint64_t)count << 32, &input, sizeof input);

    host_guest_read(OUTPUT * PAGE_SIZE, values, count * sizeof *values);
    return status;
}

void svm_machine_run(uint32_t vp)
{
    svm_run(&svm_machine.lp, &svm_machine.child[vp].vp);
}

struct hv_message svm_machine_take_message(uint32_t vp)
{
    struct hv_message message;

    host_guest_read((FIRST_PAGE + vp) * PAGE_SIZE, &message, sizeof message);
    host_guest_write((FIRST_PAGE + vp) * PAGE_SIZE, &(struct hv_message){0}, sizeof message);
    return message;
}
