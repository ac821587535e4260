/* SPDX-License-Identifier: MIT */
/* The virtual APIC: priorities, the order of EOIs, the EOI assist, registers in both modes, modes.
 */
#include "hv/core/vapic.h"

#include "hv/abi/msr.h"
#include "hv/abi/synic.h"
#include "hv/core/msr.h"
#include "tests/unit/hv/host_machine.h"
#include "tests/unit/hv/unit.h"

#define ASSIST_GPA 0x3000u

static struct vp *const vp = &host.vp[0];

static int setup(void **state)
{
    (void)state;
    host_machine_init(2, PARTITION_PARENT);
    return 0;
}

/* A child may leave x2APIC mode; VP 0's APIC is in xAPIC mode and on. */
static int setup_xapic(void **state)
{
    (void)state;
    host_machine_init(2, 2);
    assert_true(vapic_write_base(vp, HOST_APIC_BASE | APIC_BASE_BSP));
    assert_true(vapic_write_base(vp, HOST_APIC_BASE | APIC_BASE_BSP | APIC_BASE_ENABLE));
    assert_true(vapic_write(vp, VAPIC_SPURIOUS, 0x1ff));
    return 0;
}

static uint64_t reg(uint32_t number)
{
    uint64_t value = 0;

    assert_true(vapic_read(vp, number, &value));
    return value;
}

static void put(uint32_t number, uint64_t value)
{
    assert_true(vapic_write(vp, number, value));
}

static void raise_edge(uint8_t vector)
{
    vapic_raise(&vp->apic, vector, false);
}

static bool in_register(uint32_t first, unsigned vector)
{
    return reg(first + vector / 32) >> (vector % 32) & 1;
}

static void eoi(void)
{
    put(VAPIC_EOI, 0);
}

/* ---- priorities ---- */

static void test_nothing_to_deliver(void **state)
{
    (void)state;
    assert_int_equal(host_deliver(vp), VAPIC_NONE);
    eoi(); /* of nothing */
    assert_int_equal(host_deliver(vp), VAPIC_NONE);
}

static void test_every_vector_passes_through(void **state)
{
    (void)state;
    for (unsigned vector = 16; vector < 256; vector++) {
        raise_edge((uint8_t)vector);
        assert_true(in_register(VAPIC_IRR, vector));
        assert_false(in_register(VAPIC_ISR, vector));
        assert_int_equal(host_deliver(vp), vector);
        assert_false(in_register(VAPIC_IRR, vector));
        assert_true(in_register(VAPIC_ISR, vector));
        assert_false(in_register(VAPIC_TMR, vector));
        assert_int_equal(reg(VAPIC_PPR), vector & 0xf0);
        eoi();
        assert_false(in_register(VAPIC_ISR, vector));
        assert_int_equal(reg(VAPIC_PPR), 0);
    }
    assert_int_equal(vp->stats.interrupts_injected, 240);
}

static void test_highest_first(void **state)
{
    (void)state;
    raise_edge(0x31);
    raise_edge(0xfe);
    raise_edge(0x80);
    assert_int_equal(host_deliver(vp), 0xfe);
    assert_int_equal(host_deliver(vp), VAPIC_NONE);
    eoi();
    assert_int_equal(host_deliver(vp), 0x80);
    eoi();
    assert_int_equal(host_deliver(vp), 0x31);
}

static void test_same_class_waits(void **state)
{
    (void)state;
    raise_edge(0x41);
    assert_int_equal(host_deliver(vp), 0x41);
    raise_edge(0x4f);
    assert_int_equal(host_deliver(vp), VAPIC_NONE);
    eoi();
    assert_int_equal(host_deliver(vp), 0x4f);
}

static void test_nesting_and_eoi_order(void **state)
{
    (void)state;
    raise_edge(0x41);
    assert_int_equal(host_deliver(vp), 0x41);
    raise_edge(0x62);
    assert_int_equal(host_deliver(vp), 0x62);
    raise_edge(0x50);
    assert_int_equal(host_deliver(vp), VAPIC_NONE);
    eoi(); /* ends 0x62, the highest in service */
    assert_true(in_register(VAPIC_ISR, 0x41));
    assert_false(in_register(VAPIC_ISR, 0x62));
    assert_int_equal(host_deliver(vp), 0x50);
    eoi();
    eoi();
    assert_int_equal(reg(VAPIC_PPR), 0);
}

