/* SPDX-License-Identifier: MIT */
/* Every MSR of the hypervisor's range: who may read and write it, what faults, what it does. */
#include "hv/core/msr.h"

#include <string.h>

#include "hv/abi/bulkhead.h"
#include "hv/abi/msr.h"
#include "hv/abi/port.h"
#include "hv/abi/synic.h"
#include "tests/unit/hv/host_arch.h"
#include "tests/unit/hv/host_machine.h"
#include "tests/unit/hv/unit.h"

#define PAGE 0x4000u

static struct vp *const vp = &host.vp[0];

static int setup(void **state)
{
    (void)state;
    host_machine_init(2, PARTITION_PARENT);
    return 0;
}

static void write_msr(uint32_t index, uint64_t value)
{
    assert_true(msr_write(vp, index, value));
}

static uint64_t read_msr(uint32_t index)
{
    uint64_t value = 0;

    assert_true(msr_read(vp, index, &value));
    return value;
}

/* By the register, as a guest sees it. */
static bool in_service(unsigned vector)
{
    return read_msr(0x810 + vector / 32) >> (vector % 32) & 1;
}

static bool can_read(uint32_t index)
{
    uint64_t value;

    return msr_read(vp, index, &value);
}

/* ---- the whole range ---- */

#define READ  1u
#define WRITE 2u
#define NONE  0u

/* TLFS, "Synthetic MSRs"; `good` can be written, each of `bad` (0 ends them) faults. */
static const struct msr_rule {
    uint32_t first, last;
    unsigned access;
    uint64_t good;
    uint64_t bad[4];
} rules[] = {
    {HV_MSR_GUEST_OS_ID, 0, READ | WRITE, 0x8100000601c00000, {0}},
    {HV_MSR_HYPERCALL, 0, READ | WRITE, PAGE, {0}}, /* enabled ones: test_pages_fault */
    {HV_MSR_VP_INDEX, 0, READ, 0, {0}},
    {HV_MSR_VP_RUNTIME, 0, READ, 0, {0}},
    {HV_MSR_TIME_REF_COUNT, 0, READ, 0, {0}},
    {HV_MSR_REFERENCE_TSC, 0, READ | WRITE, PAGE, {HOST_PAGE_HYPERVISOR << 12 | 1}},
    {HV_MSR_TSC_FREQUENCY, 0, READ, 0, {0}},
    {HV_MSR_APIC_FREQUENCY, 0, READ, 0, {0}},
    {HV_MSR_EOI, 0, WRITE, 0, {1ull << 32, 1ull << 63}},
    {HV_MSR_ICR, 0, READ | WRITE, 0x40, {1ull << 13, 1ull << 20, 1ull << 31}},
    {HV_MSR_TPR, 0, READ | WRITE, 0x20, {0x100, 1ull << 32, 1ull << 63}},
    {HV_MSR_VP_ASSIST_PAGE, 0, READ | WRITE, PAGE | 1, {HOST_PAGE_UNASSIGNED << 12 | 1}},
    {HV_MSR_SCONTROL, 0, READ | WRITE, 1, {0}},
    {HV_MSR_SVERSION, 0, READ, 0, {0}},
    {HV_MSR_SIEFP, 0, READ | WRITE, PAGE | 1, {HOST_PAGE_DEPOSITED << 12 | 1}},
    {HV_MSR_SIMP, 0, READ | WRITE, PAGE | 1, {HOST_PAGE_ABSENT << 12 | 1, ~0ull}},
    {HV_MSR_SIRBP, 0, READ | WRITE, PAGE | 1, {HOST_PAGE_HYPERVISOR << 12 | 1}},
    {HV_MSR_EOM, 0, READ | WRITE, 0, {0}},
    {HV_MSR_SINT0, HV_MSR_SINT15, READ | WRITE, 0x40, {1, 15, HV_SINT_AUTO_EOI}},
    {0x400000b0, 0, READ | WRITE, 0x1ed9, {1ull << 13, 1ull << 20, 0x1001, ~0ull}},
    {0x400000b1, 0, READ | WRITE, ~0ull, {0}},
    {0x400000b2, 0, READ | WRITE, 0x1ed9, {1ull << 14, 1ull << 63, 0x10f1, ~0ull}},
    {0x400000b3, 0, READ | WRITE, ~0ull, {0}},
    {0x400000b4, 0, READ | WRITE, 0x1ed9, {1ull << 15, 1ull << 33, 0x1081, ~0ull}},
    {0x400000b5, 0, READ | WRITE, ~0ull, {0}},
    {0x400000b6, 0, READ | WRITE, 0x1ed9, {1ull << 13, 1ull << 47, 0x1041, ~0ull}},
    {0x400000b7, 0, READ | WRITE, ~0ull, {0}},
    {HV_MSR_CRASH_P0, HV_MSR_CRASH_CTL, READ | WRITE, ~0ull, {0}},
    {HV_MSR_TSC_INVARIANT, 0, READ | WRITE, 1, {2, 1ull << 63}},
};

