/* SPDX-License-Identifier: MIT */
/* Interprocessor interrupts: who gets them, by each kind of destination, and what each mode does.
 */
#include "hv/core/vapic.h"
#include "tests/unit/hv/host_machine.h"
#include "tests/unit/hv/unit.h"

#define FIXED   0x000u
#define LOWEST  0x100u
#define NMI     0x400u
#define INIT    0x500u
#define STARTUP 0x600u
#define LOGICAL 0x800u
#define ASSERT  0x4000u
#define LEVEL   0x8000u
#define TO_SELF 0x40000u
#define ALL     0x80000u
#define OTHERS  0xc0000u

static int setup(void **state)
{
    (void)state;
    host_machine_init(HOST_VPS, PARTITION_PARENT);
    return 0;
}

/* A child with its APICs in xAPIC mode, flat model, logical ids 1, 2, 4, 8. */
static int setup_xapic(void **state)
{
    (void)state;
    host_machine_init(HOST_VPS, 2);
    for (unsigned i = 0; i < HOST_VPS; i++) {
        struct vp *vp = &host.vp[i];
        const uint64_t base = HOST_APIC_BASE | (i == 0 ? APIC_BASE_BSP : 0);

        assert_true(vapic_write_base(vp, base));
        assert_true(vapic_write_base(vp, base | APIC_BASE_ENABLE));
        assert_true(vapic_write(vp, VAPIC_SPURIOUS, 0x1ff));
        assert_true(vapic_write(vp, VAPIC_LDR, 1u << (24 + i)));
        host.record[i] = (struct host_record){0};
    }
    return 0;
}

/* From VP 1. */
static void send(uint32_t destination, uint32_t command)
{
    assert_true(vapic_write(&host.vp[1], VAPIC_ICR, (uint64_t)destination << 32 | command));
}

static void send_xapic(uint32_t destination, uint32_t command)
{
    assert_true(vapic_write(&host.vp[1], VAPIC_ICR_HIGH, destination << 24));
    assert_true(vapic_write(&host.vp[1], VAPIC_ICR, command));
}

/* Bit n: VP n was given the vector and told so. */
static unsigned receivers(uint8_t vector)
{
    unsigned got = 0;

    for (unsigned i = 0; i < HOST_VPS; i++) {
        const int delivered = host_deliver(&host.vp[i]);

        if (delivered != VAPIC_NONE) {
            assert_int_equal(delivered, vector);
            assert_int_equal(host.vp[i].notified, 1);
            got |= 1u << i;
            assert_true(vapic_write(&host.vp[i], VAPIC_EOI, 0));
        }
        host_take_news(&host.vp[i]);
    }
    return got;
}

/* Bit n: VP n has this request. */
static unsigned requested(uint32_t request)
{
    unsigned got = 0;

    for (unsigned i = 0; i < HOST_VPS; i++) {
        got |= (host.vp[i].requests & request ? 1u : 0u) << i;
        host.vp[i].requests &= ~request;
        host.vp[i].notified = 0;
    }
    return got;
}

static void test_physical(void **state)
{
    (void)state;
    for (unsigned i = 0; i < HOST_VPS; i++) {
        send(i, FIXED | 0x80);
        assert_int_equal(receivers(0x80), 1u << i);
    }
    send(HOST_VPS, FIXED | 0x80);
    assert_int_equal(receivers(0x80), 0);
    send(0xfffffffe, FIXED | 0x80);
    assert_int_equal(receivers(0x80), 0);
    send(0xffffffff, FIXED | 0x80);
    assert_int_equal(receivers(0x80), 0xf);
    send(0xff, FIXED | 0x80); /* broadcast in xAPIC mode only */
    assert_int_equal(receivers(0x80), 0);
}