/* A second request of a vector in service is kept; a third is one with the second. */
static void test_request_during_service(void **state)
{
    (void)state;
    raise_edge(0x41);
    assert_int_equal(host_deliver(vp), 0x41);
    raise_edge(0x41);
    raise_edge(0x41);
    assert_int_equal(host_deliver(vp), VAPIC_NONE);
    eoi();
    assert_int_equal(host_deliver(vp), 0x41);
    eoi();
    assert_int_equal(host_deliver(vp), VAPIC_NONE);
}

static void test_task_priority(void **state)
{
    (void)state;
    put(VAPIC_TPR, 0x40);
    assert_int_equal(reg(VAPIC_PPR), 0x40);
    raise_edge(0x4f);
    assert_int_equal(host_deliver(vp), VAPIC_NONE);
    raise_edge(0x50);
    assert_int_equal(host_deliver(vp), 0x50);
    assert_int_equal(reg(VAPIC_PPR), 0x50);
    eoi();
    put(VAPIC_TPR, 0x35);
    assert_int_equal(reg(VAPIC_PPR), 0x35);
    assert_int_equal(host_deliver(vp), 0x4f);
    assert_int_equal(reg(VAPIC_PPR), 0x40);
    put(VAPIC_TPR, 0x47); /* same class: the task priority's low bits count */
    assert_int_equal(reg(VAPIC_PPR), 0x47);
}

static void test_all_priorities_masked(void **state)
{
    (void)state;
    put(VAPIC_TPR, 0xf0);
    raise_edge(0xff);
    assert_int_equal(host_deliver(vp), VAPIC_NONE);
    put(VAPIC_TPR, 0xef);
    assert_int_equal(host_deliver(vp), 0xff);
}

/* ---- level ---- */

static void test_level_eoi_is_told(void **state)
{
    (void)state;
    vapic_raise(&vp->apic, 0x51, true);
    assert_true(in_register(VAPIC_TMR, 0x51));
    assert_int_equal(host_deliver(vp), 0x51);
    assert_int_equal(host.record[0].level_eoi[0x51], 0);
    eoi();
    assert_int_equal(host.record[0].level_eoi[0x51], 1);
    /* The vector's next use is by edge. */
    raise_edge(0x51);
    assert_false(in_register(VAPIC_TMR, 0x51));
    assert_int_equal(host_deliver(vp), 0x51);
    eoi();
    assert_int_equal(host.record[0].level_eoi[0x51], 1);
}

/* An IPI by the same vector while the level interrupt is requested or in service: its line must
 * not stay blocked. */
static void test_edge_does_not_hide_level(void **state)
{
    (void)state;
    vapic_raise(&vp->apic, 0x51, true);
    assert_int_equal(host_deliver(vp), 0x51);
    raise_edge(0x51);
    eoi();
    assert_int_equal(host.record[0].level_eoi[0x51], 1);
    assert_int_equal(host_deliver(vp), 0x51);
    eoi();
    vapic_raise(&vp->apic, 0x61, true);
    raise_edge(0x61);
    assert_int_equal(host_deliver(vp), 0x61);
    eoi();
    assert_true(host.record[0].level_eoi[0x61] >= 1);
}