static const struct msr_rule *rule_of(uint32_t index)
{
    for (unsigned i = 0; i < ARRAY_COUNT(rules); i++) {
        const uint32_t last = rules[i].last ? rules[i].last : rules[i].first;

        if (index >= rules[i].first && index <= last) {
            return &rules[i];
        }
    }
    return NULL;
}

static void check_bad_values(uint32_t index, const struct msr_rule *rule)
{
    const uint64_t before = rule->access & READ ? read_msr(index) : 0;

    for (unsigned i = 0; i < ARRAY_COUNT(rule->bad) && rule->bad[i] != 0; i++) {
        assert_false(msr_write(vp, index, rule->bad[i]));
        if (rule->access & READ) {
            assert_int_equal(read_msr(index), before);
        }
    }
}

static void test_every_msr(void **state)
{
    (void)state;
    unsigned known = 0;

    for (uint32_t index = HV_MSR_FIRST - 16; index <= HV_MSR_LAST + 16; index++) {
        const struct msr_rule *rule = rule_of(index);
        const unsigned access = rule ? rule->access : NONE;

        setup(state);
        assert_int_equal(can_read(index), (access & READ) != 0);
        if (rule != NULL) {
            check_bad_values(index, rule);
            known++;
        }
        assert_int_equal(msr_write(vp, index, rule ? rule->good : 0), (access & WRITE) != 0);
        assert_true(host_windows_closed());
    }
    assert_int_equal(known, 49);
}

/* The same on a VP whose partition is a child; event rings are for the parent. */
static void test_child_has_them_too(void **state)
{
    (void)state;
    host_machine_init(2, 2);
    assert_false(can_read(HV_MSR_SIRBP));
    assert_false(msr_write(vp, HV_MSR_SIRBP, PAGE | 1));
    for (unsigned i = 0; i < ARRAY_COUNT(rules); i++) {
        if (rules[i].first == HV_MSR_SIRBP) {
            continue;
        }
        assert_int_equal(can_read(rules[i].first), (rules[i].access & READ) != 0);
        check_bad_values(rules[i].first, &rules[i]);
    }
}

/* ---- pages ---- */

static void test_pages_fault(void **state)
{
    (void)state;
    static const uint32_t registers[] = {HV_MSR_HYPERCALL, HV_MSR_REFERENCE_TSC,
                                         HV_MSR_VP_ASSIST_PAGE, HV_MSR_SIMP, HV_MSR_SIEFP};
    static const uint64_t pages[] = {
        HOST_PAGE_HYPERVISOR, HOST_PAGE_UNASSIGNED, HOST_PAGE_DEPOSITED, HOST_PAGE_ABSENT,
        HOST_PAGE_COUNT,      1ull << 36,           1ull << 40,          0xfffffffffffffull};

    write_msr(HV_MSR_GUEST_OS_ID, 1);
    for (unsigned r = 0; r < ARRAY_COUNT(registers); r++) {
        write_msr(registers[r], PAGE | HV_PAGE_MSR_ENABLE);
        for (unsigned i = 0; i < ARRAY_COUNT(pages); i++) {
            assert_false(msr_write(vp, registers[r], pages[i] << 12 | HV_PAGE_MSR_ENABLE));
            assert_int_equal(read_msr(registers[r]), PAGE | HV_PAGE_MSR_ENABLE);
        }
        write_msr(registers[r], (uint64_t)HOST_PAGE_SHARED << 12 | HV_PAGE_MSR_ENABLE);
        write_msr(registers[r], 0);
    }
    assert_true(host_page_is(spa_make(HOST_PAGE_HYPERVISOR << 12), 0));
    assert_true(host_page_is(spa_make(HOST_PAGE_DEPOSITED << 12), 0));
}

static void check_code(uint64_t gpa)
{
    static const uint8_t code[] = {0x0f, 0x01, 0xd9, 0xc3, 0xcc};
    uint8_t bytes[sizeof code];

    host_guest_read(gpa, bytes, sizeof bytes);
    assert_memory_equal(bytes, code, sizeof code);
    host_guest_read(gpa + PAGE_SIZE - 1, bytes, 1);
    assert_int_equal(bytes[0], 0xcc);
}

