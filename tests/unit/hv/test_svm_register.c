/* SPDX-License-Identifier: MIT */
/* Registers of an SVM control block by name: what they may hold, and events in their two forms. */
#include <string.h>

#include "hv/abi/vp.h"
#include "hv/x86/svm/svm.h"
#include "tests/unit/hv/unit.h"

static struct vmcb vmcb;
static struct svm_vp svm;
static struct vp vp;

static int setup(void **state)
{
    (void)state;
    memset(&vmcb, 0, sizeof vmcb);
    svm = (struct svm_vp){.vmcb = &vmcb, .delivering = VAPIC_NONE};
    vp.vendor = &svm;
    return 0;
}

static bool set(uint32_t name, uint64_t value)
{
    const union hv_register_value wanted = {.u128 = {value, 0}};

    return svm_set_register(&vp, name, &wanted);
}

static uint64_t get(uint32_t name)
{
    union hv_register_value value = {.u128 = {0, 0}};

    assert_true(svm_get_register(&vp, name, &value));
    return value.u64;
}

/* A refused value leaves the old one. */
static void test_scalars(void **state)
{
    (void)state;
    static const struct {
        uint32_t name;
        uint64_t good, bad;
    } cases[] = {
        {HV_REGISTER_RSP, ~0ull, 0},
        {HV_REGISTER_RIP, 0xffffffff81000000, 0},
        {HV_REGISTER_RFLAGS, 0x246, 1ull << 22},
        {HV_REGISTER_RFLAGS, 0x202, 1ull << 3},
        {HV_REGISTER_CR0, 0x80050033, 1ull << 32},
        {HV_REGISTER_CR0, 0x11, 0x80000010}, /* paging needs protection */
        {HV_REGISTER_CR2, ~0ull, 0},
        {HV_REGISTER_CR3, 0x1000, 1ull << 52},
        {HV_REGISTER_CR4, 0x3406f0 & ~0x2000u, 1ull << 24},
        {HV_REGISTER_CR4, 0x20, 1ull << 13}, /* VMXE */
        {HV_REGISTER_DR6, 0xffff0ff0, 1ull << 32},
        {HV_REGISTER_DR7, 0x400, 1ull << 63},
        {HV_REGISTER_EFER, 0xd01, 1ull << 12}, /* SVME is the hypervisor's */
        {HV_REGISTER_STAR, 0x23001000000000, 0},
    };

    for (unsigned i = 0; i < ARRAY_COUNT(cases); i++) {
        assert_true(set(cases[i].name, cases[i].good));
        assert_int_equal(get(cases[i].name), cases[i].good);
        if (cases[i].bad != 0) {
            assert_false(set(cases[i].name, cases[i].bad));
            assert_int_equal(get(cases[i].name), cases[i].good);
        }
    }
    assert_int_equal(vmcb.efer, 0x1d01);
    assert_true(set(HV_REGISTER_RFLAGS, 0));
    assert_int_equal(get(HV_REGISTER_RFLAGS), 2);
    assert_false(set(HV_REGISTER_XMM0, 0));
}

static void test_segments(void **state)
{
    (void)state;
    const union hv_register_value ss = {
        .segment = {.base = 0x1000, .limit = 0xfffff, .selector = 0x2b, .attributes = 0xc0f3}};
    union hv_register_value got;

    assert_true(svm_set_register(&vp, HV_REGISTER_SS, &ss));
    assert_true(svm_get_register(&vp, HV_REGISTER_SS, &got));
    assert_memory_equal(&got, &ss, sizeof ss);
    assert_int_equal(vmcb.ss.attributes, 0xcf3); /* the processor leaves out bits 8 to 11 */
    assert_int_equal(vmcb.cpl, 3);
}

static void test_pending(void **state)
{
    (void)state;
    const uint64_t fault = HV_PENDING_INTERRUPTION | HV_INTERRUPTION_EXCEPTION << 1 |
                           HV_PENDING_ERROR_CODE_VALID | 13u << 16 | 0x18ull << 32;
    const uint64_t nmi = HV_PENDING_INTERRUPTION | HV_INTERRUPTION_NMI << 1 | 2u << 16;
    const uint64_t interrupt = HV_PENDING_INTERRUPTION | 0xecu << 16;
    static const uint64_t bad[] = {
        HV_PENDING_INTERRUPTION | 15u << 16,                                   /* no such vector */
        HV_PENDING_INTERRUPTION | 256u << 16,                                  /* nor this */
        HV_PENDING_INTERRUPTION | HV_INTERRUPTION_NMI << 1 | 3u << 16,         /* an NMI is 2 */
        HV_PENDING_INTERRUPTION | HV_INTERRUPTION_EXCEPTION << 1 | 2u << 16,   /* and 2 is an NMI */
        HV_PENDING_INTERRUPTION | HV_INTERRUPTION_EXCEPTION << 1 | 32u << 16,  /* no exception */
        HV_PENDING_INTERRUPTION | HV_INTERRUPTION_SOFTWARE << 1 | 0x80u << 16, /* executed anew */
    };

    assert_true(set(HV_REGISTER_PENDING_INTERRUPTION, fault));
    assert_int_equal(vmcb.inject, 0x1880000b0dull); /* valid, error code, exception 13 */
    assert_int_equal(get(HV_REGISTER_PENDING_INTERRUPTION), fault);
    for (unsigned i = 0; i < ARRAY_COUNT(bad); i++) {
        assert_false(set(HV_REGISTER_PENDING_INTERRUPTION, bad[i]));
        assert_int_equal(get(HV_REGISTER_PENDING_INTERRUPTION), fault);
    }
    assert_true(set(HV_REGISTER_PENDING_INTERRUPTION, nmi));
    assert_int_equal(get(HV_REGISTER_PENDING_INTERRUPTION), nmi);
    assert_true(set(HV_REGISTER_PENDING_INTERRUPTION, interrupt));
    assert_int_equal(svm.delivering, 0xec);
    assert_int_equal(vmcb.inject, 0);
    assert_int_equal(get(HV_REGISTER_PENDING_INTERRUPTION), interrupt);
    assert_true(set(HV_REGISTER_PENDING_INTERRUPTION, 0));
    assert_int_equal(get(HV_REGISTER_PENDING_INTERRUPTION), 0);
    assert_int_equal(svm.delivering, VAPIC_NONE);
}

static void test_interrupt_state(void **state)
{
    (void)state;
    for (uint64_t value = 0; value < 4; value++) {
        assert_true(set(HV_REGISTER_INTERRUPT_STATE, value));
        assert_int_equal(get(HV_REGISTER_INTERRUPT_STATE), value);
        assert_int_equal(vmcb.interrupt_shadow, value & 1);
        assert_int_equal(svm.nmi_masked, value >> 1);
        /* The end of the handler must be seen. */
        assert_int_equal((vmcb.intercept1 & VMCB_INTERCEPT1_IRET) != 0, value >> 1);
    }
    assert_false(set(HV_REGISTER_INTERRUPT_STATE, 4));
    assert_int_equal(get(HV_REGISTER_INTERRUPT_STATE), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_scalars, setup),
        cmocka_unit_test_setup(test_segments, setup),
        cmocka_unit_test_setup(test_pending, setup),
        cmocka_unit_test_setup(test_interrupt_state, setup),
    };

    return cmocka_run_group_tests_name("svm-register", tests, NULL, NULL);
}