static void test_reset_ends_level(void **state)
{
    (void)state;
    vapic_raise(&vp->apic, 0x51, true);
    assert_int_equal(host_deliver(vp), 0x51);
    vapic_raise(&vp->apic, 0x31, true); /* requested, never delivered */
    raise_edge(0x22);
    put(VAPIC_TPR, 0x10);
    put(VAPIC_TIMER_INITIAL, 100000);
    vapic_reset(vp);
    assert_int_equal(host.record[0].level_eoi[0x51], 1);
    assert_int_equal(host.record[0].level_eoi[0x31], 1);
    assert_int_equal(host.record[0].level_eoi[0x22], 0);
    for (uint32_t word = 0; word < 8; word++) {
        assert_int_equal(reg(VAPIC_IRR + word) | reg(VAPIC_ISR + word), 0);
    }
    assert_int_equal(reg(VAPIC_TPR), 0);
    assert_int_equal(reg(VAPIC_SPURIOUS), 0xff);
    assert_int_equal(reg(VAPIC_LVT_TIMER), VAPIC_LVT_MASKED);
    assert_int_equal(reg(VAPIC_TIMER_INITIAL), 0);
    assert_int_equal(timer_next_deadline(vp->timers), TIMER_NEVER);
    assert_true(vp->apic.base & APIC_BASE_X2APIC);
}

/* ---- EOI assist ---- */

static void place_assist(void)
{
    host_guest_write32(ASSIST_GPA, 0xdeadbeef);
    assert_true(msr_write(vp, HV_MSR_VP_ASSIST_PAGE, ASSIST_GPA | HV_PAGE_MSR_ENABLE));
    assert_int_equal(host_guest_read32(ASSIST_GPA), 0);
}

static bool assist_offered(void)
{
    return host_guest_read32(ASSIST_GPA) & HV_APIC_ASSIST_NO_EOI;
}

/* The guest ends the interrupt by clearing the flag, with no exit. */
static void consume_assist(void)
{
    assert_true(assist_offered());
    host_guest_write32(ASSIST_GPA, 0);
}

static void test_assist_instead_of_eoi(void **state)
{
    (void)state;
    place_assist();
    raise_edge(0x41);
    assert_int_equal(host_deliver(vp), 0x41);
    consume_assist();
    assert_int_equal(vp->stats.eois_avoided, 0);
    raise_edge(0x31);
    assert_int_equal(host_deliver(vp), 0x31);
    assert_int_equal(vp->stats.eois_avoided, 1);
    assert_false(in_register(VAPIC_ISR, 0x41));
    assert_true(in_register(VAPIC_ISR, 0x31));
}

static void test_assist_and_eoi_anyway(void **state)
{
    (void)state;
    place_assist();
    raise_edge(0x41);
    assert_int_equal(host_deliver(vp), 0x41);
    assert_true(assist_offered());
    eoi(); /* a guest that does not know of the flag */
    assert_false(assist_offered());
    assert_int_equal(reg(VAPIC_PPR), 0);
    assert_int_equal(vp->stats.eois_avoided, 0);
}

static void test_assist_withdrawn_when_another_waits(void **state)
{
    (void)state;
    place_assist();
    raise_edge(0x41);
    assert_int_equal(host_deliver(vp), 0x41);
    raise_edge(0x31);
    vapic_sync(vp);
    assert_false(assist_offered());
    assert_true(in_register(VAPIC_ISR, 0x41));
    assert_int_equal(host_deliver(vp), VAPIC_NONE);
    eoi();
    assert_int_equal(host_deliver(vp), 0x31);
}

static void test_assist_not_with_another_waiting(void **state)
{
    (void)state;
    place_assist();
    raise_edge(0x41);
    raise_edge(0x31);
    assert_int_equal(host_deliver(vp), 0x41);
    assert_false(assist_offered());
    eoi();
    assert_int_equal(host_deliver(vp), 0x31);
    assert_true(assist_offered());
}

static void test_assist_nested(void **state)
{
    (void)state;
    place_assist();
    raise_edge(0x41);
    assert_int_equal(host_deliver(vp), 0x41);
    raise_edge(0x61);
    assert_int_equal(host_deliver(vp), 0x61);
    /* Both in service: the flag stands for the higher one alone. */
    consume_assist();
    vapic_sync(vp);
    assert_true(in_register(VAPIC_ISR, 0x41));
    assert_false(in_register(VAPIC_ISR, 0x61));
    assert_false(assist_offered());
    eoi();
    assert_int_equal(reg(VAPIC_PPR), 0);
}

