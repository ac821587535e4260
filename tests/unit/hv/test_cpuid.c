/* SPDX-License-Identifier: MIT */
/* CPUID: the hypervisor's leaves bit by bit, and what is changed in the processor's own. */
#include "hv/core/cpuid.h"

#include <string.h>

#include "hv/abi/bulkhead.h"
#include "hv/abi/cpuid.h"
#include "hv/abi/msr.h"
#include "hv/core/msr.h"
#include "tests/unit/hv/host_machine.h"
#include "tests/unit/hv/unit.h"

static struct vp *const vp = &host.vp[0];

static int setup(void **state)
{
    (void)state;
    host_machine_init(3, PARTITION_PARENT);
    return 0;
}

static struct cpuid_result ask(uint32_t leaf)
{
    struct cpuid_result result;

    memset(&result, 0xa5, sizeof result);
    cpuid_emulate(vp, leaf, 0, &result);
    return result;
}

static void processor_answers(uint32_t bits)
{
    host.cpuid = (struct cpuid_result){bits, bits, bits, bits};
}

/* ---- the hypervisor's leaves ---- */

static void test_signature(void **state)
{
    (void)state;
    const struct cpuid_result r = ask(0x40000000);
    char name[13] = {0};

    assert_in_range(r.eax, 0x40000005, 0x4000ffff); /* else Linux sees no hypervisor */
    assert_int_equal(r.eax, HV_CPUID_MAX);
    memcpy(name, &r.ebx, 4);
    memcpy(name + 4, &r.ecx, 4);
    memcpy(name + 8, &r.edx, 4);
    assert_string_equal(name, "Microsoft Hv");
    const struct cpuid_result interface = ask(0x40000001);

    assert_memory_equal(&interface.eax, "Hv#1", 4);
    assert_int_equal(interface.ebx | interface.ecx | interface.edx, 0);
}

static void test_own_signature(void **state)
{
    (void)state;
    const struct cpuid_result r = ask(0x40000100);

    assert_int_equal(r.eax, 0x40000101);
    assert_memory_equal(&r.ebx, "Bulk", 4);
    assert_memory_equal(&r.ecx, "head", 4);
    assert_memory_equal(&r.edx, "Hv\0\0", 4);
    assert_int_equal(ask(0x40000101).eax, BH_ABI_VERSION);
    assert_int_equal(ask(0x40000101).ebx, PARTITION_PARENT);
}

static void test_version(void **state)
{
    (void)state;
    /* The range that /dev/mshv drivers of Linux were tested with. */
    assert_in_range(ask(0x40000002).eax, 27744, 27751);
    assert_int_equal(ask(0x40000002).ebx, 10u << 16);
}

static void expect_bits(uint32_t got, uint32_t must, const char *what)
{
    for (unsigned bit = 0; bit < 32; bit++) {
        if ((got >> bit & 1) != (must >> bit & 1)) {
            fail_msg("%s bit %u is %u", what, bit, got >> bit & 1);
        }
    }
}

#define BIT(n) (1u << (n))

/*
 * Bit by bit. Never in EBX: 1 (AccessPartitionId; kernels before 6.15 die of it), 12
 * (CpuManagement: Linux would think it owns the processors), 20, 22.
 */
static void test_features(void **state)
{
    (void)state;
    const uint32_t eax =
        BIT(0) | BIT(1) | BIT(2) | BIT(3) | BIT(4) | BIT(5) | BIT(6) | BIT(9) | BIT(11) | BIT(15);
    const struct cpuid_result r = ask(0x40000003);

    expect_bits(r.eax, eax, "features EAX");
    expect_bits(r.ebx, BIT(0) | BIT(2) | BIT(6) | BIT(7), "features EBX");
    expect_bits(r.ecx, 0, "features ECX");
    expect_bits(r.edx, BIT(8) | BIT(10) | BIT(19), "features EDX");
}