/* APIC ids need not be VP indexes. */
static void test_physical_other_ids(void **state)
{
    (void)state;
    for (unsigned i = 0; i < HOST_VPS; i++) {
        vp_init(&host.vp[i], &host.partition, i, 3 - i, &host.timers[i]);
        assert_true(vapic_write(&host.vp[i], VAPIC_SPURIOUS, 0x1ff));
    }
    send(0, FIXED | 0x80);
    assert_int_equal(receivers(0x80), 1u << 3);
    send(2, FIXED | 0x80);
    assert_int_equal(receivers(0x80), 1u << 1);
}

static void test_shorthands(void **state)
{
    (void)state;
    send(3, TO_SELF | 0x80);
    assert_int_equal(receivers(0x80), 1u << 1);
    send(3, ALL | 0x80);
    assert_int_equal(receivers(0x80), 0xf);
    send(3, OTHERS | 0x80);
    assert_int_equal(receivers(0x80), 0xd);
}

/* The architecture has only fixed interrupts to oneself. */
static void test_self_takes_fixed_only(void **state)
{
    (void)state;
    const uint32_t modes[] = {LOWEST, NMI, INIT | ASSERT, STARTUP};

    for (size_t i = 0; i < ARRAY_COUNT(modes); i++) {
        send(3, TO_SELF | modes[i] | 0x80);
        send(3, ALL | modes[i] | 0x80);
        assert_int_equal(receivers(0x80), 0);
        for (unsigned vp = 0; vp < HOST_VPS; vp++) {
            assert_int_equal(host.vp[vp].requests, 0);
        }
    }
}

static void test_self_ipi_register(void **state)
{
    (void)state;
    assert_true(vapic_write(&host.vp[1], VAPIC_SELF_IPI, 0x99));
    assert_int_equal(receivers(0x99), 1u << 1);
}

static void test_x2apic_clusters(void **state)
{
    (void)state;
    vp_init(&host.vp[3], &host.partition, 3, 0x12, &host.timers[3]); /* cluster 1, bit 2 */
    assert_true(vapic_write(&host.vp[3], VAPIC_SPURIOUS, 0x1ff));
    send(0x00005, LOGICAL | 0x80);
    assert_int_equal(receivers(0x80), 0x5);
    send(0x0ffff, LOGICAL | 0x80);
    assert_int_equal(receivers(0x80), 0x7);
    send(0x10004, LOGICAL | 0x80);
    assert_int_equal(receivers(0x80), 0x8);
    send(0x10003, LOGICAL | 0x80);
    assert_int_equal(receivers(0x80), 0);
    send(0x20004, LOGICAL | 0x80);
    assert_int_equal(receivers(0x80), 0);
    send(0x00000, LOGICAL | 0x80);
    assert_int_equal(receivers(0x80), 0);
    send(0xffffffff, LOGICAL | 0x80);
    assert_int_equal(receivers(0x80), 0xf);
}

static void test_lowest_priority_picks_one(void **state)
{
    (void)state;
    send(0x0000e, LOGICAL | LOWEST | 0x80);
    const unsigned got = receivers(0x80);

    assert_true(got == 2 || got == 4 || got == 8);
}

static void test_xapic_physical(void **state)
{
    (void)state;
    send_xapic(2, FIXED | 0x80);
    assert_int_equal(receivers(0x80), 1u << 2);
    send_xapic(0xff, FIXED | 0x80);
    assert_int_equal(receivers(0x80), 0xf);
    send_xapic(0x7f, FIXED | 0x80);
    assert_int_equal(receivers(0x80), 0);
    /* The upper half stays as written for the next command. */
    send_xapic(3, FIXED | 0x80);
    assert_int_equal(receivers(0x80), 1u << 3);
    assert_true(vapic_write(&host.vp[1], VAPIC_ICR, FIXED | 0x81));
    assert_int_equal(receivers(0x81), 1u << 3);
}

static void test_xapic_flat(void **state)
{
    (void)state;
    send_xapic(0x5, LOGICAL | 0x80);
    assert_int_equal(receivers(0x80), 0x5);
    send_xapic(0xf0, LOGICAL | 0x80);
    assert_int_equal(receivers(0x80), 0);
    send_xapic(0xff, LOGICAL | 0x80);
    assert_int_equal(receivers(0x80), 0xf);
}