static void test_assist_never_for_level(void **state)
{
    (void)state;
    place_assist();
    vapic_raise(&vp->apic, 0x41, true);
    assert_int_equal(host_deliver(vp), 0x41);
    assert_false(assist_offered());
    eoi();
    assert_int_equal(host.record[0].level_eoi[0x41], 1);
}

static void test_assist_guest_sets_the_flag_itself(void **state)
{
    (void)state;
    place_assist();
    vapic_raise(&vp->apic, 0x41, true);
    assert_int_equal(host_deliver(vp), 0x41);
    host_guest_write32(ASSIST_GPA, 0xffffffff);
    vapic_sync(vp);
    host_guest_write32(ASSIST_GPA, 0);
    vapic_sync(vp);
    assert_true(in_register(VAPIC_ISR, 0x41));
    assert_int_equal(host.record[0].level_eoi[0x41], 0);
}

/* As a processor goes offline: the interrupt was ended by the flag just before the page goes. */
static void test_assist_consumed_before_page_moves(void **state)
{
    (void)state;
    place_assist();
    raise_edge(0x41);
    assert_int_equal(host_deliver(vp), 0x41);
    consume_assist();
    assert_true(msr_write(vp, HV_MSR_VP_ASSIST_PAGE, 0));
    assert_int_equal(reg(VAPIC_PPR), 0);
    raise_edge(0x42);
    assert_int_equal(host_deliver(vp), 0x42);
}

static void test_assist_offered_when_page_moves(void **state)
{
    (void)state;
    place_assist();
    raise_edge(0x41);
    assert_int_equal(host_deliver(vp), 0x41);
    assert_true(msr_write(vp, HV_MSR_VP_ASSIST_PAGE, 0x4000 | HV_PAGE_MSR_ENABLE));
    assert_false(assist_offered()); /* the interrupt's end is now a write of EOI */
    assert_true(in_register(VAPIC_ISR, 0x41));
    eoi();
    assert_int_equal(reg(VAPIC_PPR), 0);
    raise_edge(0x41);
    assert_int_equal(host_deliver(vp), 0x41);
    assert_int_equal(host_guest_read32(0x4000), HV_APIC_ASSIST_NO_EOI);
}

static void test_assist_off(void **state)
{
    (void)state;
    raise_edge(0x41);
    assert_int_equal(host_deliver(vp), 0x41);
    assert_false(assist_offered());
    eoi();
    place_assist();
    assert_true(msr_write(vp, HV_MSR_VP_ASSIST_PAGE, ASSIST_GPA));
    raise_edge(0x41);
    assert_int_equal(host_deliver(vp), 0x41);
    assert_false(assist_offered());
}

/* ---- x2APIC registers ---- */

#define READ  1u
#define WRITE 2u

struct register_rule {
    uint32_t reg;
    unsigned access;
    uint64_t allowed; /* bits a write may hold; with any other it faults */
};

/* AMD64 APM 2, 16.11; Intel SDM 3, table "Local APIC Register Address Map Supported by x2APIC". */
static const struct register_rule x2apic_rules[] = {
    {VAPIC_ID, READ, 0},
    {VAPIC_VERSION, READ, 0},
    {VAPIC_TPR, READ | WRITE, 0xff},
    {VAPIC_PPR, READ, 0},
    {VAPIC_EOI, WRITE, 0},
    {VAPIC_LDR, READ, 0},
    {VAPIC_SPURIOUS, READ | WRITE, 0x3ff},
    {VAPIC_ESR, READ | WRITE, 0},
    {VAPIC_LVT_CMCI, READ | WRITE, 0x157ff},
    {VAPIC_ICR, READ | WRITE, 0xffffffff000cdfff},
    {VAPIC_LVT_TIMER, READ | WRITE, 0x750ff},
    {VAPIC_LVT_THERMAL, READ | WRITE, 0x157ff},
    {VAPIC_LVT_PERF, READ | WRITE, 0x157ff},
    {VAPIC_LVT_LINT0, READ | WRITE, 0x1f7ff},
    {VAPIC_LVT_LINT1, READ | WRITE, 0x1f7ff},
    {VAPIC_LVT_ERROR, READ | WRITE, 0x150ff},
    {VAPIC_TIMER_INITIAL, READ | WRITE, 0xffffffff},
    {VAPIC_TIMER_CURRENT, READ, 0},
    {VAPIC_TIMER_DIVIDE, READ | WRITE, 0xb},
    {VAPIC_SELF_IPI, WRITE, 0xff},
};