/* A clock that can not be trusted is not offered; a timer never without a reference clock. */
static void test_features_by_clock(void **state)
{
    (void)state;
    host.tsc_invariant = false;
    assert_true(ask(0x40000003).eax & BIT(9));
    assert_false(ask(0x40000003).eax & BIT(15));
    host.tsc_synchronized = false;
    assert_false(ask(0x40000003).eax & (BIT(9) | BIT(15)));
    host.tsc_invariant = true;
    assert_false(ask(0x40000003).eax & (BIT(9) | BIT(15)));
    assert_true(ask(0x40000003).eax & BIT(3));
    assert_true(ask(0x40000003).eax & BIT(1));
}

static void test_recommendations(void **state)
{
    (void)state;
    const struct cpuid_result r = ask(0x40000004);

    expect_bits(r.eax, BIT(3) | BIT(5) | BIT(9) | BIT(10) | BIT(11), "recommendations EAX");
    assert_int_equal(r.ebx | r.ecx | r.edx, 0);
}

static void test_limits(void **state)
{
    (void)state;
    const struct cpuid_result r = ask(0x40000005);

    assert_int_equal(r.eax, PARTITION_MAX_VPS);
    assert_int_equal(r.ebx, 3);
    assert_int_equal(r.ecx | r.edx, 0);
}

/* Nothing of the processor shows through in the hypervisor's range. */
static void test_other_leaves_are_zero(void **state)
{
    (void)state;
    static const uint32_t far[] = {0x40001000, 0x4000ffff, 0x40010000, 0x4fffffff};

    processor_answers(~0u);
    for (uint32_t leaf = HV_CPUID_MAX; leaf < 0x40000200; leaf++) {
        if (leaf == BH_CPUID_SIGNATURE || leaf == BH_CPUID_ABI) {
            continue;
        }
        const struct cpuid_result r = ask(leaf);

        assert_int_equal(r.eax | r.ebx | r.ecx | r.edx, 0);
    }
    for (unsigned i = 0; i < ARRAY_COUNT(far); i++) {
        const struct cpuid_result r = ask(far[i]);

        assert_int_equal(r.eax | r.ebx | r.ecx | r.edx, 0);
    }
}

/* ---- the processor's leaves ---- */

/* What the answer to a leaf is of a processor with all bits set and of one with none. */
static void check_filter(uint32_t leaf, struct cpuid_result of_ones, struct cpuid_result of_zeros)
{
    processor_answers(~0u);
    struct cpuid_result r = ask(leaf);

    assert_memory_equal(&r, &of_ones, sizeof r);
    assert_int_equal(host.cpuid_leaf, leaf);
    processor_answers(0);
    r = ask(leaf);
    assert_memory_equal(&r, &of_zeros, sizeof r);
}

#define ONES 0xffffffffu

static void test_leaf_1(void **state)
{
    (void)state;
    const uint32_t always = BIT(31) | BIT(21); /* hypervisor, x2APIC */

    /* Hidden: MONITOR, VMX; OSXSAVE follows CR4. */
    check_filter(1, (struct cpuid_result){ONES, ONES, ~(BIT(3) | BIT(5) | BIT(27)), ONES},
                 (struct cpuid_result){0, 0, always | BIT(24), 0});
    host.cr4 = BIT(18);
    processor_answers(0);
    assert_true(ask(1).ecx & BIT(27));
    host.tsc_synchronized = false;
    processor_answers(~0u);
    assert_false(ask(1).ecx & BIT(24)); /* no TSC deadline on clocks that differ */
}

static void test_leaf_5_and_6(void **state)
{
    (void)state;
    check_filter(5, (struct cpuid_result){0, 0, 0, 0}, (struct cpuid_result){0, 0, 0, 0});
    check_filter(6, (struct cpuid_result){ONES, ONES, ONES, ONES},
                 (struct cpuid_result){BIT(2), 0, 0, 0});
}

