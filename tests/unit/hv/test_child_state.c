/* SPDX-License-Identifier: MIT */
/* What the parent reads and writes of a child beside its registers: blobs, properties, the bits of
 * its memory, translations. */
#include <string.h>

#include "hv/abi/cpuid.h"
#include "hv/abi/msr.h"
#include "hv/abi/partition.h"
#include "hv/abi/vp.h"
#include "hv/core/guest_walk.h"
#include "hv/core/lib.h"
#include "hv/core/msr.h"
#include "hv/core/partition.h"
#include "hv/core/vapic_parts.h"
#include "hv/core/vp.h"
#include "tests/unit/hv/host_arch.h"
#include "tests/unit/hv/host_child.h"
#include "tests/unit/hv/host_machine.h"
#include "tests/unit/hv/unit.h"

#define BUFFER       4u /* frames of the parent for blobs */
#define CHILD_MEMORY 0x10u
#define BIT5         (1u << 5)
#define BIT6         (1u << 6)
#define BIT9         (1u << 9)
#define BIT21        (1u << 21)
#define RW           (HV_MAP_READABLE | HV_MAP_WRITABLE)

static struct vp *vp;

static struct partition *child(void)
{
    enum hv_status status;
    struct partition *partition = partition_acquire(&host.partition, child_id, &status);

    partition_release(partition);
    return partition;
}

static int setup(void **state)
{
    child_setup(state);
    child_activate();
    assert_int_equal(child_create_vp(0), HV_STATUS_SUCCESS);
    vp = partition_vp(child(), 0);
    vp->activity = VP_ACTIVE;
    return 0;
}

/* ---- registers ---- */

static enum hv_status set_wide(uint32_t name, uint64_t low, uint64_t high)
{
    const struct {
        struct hv_input_vp_registers head;
        struct hv_register_assoc element;
    } input = {.head = {.partition_id = child_id},
               .element = {.name = name, .value = {.u128 = {low, high}}}};

    return child_call(HVCALL_SET_VP_REGISTERS, 1, &input, sizeof input);
}

static void expect_wide(uint32_t name, uint64_t low, uint64_t high)
{
    uint64_t value[2];

    assert_int_equal(child_get_register(name, value), HV_STATUS_SUCCESS);
    host_guest_read(OUTPUT, value, sizeof value);
    assert_true(value[0] == low && value[1] == high);
}