static struct register_rule rule_of(uint32_t number)
{
    for (unsigned i = 0; i < ARRAY_COUNT(x2apic_rules); i++) {
        if (x2apic_rules[i].reg == number) {
            return x2apic_rules[i];
        }
    }
    if ((number >= VAPIC_ISR && number < VAPIC_IRR + 8)) {
        return (struct register_rule){number, READ, 0};
    }
    return (struct register_rule){number, 0, 0};
}

static void test_x2apic_faults(void **state)
{
    (void)state;
    for (uint32_t number = 0; number < 0x100; number++) {
        const struct register_rule rule = rule_of(number);
        uint64_t value;

        assert_int_equal(vapic_read(vp, number, &value), (rule.access & READ) != 0);
        assert_int_equal(msr_read(vp, 0x800 + number, &value), (rule.access & READ) != 0);
        host_machine_init(2, PARTITION_PARENT);
        assert_int_equal(vapic_write(vp, number, 0), (rule.access & WRITE) != 0);
        for (unsigned bit = 0; bit < 64; bit++) {
            const bool allowed = (rule.access & WRITE) && (rule.allowed >> bit & 1);

            host_machine_init(2, PARTITION_PARENT);
            assert_int_equal(vapic_write(vp, number, 1ull << bit), allowed);
        }
    }
}

static void test_x2apic_values(void **state)
{
    (void)state;
    struct vp *other = &host.vp[1];
    uint64_t value;

    assert_int_equal(reg(VAPIC_ID), 0);
    assert_true(vapic_read(other, VAPIC_ID, &value));
    assert_int_equal(value, 1);
    assert_true(vapic_read(other, VAPIC_LDR, &value));
    assert_int_equal(value, 2); /* cluster 0, second of 16 */
    assert_int_equal(reg(VAPIC_VERSION) & 0xff, 0x14);
    assert_int_equal(reg(VAPIC_VERSION) >> 16 & 0xff, VAPIC_LVT_COUNT - 1);
    put(VAPIC_SPURIOUS, 0x1f3);
    assert_int_equal(reg(VAPIC_SPURIOUS), 0x1f3);
    put(VAPIC_ICR, 0x123456780000004full); /* nobody is there */
    assert_int_equal(reg(VAPIC_ICR), 0x123456780000004full);
    put(VAPIC_LVT_LINT0, 0x1f7ff);
    assert_int_equal(reg(VAPIC_LVT_LINT0), 0x1a7ff); /* status bits can not be written */
    put(VAPIC_TIMER_DIVIDE, 0xb);
    assert_int_equal(reg(VAPIC_TIMER_DIVIDE), 0xb);
}

static void test_x2apic_id_clusters(void **state)
{
    (void)state;
    struct vp *far = &host.vp[1];

    vp_init(far, &host.partition, 1, 0x2345, &host.timers[1]);
    uint64_t value;

    assert_true(vapic_read(far, VAPIC_LDR, &value));
    assert_int_equal(value, 0x234u << 16 | 1u << 5);
}

static void test_errors(void **state)
{
    (void)state;
    put(VAPIC_LVT_ERROR, 0x77);
    put(VAPIC_ICR, 0x0f); /* vectors below 16 can not be sent */
    assert_int_equal(reg(VAPIC_ESR), 0);
    put(VAPIC_ESR, 0);
    assert_int_equal(reg(VAPIC_ESR), 1u << 5);
    assert_int_equal(host_deliver(vp), 0x77);
    eoi();
    put(VAPIC_ESR, 0);
    assert_int_equal(reg(VAPIC_ESR), 0);
    put(VAPIC_LVT_ERROR, VAPIC_LVT_MASKED | 0x77);
    put(VAPIC_SELF_IPI, 0x0f);
    assert_int_equal(host_deliver(vp), VAPIC_NONE);
    put(VAPIC_ESR, 0);
    assert_int_equal(reg(VAPIC_ESR), 1u << 5);
}