static void test_leaf_7(void **state)
{
    (void)state;
    struct cpuid_result r;

    /* Hidden: TSC_ADJUST, whose MSR faults, and SGX; OSPKE follows CR4. */
    check_filter(7, (struct cpuid_result){ONES, ~(BIT(1) | BIT(2)), ~BIT(4), ONES},
                 (struct cpuid_result){0, 0, 0, 0});
    host.cr4 = BIT(22);
    assert_int_equal(ask(7).ecx, BIT(4));
    processor_answers(~0u);
    cpuid_emulate(vp, 7, 1, &r);
    assert_int_equal(host.cpuid_subleaf, 1);
    assert_int_equal(r.ebx, ONES);
}

static void test_extended_leaves(void **state)
{
    (void)state;
    const struct cpuid_result none = {0, 0, 0, 0};

    /* Hidden: SVM, SKINIT, MONITORX. */
    check_filter(0x80000001, (struct cpuid_result){ONES, ONES, ~(BIT(2) | BIT(12) | BIT(29)), ONES},
                 none);
    check_filter(0x80000008, (struct cpuid_result){ONES, ~BIT(3), ONES, ONES}, none);
    check_filter(0x8000000a, none, none);
    check_filter(0x8000001f, none, none);
}

/* The invariant TSC shows once the guest has asked for it. */
static void test_invariant_tsc(void **state)
{
    (void)state;
    check_filter(0x80000007, (struct cpuid_result){ONES, ONES, ONES, ~BIT(8)},
                 (struct cpuid_result){0, 0, 0, 0});
    assert_true(msr_write(vp, HV_MSR_TSC_INVARIANT, 1));
    check_filter(0x80000007, (struct cpuid_result){ONES, ONES, ONES, ONES},
                 (struct cpuid_result){0, 0, 0, BIT(8)});
}

static void test_other_leaves_pass(void **state)
{
    (void)state;
    static const uint32_t leaves[] = {0,   2,    4,          0xa,        0xb,
                                      0xd, 0x1f, 0x80000000, 0x80000002, 0xffffffff};

    for (unsigned i = 0; i < ARRAY_COUNT(leaves); i++) {
        check_filter(leaves[i], (struct cpuid_result){ONES, ONES, ONES, ONES},
                     (struct cpuid_result){0, 0, 0, 0});
    }
}

/* ---- a child ---- */

static struct cpuid_result ask_child(uint32_t index, uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_result r;

    cpuid_emulate(&host.vp[index], leaf, subleaf, &r);
    return r;
}

static void make_child(unsigned vps, uint32_t bits)
{
    host_machine_init(vps, 2);
    processor_answers(bits);
}

static void expect_zero(uint32_t leaf, uint32_t subleaf)
{
    const struct cpuid_result r = ask_child(0, leaf, subleaf);

    if ((r.eax | r.ebx | r.ecx | r.edx) != 0) {
        fail_msg("leaf %x is not zero", leaf);
    }
}

/* No privilege over partitions; nothing that its MSRs do not bear out. */
static void test_child(void **state)
{
    (void)state;
    static const uint32_t absent[] = {5,          0xa,        0xf,        0x10,
                                      0x14,       0x1f,       0x8000000a, 0x8000001b,
                                      0x8000001d, 0x8000001e, 0x8000001f, 0x80000022};

    make_child(3, ~0u);
    assert_int_equal(ask_child(2, 0x40000003, 0).ebx, BIT(4) | BIT(5));
    for (unsigned i = 0; i < ARRAY_COUNT(absent); i++) {
        expect_zero(absent[i], 0);
        expect_zero(absent[i], 1);
    }
    struct cpuid_result r = ask_child(0, 1, 0);

    /* DTES64, MONITOR, DS-CPL, VMX, EST, TM2, PDCM, OSXSAVE; MCE, MCA, DS, ACPI, TM. */
    expect_bits(~r.ecx, BIT(2) | BIT(3) | BIT(4) | BIT(5) | BIT(7) | BIT(8) | BIT(15) | BIT(27),
                "1 ECX");
    expect_bits(~r.edx, BIT(7) | BIT(14) | BIT(21) | BIT(22) | BIT(29), "1 EDX");
    r = ask_child(0, 6, 0);
    expect_bits(r.eax, BIT(2), "6 EAX");
    assert_int_equal(r.ebx | r.ecx | r.edx, 0);
    assert_int_equal(~ask_child(0, 0xd, 1).eax, BIT(3) | BIT(4));
    assert_int_equal(~ask_child(0, 0xd, 0).eax, 0);
    assert_int_equal(~ask_child(0, 0x80000001, 0).edx, BIT(7) | BIT(14));
    assert_int_equal(~ask_child(0, 7, 1).edx, 0);
    assert_true(~ask_child(0, 7, 0).edx & BIT(29)); /* ARCH_CAPABILITIES */
}