static void test_hypercall_page(void **state)
{
    (void)state;
    /* Without a guest's identity it can not be enabled. */
    write_msr(HV_MSR_HYPERCALL, PAGE | HV_PAGE_MSR_ENABLE);
    assert_int_equal(read_msr(HV_MSR_HYPERCALL), PAGE);
    assert_true(host_page_is(spa_make(PAGE), 0));
    write_msr(HV_MSR_GUEST_OS_ID, 0x8100000601c00000);
    assert_int_equal(read_msr(HV_MSR_GUEST_OS_ID), 0x8100000601c00000);
    write_msr(HV_MSR_HYPERCALL, PAGE | HV_PAGE_MSR_ENABLE);
    assert_int_equal(read_msr(HV_MSR_HYPERCALL), PAGE | HV_PAGE_MSR_ENABLE);
    check_code(PAGE);
    /* Seen by all VPs; moved by any. */
    uint64_t value;

    assert_true(msr_read(&host.vp[1], HV_MSR_HYPERCALL, &value));
    assert_int_equal(value, PAGE | HV_PAGE_MSR_ENABLE);
    assert_true(msr_write(&host.vp[1], HV_MSR_HYPERCALL, 0x6000 | HV_PAGE_MSR_ENABLE));
    check_code(0x6000);
    /* The guest says good-bye (kexec). */
    write_msr(HV_MSR_GUEST_OS_ID, 0);
    assert_int_equal(read_msr(HV_MSR_HYPERCALL), 0x6000);
}

static void test_hypercall_page_locked(void **state)
{
    (void)state;
    const uint64_t locked = PAGE | HV_PAGE_MSR_ENABLE | HV_HYPERCALL_MSR_LOCKED;

    write_msr(HV_MSR_GUEST_OS_ID, 1);
    write_msr(HV_MSR_HYPERCALL, locked);
    write_msr(HV_MSR_HYPERCALL, 0x6000 | HV_PAGE_MSR_ENABLE); /* ignored */
    assert_int_equal(read_msr(HV_MSR_HYPERCALL), locked);
    assert_true(host_page_is(spa_make(0x6000), 0));
    write_msr(HV_MSR_GUEST_OS_ID, 0);
    assert_int_equal(read_msr(HV_MSR_HYPERCALL), locked);
}

/* Before the guest has said who it is (Linux does so). */
static void test_reference_tsc_page(void **state)
{
    (void)state;
    struct hv_reference_tsc_page page;

    host_page_fill(spa_make(PAGE), 0xee);
    write_msr(HV_MSR_REFERENCE_TSC, PAGE | HV_PAGE_MSR_ENABLE);
    assert_int_equal(read_msr(HV_MSR_REFERENCE_TSC), PAGE | HV_PAGE_MSR_ENABLE);
    host_guest_read(PAGE, &page, sizeof page);
    assert_int_equal(page.sequence, 1);
    assert_int_equal(page.offset, -7);
    assert_int_equal(page.reserved, 0);
    assert_int_equal(page.reserved2[508], 0);
    write_msr(HV_MSR_REFERENCE_TSC, 0);
    assert_int_equal(read_msr(HV_MSR_REFERENCE_TSC), 0);
}

/* Two pages in one place: nothing breaks, the last writer's contents stand. */
static void test_pages_on_top_of_each_other(void **state)
{
    (void)state;
    write_msr(HV_MSR_GUEST_OS_ID, 1);
    write_msr(HV_MSR_SIMP, PAGE | 1);
    write_msr(HV_MSR_SIEFP, PAGE | 1);
    write_msr(HV_MSR_VP_ASSIST_PAGE, PAGE | 1);
    write_msr(HV_MSR_REFERENCE_TSC, PAGE | 1);
    write_msr(HV_MSR_HYPERCALL, PAGE | 1);
    check_code(PAGE);
    vapic_send_fixed(vp, 0x80);
    assert_int_equal(host_deliver(vp), 0x80);
    assert_int_equal(host_guest_read32(PAGE), HV_APIC_ASSIST_NO_EOI);
}

/* ---- values ---- */

static void test_values(void **state)
{
    (void)state;
    uint64_t value;

    assert_int_equal(read_msr(HV_MSR_VP_INDEX), 0);
    assert_true(msr_read(&host.vp[1], HV_MSR_VP_INDEX, &value));
    assert_int_equal(value, 1);
    assert_int_equal(read_msr(HV_MSR_TIME_REF_COUNT), host.now);
    host_time_set(host.now + 12345);
    assert_int_equal(read_msr(HV_MSR_TIME_REF_COUNT), host.now);
    assert_int_equal(read_msr(HV_MSR_TSC_FREQUENCY), HOST_TSC_HZ);
    assert_int_equal(read_msr(HV_MSR_APIC_FREQUENCY), VAPIC_TIMER_HZ);
    vp->stats.time_guest = 1000 * HOST_TSC_PER_UNIT;
    vp->stats.time_hypervisor = 200 * HOST_TSC_PER_UNIT;
    assert_int_equal(read_msr(HV_MSR_VP_RUNTIME), 1200);
}