/* ---- software disable, LVT ---- */

static void test_software_disable(void **state)
{
    (void)state;
    put(VAPIC_LVT_PERF, 0x400);
    put(VAPIC_SPURIOUS, 0xff);
    assert_true(reg(VAPIC_LVT_PERF) & VAPIC_LVT_MASKED);
    assert_true(host.record[0].lvt[VAPIC_LVT_INDEX_PERF] & VAPIC_LVT_MASKED);
    put(VAPIC_LVT_PERF, 0x400); /* the mask can not be taken away while disabled */
    assert_true(reg(VAPIC_LVT_PERF) & VAPIC_LVT_MASKED);
    vapic_send_fixed(vp, 0x55);
    assert_int_equal(host_deliver(vp), VAPIC_NONE);
    put(VAPIC_SPURIOUS, 0x1ff);
    assert_int_equal(host_deliver(vp), VAPIC_NONE); /* lost, not kept */
    vapic_send_fixed(vp, 0x55);
    assert_int_equal(host_deliver(vp), 0x55);
}

/* Interrupts of devices: by edge they are lost, by level they wait until the APIC is on. */
static void test_software_disabled_takes_no_device_interrupt(void **state)
{
    (void)state;
    put(VAPIC_SPURIOUS, 0xff);
    assert_true(vapic_inject(&host.partition, 0x55, 0));
    assert_true(vapic_inject(&host.partition, 0x8066, 0));
    assert_int_equal(host_deliver(vp), VAPIC_NONE);
    vp_halt(vp);
    assert_false(vp_is_runnable(vp));
    put(VAPIC_SPURIOUS, 0x1ff);
    assert_true(vp_is_runnable(vp));
    assert_int_equal(host_deliver(vp), 0x66);
    assert_int_equal(host_deliver(vp), VAPIC_NONE);
    eoi();
    assert_int_equal(host.record[0].level_eoi[0x66], 1);
}

static void test_lvt_changes_are_told(void **state)
{
    (void)state;
    put(VAPIC_LVT_PERF, 0x4ee);
    assert_int_equal(host.record[0].lvt_writes[VAPIC_LVT_INDEX_PERF], 1);
    assert_int_equal(host.record[0].lvt[VAPIC_LVT_INDEX_PERF], 0x4ee);
    put(VAPIC_LVT_CMCI, 0xf1);
    assert_int_equal(host.record[0].lvt[VAPIC_LVT_INDEX_CMCI], 0xf1);
}

static void test_nmi_sources(void **state)
{
    (void)state;
    static const uint32_t sources[] = {VAPIC_LVT_THERMAL, VAPIC_LVT_PERF, VAPIC_LVT_LINT0,
                                       VAPIC_LVT_LINT1};

    assert_false(vapic_takes_nmi(&vp->apic));
    for (unsigned i = 0; i < ARRAY_COUNT(sources); i++) {
        put(sources[i], VAPIC_LVT_MODE_NMI | 0x22);
        assert_true(vapic_takes_nmi(&vp->apic));
        put(sources[i], VAPIC_LVT_MODE_NMI | VAPIC_LVT_MASKED);
        assert_false(vapic_takes_nmi(&vp->apic));
        put(sources[i], VAPIC_LVT_MODE_FIXED | 0x22);
        assert_false(vapic_takes_nmi(&vp->apic));
    }
}

/* ---- APIC_BASE ---- */

static bool set_base(uint64_t mode)
{
    return msr_write(vp, 0x1b, HOST_APIC_BASE | APIC_BASE_BSP | mode);
}