/* By name as by number, good values and bad. */
static void test_msr_registers(void **state)
{
    (void)state;
    static const struct {
        uint32_t name;
        uint64_t good, bad;
    } cases[] = {
        {HV_REGISTER_SINT0 + 15, 0xf3, 0x3},
        {HV_REGISTER_STIMER0_CONFIG + 6, 0x1ed1, 1ull << 63},
        {HV_REGISTER_GUEST_OS_ID, 0x8100060100000000, 0},
        {HV_REGISTER_VP_ASSIST_PAGE, CHILD_MEMORY << 12 | 1, 0x40001},
        {HV_REGISTER_REFERENCE_TSC, CHILD_MEMORY << 12 | 1, 0x40001},
        {HV_REGISTER_HYPERCALL, CHILD_MEMORY << 12 | 1, 0x40001},
        {HV_REGISTER_SIMP, CHILD_MEMORY << 12 | 1, 0x40001},
        {HV_REGISTER_SIEFP, CHILD_MEMORY << 12 | 1, 0x40001},
        {HV_REGISTER_SCONTROL, 1, 0},
        {HV_REGISTER_CRASH_P0 + 4, 0x1234, 0},
    };

    assert_int_equal(child_map(CHILD_MEMORY, SHARED, RW), HV_STATUS_SUCCESS);
    for (unsigned i = 0; i < ARRAY_COUNT(cases); i++) {
        assert_int_equal(set_wide(cases[i].name, cases[i].good, 0), HV_STATUS_SUCCESS);
        expect_wide(cases[i].name, cases[i].good, 0);
        if (cases[i].bad != 0) {
            assert_int_equal(set_wide(cases[i].name, cases[i].bad, 0),
                             HV_STATUS_INVALID_REGISTER_VALUE);
            expect_wide(cases[i].name, cases[i].good, 0);
        }
    }
    assert_int_equal(set_wide(HV_REGISTER_VP_INDEX, 1, 0), HV_STATUS_INVALID_REGISTER_VALUE);
    assert_int_equal(set_wide(HV_REGISTER_SIRBP, 0, 0), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(set_wide(HV_REGISTER_STIMER3_COUNT + 1, 0, 0), HV_STATUS_INVALID_PARAMETER);
}

static void test_floating_point(void **state)
{
    (void)state;
    assert_int_equal(set_wide(HV_REGISTER_XMM0, 1, 2), HV_STATUS_SUCCESS);
    assert_int_equal(set_wide(HV_REGISTER_XMM15, 3, 4), HV_STATUS_SUCCESS);
    assert_int_equal(set_wide(HV_REGISTER_FP_MMX0, 5, 6), HV_STATUS_SUCCESS);
    assert_int_equal(set_wide(HV_REGISTER_FP_MMX7, 7, 8), HV_STATUS_SUCCESS);
    assert_int_equal(set_wide(HV_REGISTER_FP_CONTROL_STATUS, 0x37f, 9), HV_STATUS_SUCCESS);
    assert_int_equal(set_wide(HV_REGISTER_XMM_CONTROL_STATUS, 10, 0x1f80), HV_STATUS_SUCCESS);
    assert_int_equal(set_wide(HV_REGISTER_XMM_CONTROL_STATUS, 10, 0x10000),
                     HV_STATUS_INVALID_REGISTER_VALUE);
    expect_wide(HV_REGISTER_XMM0, 1, 2);
    expect_wide(HV_REGISTER_XMM15, 3, 4);
    expect_wide(HV_REGISTER_FP_MMX0, 5, 6);
    expect_wide(HV_REGISTER_FP_MMX7, 7, 8);
    expect_wide(HV_REGISTER_FP_CONTROL_STATUS, 0x37f, 9);
    expect_wide(HV_REGISTER_XMM_CONTROL_STATUS, 10, 0x1f80);
    /* Where the processor looks for them (AMD64 APM 2, 11.5.10), and marked as there. */
    assert_int_equal(host.xsave[0][0], 0x7f);
    assert_int_equal(host.xsave[0][32], 5);
    assert_int_equal(host.xsave[0][160], 1);
    assert_int_equal(host.xsave[0][400], 3);
    assert_int_equal(host.xsave[0][512], 3);
}

static void test_activity(void **state)
{
    (void)state;
    static const enum vp_activity activity[] = {VP_ACTIVE, VP_WAIT_STARTUP, VP_HALTED};

    for (unsigned i = 0; i < ARRAY_COUNT(activity); i++) {
        assert_int_equal(set_wide(HV_REGISTER_INTERNAL_ACTIVITY_STATE, i, 0), HV_STATUS_SUCCESS);
        assert_int_equal(vp->activity, activity[i]);
        expect_wide(HV_REGISTER_INTERNAL_ACTIVITY_STATE, i, 0);
    }
    assert_int_equal(set_wide(HV_REGISTER_INTERNAL_ACTIVITY_STATE, 3, 0),
                     HV_STATUS_INVALID_REGISTER_VALUE);
    assert_int_equal(vp->activity, VP_HALTED);
}

/* ---- blobs ---- */

static enum hv_status state_call(bool set, uint32_t type, unsigned pages, uint8_t vtl)
{
    struct {
        struct hv_input_vp_state head;
        uint64_t page[2];
    } input = {.head = {.partition_id = child_id, .type = type, .input_vtl = vtl},
               .page = {BUFFER, BUFFER + 1}};
    const uint32_t code =
        (set ? HVCALL_SET_VP_STATE : HVCALL_GET_VP_STATE) | pages << HV_CONTROL_VARHEAD_SHIFT;

    host_page_fill(spa_make(OUTPUT), 0xee);
    const enum hv_status status = child_call(code, 0, &input, sizeof input);

    if (type != HV_VP_STATE_STIMERS) {
        assert_true(host_page_is(spa_make(OUTPUT), 0xee)); /* no output block is asked for */
    }
    return status;
}

static void read_buffer(void *to, size_t size)
{
    host_guest_read(BUFFER << 12, to, size);
}

static void write_buffer(const void *from, size_t size)
{
    host_guest_write(BUFFER << 12, from, size);
}

static void test_apic_blob(void **state)
{
    (void)state;
    struct hv_lapic_state blob, again;

    vapic_write(vp, VAPIC_SPURIOUS, 0x1ff);
    vapic_write(vp, VAPIC_LVT_LINT1, 0x400);
    vapic_write(vp, VAPIC_LVT_TIMER, VAPIC_TIMER_MODE_PERIODIC | 0x31);
    vapic_write(vp, VAPIC_TIMER_DIVIDE, 0xb);
    vapic_write(vp, VAPIC_TIMER_INITIAL, 400000);
    vapic_raise(&vp->apic, 0x52, true);
    vapic_raise(&vp->apic, 0x91, false);
    assert_int_equal(host_deliver(vp), 0x91);
    host_time_set(host.now + 500); /* 10,000 counts */
    assert_int_equal(state_call(false, HV_VP_STATE_LAPIC, 1, 0), HV_STATUS_SUCCESS);
    read_buffer(&blob, sizeof blob);
    assert_int_equal(blob.version & 0xff, 0x14);
    assert_int_equal(blob.spurious, 0x1ff);
    assert_int_equal(blob.lvt_lint1, 0x400);
    assert_int_equal(blob.isr[4], 1u << 17);
    assert_int_equal(blob.irr[2], 1u << 18);
    assert_int_equal(blob.tmr[2], 1u << 18);
    assert_int_equal(blob.initial_count, 400000);
    assert_int_equal(blob.current_count, 390000);
    assert_int_equal(blob.divide, 0xb);
    /* Into a fresh APIC, and out again. */
    vapic_reset(vp);
    assert_int_equal(state_call(true, HV_VP_STATE_LAPIC, 1, 0), HV_STATUS_SUCCESS);
    assert_int_equal(state_call(false, HV_VP_STATE_LAPIC, 1, 0), HV_STATUS_SUCCESS);
    read_buffer(&again, sizeof again);
    assert_memory_equal(&again, &blob, sizeof blob);
    assert_int_equal(vapic_next(&vp->apic), VAPIC_NONE); /* 0x52 waits for the end of 0x91 */
    vapic_eoi(vp);
    assert_int_equal(vapic_next(&vp->apic), 0x52);
}

static void test_apic_blob_refused(void **state)
{
    (void)state;
    struct hv_lapic_state before, after, blob;

    assert_int_equal(state_call(false, HV_VP_STATE_LAPIC, 1, 0), HV_STATUS_SUCCESS);
    read_buffer(&before, sizeof before);
    struct {
        uint32_t *word, value;
    } const faults[] = {
        {&blob.isr[0], 1u << 15},    {&blob.irr[0], 1},        {&blob.tmr[0], 2},
        {&blob.lvt_timer, 1u << 20}, {&blob.lvt_error, 0x700}, {&blob.spurious, 0x10000},
        {&blob.current_count, 1},    {&blob.divide, 4},        {&blob.lvt_lint0, 0x80000000},
    };

    for (unsigned i = 0; i < ARRAY_COUNT(faults); i++) {
        blob = before;
        blob.lvt_lint1 = 0x10400;
        *faults[i].word = faults[i].value;
        write_buffer(&blob, sizeof blob);
        assert_int_equal(state_call(true, HV_VP_STATE_LAPIC, 1, 0),
                         HV_STATUS_INVALID_REGISTER_VALUE);
        state_call(false, HV_VP_STATE_LAPIC, 1, 0);
        read_buffer(&after, sizeof after);
        assert_memory_equal(&after, &before, sizeof before);
    }
}

static void fill_xsave(uint8_t seed)
{
    for (unsigned i = 0; i < HOST_XSAVE_SIZE; i++) {
        host.xsave[0][i] = (uint8_t)(seed + i * 7);
    }
    memset(host.xsave[0] + 24, 0, 8);
    memset(host.xsave[0] + 512, 0, 64);
    host.xsave[0][512] = 7;
}

static void test_xsave_blob(void **state)
{
    (void)state;
    uint8_t saved[HOST_XSAVE_SIZE];

    fill_xsave(1);
    memcpy(saved, host.xsave[0], sizeof saved);
    assert_int_equal(state_call(false, HV_VP_STATE_XSAVE, 1, 0), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(state_call(false, HV_VP_STATE_XSAVE, 2, 0), HV_STATUS_SUCCESS);
    fill_xsave(2);
    assert_int_equal(state_call(true, HV_VP_STATE_XSAVE, 2, 0), HV_STATUS_SUCCESS);
    assert_memory_equal(host.xsave[0], saved, sizeof saved);
}

/* An area on which the hypervisor's own XRSTOR would fault is not taken. */
static void test_xsave_blob_refused(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint8_t value;
    } faults[] = {{512, 0x0f}, {519, 0x80}, {520, 1}, {527, 0x80}, {528, 1}, {575, 1}, {26, 1}};
    uint8_t before[HOST_XSAVE_SIZE];

    fill_xsave(3);
    memcpy(before, host.xsave[0], sizeof before);
    for (unsigned i = 0; i < ARRAY_COUNT(faults); i++) {
        state_call(false, HV_VP_STATE_XSAVE, 2, 0);
        host_guest_write((BUFFER << 12) + faults[i].at, &faults[i].value, 1);
        host_guest_write32((BUFFER + 1) << 12, 0x12345678);
        assert_int_equal(state_call(true, HV_VP_STATE_XSAVE, 2, 0),
                         HV_STATUS_INVALID_REGISTER_VALUE);
        assert_memory_equal(host.xsave[0], before, sizeof before);
    }
}

static void test_synic_pages(void **state)
{
    (void)state;
    spa_t page;

    assert_int_equal(state_call(false, HV_VP_STATE_SIMP, 1, 0), HV_STATUS_INVALID_VP_STATE);
    assert_int_equal(child_map(CHILD_MEMORY, SHARED, RW), HV_STATUS_SUCCESS);
    assert_true(msr_write(vp, HV_MSR_SIMP, CHILD_MEMORY << 12 | 1));
    page = spa_make(SHARED << 12);
    host_page_fill(page, 0x5a);
    assert_int_equal(state_call(false, HV_VP_STATE_SIMP, 1, 0), HV_STATUS_SUCCESS);
    assert_true(host_page_is(spa_make(BUFFER << 12), 0x5a));
    host_page_fill(spa_make(BUFFER << 12), 0xa5);
    assert_int_equal(state_call(true, HV_VP_STATE_SIMP, 1, 0), HV_STATUS_SUCCESS);
    assert_true(host_page_is(page, 0xa5));
    assert_int_equal(state_call(true, HV_VP_STATE_SIEFP, 1, 0), HV_STATUS_INVALID_VP_STATE);
}

static enum hv_status set_timers(const struct hv_stimers_state *timers, unsigned words)
{
    struct {
        struct hv_input_vp_state head;
        struct hv_stimers_state timers;
    } input = {.head = {.partition_id = child_id, .type = HV_VP_STATE_STIMERS}, .timers = *timers};

    return child_call(HVCALL_SET_VP_STATE | words << HV_CONTROL_VARHEAD_SHIFT, 0, &input,
                      sizeof input);
}

static void test_timer_blob(void **state)
{
    (void)state;
    struct hv_stimers_state timers;
    const uint64_t direct = HV_STIMER_ENABLE | HV_STIMER_DIRECT | 0xedull << HV_STIMER_VECTOR_SHIFT;

    assert_true(msr_write(vp, HV_MSR_STIMER0_CONFIG, direct));
    assert_true(msr_write(vp, HV_MSR_STIMER0_CONFIG + 1, host.now + 5000));
    assert_int_equal(state_call(false, HV_VP_STATE_STIMERS, 0, 0), HV_STATUS_SUCCESS);
    host_guest_read(OUTPUT, &timers, sizeof timers);
    assert_int_equal(timers.timer[0].config, direct);
    assert_int_equal(timers.timer[0].count, host.now + 5000);
    assert_int_equal(timers.timer[1].config, 0);
    stimer_reset(vp);
    assert_int_equal(set_timers(&timers, 24), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(set_timers(&timers, 25), HV_STATUS_SUCCESS);
    assert_true(vp->stimer[0].timer.armed);
    assert_int_equal(vp->stimer[0].expiration, host.now + 5000);
    /* One bad timer, and none is set. */
    timers.timer[0].count += 1;
    timers.timer[3].config = HV_STIMER_ENABLE | HV_STIMER_DIRECT | 5ull << HV_STIMER_VECTOR_SHIFT;
    assert_int_equal(set_timers(&timers, 25), HV_STATUS_INVALID_REGISTER_VALUE);
    timers.timer[3].config = 1ull << 63;
    assert_int_equal(set_timers(&timers, 25), HV_STATUS_INVALID_REGISTER_VALUE);
    assert_int_equal(vp->stimer[0].count, host.now + 5000);
}

static void test_blob_faults(void **state)
{
    (void)state;
    static const uint32_t types[] = {HV_VP_STATE_LAPIC, HV_VP_STATE_XSAVE, HV_VP_STATE_STIMERS};

    for (unsigned i = 0; i < ARRAY_COUNT(types); i++) {
        assert_int_equal(state_call(false, types[i], 2, 1), HV_STATUS_INVALID_PARAMETER);
        assert_int_equal(state_call(true, types[i], 0, 0), HV_STATUS_INVALID_PARAMETER);
    }
    assert_int_equal(state_call(false, HV_VP_STATE_LAPIC, 0, 0), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(state_call(false, 5, 2, 0), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(state_call(false, 0, 2, 0), HV_STATUS_INVALID_PARAMETER);
    struct {
        struct hv_input_vp_state head;
        uint64_t page;
    } input = {.head = {.partition_id = child_id, .type = HV_VP_STATE_LAPIC},
               .page = HOST_PAGE_HYPERVISOR};

    assert_int_equal(
        child_call(HVCALL_GET_VP_STATE | 1u << HV_CONTROL_VARHEAD_SHIFT, 0, &input, sizeof input),
        HV_STATUS_INVALID_PARAMETER);
    assert_true(host_page_is(spa_make(HOST_PAGE_HYPERVISOR << 12), 0));
}

/* ---- properties ---- */

static enum hv_status get_property(uint64_t id, uint32_t code, uint64_t *value)
{
    const struct hv_input_get_partition_property input = {.partition_id = id, .code = code};
    const enum hv_status status =
        child_call(HVCALL_GET_PARTITION_PROPERTY, 0, &input, sizeof input);

    host_guest_read(OUTPUT, value, sizeof *value);
    return status;
}

static enum hv_status set_property(uint32_t code, uint64_t value)
{
    const struct hv_input_set_partition_property input = {
        .partition_id = child_id, .code = code, .value = value};

    return child_call(HVCALL_SET_PARTITION_PROPERTY, 0, &input, sizeof input);
}

static void test_properties(void **state)
{
    (void)state;
    const uint64_t both[] = {HV_PARTITION_ID_SELF, child_id};
    uint64_t value;

    host.cpuid = (struct cpuid_result){.eax = 48};
    for (unsigned i = 0; i < ARRAY_COUNT(both); i++) {
        assert_int_equal(get_property(both[i], HV_PROPERTY_PROCESSOR_VENDOR, &value), 0);
        assert_int_equal(value, 0);
        assert_int_equal(get_property(both[i], HV_PROPERTY_PHYSICAL_ADDRESS_WIDTH, &value), 0);
        assert_int_equal(value, 48);
        assert_int_equal(get_property(both[i], HV_PROPERTY_XSAVE_STATES, &value), 0);
        assert_int_equal(value, HOST_XSAVE_COMPONENTS);
        assert_int_equal(get_property(both[i], HV_PROPERTY_MAX_XSAVE_SIZE, &value), 0);
        assert_int_equal(value, HOST_XSAVE_SIZE);
        assert_int_equal(get_property(both[i], HV_PROPERTY_PROCESSOR_CLOCK, &value), 0);
        assert_int_equal(value, HOST_TSC_HZ);
        assert_int_equal(get_property(both[i], 0x12345, &value), HV_STATUS_UNKNOWN_PROPERTY);
    }
    host.cpuid = (struct cpuid_result){.ebx = 0x756e6547};
    assert_int_equal(get_property(child_id, HV_PROPERTY_PROCESSOR_VENDOR, &value), 0);
    assert_int_equal(value, 1);
    assert_int_equal(get_property(HV_PARTITION_ID_SELF, HV_PROPERTY_PRIVILEGE_FLAGS, &value), 0);
    assert_int_equal(value >> 32, HV_PRIV_CREATE_PARTITIONS | HV_PRIV_MEMORY_POOL |
                                      HV_PRIV_CREATE_PORT | HV_PRIV_CONNECT_PORT);
    assert_int_equal(get_property(child_id, HV_PROPERTY_PRIVILEGE_FLAGS, &value), 0);
    assert_int_equal(value >> 32, HV_PRIV_POST_MESSAGES | HV_PRIV_SIGNAL_EVENTS);
    assert_int_equal(get_property(77, HV_PROPERTY_PRIVILEGE_FLAGS, &value),
                     HV_STATUS_INVALID_PARTITION_ID);
    assert_int_equal(set_property(HV_PROPERTY_UNIMPLEMENTED_MSR_ACTION, 1), HV_STATUS_SUCCESS);
    assert_int_equal(get_property(child_id, HV_PROPERTY_UNIMPLEMENTED_MSR_ACTION, &value), 0);
    assert_int_equal(value, 1);
}

/* ---- features ---- */

static enum hv_status create(uint64_t flags, const uint64_t disabled[3], uint64_t *id)
{
    struct hv_input_create_partition input = {.flags = flags};

    memcpy(input.disabled_processor_features, disabled, 24);
    const enum hv_status status = child_call(HVCALL_CREATE_PARTITION, 0, &input, sizeof input);

    host_guest_read(OUTPUT, id, sizeof *id);
    return status;
}

static uint32_t *word(struct cpuid_result *r, unsigned reg)
{
    uint32_t *const words[] = {&r->eax, &r->ebx, &r->ecx, &r->edx};

    return words[reg];
}

/* One feature after the other is taken away, and just its bit is gone. */
static void test_processor_features(void **state)
{
    (void)state;
    static const struct {
        unsigned bank, feature;
        uint32_t leaf, subleaf;
        unsigned reg, bit;
    } cases[] = {
        {0, 0, 1, 0, 2, 0},            /* SSE3 */
        {0, 1, 0x80000001, 0, 2, 0},   /* LAHF and SAHF */
        {0, 8, 1, 0, 2, 13},           /* CMPXCHG16B */
        {0, 15, 0x80000001, 0, 3, 26}, /* 1 GiB pages */
        {0, 21, 1, 0, 2, 30},          /* RDRAND */
        {0, 23, 7, 0, 1, 7},           /* SMEP */
        {0, 29, 1, 0, 2, 22},          /* MOVBE */
        {0, 32, 7, 0, 1, 18},          /* RDSEED */
        {0, 43, 7, 0, 1, 10},          /* INVPCID */
        {0, 46, 0x80000008, 0, 1, 12}, /* IBPB */
        {0, 49, 7, 0, 3, 4},           /* fast short REP MOV */
        {0, 57, 7, 0, 2, 22},          /* RDPID */
        {0, 60, 7, 0, 3, 10},          /* MD_CLEAR */
        {1, 2, 0x80000008, 0, 1, 0},   /* CLZERO */
        {1, 4, 7, 0, 2, 16},           /* five levels */
        {1, 17, 1, 0, 2, 24},          /* TSC deadline */
        {2, 0, 1, 0, 2, 26},           /* XSAVE */
        {2, 2, 1, 0, 2, 28},           /* AVX */
        {2, 11, 0xd, 1, 0, 1},         /* XSAVEC */
        {2, 22, 7, 0, 2, 10},          /* VPCLMULQDQ */
    };

    host.cpuid = (struct cpuid_result){~0u, ~0u, ~0u, ~0u};
    for (unsigned i = 0; i < ARRAY_COUNT(cases); i++) {
        struct cpuid_result with, without;

        cpuid_emulate(vp, cases[i].leaf, cases[i].subleaf, &with);
        child()->disabled_features[cases[i].bank] = 1ull << cases[i].feature;
        cpuid_emulate(vp, cases[i].leaf, cases[i].subleaf, &without);
        child()->disabled_features[cases[i].bank] = 0;
        assert_true(*word(&with, cases[i].reg) >> cases[i].bit & 1);
        *word(&with, cases[i].reg) &= ~(1u << cases[i].bit);
        assert_memory_equal(&with, &without, sizeof with);
    }
}

static void test_features_by_call(void **state)
{
    (void)state;
    const uint64_t disabled[] = {1 << 7, 1 << 3, 1 << 2}, none[3] = {0};
    uint64_t id, value;
    const uint64_t first = child_id;

    host.cpuid = (struct cpuid_result){~0u, ~0u, ~0u, ~0u};
    assert_int_equal(create(1ull << 63, none, &id), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(create(HV_CREATE_LAPIC, disabled, &id), HV_STATUS_SUCCESS);
    for (unsigned i = 0; i < 3; i++) {
        static const uint32_t codes[] = {HV_PROPERTY_PROCESSOR_FEATURES_0,
                                         HV_PROPERTY_PROCESSOR_FEATURES_1,
                                         HV_PROPERTY_XSAVE_FEATURES};
        uint64_t machine;

        assert_int_equal(get_property(HV_PARTITION_ID_SELF, codes[i], &machine), 0);
        assert_int_equal(get_property(id, codes[i], &value), 0);
        assert_true(machine & disabled[i]);
        assert_int_equal(value, machine & ~disabled[i]);
    }
    /* Synthetic features are chosen before the start. */
    assert_int_equal(set_property(HV_PROPERTY_SYNTHETIC_FEATURES, 0),
                     HV_STATUS_INVALID_PARTITION_STATE);
    child_id = id;
    assert_int_equal(set_property(HV_PROPERTY_SYNTHETIC_FEATURES,
                                  HV_SYNTHETIC_INTERFACE | HV_SYNTHETIC_FREQUENCY | 1ull << 63),
                     HV_STATUS_SUCCESS);
    assert_int_equal(get_property(id, HV_PROPERTY_SYNTHETIC_FEATURES, &value), 0);
    assert_int_equal(value, HV_SYNTHETIC_INTERFACE | HV_SYNTHETIC_FREQUENCY);
    assert_int_equal(get_property(id, HV_PROPERTY_PRIVILEGE_FLAGS, &value), 0);
    assert_int_equal((uint32_t)value, HV_ACCESS_FREQUENCY | HV_ACCESS_TSC_INVARIANT);
    assert_int_equal(child_call_partition(HVCALL_DELETE_PARTITION), HV_STATUS_SUCCESS);
    child_id = first;
}

static struct cpuid_result ask(uint32_t leaf)
{
    struct cpuid_result r;

    cpuid_emulate(vp, leaf, 0, &r);
    return r;
}

static void test_synthetic_features(void **state)
{
    (void)state;
    host.cpuid = (struct cpuid_result){~0u, ~0u, ~0u, ~0u};
    child()->synthetic_features = HV_SYNTHETIC_INTERFACE | 1ull << 7 | 1ull << 8;
    assert_int_equal(ask(0x40000003).eax, BIT5 | BIT6 | HV_ACCESS_TSC_INVARIANT);
    assert_int_equal(ask(0x40000003).edx, HV_FEATURE_CRASH_MSRS);
    assert_int_equal(ask(0x40000004).eax, HV_HINT_RELAXED_TIMING | HV_HINT_NO_AUTO_EOI);
    child()->synthetic_features = HV_SYNTHETIC_HYPERVISOR;
    assert_int_equal(ask(0x40000000).eax, 0);
    assert_true(ask(1).ecx >> 31);
    child()->synthetic_features = 0;
    assert_false(ask(1).ecx >> 31);
}

/* Without the flags there is no APIC, or none in x2APIC mode. */
static void test_creation_flags(void **state)
{
    (void)state;
    host.cpuid = (struct cpuid_result){~0u, ~0u, ~0u, ~0u};
    child()->has_x2apic = false;
    assert_false(ask(1).ecx & BIT21);
    assert_true(ask(1).edx & BIT9);
    assert_int_equal(child_create_vp(1), HV_STATUS_SUCCESS);
    assert_int_equal(partition_vp(child(), 1)->apic.base, HOST_APIC_BASE | APIC_BASE_ENABLE);
    assert_false(vapic_write_base(partition_vp(child(), 1),
                                  HOST_APIC_BASE | APIC_BASE_ENABLE | APIC_BASE_X2APIC));
    child()->has_apic = false;
    assert_false(ask(1).edx & BIT9);
    assert_int_equal(child_create_vp(2), HV_STATUS_SUCCESS);
    assert_int_equal(partition_vp(child(), 2)->apic.base, HOST_APIC_BASE);
    assert_false(vapic_write_base(partition_vp(child(), 2), HOST_APIC_BASE | APIC_BASE_ENABLE));
}

/* ---- accessed and dirty ---- */

static enum hv_status access_states(uint64_t base, uint32_t count, uint64_t flags, uint8_t *states)
{
    const struct hv_input_get_gpa_access input = {
        .partition_id = child_id, .flags = flags, .base = base};
    const enum hv_status status =
        child_call(HVCALL_GET_GPA_PAGES_ACCESS_STATES, count, &input, sizeof input);

    host_guest_read(OUTPUT, states, count);
    return status;
}

static void test_access_states(void **state)
{
    (void)state;
    uint8_t states[3];
    const uint32_t both = HV_GPA_ACCESSED | HV_GPA_DIRTY;

    assert_int_equal(access_states(CHILD_MEMORY, 3, 0, states), HV_STATUS_OPERATION_DENIED);
    assert_int_equal(set_property(HV_PROPERTY_GPA_ACCESS_TRACKING, 2), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(set_property(HV_PROPERTY_GPA_ACCESS_TRACKING, 1), HV_STATUS_SUCCESS);
    assert_int_equal(child_map(CHILD_MEMORY, SHARED, RW), HV_STATUS_SUCCESS);
    assert_int_equal(child_map(CHILD_MEMORY + 2, SHARED + 1, RW), HV_STATUS_SUCCESS);
    assert_int_equal(access_states(CHILD_MEMORY, 3, 0, states), HV_STATUS_SUCCESS);
    assert_true(states[0] == 0 && states[1] == 0 && states[2] == 0);
    assert_int_equal(access_states(CHILD_MEMORY, 3, 1ull << 4, states),
                     HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(access_states(1ull << 36, 1, 0, states), HV_STATUS_INVALID_PARAMETER);
    /* What the hypervisor writes for the guest is dirty, too; again after it was cleared. */
    host.flushes = 0;
    assert_true(partition_write(child(), gpa_make((CHILD_MEMORY + 2) << 12), &both, 4));
    assert_int_equal(access_states(CHILD_MEMORY, 3, HV_GPA_ACCESS_CLEAR_DIRTY, states), 0);
    assert_true(states[0] == 0 && states[2] == both);
    assert_int_equal(host.flushes, 1);
    assert_int_equal(access_states(CHILD_MEMORY, 3, HV_GPA_ACCESS_CLEAR_ACCESSED, states), 0);
    assert_int_equal(states[2], HV_GPA_ACCESSED);
    assert_int_equal(access_states(CHILD_MEMORY, 3, HV_GPA_ACCESS_SET_DIRTY, states), 0);
    assert_int_equal(states[2], 0);
    assert_int_equal(access_states(CHILD_MEMORY, 3, 0, states), 0);
    assert_true(states[0] == HV_GPA_DIRTY && states[1] == 0 && states[2] == HV_GPA_DIRTY);
}

/* ---- translation ---- */

#define TABLES 0x20u /* frames of the child: PML4, PDPT, PD, PT */

static struct hv_output_translate translate(uint64_t gva, uint64_t flags)
{
    const struct hv_input_translate input = {
        .partition_id = child_id, .flags = flags, .gva_page = gva >> 12};
    struct hv_output_translate output;

    assert_int_equal(child_call(HVCALL_TRANSLATE_VIRTUAL_ADDRESS, 0, &input, sizeof input),
                     HV_STATUS_SUCCESS);
    host_guest_read(OUTPUT, &output, sizeof output);
    return output;
}

static void test_translate(void **state)
{
    (void)state;
    const struct hv_input_translate bad = {.partition_id = child_id, .flags = 1ull << 10};

    assert_int_equal(child_call(HVCALL_TRANSLATE_VIRTUAL_ADDRESS, 0, &bad, sizeof bad),
                     HV_STATUS_INVALID_PARAMETER);
    /* The back end of this machine says that paging is off. */
    assert_int_equal(child_map(CHILD_MEMORY, SHARED, HV_MAP_READABLE), HV_STATUS_SUCCESS);
    assert_int_equal(translate(CHILD_MEMORY << 12, HV_TRANSLATE_READ).code, HV_TRANSLATE_SUCCESS);
    assert_int_equal(translate(CHILD_MEMORY << 12, HV_TRANSLATE_READ).gpa_page, CHILD_MEMORY);
    assert_int_equal(translate(CHILD_MEMORY << 12, HV_TRANSLATE_WRITE).code,
                     HV_TRANSLATE_GPA_NO_WRITE);
    assert_int_equal(translate(TABLES << 12, HV_TRANSLATE_READ).code, HV_TRANSLATE_GPA_UNMAPPED);
}

#define P  1ull /* bits of a page table entry */
#define W  2ull
#define U  4ull
#define NX (1ull << 63)
#define R_ HV_TRANSLATE_READ
#define W_ HV_TRANSLATE_WRITE
#define X_ HV_TRANSLATE_EXECUTE
#define U_ HV_TRANSLATE_USER
#define S_ HV_TRANSLATE_SUPERVISOR

/* A child whose pages 1 to 4 are tables that map address 0 to page 5. */
static void make_tables(uint64_t directory_bits, uint64_t page_bits)
{
    const uint64_t entry[] = {2ull << 12 | P | W | U, 3ull << 12 | P | W | U,
                              4ull << 12 | directory_bits, 5ull << 12 | page_bits};

    for (unsigned i = 0; i < ARRAY_COUNT(entry); i++) {
        host_guest_write((i + 1) << 12, &entry[i], 8);
    }
}

static void test_translate_rights(void **state)
{
    (void)state;
    const struct {
        uint64_t directory, page, flags, cr0, cr4;
        enum hv_translate_code code;
    } cases[] = {
        {P | W | U, P | W | U, R_ | W_ | X_ | U_, 0, 0, HV_TRANSLATE_SUCCESS},
        {0, P | W | U, R_, 0, 0, HV_TRANSLATE_NOT_PRESENT},
        {P | W | U, 0, R_ | HV_TRANSLATE_PRIVILEGE_EXEMPT, 0, 0, HV_TRANSLATE_NOT_PRESENT},
        {P | W, P | W | U, R_ | U_, 0, 0, HV_TRANSLATE_PRIVILEGE_VIOLATION},
        {P | W, P | W | U, R_ | S_, 0, 0, HV_TRANSLATE_SUCCESS},
        {P | U, P | W | U, W_ | U_, 0, 0, HV_TRANSLATE_PRIVILEGE_VIOLATION},
        {P | U, P | W | U, W_ | S_, 0, 0, HV_TRANSLATE_SUCCESS},
        {P | U, P | W | U, W_ | S_, CR0_WP, 0, HV_TRANSLATE_PRIVILEGE_VIOLATION},
        {P | U, P | W | U, W_ | U_ | HV_TRANSLATE_PRIVILEGE_EXEMPT, 0, 0, HV_TRANSLATE_SUCCESS},
        {P | W | U | NX, P | W | U, X_ | U_, 0, 0, HV_TRANSLATE_PRIVILEGE_VIOLATION},
        {P | W | U, P | W | U | NX, X_ | S_, 0, 0, HV_TRANSLATE_PRIVILEGE_VIOLATION},
        {P | W | U, P | W | U | NX, R_ | W_, 0, 0, HV_TRANSLATE_SUCCESS},
        {P | W | U, P | W | U, X_ | S_, 0, CR4_SMEP, HV_TRANSLATE_PRIVILEGE_VIOLATION},
        {P | W | U, P | W, X_ | S_, 0, CR4_SMEP, HV_TRANSLATE_SUCCESS},
    };

    host_machine_init(1, 2);
    for (unsigned i = 0; i < ARRAY_COUNT(cases); i++) {
        const struct guest_paging paging = {CR0_PE | CR0_PG | cases[i].cr0, 1 << 12,
                                            CR4_PAE | cases[i].cr4, EFER_LMA | EFER_NXE};
        gpa_t gpa = gpa_make(0);

        make_tables(cases[i].directory, cases[i].page);
        assert_int_equal(guest_translate(&host.partition, &paging, 0x123, cases[i].flags, &gpa),
                         cases[i].code);
        if (cases[i].code == HV_TRANSLATE_SUCCESS) {
            assert_int_equal(gpa.raw, 0x5123);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_msr_registers, setup, child_teardown),
        cmocka_unit_test_setup_teardown(test_floating_point, setup, child_teardown),
        cmocka_unit_test_setup_teardown(test_activity, setup, child_teardown),
        cmocka_unit_test_setup_teardown(test_apic_blob, setup, child_teardown),
        cmocka_unit_test_setup_teardown(test_apic_blob_refused, setup, child_teardown),
        cmocka_unit_test_setup_teardown(test_xsave_blob, setup, child_teardown),
        cmocka_unit_test_setup_teardown(test_xsave_blob_refused, setup, child_teardown),
        cmocka_unit_test_setup_teardown(test_synic_pages, setup, child_teardown),
        cmocka_unit_test_setup_teardown(test_timer_blob, setup, child_teardown),
        cmocka_unit_test_setup_teardown(test_blob_faults, setup, child_teardown),
        cmocka_unit_test_setup_teardown(test_properties, setup, child_teardown),
        cmocka_unit_test_setup_teardown(test_processor_features, setup, child_teardown),
        cmocka_unit_test_setup_teardown(test_features_by_call, setup, child_teardown),
        cmocka_unit_test_setup_teardown(test_synthetic_features, setup, child_teardown),
        cmocka_unit_test_setup_teardown(test_creation_flags, setup, child_teardown),
        cmocka_unit_test_setup_teardown(test_access_states, setup, child_teardown),
        cmocka_unit_test_setup_teardown(test_translate, setup, child_teardown),
        cmocka_unit_test(test_translate_rights),
    };

    return cmocka_run_group_tests_name("child-state", tests, NULL, NULL);
}