static void check_topology(unsigned vps, uint32_t id_bits)
{
    const uint32_t last = vps - 1;

    make_child(vps, ~0u);
    assert_int_equal(ask_child(last, 1, 0).ebx, last << 24 | vps << 16 | 0xffff);
    assert_int_equal(ask_child(last, 1, 0).edx >> 28 & 1, vps > 1);
    const struct cpuid_result thread = ask_child(last, 0xb, 0);
    const struct cpuid_result core = ask_child(last, 0xb, 1);
    const struct cpuid_result end = ask_child(last, 0xb, 2);

    assert_true(thread.eax == 0 && thread.ebx == 1 && thread.ecx == 0x100 && thread.edx == last);
    assert_true(core.eax == id_bits && core.ebx == vps && core.ecx == 0x201 && core.edx == last);
    assert_true(end.eax == 0 && end.ebx == 0 && end.ecx == 2 && end.edx == last);
    assert_int_equal(ask_child(last, 0x80000008, 0).ecx, id_bits << 12 | last);
    assert_int_equal(ask_child(last, 0x80000001, 0).ecx >> 1 & 1, vps > 1);
}

/* One socket, a core for each VP; every id fits the bits that are told. */
static void test_child_topology(void **state)
{
    (void)state;
    static const uint32_t bits[] = {0, 0, 1, 2, 2};

    for (unsigned vps = 1; vps <= HOST_VPS; vps++) {
        check_topology(vps, bits[vps]);
    }
    make_child(3, 0x21); /* a cache of level 1 */
    assert_int_equal(ask_child(0, 4, 0).eax, 3u << 26 | 0x21);
    processor_answers(0x63); /* of level 3, for all */
    assert_int_equal(ask_child(0, 4, 3).eax, 3u << 26 | 3u << 14 | 0x63);
    processor_answers(0);
    expect_zero(4, 4);
    host.cpuid.ebx = 0x756e6547; /* "Genu": Intel keeps nothing there */
    assert_int_equal(ask_child(0, 0x80000008, 0).ecx, 0);
    assert_int_equal(ask_child(0, 0x80000001, 0).ecx, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_signature, setup),
        cmocka_unit_test_setup(test_own_signature, setup),
        cmocka_unit_test_setup(test_version, setup),
        cmocka_unit_test_setup(test_features, setup),
        cmocka_unit_test_setup(test_features_by_clock, setup),
        cmocka_unit_test_setup(test_recommendations, setup),
        cmocka_unit_test_setup(test_limits, setup),
        cmocka_unit_test_setup(test_other_leaves_are_zero, setup),
        cmocka_unit_test_setup(test_leaf_1, setup),
        cmocka_unit_test_setup(test_leaf_5_and_6, setup),
        cmocka_unit_test_setup(test_leaf_7, setup),
        cmocka_unit_test_setup(test_extended_leaves, setup),
        cmocka_unit_test_setup(test_invariant_tsc, setup),
        cmocka_unit_test_setup(test_other_leaves_pass, setup),
        cmocka_unit_test_setup(test_child, setup),
        cmocka_unit_test_setup(test_child_topology, setup),
    };

    return cmocka_run_group_tests_name("cpuid", tests, NULL, NULL);
}