static void test_base_of_parent_is_fixed(void **state)
{
    (void)state;
    uint64_t value;

    assert_true(msr_read(vp, 0x1b, &value));
    assert_int_equal(value, HOST_APIC_BASE | APIC_BASE_BSP | APIC_BASE_ENABLE | APIC_BASE_X2APIC);
    assert_true(msr_read(&host.vp[1], 0x1b, &value));
    assert_false(value & APIC_BASE_BSP);
    assert_true(set_base(APIC_BASE_ENABLE | APIC_BASE_X2APIC));
    assert_int_equal(reg(VAPIC_SPURIOUS), 0x1ff); /* the same mode: nothing is reset */
    assert_false(set_base(0));
    assert_false(set_base(APIC_BASE_ENABLE));
    assert_false(set_base(APIC_BASE_X2APIC));
}

static void test_base_reserved_and_address(void **state)
{
    (void)state;
    const uint64_t base = vp->apic.base;

    for (unsigned bit = 0; bit < 64; bit++) {
        if (bit != 10 && bit != 11) {
            assert_false(msr_write(vp, 0x1b, base ^ 1ull << bit));
        }
    }
    assert_int_equal(vp->apic.base, base);
}

static void test_base_transitions(void **state)
{
    (void)state;
    host_machine_init(1, 2);
    const uint64_t off = 0, xapic = APIC_BASE_ENABLE;
    const uint64_t x2apic = APIC_BASE_ENABLE | APIC_BASE_X2APIC, invalid = APIC_BASE_X2APIC;

    assert_false(set_base(invalid));
    assert_false(set_base(xapic));
    assert_true(set_base(off));
    assert_false(set_base(invalid));
    assert_false(set_base(x2apic));
    assert_true(set_base(xapic));
    assert_false(set_base(invalid));
    assert_true(set_base(x2apic));
    assert_true(set_base(off));
    assert_true(set_base(xapic));
    assert_true(set_base(off));
}

/* Turning to x2APIC keeps what the APIC holds but its logical id. */
static void test_base_to_x2apic_keeps_state(void **state)
{
    (void)state;
    put(VAPIC_LVT_LINT1, VAPIC_LVT_MODE_NMI);
    put(VAPIC_TPR, 0x20);
    put(VAPIC_LDR, 0x04000000);
    put(VAPIC_ICR_HIGH, 0x55000000);
    raise_edge(0x66);
    raise_edge(0x33);
    assert_int_equal(host_deliver(vp), 0x66);
    assert_true(set_base(APIC_BASE_ENABLE | APIC_BASE_X2APIC));
    assert_int_equal(reg(VAPIC_LVT_LINT1), VAPIC_LVT_MODE_NMI);
    assert_int_equal(reg(VAPIC_TPR), 0x20);
    assert_int_equal(reg(VAPIC_SPURIOUS), 0x1ff);
    assert_true(in_register(VAPIC_ISR, 0x66));
    assert_true(in_register(VAPIC_IRR, 0x33));
    assert_int_equal(reg(VAPIC_LDR), 1);
    assert_int_equal(reg(VAPIC_ICR) >> 32, 0);
    /* Turned off, it forgets. */
    assert_true(set_base(0));
    assert_int_equal(vapic_next(&vp->apic), VAPIC_NONE);
    assert_int_equal(vp->apic.spurious, 0xff);
}

/* ---- xAPIC registers ---- */

static void test_xapic_registers(void **state)
{
    (void)state;
    uint64_t value;

    assert_int_equal(reg(VAPIC_ID), 0);
    put(VAPIC_LDR, 0xffffffff);
    assert_int_equal(reg(VAPIC_LDR), 0xff000000);
    put(VAPIC_DFR, 0);
    assert_int_equal(reg(VAPIC_DFR), 0x0fffffff);
    put(VAPIC_ICR_HIGH, 0x07000000);
    assert_int_equal(reg(VAPIC_ICR_HIGH), 0x07000000);
    put(VAPIC_ICR, 0x44);
    assert_int_equal(reg(VAPIC_ICR), 0x44);
    assert_int_equal(reg(VAPIC_ICR_HIGH), 0x07000000);
    /* No access by memory faults; what is not there reads 0 and ignores writes. */
    for (uint32_t number = 0; number < 0x100; number++) {
        assert_true(vapic_read(vp, number, &value));
    }
    assert_true(vapic_write(vp, 0x55, 1));
    assert_int_equal(reg(0x55), 0);
    assert_int_equal(reg(VAPIC_SELF_IPI), 0);
    put(VAPIC_EOI, 0x12345678);
    put(VAPIC_ESR, 1);
    /* The registers are not MSRs in this mode. */
    assert_false(msr_read(vp, 0x802, &value));
    assert_false(msr_write(vp, 0x80b, 0));
}