static void test_refused_eoi_does_nothing(void **state)
{
    (void)state;
    vapic_send_fixed(vp, 0x80);
    assert_int_equal(host_deliver(vp), 0x80);
    assert_false(msr_write(vp, HV_MSR_EOI, 1ull << 32));
    assert_true(in_service(0x80));
    write_msr(HV_MSR_EOI, 0);
    assert_false(in_service(0x80));
}

static void test_apic_registers(void **state)
{
    (void)state;
    write_msr(HV_MSR_TPR, 0x30);
    assert_int_equal(read_msr(0x808), 0x30);
    write_msr(HV_MSR_ICR, 1ull << 32 | 0x77);
    assert_int_equal(host_deliver(&host.vp[1]), 0x77);
    assert_int_equal(read_msr(HV_MSR_ICR), 1ull << 32 | 0x77);
    assert_int_equal(read_msr(0x830), 1ull << 32 | 0x77);
}

static void test_tsc_invariant(void **state)
{
    (void)state;
    assert_int_equal(read_msr(HV_MSR_TSC_INVARIANT), 0);
    write_msr(HV_MSR_TSC_INVARIANT, 0);
    assert_int_equal(read_msr(HV_MSR_TSC_INVARIANT), 0);
    write_msr(HV_MSR_TSC_INVARIANT, 1);
    assert_int_equal(read_msr(HV_MSR_TSC_INVARIANT), 1);
    write_msr(HV_MSR_TSC_INVARIANT, 0); /* never back */
    assert_int_equal(read_msr(HV_MSR_TSC_INVARIANT), 1);
}

/* The register is not there unless CPUID offers it. */
static void test_tsc_invariant_absent(void **state)
{
    (void)state;
    host.tsc_invariant = false;
    assert_false(can_read(HV_MSR_TSC_INVARIANT));
    assert_false(msr_write(vp, HV_MSR_TSC_INVARIANT, 1));
    host.tsc_invariant = true;
    host.tsc_synchronized = false;
    assert_false(can_read(HV_MSR_TSC_INVARIANT));
    assert_false(msr_write(vp, HV_MSR_TSC_INVARIANT, 1));
    assert_false(host.partition.tsc_invariant_shown);
}

/* ---- what is not the hypervisor's ---- */

static void test_processor_msrs(void **state)
{
    (void)state;
    write_msr(HOST_PROCESSOR_MSR, 0x1234);
    assert_int_equal(host.processor_msr, 0x1234);
    assert_int_equal(read_msr(HOST_PROCESSOR_MSR), 0x1234);
    assert_false(can_read(0xdeadbeef));
    assert_false(msr_write(vp, 0xdeadbeef, 0));
    assert_false(can_read(0x40000200));
    assert_false(can_read(0xffffffff));
}

static void test_x2apic_range(void **state)
{
    (void)state;
    assert_int_equal(read_msr(0x802), 0);
    assert_false(can_read(0x80b)); /* EOI */
    assert_false(can_read(0x900));
    assert_false(msr_write(vp, 0x802, 0)); /* ID */
    assert_false(can_read(0x8ff));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_every_msr, setup),
        cmocka_unit_test_setup(test_child_has_them_too, setup),
        cmocka_unit_test_setup(test_pages_fault, setup),
        cmocka_unit_test_setup(test_hypercall_page, setup),
        cmocka_unit_test_setup(test_hypercall_page_locked, setup),
        cmocka_unit_test_setup(test_reference_tsc_page, setup),
        cmocka_unit_test_setup(test_pages_on_top_of_each_other, setup),
        cmocka_unit_test_setup(test_values, setup),
        cmocka_unit_test_setup(test_refused_eoi_does_nothing, setup),
        cmocka_unit_test_setup(test_apic_registers, setup),
        cmocka_unit_test_setup(test_tsc_invariant, setup),
        cmocka_unit_test_setup(test_tsc_invariant_absent, setup),
        cmocka_unit_test_setup(test_processor_msrs, setup),
        cmocka_unit_test_setup(test_x2apic_range, setup),
    };

    return cmocka_run_group_tests_name("msr", tests, NULL, NULL);
}