static void test_xapic_cluster(void **state)
{
    (void)state;
    static const uint32_t logical[HOST_VPS] = {0x11, 0x12, 0x21, 0x22};

    for (unsigned i = 0; i < HOST_VPS; i++) {
        assert_true(vapic_write(&host.vp[i], VAPIC_DFR, 0x0fffffff));
        assert_true(vapic_write(&host.vp[i], VAPIC_LDR, logical[i] << 24));
    }
    send_xapic(0x13, LOGICAL | 0x80);
    assert_int_equal(receivers(0x80), 0x3);
    send_xapic(0x22, LOGICAL | 0x80);
    assert_int_equal(receivers(0x80), 0x8);
    send_xapic(0x33, LOGICAL | 0x80);
    assert_int_equal(receivers(0x80), 0);
    send_xapic(0xff, LOGICAL | 0x80);
    assert_int_equal(receivers(0x80), 0xf);
}

static void test_nmi(void **state)
{
    (void)state;
    send(2, NMI);
    assert_int_equal(requested(VP_REQUEST_NMI), 1u << 2);
    send(0, NMI | OTHERS); /* the vector does not matter, be it below 16 */
    assert_int_equal(requested(VP_REQUEST_NMI), 0xd);
    send(2, NMI | 0x80);
    host_take_news(&host.vp[2]);
    assert_true(host.vp[2].nmi_pending);
    assert_int_equal(host_deliver(&host.vp[2]), VAPIC_NONE);
}

static void test_init_and_startup(void **state)
{
    (void)state;
    struct vp *vp = &host.vp[2];

    assert_true(vapic_write(vp, VAPIC_TPR, 0x50));
    vp->nmi_pending = true;
    send(2, INIT | LEVEL | ASSERT);
    assert_int_equal(host.record[2].notified, 1);
    host_take_news(vp);
    assert_int_equal(vp->activity, VP_WAIT_STARTUP);
    assert_int_equal(host.record[2].inits, 1);
    assert_false(vp->nmi_pending);
    assert_int_equal(vp->apic.tpr, 0);
    assert_false(vp_is_runnable(vp));

    send(2, INIT | LEVEL); /* de-assert: nothing */
    assert_int_equal(requested(VP_REQUEST_INIT), 0);

    send(2, STARTUP | 0x9a);
    host_take_news(vp);
    assert_int_equal(host.record[2].startups, 1);
    assert_int_equal(host.record[2].startup_vector, 0x9a);
    assert_int_equal(vp->activity, VP_ACTIVE);
    assert_true(vp_is_runnable(vp));

    send(2, STARTUP | 0x9b); /* the second of the usual two */
    host_take_news(vp);
    assert_int_equal(host.record[2].startups, 1);
}

/* Both arrive before the VP's LP looks. */
static void test_init_then_startup_at_once(void **state)
{
    (void)state;
    send(2, INIT | LEVEL | ASSERT);
    send(2, STARTUP | 0x08);
    assert_int_equal(host.record[2].notified, 1);
    host_take_news(&host.vp[2]);
    assert_int_equal(host.record[2].inits, 1);
    assert_int_equal(host.record[2].startups, 1);
    assert_int_equal(host.vp[2].activity, VP_ACTIVE);
}

static void test_startup_then_init_at_once(void **state)
{
    (void)state;
    send(2, INIT | LEVEL | ASSERT);
    send(2, STARTUP | 0x08);
    send(2, INIT | LEVEL | ASSERT);
    host_take_news(&host.vp[2]);
    assert_int_equal(host.record[2].startups, 0);
    assert_int_equal(host.vp[2].activity, VP_WAIT_STARTUP);
    send(2, INIT | LEVEL | ASSERT);
    send(2, STARTUP | 0x09);
    host_take_news(&host.vp[2]);
    assert_int_equal(host.record[2].startup_vector, 0x09);
    assert_int_equal(host.vp[2].activity, VP_ACTIVE);
}