static void test_xapic_self_ipi_register_is_absent(void **state)
{
    (void)state;
    (void)vapic_write(vp, VAPIC_SELF_IPI, 0x55);
    assert_int_equal(host_deliver(vp), VAPIC_NONE);
}

/* HV_MSR_ICR is both halves of the ICR at once, the upper first. */
static void test_xapic_icr_msr(void **state)
{
    (void)state;
    uint64_t value;

    assert_true(msr_write(vp, HV_MSR_ICR, 1ull << 56 | 0x47));
    assert_int_equal(host_deliver(&host.vp[1]), 0x47);
    assert_true(msr_read(vp, HV_MSR_ICR, &value));
    assert_int_equal(value, 1ull << 56 | 0x47);
    assert_true(msr_write(vp, HV_MSR_TPR, 0x30));
    assert_true(msr_read(vp, HV_MSR_TPR, &value));
    assert_int_equal(value, 0x30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_nothing_to_deliver, setup),
        cmocka_unit_test_setup(test_every_vector_passes_through, setup),
        cmocka_unit_test_setup(test_highest_first, setup),
        cmocka_unit_test_setup(test_same_class_waits, setup),
        cmocka_unit_test_setup(test_nesting_and_eoi_order, setup),
        cmocka_unit_test_setup(test_request_during_service, setup),
        cmocka_unit_test_setup(test_task_priority, setup),
        cmocka_unit_test_setup(test_all_priorities_masked, setup),
        cmocka_unit_test_setup(test_level_eoi_is_told, setup),
        cmocka_unit_test_setup(test_edge_does_not_hide_level, setup),
        cmocka_unit_test_setup(test_reset_ends_level, setup),
        cmocka_unit_test_setup(test_assist_instead_of_eoi, setup),
        cmocka_unit_test_setup(test_assist_and_eoi_anyway, setup),
        cmocka_unit_test_setup(test_assist_withdrawn_when_another_waits, setup),
        cmocka_unit_test_setup(test_assist_not_with_another_waiting, setup),
        cmocka_unit_test_setup(test_assist_nested, setup),
        cmocka_unit_test_setup(test_assist_never_for_level, setup),
        cmocka_unit_test_setup(test_assist_guest_sets_the_flag_itself, setup),
        cmocka_unit_test_setup(test_assist_consumed_before_page_moves, setup),
        cmocka_unit_test_setup(test_assist_offered_when_page_moves, setup),
        cmocka_unit_test_setup(test_assist_off, setup),
        cmocka_unit_test_setup(test_x2apic_faults, setup),
        cmocka_unit_test_setup(test_x2apic_values, setup),
        cmocka_unit_test_setup(test_x2apic_id_clusters, setup),
        cmocka_unit_test_setup(test_errors, setup),
        cmocka_unit_test_setup(test_software_disable, setup),
        cmocka_unit_test_setup(test_software_disabled_takes_no_device_interrupt, setup),
        cmocka_unit_test_setup(test_lvt_changes_are_told, setup),
        cmocka_unit_test_setup(test_nmi_sources, setup),
        cmocka_unit_test_setup(test_base_of_parent_is_fixed, setup),
        cmocka_unit_test_setup(test_base_reserved_and_address, setup),
        cmocka_unit_test_setup(test_base_transitions, setup),
        cmocka_unit_test_setup(test_base_to_x2apic_keeps_state, setup_xapic),
        cmocka_unit_test_setup(test_xapic_registers, setup_xapic),
        cmocka_unit_test_setup(test_xapic_self_ipi_register_is_absent, setup_xapic),
        cmocka_unit_test_setup(test_xapic_icr_msr, setup_xapic),
    };

    return cmocka_run_group_tests_name("vapic", tests, NULL, NULL);
}