/* What an INIT must undo for the machine: an interrupt in service by level. */
static void test_init_ends_level(void **state)
{
    (void)state;
    struct vp *vp = &host.vp[2];

    vapic_raise(&vp->apic, 0x61, true);
    assert_int_equal(host_deliver(vp), 0x61);
    send(2, INIT | LEVEL | ASSERT);
    host_take_news(vp);
    assert_int_equal(host.record[2].level_eoi[0x61], 1);
}

static void test_waiting_vp_takes_no_interrupt(void **state)
{
    (void)state;
    vp_request(&host.vp[2], VP_REQUEST_INIT);
    host_take_news(&host.vp[2]);
    send(2, FIXED | 0x80);
    assert_int_equal(receivers(0x80), 0);
}

/* Modes that the architecture reserves, and illegal vectors, do nothing. */
static void test_other_modes(void **state)
{
    (void)state;
    for (uint32_t mode = 0; mode < 8; mode++) {
        for (uint32_t vector = 0; vector < 16; vector++) {
            if (mode != 4 && mode != 5 && mode != 6) {
                send(2, mode << 8 | vector);
            }
        }
    }
    send(2, 2u << 8 | 0x80);
    send(2, 3u << 8 | 0x80);
    send(2, 7u << 8 | 0x80);
    assert_int_equal(receivers(0x80), 0);
    assert_int_equal(requested(~0u), 0);
}

/* One notification until the LP has looked, however many interrupts. */
static void test_one_notification(void **state)
{
    (void)state;
    send(2, 0x80);
    send(2, 0x90);
    send(2, NMI);
    assert_int_equal(host.record[2].notified, 1);
    host_take_news(&host.vp[2]);
    send(2, 0xa0);
    assert_int_equal(host.record[2].notified, 2);
}

/* HLT ends by what the VP can take, and by nothing else. */
static void test_halt(void **state)
{
    (void)state;
    struct vp *vp = &host.vp[2];

    vp_halt(vp);
    assert_false(vp_is_runnable(vp));
    assert_true(vapic_write(vp, VAPIC_TPR, 0x80));
    send(2, 0x80);
    assert_false(vp_is_runnable(vp));
    send(2, 0x90);
    assert_true(vp_is_runnable(vp));
    host.interrupts_enabled = false;
    assert_false(vp_is_runnable(vp));
    send(2, NMI);
    host_take_news(vp);
    assert_true(vp_is_runnable(vp));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_physical, setup),
        cmocka_unit_test_setup(test_physical_other_ids, setup),
        cmocka_unit_test_setup(test_shorthands, setup),
        cmocka_unit_test_setup(test_self_takes_fixed_only, setup),
        cmocka_unit_test_setup(test_self_ipi_register, setup),
        cmocka_unit_test_setup(test_x2apic_clusters, setup),
        cmocka_unit_test_setup(test_lowest_priority_picks_one, setup),
        cmocka_unit_test_setup(test_xapic_physical, setup_xapic),
        cmocka_unit_test_setup(test_xapic_flat, setup_xapic),
        cmocka_unit_test_setup(test_xapic_cluster, setup_xapic),
        cmocka_unit_test_setup(test_nmi, setup),
        cmocka_unit_test_setup(test_init_and_startup, setup),
        cmocka_unit_test_setup(test_init_then_startup_at_once, setup),
        cmocka_unit_test_setup(test_startup_then_init_at_once, setup),
        cmocka_unit_test_setup(test_init_ends_level, setup),
        cmocka_unit_test_setup(test_waiting_vp_takes_no_interrupt, setup),
        cmocka_unit_test_setup(test_other_modes, setup),
        cmocka_unit_test_setup(test_one_notification, setup),
        cmocka_unit_test_setup(test_halt, setup),
    };

    return cmocka_run_group_tests_name("vapic_ipi", tests, NULL, NULL);
}
